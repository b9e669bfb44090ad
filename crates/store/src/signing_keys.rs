//! The keys that sign tokens.

use crate::Store;
use crate::backend::{read, tx};
use crate::error::{Error, Result};
use crate::schema::{credentials, signing_keys};
use crate::types::{Ts, Uid};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use symbolon_domain::secret::Sealed;
use symbolon_domain::signing::{SigningKey, SigningKeyStatus};
use symbolon_domain::{CredentialKind, SigningKeyId, Timestamp, limits};

#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = signing_keys, treat_none_as_null = true)]
#[diesel(check_for_backend(diesel::pg::Pg, diesel::sqlite::Sqlite))]
pub(crate) struct SigningKeyRow {
    pub id: Uid,
    pub status: String,
    pub public_key: Vec<u8>,
    pub sealed: Vec<u8>,
    pub key_version: i32,
    pub created_at: Ts,
    pub activated_at: Option<Ts>,
    pub retired_at: Option<Ts>,
    pub version: i64,
}

impl From<&SigningKey> for SigningKeyRow {
    fn from(it: &SigningKey) -> Self {
        let (activated_at, retired_at) = match it.status {
            SigningKeyStatus::Next => (None, None),
            SigningKeyStatus::Active { at } => (Some(Ts(at)), None),
            SigningKeyStatus::Retired { at } => (None, Some(Ts(at))),
        };
        Self {
            id: Uid(it.id.0),
            status: it.status.as_str().into(),
            public_key: it.public_key.clone(),
            sealed: it.sealed.bytes.clone(),
            key_version: it.sealed.key_version,
            created_at: Ts(it.created_at),
            activated_at,
            retired_at,
            version: it.version,
        }
    }
}

impl SigningKeyRow {
    pub fn value(self) -> Result<SigningKey> {
        let status = match (self.status.as_str(), self.activated_at, self.retired_at) {
            ("next", ..) => SigningKeyStatus::Next,
            ("active", Some(at), _) => SigningKeyStatus::Active { at: at.0 },
            ("retired", _, Some(at)) => SigningKeyStatus::Retired { at: at.0 },
            _ => {
                return Err(Error::Broken(format!(
                    "signing_keys.status of {} does not parse",
                    self.id.0
                )));
            }
        };
        Ok(SigningKey {
            id: SigningKeyId(self.id.0),
            status,
            public_key: self.public_key,
            sealed: Sealed {
                key_version: self.key_version,
                bytes: self.sealed,
            },
            created_at: self.created_at.0,
            version: self.version,
        })
    }
}

impl Store {
    /// All of them, oldest first.
    pub async fn signing_keys(&self) -> Result<Vec<SigningKey>> {
        let rows: Vec<SigningKeyRow> = read!(self, |c| signing_keys::table
            .order(signing_keys::id)
            .select(SigningKeyRow::as_select())
            .load(c)
            .await)?;
        rows.into_iter().map(SigningKeyRow::value).collect()
    }

    /// Removes retired keys whose last token has ended.
    pub(crate) async fn purge_signing_keys(&self, now: Timestamp) -> Result<usize> {
        // A process may have signed with it for a while after it was retired.
        let slack = limits::ACCESS_TOKEN_LIFE * 2;
        tx!(self, |c, _locked, _on_pg| {
            let over: Vec<(Uid, Option<Ts>)> = signing_keys::table
                .filter(signing_keys::status.eq("retired"))
                .filter(signing_keys::retired_at.lt(Ts(now.minus(slack))))
                .select((signing_keys::id, signing_keys::retired_at))
                .load(c)
                .await?;
            let mut removed = 0;
            for (id, retired_at) in over {
                let until = retired_at.map_or(now, |at| at.0.plus(slack));
                let signed = credentials::table
                    .filter(credentials::kind.eq(CredentialKind::Jwt.as_str()))
                    .filter(credentials::status.ne("revoked"))
                    .filter(credentials::created_at.le(Ts(until)))
                    .filter(
                        credentials::expires_at
                            .is_null()
                            .or(credentials::expires_at.gt(Ts(now)).assume_not_null()),
                    )
                    .select(credentials::id)
                    .first::<Uid>(c)
                    .await
                    .optional()?;
                if signed.is_none() {
                    removed += diesel::delete(signing_keys::table.find(id))
                        .execute(c)
                        .await?;
                }
            }
            Ok(removed)
        })
    }
}
