//! The token endpoint's answers and its form as they travel (RFC 6749 §4.5, §5; RFC 8707 §2).

use serde::Serialize;
use symbolon_app::IssuedAccessToken;
use utoipa::ToSchema;

/// RFC 6749 §5.1.
#[derive(Serialize, ToSchema)]
pub struct AccessToken {
    /// A signed JWT (RFC 9068). Send it as Bearer.
    pub access_token: String,
    #[schema(value_type = TokenType)]
    pub token_type: &'static str,
    /// In seconds, an hour at most.
    #[schema(minimum = 1, maximum = 3600)]
    pub expires_in: u64,
    /// What it may do, separated by spaces.
    pub scope: String,
}

impl From<&IssuedAccessToken> for AccessToken {
    fn from(issued: &IssuedAccessToken) -> Self {
        Self {
            access_token: issued.token.reveal().to_owned(),
            token_type: "Bearer",
            expires_in: issued.expires_in.as_secs(),
            scope: issued.scopes.to_string(),
        }
    }
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "documents the one word that is written")]
pub enum TokenType {
    Bearer,
}

/// RFC 6749 §5.2, RFC 8707 §2.
#[derive(Serialize, ToSchema)]
pub struct OAuthError {
    #[schema(value_type = OAuthErrorCode)]
    pub error: &'static str,
    /// For developers, in English.
    pub error_description: &'static str,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "documents the words that are written")]
pub enum OAuthErrorCode {
    InvalidRequest,
    InvalidClient,
    InvalidGrant,
    UnsupportedGrantType,
    InvalidScope,
    InvalidTarget,
    TemporarilyUnavailable,
    ServerError,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "described to clients, never built")]
pub struct TokenRequest {
    #[schema(value_type = GrantType)]
    grant_type: String,
    /// A JWT signed with HS256 and the key's secret. Header: `kid` is the key's id. Claims: `iss` and `sub`
    /// are the service account's id, `aud` is this endpoint's URL, `exp` lies at most an hour ahead; `nbf`,
    /// `iat` and `jti` are optional. With a `jti` it works once.
    #[schema(max_length = 8192)]
    assertion: String,
    /// Some of the key's scopes, separated by spaces; absent means all of them.
    #[schema(required = false)]
    scope: String,
    /// Whom the access token is for, as an absolute URI; may be repeated. Absent means this service.
    #[schema(required = false)]
    resource: Vec<String>,
    /// The key's id. Nobody has to send it.
    #[schema(required = false)]
    client_id: String,
    /// The key's secret, beside its id. Nobody has to send it.
    #[schema(required = false)]
    client_secret: String,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "documents the one word that is read")]
pub enum GrantType {
    #[schema(rename = "urn:ietf:params:oauth:grant-type:jwt-bearer")]
    JwtBearer,
}
