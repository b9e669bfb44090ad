//! The audit log's entries: who did what to which, as ids; never an address, a person's name or a secret.

use crate::authority::ActorRef;
use crate::change::Asking;
use crate::dice::Dice;
use crate::id::{AccountId, CredentialId, EnvironmentId, EventId, RequestId, ServiceAccountId};
use crate::time::Timestamp;
use std::net::IpAddr;

macro_rules! kinds {
    ($($name:ident = $text:literal),* $(,)?) => {
        /// The stable names of what can happen.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum EventKind { $($name),* }
        impl EventKind {
            pub const ALL: &[Self] = &[$(Self::$name),*];
            pub const fn as_str(self) -> &'static str { match self { $(Self::$name => $text),* } }
            pub fn parse(text: &str) -> Option<Self> { Self::ALL.iter().copied().find(|kind| kind.as_str() == text) }
        }
    };
}

kinds! {
    InstanceBootstrapped = "instance.bootstrapped",
    InstanceRecovered = "instance.recovered",
    AccountCreated = "account.created",
    AccountUpdated = "account.updated",
    AccountSuspended = "account.suspended",
    AccountActivated = "account.activated",
    EnvironmentCreated = "environment.created",
    UserCreated = "user.created",
    UserPasswordSet = "user.password_set",
    ServiceAccountCreated = "service_account.created",
    ServiceAccountUpdated = "service_account.updated",
    ServiceAccountSuspended = "service_account.suspended",
    ServiceAccountActivated = "service_account.activated",
    ServiceAccountRevoked = "service_account.revoked",
    TokenIssued = "token.issued",
    TokenUpdated = "token.updated",
    TokenRotated = "token.rotated",
    TokenSuspended = "token.suspended",
    TokenActivated = "token.activated",
    TokenRevoked = "token.revoked",
    TokenDeleted = "token.deleted",
    AccessTokenRevoked = "access_token.revoked",
    TokenExpired = "token.expired",
    TokenRetired = "token.retired",
    ContactChanged = "contact.changed",
    ContactConfirmed = "contact.confirmed",
    ContactDisowned = "contact.disowned",
    ContactUndeliverable = "contact.undeliverable",
    ConfirmationRequested = "confirmation.requested",
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub id: EventId,
    pub account_id: AccountId,
    pub at: Timestamp,
    pub kind: EventKind,
    pub actor: ActorRef,
    pub environment_id: Option<EnvironmentId>,
    pub service_account_id: Option<ServiceAccountId>,
    pub credential_id: Option<CredentialId>,
    pub request_id: Option<RequestId>,
    /// Erased after the retention of addresses.
    pub client_ip: Option<IpAddr>,
    /// Further facts: names of changed fields, reasons, times.
    pub data: serde_json::Value,
}

impl Event {
    pub fn new(
        asking: &Asking<'_>,
        kind: EventKind,
        account_id: AccountId,
        dice: &mut dyn Dice,
    ) -> Self {
        Self {
            id: EventId::new(asking.now, dice),
            account_id,
            at: asking.now,
            kind,
            actor: asking.by,
            environment_id: None,
            service_account_id: None,
            credential_id: None,
            request_id: asking.request,
            client_ip: asking.client_ip,
            data: serde_json::Value::Object(serde_json::Map::new()),
        }
    }

    pub fn about_environment(mut self, id: EnvironmentId) -> Self {
        self.environment_id = Some(id);
        self
    }

    pub fn about_service_account(mut self, id: Option<ServiceAccountId>) -> Self {
        self.service_account_id = id;
        self
    }

    pub fn about_credential(mut self, id: CredentialId) -> Self {
        self.credential_id = Some(id);
        self
    }

    pub fn with(mut self, key: &str, value: impl Into<serde_json::Value>) -> Self {
        if let serde_json::Value::Object(data) = &mut self.data {
            data.insert(key.to_owned(), value.into());
        }
        self
    }
}
