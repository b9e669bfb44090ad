//! What a decision sees, and the only thing it can bring about.

use crate::account::{Account, Environment};
use crate::authority::{ActorRef, Authority, Reach};
use crate::confirmation::Confirmation;
use crate::credential::{Credential, Owner};
use crate::event::Event;
use crate::id::{
    AccountId, ConfirmationId, CredentialId, EnvironmentId, RequestId, ServiceAccountId, UserId,
};
use crate::job::NewJob;
use crate::refusal::{Code, Refusal};
use crate::scope::ScopeSet;
use crate::service_account::ServiceAccount;
use crate::signing::SigningKey;
use crate::time::Timestamp;
use crate::user::{Member, User};
use std::net::IpAddr;

/// Who asks for a change, when and whence.
#[derive(Debug, Clone, Copy)]
pub struct Asking<'a> {
    pub now: Timestamp,
    pub by: ActorRef,
    pub authority: &'a Authority,
    pub request: Option<RequestId>,
    pub client_ip: Option<IpAddr>,
}

/// The one aggregate that a change locks for itself; its parents are locked against change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Something new in an account (and one of its environments, looked up by id).
    Within {
        account: AccountId,
        environment: Option<EnvironmentId>,
        /// A folded name, to see whether a service account in force has it.
        name: Option<String>,
    },
    Account(AccountId),
    /// A service account with its live credentials, its primary, and the one that is named.
    ServiceAccount {
        account: AccountId,
        id: ServiceAccountId,
        credential: Option<CredentialId>,
        environment: Option<EnvironmentId>,
        /// To see whether one of its credentials, ended or not, but not revoked, has it.
        description: Option<String>,
    },
    /// A credential that belongs to its account or environment directly.
    Credential {
        account: AccountId,
        id: CredentialId,
    },
    /// A confirmation with its service account.
    Confirmation(ConfirmationId),
    User(UserId),
    /// The keys that sign tokens, all of them.
    SigningKeys,
    /// The whole instance: the account that the first start made by itself, else the one with this folded
    /// name, and the user with this folded address.
    Instance {
        account: String,
        email: String,
    },
}

impl Target {
    /// Something new in the account itself.
    pub fn within(account: AccountId) -> Self {
        Self::Within {
            account,
            environment: None,
            name: None,
        }
    }

    /// A service account as it is.
    pub fn service_account(account: AccountId, id: ServiceAccountId) -> Self {
        Self::credential_of(account, id, None)
    }

    /// A service account, and the one of its credentials that is meant.
    pub fn credential_of(
        account: AccountId,
        id: ServiceAccountId,
        credential: Option<CredentialId>,
    ) -> Self {
        Self::ServiceAccount {
            account,
            id,
            credential,
            environment: None,
            description: None,
        }
    }
}

/// What was loaded under the lock. Which parts are there follows from the [`Target`].
#[derive(Debug, Clone, Default)]
pub struct View {
    pub account: Option<Account>,
    pub environment: Option<Environment>,
    pub service_account: Option<ServiceAccount>,
    /// Live ones (up to twice the limit), the primary and the named one.
    pub credentials: Vec<Credential>,
    /// Pending and disowned ones of the service account, and the targeted one.
    pub confirmations: Vec<Confirmation>,
    pub user: Option<User>,
    pub instance: Option<Instance>,
    pub signing_keys: Vec<SigningKey>,
    /// Whether the name that the target asks about is in use.
    pub name_taken: bool,
    /// Whether the description that the target asks about is in use.
    pub description_taken: bool,
}

/// The single row that says what has become of this instance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Instance {
    pub bootstrapped_at: Option<Timestamp>,
    /// The account that the first start made by itself, until somebody claims it.
    pub automatic_account: Option<AccountId>,
    /// The token that the first start printed.
    pub automatic_credential: Option<CredentialId>,
    /// Whether any service account exists. Read with the row, not kept in it.
    pub in_use: bool,
}

impl View {
    pub fn account(&self) -> Result<&Account, Refusal> {
        self.account.as_ref().ok_or(Code::NotFound.into())
    }

    pub fn service_account(&self) -> Result<&ServiceAccount, Refusal> {
        self.service_account.as_ref().ok_or(Code::NotFound.into())
    }

    pub fn credential(&self, id: CredentialId) -> Result<&Credential, Refusal> {
        self.credentials
            .iter()
            .find(|credential| credential.id == id)
            .ok_or(Code::NotFound.into())
    }

    pub fn primary(&self) -> Option<&Credential> {
        self.credentials
            .iter()
            .find(|credential| credential.is_primary)
    }

    pub fn confirmation(&self, id: ConfirmationId) -> Result<&Confirmation, Refusal> {
        self.confirmations
            .iter()
            .find(|confirmation| confirmation.id == id)
            .ok_or(Code::NotFound.into())
    }

    /// What a credential here may do.
    pub fn granted(&self, credential: &Credential) -> ScopeSet {
        credential.granted(self.service_account.as_ref().map(|it| &it.scopes))
    }

    /// The reach of the service account here, or of a credential's direct owner.
    pub fn reach_of(&self, owner: Owner) -> Result<Reach, Refusal> {
        let account = self.account()?.id;
        Ok(match owner {
            Owner::ServiceAccount(_) => Reach::of(account, self.service_account()?.environment_id),
            Owner::Account => Reach::Account(account),
            Owner::Environment(environment) => Reach::Environment(account, environment),
        })
    }
}

