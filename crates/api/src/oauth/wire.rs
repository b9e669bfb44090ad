//! Requests and answers of the OAuth endpoints as they travel (RFC 6749 §4.4, §5; RFC 7662 §2; RFC 7009 §2;
//! RFC 8414 §2; RFC 8707 §2; RFC 8037 §2).

use super::token::{CLIENT_CREDENTIALS, JWT_BEARER};
use super::{AT_NATIVE, INTROSPECT, REVOKE, TOKEN, WELL_KNOWN};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Serialize;
use symbolon_app::{IssuedAccessToken, PublishedKey, Subject, Verified};
use symbolon_domain::CredentialKind;
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
    /// What it may do, separated by spaces. Absent where that is nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub scope: Option<String>,
}

impl From<&IssuedAccessToken> for AccessToken {
    fn from(issued: &IssuedAccessToken) -> Self {
        Self {
            access_token: issued.token.reveal().to_owned(),
            token_type: "Bearer",
            expires_in: issued.expires_in.as_secs(),
            scope: (!issued.scopes.is_empty()).then(|| issued.scopes.to_string()),
        }
    }
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "documents the one word that is written")]
pub enum TokenType {
    Bearer,
}

/// RFC 7662 §2.2. Of a token that is not good, there is nothing but `active`.
#[derive(Default, Serialize, ToSchema)]
pub struct Introspection {
    pub active: bool,
    /// What it may do, separated by spaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub scope: Option<String>,
    /// The public id of the credential: of an access token's key, or of what was sent itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub client_id: Option<String>,
    /// Absent where a key itself was sent, which is no Bearer token.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = TokenType, required = false)]
    pub token_type: Option<&'static str>,
    /// When it ends, in seconds since 1970; absent where no end is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub exp: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub iat: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub nbf: Option<i64>,
    /// The id of its service account, else of its environment, else of its account.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub sub: Option<String>,
    /// Whom an access token is for; absent for all others.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Audience, required = false)]
    pub aud: Option<Audience>,
    /// This service.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub iss: Option<String>,
    /// The access token's id, else the credential's public id.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub jti: Option<String>,
}

/// RFC 7519 §4.1.3.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum Audience {
    One(String),
    Many(Vec<String>),
}

impl From<&[String]> for Audience {
    fn from(audience: &[String]) -> Self {
        match audience {
            [one] => Self::One(one.clone()),
            many => Self::Many(many.to_vec()),
        }
    }
}

impl Introspection {
    /// Why a token is not good is not said, nor anything else about it.
    pub fn of(verified: &Verified, issuer: &str) -> Self {
        match (verified.reason(), verified.subject()) {
            (None, Some(subject)) => Self::active(&subject, issuer),
            _ => Self::default(),
        }
    }

    fn active(subject: &Subject<'_>, issuer: &str) -> Self {
        let (credential, access_token) = (subject.credential, subject.access_token);
        let scopes: Vec<_> = subject.scopes().map(|it| it.as_str()).collect();
        let public_id = credential.public_id.as_str();
        let is_key = credential.kind == CredentialKind::Key && access_token.is_none();
        let issued_at = access_token.map_or(credential.created_at, |it| it.issued_at);
        Self {
            active: true,
            scope: (!scopes.is_empty()).then(|| scopes.join(" ")),
            client_id: Some(public_id.to_owned()),
            token_type: (!is_key).then_some("Bearer"),
            exp: subject.expires_at.map(|it| it.as_seconds()),
            iat: Some(issued_at.as_seconds()),
            nbf: credential.not_before.get().map(|it| it.as_seconds()),
            sub: Some(match (subject.service_account, subject.environment) {
                (Some(owner), _) => owner.id.to_string(),
                (None, Some(environment)) => environment.to_string(),
                (None, None) => subject.account.to_string(),
            }),
            aud: access_token.map(|it| it.audience.as_slice().into()),
            iss: Some(issuer.to_owned()),
            jti: Some(access_token.map_or_else(|| public_id.to_owned(), |it| it.id.to_string())),
        }
    }
}

/// RFC 8414 §2.
#[derive(Serialize, ToSchema)]
pub struct Metadata {
    #[schema(format = "uri")]
    issuer: String,
    #[schema(format = "uri")]
    token_endpoint: String,
    token_endpoint_auth_methods_supported: Vec<&'static str>,
    #[schema(format = "uri")]
    jwks_uri: String,
    /// None: there is no authorization endpoint.
    response_types_supported: Vec<&'static str>,
    grant_types_supported: Vec<&'static str>,
    #[schema(format = "uri")]
    introspection_endpoint: String,
    introspection_endpoint_auth_methods_supported: Vec<&'static str>,
    #[schema(format = "uri")]
    revocation_endpoint: String,
    revocation_endpoint_auth_methods_supported: Vec<&'static str>,
    #[schema(format = "uri")]
    service_documentation: String,
}

