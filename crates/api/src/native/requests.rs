//! What request bodies look like, for the document. They are read field by field in the handlers' files;
//! a test holds both to the same names.
#![expect(dead_code, reason = "described to clients, never built")]

use super::wire::{AccountState, ContactLanguage, Key, RateLimit, ServiceAccount, Token};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

#[derive(ToSchema)]
pub struct NewServiceAccount {
    #[schema(min_length = 1, max_length = 120)]
    name: String,
    /// In the future; null or absent means the policy's default lifetime (its maximum, where it has no default), else none.
    #[schema(format = "date-time")]
    expires_at: Option<String>,
    #[schema(max_length = 1000)]
    description: Option<String>,
    /// Whom to ask for confirmation; null or absent means the account's `ops_addresses`.
    #[schema(format = "email")]
    contact_email: Option<String>,
    #[schema(required = false, default = "en")]
    contact_language: ContactLanguage,
    #[schema(format = "uuid")]
    environment_id: Option<String>,
    /// What its tokens may be granted; the primary token gets all of them.
    #[schema(required = false)]
    scopes: Vec<String>,
    #[schema(required = false, default = false)]
    basic_auth_enabled: bool,
    /// From where its token may be used: addresses and networks, as `10.0.0.0/8`; empty means from everywhere.
    #[schema(required = false, max_items = 50)]
    allowed_networks: Vec<String>,
    /// How often its token may be used.
    rate_limit: Option<RateLimit>,
}

/// A merge (RFC 7396): what is absent stays as it is.
#[derive(ToSchema)]
pub struct ServiceAccountChange {
    #[schema(required = false, min_length = 1, max_length = 120)]
    name: String,
    #[schema(max_length = 1000)]
    description: Option<String>,
    #[schema(format = "email")]
    contact_email: Option<String>,
    #[schema(required = false)]
    contact_language: ContactLanguage,
    #[schema(format = "uuid")]
    environment_id: Option<String>,
    #[schema(required = false)]
    scopes: Vec<String>,
    #[schema(required = false)]
    basic_auth_enabled: bool,
    /// Of its primary token; 409 where none is in force.
    #[schema(required = false, max_items = 50)]
    allowed_networks: Vec<String>,
    /// Of its primary token; 409 where none is in force.
    rate_limit: Option<RateLimit>,
}

/// A merge (RFC 7396): what is absent stays as it is.
#[derive(ToSchema)]
pub struct TokenChange {
    #[schema(max_length = 1000)]
    description: Option<String>,
    /// Addresses and networks; empty means from everywhere.
    #[schema(required = false, max_items = 50)]
    allowed_networks: Vec<String>,
    rate_limit: Option<RateLimit>,
}

#[derive(ToSchema)]
pub struct Rotation {
    /// How long the old token goes on, as `24h`; absent or `0`: it ends at once. At most 30 days.
    #[schema(required = false, example = "24h")]
    grace: String,
    /// Null or absent: the old token's lifetime again, else as when creating.
    #[schema(format = "date-time")]
    expires_at: Option<String>,
}

#[derive(ToSchema)]
pub struct Because {
    #[schema(max_length = 500)]
    reason: Option<String>,
    #[schema(max_length = 500)]
    note: Option<String>,
}

#[derive(ToSchema)]
pub struct Undeliverable {
    /// What the mail system said.
    #[schema(max_length = 500)]
    detail: Option<String>,
}

#[derive(ToSchema)]
pub struct NewToken {
    #[schema(max_length = 1000)]
    description: Option<String>,
    #[schema(format = "date-time")]
    expires_at: Option<String>,
    #[schema(format = "date-time")]
    not_before: Option<String>,
    /// Within the service account's scopes; absent means none.
    #[schema(required = false)]
    scopes: Vec<String>,
    /// From where it may be used: addresses and networks, as `10.0.0.0/8`; absent or empty means from everywhere.
    #[schema(required = false, max_items = 50)]
    allowed_networks: Vec<String>,
    rate_limit: Option<RateLimit>,
}

