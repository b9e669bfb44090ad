//! Events of the audit log as they travel.

use super::show;
use serde::Serialize;
use symbolon_domain::{self as domain, ActorRef};
use utoipa::ToSchema;

/// An entry of the audit log: who did what to which, as ids.
#[derive(Debug, Serialize, ToSchema)]
pub struct Event {
    #[schema(format = "uuid")]
    pub id: String,
    #[schema(format = "date-time")]
    pub at: String,
    /// Such as `token.rotated`.
    pub kind: &'static str,
    pub actor: Actor,
    #[schema(required, format = "uuid")]
    pub environment_id: Option<String>,
    #[schema(required, format = "uuid")]
    pub service_account_id: Option<String>,
    #[schema(required, format = "uuid")]
    pub token_id: Option<String>,
    #[schema(required, format = "uuid")]
    pub request_id: Option<String>,
    /// Erased after the retention of addresses.
    #[schema(required)]
    pub client_ip: Option<String>,
    /// Further facts: names of changed fields, reasons, times.
    #[schema(value_type = Object)]
    pub data: serde_json::Value,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Actor {
    #[schema(value_type = super::ActorKind)]
    pub kind: &'static str,
    /// The id of the token or the user.
    #[schema(required, format = "uuid")]
    pub id: Option<String>,
    #[schema(required, format = "uuid")]
    pub service_account_id: Option<String>,
}

impl From<&domain::Event> for Event {
    fn from(it: &domain::Event) -> Self {
        let (id, service_account) = match it.actor {
            ActorRef::Credential {
                id,
                service_account,
            } => (Some(id.0), service_account),
            ActorRef::User(id) => (Some(id.0), None),
            _ => (None, None),
        };
        Self {
            id: it.id.to_string(),
            at: it.at.to_string(),
            kind: it.kind.as_str(),
            actor: Actor {
                kind: it.actor.kind(),
                id: show(id),
                service_account_id: show(service_account),
            },
            environment_id: show(it.environment_id),
            service_account_id: show(it.service_account_id),
            token_id: show(it.credential_id),
            request_id: show(it.request_id),
            client_ip: show(it.client_ip),
            data: it.data.clone(),
        }
    }
}
