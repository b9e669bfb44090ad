//! The claims of our access tokens, read back.

use crate::jose::Parsed;
use symbolon_domain::verdict::AccessToken;
use symbolon_domain::{PublicId, ScopeSet};
use uuid::Uuid;

/// What each of our access tokens says (RFC 9068 §2.2).
pub(super) struct AccessTokenClaims<'a> {
    pub issuer: &'a str,
    pub subject: &'a str,
    pub client_id: PublicId,
    pub token: AccessToken,
}

impl<'a> AccessTokenClaims<'a> {
    /// `None` where one of them is missing or none of ours.
    pub fn read(jwt: &'a Parsed<'_>) -> Option<Self> {
        let text = |name| jwt.text(name).ok().flatten();
        let audience = jwt.audiences().ok()?;
        Some(Self {
            issuer: text("iss")?,
            subject: text("sub")?,
            client_id: PublicId::parse(text("client_id")?)?,
            token: AccessToken {
                id: Uuid::try_parse(text("jti")?).ok()?,
                audience: audience.into_iter().map(str::to_owned).collect(),
                // Without it, it may do nothing.
                scopes: ScopeSet::parse(jwt.text("scope").ok()?.unwrap_or_default()).ok()?,
                issued_at: jwt.instant("iat").ok().flatten()?,
                expires_at: jwt.instant("exp").ok().flatten()?,
            },
        })
    }
}
