//! Finding and listing credentials.

use crate::backend::read;
use crate::error::Result;
use crate::rows::{AccountRow, CredentialRow, ServiceAccountRow};
use crate::schema::*;
use crate::types::{Ts, Uid};
use crate::{Page, Store};
use diesel::dsl::case_when;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use std::collections::HashMap;
use symbolon_domain::verdict::{AccountFacts, ServiceAccountFacts};
use symbolon_domain::{
    AccountId, Credential, CredentialId, CredentialKind, EnvironmentId, ServiceAccountId, Timestamp,
};

/// A credential with the facts about its owners that a verdict needs.
#[derive(Debug, Clone)]
pub struct FoundCredential {
    pub credential: Credential,
    pub service_account: Option<ServiceAccountFacts>,
    pub account: AccountFacts,
}

/// How often and when a credential was used, as far as flushed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CredentialUse {
    pub first_used_at: Option<Timestamp>,
    pub last_used_at: Option<Timestamp>,
    pub uses: i64,
}

/// Which credentials to list.
#[derive(Debug, Clone, Copy)]
pub struct TokenQuery {
    pub account: AccountId,
    /// `None` lists those that belong to the account or an environment directly.
    pub service_account: Option<ServiceAccountId>,
    /// Only direct ones of this environment.
    pub environment: Option<EnvironmentId>,
    pub include_revoked: bool,
    pub kind: Option<CredentialKind>,
}

/// What tokens of an account are sorted by. A token that never ends comes after all that do; one whose
/// service account is revoked counts as revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenSort {
    CreatedAt,
    UpdatedAt,
    ExpiresAt,
    Status,
}

/// A stretch of all tokens of an account, those of its service accounts too; no keys, and nothing deleted.
#[derive(Debug, Clone, Copy)]
pub struct AccountTokenQuery {
    pub account: AccountId,
    /// Only those of this environment.
    pub environment: Option<EnvironmentId>,
    pub sort: TokenSort,
    pub descending: bool,
    pub offset: i64,
    pub limit: i64,
}

pub(crate) type WithOwners = (CredentialRow, Option<ServiceAccountRow>, AccountRow);

macro_rules! with_owners {
    ($filter:expr) => {
        credentials::table
            .inner_join(accounts::table)
            .left_join(service_accounts::table)
            .filter($filter)
            .select((
                CredentialRow::as_select(),
                Option::<ServiceAccountRow>::as_select(),
                AccountRow::as_select(),
            ))
    };
}
pub(crate) use with_owners;

pub(crate) fn found_credential(
    (credential, owner, account): WithOwners,
) -> Result<FoundCredential> {
    let owner = owner.map(ServiceAccountRow::value).transpose()?;
    Ok(FoundCredential {
        credential: credential.value()?,
        service_account: owner.as_ref().map(ServiceAccountFacts::from),
        account: AccountFacts::from(&account.value()?),
    })
}

impl Store {
    /// The credential with this public id, by one indexed join. The secret is not compared here. Anybody can
    /// make a process ask this, so it never takes all connections.
    pub async fn find_by_public_id(&self, public_id: &str) -> Result<Option<FoundCredential>> {
        let _turn = self.misses.turn().await?;
        let found = read!(self, |c| with_owners!(credentials::public_id.eq(public_id))
            .first::<WithOwners>(c)
            .await
            .optional())?;
        found.map(found_credential).transpose()
    }

    /// The same by id.
    pub async fn find_with_owners(&self, id: CredentialId) -> Result<Option<FoundCredential>> {
        let found = read!(self, |c| with_owners!(credentials::id.eq(Uid(id.0)))
            .first::<WithOwners>(c)
            .await
            .optional())?;
        found.map(found_credential).transpose()
    }

    pub async fn find_credential(
        &self,
        account: AccountId,
        id: CredentialId,
    ) -> Result<Option<Credential>> {
        let row: Option<CredentialRow> = read!(self, |c| credentials::table
            .find(Uid(id.0))
            .filter(credentials::account_id.eq(Uid(account.0)))
            .select(CredentialRow::as_select())
            .first(c)
            .await
            .optional())?;
        row.map(CredentialRow::value).transpose()
    }

    /// Newest first, strictly older than the page's start.
    pub async fn list_credentials(&self, query: TokenQuery, page: Page) -> Result<Vec<Credential>> {
        let rows: Vec<CredentialRow> = read!(self, |c| {
            let mut select = credentials::table
                .select(CredentialRow::as_select())
                .order(credentials::id.desc())
                .limit(page.limit)
                .into_boxed();
            select = match query.service_account {
                Some(id) => select.filter(credentials::service_account_id.eq(Uid(id.0))),
                None => select
                    .filter(credentials::account_id.eq(Uid(query.account.0)))
                    .filter(credentials::service_account_id.is_null()),
            };
            if let Some(id) = query.environment {
                select = select.filter(credentials::environment_id.eq(Uid(id.0)));
            }
            if !query.include_revoked {
                select = select.filter(credentials::status.ne("revoked"));
            }
            if let Some(kind) = query.kind {
                select = select.filter(credentials::kind.eq(kind.as_str()));
            }
            if let Some(after) = page.after {
                select = select.filter(credentials::id.lt(Uid(after)));
            }
            select.load(c).await
        })?;
        rows.into_iter().map(CredentialRow::value).collect()
    }