impl Metadata {
    pub fn of(issuer: &str) -> Self {
        let client = ["client_secret_basic", "client_secret_post"];
        let endpoint = |path: &str| format!("{issuer}{}{path}", AT_NATIVE.prefix);
        Self {
            issuer: issuer.to_owned(),
            token_endpoint: endpoint(TOKEN),
            token_endpoint_auth_methods_supported: client.to_vec(),
            jwks_uri: format!("{issuer}{}/jwks.json", WELL_KNOWN.prefix),
            response_types_supported: vec!["none"],
            grant_types_supported: vec![CLIENT_CREDENTIALS, JWT_BEARER],
            introspection_endpoint: endpoint(INTROSPECT),
            // A Bearer token is a method here, and is none of the revocation endpoint's list (RFC 8414 §2).
            introspection_endpoint_auth_methods_supported: [&client[..], &["Bearer"]].concat(),
            revocation_endpoint: endpoint(REVOKE),
            revocation_endpoint_auth_methods_supported: client.to_vec(),
            service_documentation: format!("{issuer}/docs/"),
        }
    }
}

/// RFC 7517 §5.
#[derive(Serialize, ToSchema)]
pub struct JwkSet {
    keys: Vec<Jwk>,
}

/// An Ed25519 public key (RFC 8037 §2).
#[derive(Serialize, ToSchema)]
pub struct Jwk {
    kty: &'static str,
    crv: &'static str,
    kid: String,
    r#use: &'static str,
    alg: &'static str,
    x: String,
}

impl JwkSet {
    pub fn of(keys: &[PublishedKey]) -> Self {
        let jwk = |it: &PublishedKey| Jwk {
            kty: "OKP",
            crv: "Ed25519",
            kid: it.kid.clone(),
            r#use: "sig",
            alg: "EdDSA",
            x: BASE64_URL_SAFE_NO_PAD.encode(&it.public_key),
        };
        Self {
            keys: keys.iter().map(jwk).collect(),
        }
    }
}

/// RFC 6749 §5.2, RFC 6750 §3.1, RFC 8707 §2.
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
    InvalidToken,
    InsufficientScope,
    UnauthorizedClient,
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
    /// For the grant type of assertions: a JWT signed with HS256 and the key's secret. Header: `kid` is the key's id. Claims: `iss` and `sub`
    /// are the service account's id, `aud` is this endpoint's URL, `exp` lies at most an hour ahead; `nbf`,
    /// `iat` and `jti` are optional. With a `jti` it works once.
    #[schema(required = false, max_length = 8192)]
    assertion: String,
    /// Some of the key's scopes, separated by spaces; absent means all of them.
    #[schema(required = false)]
    scope: String,
    /// Whom the access token is for, as an absolute URI; may be repeated. Absent means this service.
    #[schema(required = false)]
    resource: Vec<String>,
    /// The key's id, unless it stands in the header (Basic). Nobody has to send it beside an assertion.
    #[schema(required = false)]
    client_id: String,
    /// The key's secret, unless it stands in the header (Basic). Nobody has to send it beside an assertion.
    #[schema(required = false)]
    client_secret: String,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "documents the words that are read")]
pub enum GrantType {
    #[schema(rename = "client_credentials")]
    ClientCredentials,
    #[schema(rename = "urn:ietf:params:oauth:grant-type:jwt-bearer")]
    JwtBearer,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "described to clients, never built")]
pub struct IntrospectionRequest {
    /// A token or an access token, or a key as its id, a colon and its secret.
    token: String,
    /// Not needed, and not looked at.
    #[schema(required = false)]
    token_type_hint: String,
    /// The address from which the token was used. Without it, a token that is bound to networks is not good.
    #[schema(required = false)]
    client_ip: String,
    /// The id of the key that asks, unless the header `Authorization` authenticates.
    #[schema(required = false)]
    client_id: String,
    /// Its secret.
    #[schema(required = false)]
    client_secret: String,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "described to clients, never built")]
pub struct RevocationRequest {
    /// A token or an access token, or a key as its id, a colon and its secret.
    token: String,
    /// Not needed, and not looked at.
    #[schema(required = false)]
    token_type_hint: String,
    /// The id of the key that asks, unless the header `Authorization` authenticates.
    #[schema(required = false)]
    client_id: String,
    /// Its secret.
    #[schema(required = false)]
    client_secret: String,
}
