//! Requests that are done once however often they come: the claim is the first insert of the change.

use crate::backend::tx;
use crate::error::Result;
use crate::rows::actor_text;
use crate::schema::idempotency as table;
use crate::types::{Doc, Ts, Uid};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use symbolon_domain::authority::ActorRef;
use symbolon_domain::secret::{Digest, Sealed};
use symbolon_domain::{CredentialId, Timestamp};

/// A request's claim to be the first of its kind.
#[derive(Debug, Clone)]
pub struct Claim {
    pub actor: ActorRef,
    pub door: &'static str,
    pub operation: &'static str,
    pub key: String,
    /// Over method, path and body.
    pub fingerprint: Digest,
    pub now: Timestamp,
    /// When the key may be used anew.
    pub expires_at: Timestamp,
}

/// What a committed change leaves for a repeat of its request: the use case's outcome, never HTTP bytes.
#[derive(Debug, Clone, Default)]
pub struct Save {
    pub outcome: serde_json::Value,
    pub secret: Option<SavedSecret>,
}

/// The minted secret, sealed, until its answer surely arrived.
#[derive(Debug, Clone)]
pub struct SavedSecret {
    pub credential_id: CredentialId,
    pub sealed: Sealed,
    pub until: Timestamp,
}

/// What a repeat finds.
#[derive(Debug, Clone)]
pub struct Saved {
    /// Whether the repeat is the identical request; otherwise the key was used for another one.
    pub same_request: bool,
    pub outcome: serde_json::Value,
    /// `None` once its time is over or its credential is no longer live.
    pub secret: Option<SavedSecret>,
}

#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = table)]
#[diesel(check_for_backend(diesel::pg::Pg, diesel::sqlite::Sqlite))]
pub(crate) struct ClaimRow {
    pub actor: String,
    pub door: String,
    pub operation: String,
    pub key: String,
    pub fingerprint: Vec<u8>,
    pub outcome: Doc,
    pub credential_id: Option<Uid>,
    pub sealed_secret: Option<Vec<u8>>,
    pub key_version: Option<i32>,
    pub secret_until: Option<Ts>,
    pub created_at: Ts,
    pub expires_at: Ts,
}

impl ClaimRow {
    pub fn new(claim: &Claim) -> Self {
        Self {
            actor: actor_text(claim.actor),
            door: claim.door.into(),
            operation: claim.operation.into(),
            key: claim.key.clone(),
            fingerprint: claim.fingerprint.as_bytes().to_vec(),
            outcome: Doc(serde_json::Value::Null),
            credential_id: None,
            sealed_secret: None,
            key_version: None,
            secret_until: None,
            created_at: Ts(claim.now),
            expires_at: Ts(claim.expires_at),
        }
    }

    pub fn saved(self, claim: &Claim) -> Saved {
        let secret = match (
            self.credential_id,
            self.sealed_secret,
            self.key_version,
            self.secret_until,
        ) {
            (Some(id), Some(bytes), Some(key_version), Some(until)) if claim.now < until.0 => {
                Some(SavedSecret {
                    credential_id: CredentialId(id.0),
                    sealed: Sealed { key_version, bytes },
                    until: until.0,
                })
            }
            _ => None,
        };
        Saved {
            same_request: self.fingerprint == claim.fingerprint.as_bytes(),
            outcome: self.outcome.0,
            secret,
        }
    }
}

impl crate::Store {
    /// What a committed change saved for this claim, if one did.
    pub async fn find_saved(&self, claim: &Claim) -> Result<Option<Saved>> {
        let row = ClaimRow::new(claim);
        let found = crate::backend::read!(self, |c| table::table
            .find((&row.actor, &row.door, &row.operation, &row.key))
            .filter(table::expires_at.gt(Ts(claim.now)))
            .select(ClaimRow::as_select())
            .first::<ClaimRow>(c)
            .await
            .optional())?;
        Ok(found.map(|row| row.saved(claim)))
    }

    /// Whether a change that this credential asked for with this key was committed: the only thing that
    /// a credential which rotated itself may still ask about.
    pub async fn has_saved(&self, actor: ActorRef, key: &str, now: Timestamp) -> Result<bool> {
        let (actor, key) = (actor_text(actor), key.to_owned());
        let count: i64 = crate::backend::read!(self, |c| table::table
            .filter(table::actor.eq(&actor).and(table::key.eq(&key)))
            .filter(table::expires_at.gt(Ts(now)))
            .count()
            .get_result(c)
            .await)?;
        Ok(count > 0)
    }

    /// Erases sealed secrets whose time is over.
    pub async fn erase_saved_secrets(&self, now: Timestamp) -> Result<usize> {
        tx!(self, |c, _locked, _on_pg| {
            Ok(
                diesel::update(table::table.filter(table::secret_until.le(Ts(now))))
                    .set((
                        table::sealed_secret.eq(None::<Vec<u8>>),
                        table::secret_until.eq(None::<Ts>),
                    ))
                    .execute(c)
                    .await?,
            )
        })
    }
}