    /// A credential of this service account by its public id.
    pub async fn find_by_public_id_of(
        &self,
        owner: ServiceAccountId,
        public_id: &str,
    ) -> Result<Option<Credential>> {
        let row: Option<CredentialRow> = read!(self, |c| credentials::table
            .filter(credentials::public_id.eq(public_id))
            .filter(credentials::service_account_id.eq(Uid(owner.0)))
            .select(CredentialRow::as_select())
            .first(c)
            .await
            .optional())?;
        row.map(CredentialRow::value).transpose()
    }

    /// The credentials of these service accounts that are neither revoked nor deleted, oldest first.
    pub async fn credentials_of(&self, owners: &[ServiceAccountId]) -> Result<Vec<Credential>> {
        let mut found = Vec::new();
        for owners in owners.chunks(500) {
            let ids: Vec<Uid> = owners.iter().map(|id| Uid(id.0)).collect();
            let rows: Vec<CredentialRow> = read!(self, |c| credentials::table
                .filter(credentials::service_account_id.eq_any(ids))
                .filter(credentials::status.ne("revoked"))
                .filter(credentials::deleted_at.is_null())
                .order(credentials::id)
                .select(CredentialRow::as_select())
                .load(c)
                .await)?;
            for row in rows {
                found.push(row.value()?);
            }
        }
        Ok(found)
    }

    /// A stretch of an account's tokens, and how many there are in all.
    pub async fn list_account_tokens(
        &self,
        query: AccountTokenQuery,
    ) -> Result<(Vec<FoundCredential>, i64)> {
        // Both statements ask the same; a macro, since a boxed query has the backend in its type.
        macro_rules! wanted {
            ($query:expr) => {{
                let mut select = $query
                    .filter(credentials::account_id.eq(Uid(query.account.0)))
                    .filter(credentials::kind.ne(CredentialKind::Key.as_str()))
                    .filter(credentials::deleted_at.is_null())
                    .into_boxed();
                if let Some(id) = query.environment {
                    select = select.filter(
                        credentials::environment_id
                            .eq(Uid(id.0))
                            .or(service_accounts::environment_id.eq(Uid(id.0))),
                    );
                }
                select
            }};
        }
        let (rows, total): (Vec<WithOwners>, i64) = read!(self, |c| {
            let select = wanted!(
                credentials::table
                    .inner_join(accounts::table)
                    .left_join(service_accounts::table)
                    .select((
                        CredentialRow::as_select(),
                        Option::<ServiceAccountRow>::as_select(),
                        AccountRow::as_select(),
                    ))
            );
            macro_rules! by {
                ($($column:expr),+) => {
                    if query.descending {
                        select$(.then_order_by($column.desc()))+.then_order_by(credentials::id.desc())
                    } else {
                        select$(.then_order_by($column.asc()))+.then_order_by(credentials::id.asc())
                    }
                };
            }
            let select = match query.sort {
                // Ids sort by the time of making, and an index has them.
                TokenSort::CreatedAt => by!(credentials::id),
                TokenSort::UpdatedAt => by!(credentials::updated_at),
                TokenSort::ExpiresAt => {
                    // A grace ends no later than its token would have.
                    let end = case_when(
                        credentials::retires_at.is_not_null(),
                        credentials::retires_at,
                    )
                    .otherwise(credentials::expires_at);
                    by!(end.is_null(), end)
                }
                TokenSort::Status => {
                    let revoked = "revoked".into_sql::<diesel::sql_types::Text>();
                    let status = case_when(service_accounts::status.eq("revoked"), revoked)
                        .otherwise(credentials::status);
                    by!(status)
                }
            };
            let rows = select.limit(query.limit).offset(query.offset).load(c).await;
            let total = wanted!(
                credentials::table
                    .left_join(service_accounts::table)
                    .select(diesel::dsl::count_star())
            )
            .first(c)
            .await;
            rows.and_then(|rows| total.map(|total| (rows, total)))
        })?;
        let found: Result<Vec<_>> = rows.into_iter().map(found_credential).collect();
        Ok((found?, total))
    }

    /// The primary tokens of these service accounts.
    pub async fn primaries(
        &self,
        of: &[ServiceAccountId],
    ) -> Result<HashMap<ServiceAccountId, Credential>> {
        let ids: Vec<Uid> = of.iter().map(|id| Uid(id.0)).collect();
        let rows: Vec<CredentialRow> = read!(self, |c| credentials::table
            .filter(credentials::service_account_id.eq_any(ids))
            // Written out, so that the partial index serves.
            .filter(diesel::dsl::sql::<diesel::sql_types::Bool>("is_primary"))
            .select(CredentialRow::as_select())
            .load(c)
            .await)?;
        let mut found = HashMap::with_capacity(rows.len());
        for row in rows {
            let credential = row.value()?;
            if let Some(owner) = credential.owner.service_account() {
                found.insert(owner, credential);
            }
        }
        Ok(found)
    }

    pub async fn uses(&self, of: &[CredentialId]) -> Result<HashMap<CredentialId, CredentialUse>> {
        let ids: Vec<Uid> = of.iter().map(|id| Uid(id.0)).collect();
        let rows: Vec<(Uid, Ts, Ts, i64)> = read!(self, |c| credential_use::table
            .filter(credential_use::credential_id.eq_any(ids))
            .select((
                credential_use::credential_id,
                credential_use::first_used_at,
                credential_use::last_used_at,
                credential_use::uses
            ))
            .load(c)
            .await)?;
        let of_row = |(id, first, last, uses): (Uid, Ts, Ts, i64)| {
            (
                CredentialId(id.0),
                CredentialUse {
                    first_used_at: Some(first.0),
                    last_used_at: Some(last.0),
                    uses,
                },
            )
        };
        Ok(rows.into_iter().map(of_row).collect())
    }
}