#[derive(ToSchema)]
pub struct NewKey {
    #[schema(max_length = 1000)]
    description: Option<String>,
    #[schema(format = "date-time")]
    expires_at: Option<String>,
    #[schema(format = "date-time")]
    not_before: Option<String>,
    /// Within the service account's scopes; absent means none.
    #[schema(required = false)]
    scopes: Vec<String>,
    /// It may do whatever its service account may at the time; not beside `scopes`.
    #[schema(required = false, default = false)]
    inherit_scopes: bool,
    /// From where it may be used: addresses and networks, as `10.0.0.0/8`; absent or empty means from everywhere.
    #[schema(required = false, max_items = 50)]
    allowed_networks: Vec<String>,
    rate_limit: Option<RateLimit>,
}

#[derive(ToSchema)]
pub struct NewAccount {
    #[schema(min_length = 1, max_length = 120)]
    name: String,
    scope_ceiling: Option<Vec<String>>,
    #[schema(required = false)]
    ops_addresses: Vec<String>,
    #[schema(required = false, default = "sym_")]
    token_prefix: String,
    #[schema(required = false)]
    policy: PolicyChange,
}

/// A merge (RFC 7396), the policy too.
#[derive(ToSchema)]
pub struct AccountChange {
    #[schema(required = false, min_length = 1, max_length = 120)]
    name: String,
    /// Only operators change it.
    #[schema(required = false)]
    status: AccountState,
    /// Only operators change it.
    scope_ceiling: Option<Vec<String>>,
    #[schema(required = false)]
    ops_addresses: Vec<String>,
    #[schema(required = false)]
    token_prefix: String,
    #[schema(required = false)]
    policy: PolicyChange,
}

#[derive(ToSchema)]
pub struct PolicyChange {
    #[schema(example = "90d")]
    default_lifetime: Option<String>,
    max_lifetime: Option<String>,
    #[schema(required = false)]
    require_confirmed_contact: bool,
    #[schema(required = false, minimum = 1, maximum = 1000)]
    tokens_per_service_account: i32,
}

/// What is asked about a token.
#[derive(ToSchema)]
pub struct Question {
    /// As it was presented; a key as `keyId:secret`.
    #[schema(max_length = 8192)]
    token: String,
    /// What it has to be allowed to do; all of them.
    #[schema(required = false, max_items = 100)]
    scopes: Vec<String>,
    /// The address from which it was presented, not the caller's. Without one, a token with
    /// `allowed_networks` is refused.
    client_ip: Option<String>,
    /// The environment that it has to fit: its own, or one that it is not bound to.
    #[schema(format = "uuid")]
    environment: Option<String>,
    /// Whom an access token has to be meant for; null or absent means this service.
    #[schema(max_length = 2000)]
    audience: Option<String>,
    /// As how many uses this one counts.
    #[schema(required = false, default = 1, minimum = 1, maximum = 1_000_000)]
    cost: u32,
}

#[derive(ToSchema)]
pub struct NewEnvironment {
    #[schema(min_length = 1, max_length = 120)]
    name: String,
}

/// A service account in the one answer that shows its new token.
pub struct ServiceAccountWithToken;

/// A token in the one answer that shows its text.
pub struct TokenWithSecret;

/// A key in the one answer that shows its secret.
pub struct KeyWithSecret;

/// The schema with the secret beside it.
fn with_secret(schema: RefOr<Schema>, name: &str, about: &str) -> RefOr<Schema> {
    let secret = ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(about));
    match schema {
        RefOr::T(Schema::Object(mut object)) => {
            object.properties.insert(name.to_owned(), secret.into());
            object.required.push(name.to_owned());
            RefOr::T(Schema::Object(object))
        }
        RefOr::T(Schema::AllOf(mut parts)) => {
            let part = ObjectBuilder::new().property(name, secret).required(name);
            parts.items.push(part.into());
            RefOr::T(Schema::AllOf(parts))
        }
        schema => schema,
    }
}

const TOKEN: &str = "The plain text of the token. Store it now; it is never shown again.";
const SECRET: &str =
    "What signs assertions, and Basic's password. Store it now; it is never shown again.";

macro_rules! revealing {
    ($($name:ident = $plain:ident with $field:literal: $about:expr;)*) => {$(
        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                with_secret($plain::schema(), $field, $about)
            }
        }
        impl ToSchema for $name {
            fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
                $plain::schemas(schemas);
            }
        }
    )*};
}
revealing! {
    ServiceAccountWithToken = ServiceAccount with "token": TOKEN;
    TokenWithSecret = Token with "token": TOKEN;
    KeyWithSecret = Key with "secret": SECRET;
}