/// What became less allowed, or more (activate), so that every process hears of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeedMark {
    pub kind: FeedKind,
    pub id: uuid::Uuid,
    pub version: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FeedKind {
    Account,
    ServiceAccount,
    Credential,
    /// An access token, by its `jti`.
    AccessToken,
}

impl FeedKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::ServiceAccount => "service_account",
            Self::Credential => "credential",
            Self::AccessToken => "access_token",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [
            Self::Account,
            Self::ServiceAccount,
            Self::Credential,
            Self::AccessToken,
        ]
        .into_iter()
        .find(|kind| kind.as_str() == text)
    }
}

/// An access token that ends before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RevokedAccessToken {
    /// Its `jti`.
    pub id: uuid::Uuid,
    /// When it would have ended by itself, and need not be remembered any longer.
    pub expires_at: Timestamp,
}

/// Everything one decision writes, in one transaction.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    pub new_accounts: Vec<Account>,
    pub put_accounts: Vec<Account>,
    pub new_environments: Vec<Environment>,
    pub new_users: Vec<User>,
    pub put_users: Vec<User>,
    pub new_members: Vec<Member>,
    pub new_service_accounts: Vec<ServiceAccount>,
    pub put_service_accounts: Vec<ServiceAccount>,
    /// Written before `new_credentials`, so that a primary makes room for its successor.
    pub put_credentials: Vec<Credential>,
    pub new_credentials: Vec<Credential>,
    pub new_confirmations: Vec<Confirmation>,
    pub put_confirmations: Vec<Confirmation>,
    /// Written before `new_signing_keys`, those that retire first.
    pub put_signing_keys: Vec<SigningKey>,
    pub new_signing_keys: Vec<SigningKey>,
    pub revoked_access_tokens: Vec<RevokedAccessToken>,
    pub instance: Option<Instance>,
    pub events: Vec<Event>,
    pub jobs: Vec<NewJob>,
    pub feed: Vec<FeedMark>,
}

impl Changes {
    pub fn is_empty(&self) -> bool {
        self.new_accounts.is_empty()
            && self.put_accounts.is_empty()
            && self.new_environments.is_empty()
            && self.new_users.is_empty()
            && self.put_users.is_empty()
            && self.new_members.is_empty()
            && self.new_service_accounts.is_empty()
            && self.put_service_accounts.is_empty()
            && self.put_credentials.is_empty()
            && self.new_credentials.is_empty()
            && self.new_confirmations.is_empty()
            && self.put_confirmations.is_empty()
            && self.put_signing_keys.is_empty()
            && self.new_signing_keys.is_empty()
            && self.revoked_access_tokens.is_empty()
            && self.instance.is_none()
            && self.events.is_empty()
            && self.jobs.is_empty()
            && self.feed.is_empty()
    }

    /// What is new and gets a number, in this order.
    pub fn numbered(&self) -> impl Iterator<Item = uuid::Uuid> {
        let service_accounts = self.new_service_accounts.iter().map(|it| it.id.0);
        service_accounts.chain(self.new_credentials.iter().map(|it| it.id.0))
    }

    /// Adds another decision's changes behind these.
    pub fn append(&mut self, mut other: Self) {
        self.new_accounts.append(&mut other.new_accounts);
        self.put_accounts.append(&mut other.put_accounts);
        self.new_environments.append(&mut other.new_environments);
        self.new_users.append(&mut other.new_users);
        self.put_users.append(&mut other.put_users);
        self.new_members.append(&mut other.new_members);
        self.new_service_accounts
            .append(&mut other.new_service_accounts);
        self.put_service_accounts
            .append(&mut other.put_service_accounts);
        self.put_credentials.append(&mut other.put_credentials);
        self.new_credentials.append(&mut other.new_credentials);
        self.new_confirmations.append(&mut other.new_confirmations);
        self.put_confirmations.append(&mut other.put_confirmations);
        self.put_signing_keys.append(&mut other.put_signing_keys);
        self.new_signing_keys.append(&mut other.new_signing_keys);
        self.revoked_access_tokens
            .append(&mut other.revoked_access_tokens);
        self.instance = other.instance.or(self.instance.take());
        self.events.append(&mut other.events);
        self.jobs.append(&mut other.jobs);
        self.feed.append(&mut other.feed);
    }

    pub fn mark_account(&mut self, account: &Account) {
        self.feed.push(FeedMark {
            kind: FeedKind::Account,
            id: account.id.0,
            version: account.version,
        });
    }

    pub fn mark_service_account(&mut self, it: &ServiceAccount) {
        self.feed.push(FeedMark {
            kind: FeedKind::ServiceAccount,
            id: it.id.0,
            version: it.version,
        });
    }

    pub fn mark_access_token(&mut self, id: uuid::Uuid) {
        self.feed.push(FeedMark {
            kind: FeedKind::AccessToken,
            id,
            version: 1,
        });
    }

    pub fn mark_credential(&mut self, it: &Credential) {
        self.feed.push(FeedMark {
            kind: FeedKind::Credential,
            id: it.id.0,
            version: it.version,
        });
    }
}
