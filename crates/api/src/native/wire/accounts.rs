//! An account as it travels, with its policy.

use super::{AccountState, Effective, scope_texts};
use serde::Serialize;
use symbolon_domain as domain;
use symbolon_domain::time::format_span;
use utoipa::ToSchema;

#[derive(Debug, Serialize, ToSchema)]
pub struct Account {
    #[schema(format = "uuid")]
    pub id: String,
    pub name: String,
    #[schema(value_type = AccountState)]
    pub status: &'static str,
    /// The application scopes that service accounts may have; null is all.
    #[schema(required)]
    pub scope_ceiling: Option<Vec<String>>,
    /// Who is told where a service account names no contact.
    pub ops_addresses: Vec<String>,
    pub token_prefix: String,
    pub policy: Policy,
    #[schema(format = "date-time")]
    pub created_at: String,
    #[schema(format = "date-time")]
    pub updated_at: String,
    /// In answers to `?wait=` alone; null: nobody can tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Effective>)]
    pub effective: Option<Option<Effective>>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Policy {
    /// The life of a token whose request names no end, as `90d`.
    #[schema(required)]
    pub default_lifetime: Option<String>,
    /// The longest life; asking for more is refused.
    #[schema(required)]
    pub max_lifetime: Option<String>,
    /// Tokens of a service account work only once a contact was ever confirmed.
    pub require_confirmed_contact: bool,
    pub tokens_per_service_account: i32,
}

impl From<&domain::Account> for Account {
    fn from(it: &domain::Account) -> Self {
        let policy = &it.policy;
        Self {
            id: it.id.to_string(),
            name: it.name.as_str().to_owned(),
            status: it.status.as_str(),
            scope_ceiling: it.scope_ceiling.as_ref().map(scope_texts),
            ops_addresses: it
                .ops_addresses
                .iter()
                .map(|a| a.as_str().to_owned())
                .collect(),
            token_prefix: it.token_prefix.as_str().to_owned(),
            policy: Policy {
                default_lifetime: policy.default_lifetime.map(format_span),
                max_lifetime: policy.max_lifetime.map(format_span),
                require_confirmed_contact: policy.require_confirmed_contact,
                tokens_per_service_account: policy.tokens_per_service_account,
            },
            created_at: it.created_at.to_string(),
            updated_at: it.updated_at.to_string(),
            effective: None,
        }
    }
}
