//! What is remembered about tokens that are not rows: assertions used, access tokens revoked.

use crate::Store;
use crate::backend::{read, tx};
use crate::error::Result;
use crate::schema::{revoked_access_tokens, used_assertions};
use crate::types::{Ts, Uid};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use symbolon_domain::{ServiceAccountId, Timestamp};
use uuid::Uuid;

impl Store {
    /// Takes an assertion's `jti`, as its SHA-256, for this use. `false` when it was used before.
    pub async fn claim_assertion(
        &self,
        issuer: ServiceAccountId,
        jti_hash: &[u8; 32],
        expires_at: Timestamp,
    ) -> Result<bool> {
        tx!(self, |c, _locked, _on_pg| {
            let claimed = diesel::insert_into(used_assertions::table)
                .values((
                    used_assertions::service_account_id.eq(Uid(issuer.0)),
                    used_assertions::jti_hash.eq(jti_hash.to_vec()),
                    used_assertions::expires_at.eq(Ts(expires_at)),
                ))
                .on_conflict_do_nothing()
                .execute(c)
                .await?;
            Ok(claimed == 1)
        })
    }

    /// Whether an assertion's `jti` was taken ([`Self::claim_assertion`]).
    pub async fn is_assertion_used(
        &self,
        issuer: ServiceAccountId,
        jti_hash: &[u8; 32],
    ) -> Result<bool> {
        let found: Option<Uid> = read!(self, |c| used_assertions::table
            .find((Uid(issuer.0), jti_hash.to_vec()))
            .select(used_assertions::service_account_id)
            .first(c)
            .await
            .optional())?;
        Ok(found.is_some())
    }

    /// Whether the access token with this `jti` was revoked.
    pub async fn is_access_token_revoked(&self, jti: Uuid) -> Result<bool> {
        let found: Option<Uid> = read!(self, |c| revoked_access_tokens::table
            .find(Uid(jti))
            .select(revoked_access_tokens::id)
            .first(c)
            .await
            .optional())?;
        Ok(found.is_some())
    }
}
