//! The Neowit door's objects as they travel. Fields stand in the order of the contract's examples.

use crate::secret::Secret;
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceAccount {
    /// In seconds since 1970.
    #[schema(example = 1636044728)]
    pub created: i64,
    /// Whether its keys may be used for Basic authentication.
    pub enable_basic_auth: bool,
    pub id: String,
    pub keys: Vec<Key>,
    #[schema(min_length = 1, max_length = 120, example = "John Doe")]
    pub name: String,
}

#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Key {
    /// In seconds since 1970.
    #[schema(example = 1636044728)]
    pub created: i64,
    pub key_id: String,
}

/// A key in the one answer that shows its secret.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyWithSecret {
    /// In seconds since 1970.
    #[schema(example = 1636044728)]
    pub created: i64,
    pub key_id: String,
    /// Store it now; it is never shown again. Absent only in a repeat that came too late for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, value_type = String)]
    pub secret: Option<Secret>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceAccounts {
    pub service_accounts: Vec<ServiceAccount>,
}

#[derive(Serialize, ToSchema)]
pub struct Keys {
    pub keys: Vec<Key>,
}

#[derive(Serialize, ToSchema)]
pub struct Error {
    /// What went wrong, for developers.
    pub reason: String,
    /// The HTTP status in words.
    #[schema(example = "bad request")]
    pub status: String,
    /// Names the request in the logs.
    #[serde(rename = "traceID")]
    pub trace_id: String,
    /// The paths of refused fields, each with a hint.
    pub validations: BTreeMap<String, String>,
}

/// What bodies of requests look like, for the document. They are read field by field in `convert`.
#[expect(dead_code, reason = "described to clients, never built")]
pub mod requests {
    use utoipa::ToSchema;

    #[derive(ToSchema)]
    #[schema(rename_all = "camelCase")]
    pub struct NewServiceAccount {
        /// Whether Basic authentication can be used with this service account.
        #[schema(required = false, default = false, example = true)]
        enable_basic_auth: bool,
        #[schema(min_length = 1, max_length = 120, example = "John Doe")]
        name: String,
        /// Whom to ask for confirmation; absent or null means the account's ops addresses.
        #[schema(format = "email")]
        email: Option<String>,
    }

    /// What is absent stays as it is.
    #[derive(ToSchema)]
    #[schema(rename_all = "camelCase")]
    pub struct ServiceAccountChange {
        #[schema(required = false)]
        enable_basic_auth: bool,
        #[schema(required = false, min_length = 1, max_length = 120)]
        name: String,
    }

    /// Nothing can be said about a new key.
    #[derive(ToSchema)]
    pub struct NewKey {}
}
