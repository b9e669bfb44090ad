//! What became of the things that the feed names.

use crate::Store;
use crate::backend::read;
use crate::credentials::{FoundCredential, WithOwners, found_credential, with_owners};
use crate::error::{Error, Result};
use crate::rows::{AccountRow, CredentialRow, ServiceAccountRow};
use crate::schema::*;
use crate::types::Uid;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use symbolon_domain::change::FeedKind;
use symbolon_domain::verdict::{AccountFacts, ServiceAccountFacts};
use symbolon_domain::{AccountId, CredentialId, ServiceAccountId};
use uuid::Uuid;

/// What was read again because the feed named it.
#[derive(Debug, Clone, Default)]
pub struct FreshFacts {
    pub credentials: Vec<FoundCredential>,
    pub service_accounts: Vec<ServiceAccountFacts>,
    pub accounts: Vec<AccountFacts>,
    pub unreadable: Vec<Unreadable>,
}

/// Something whose row does not parse: damaged, or of a newer release.
#[derive(Debug, Clone)]
pub struct Unreadable {
    pub kind: FeedKind,
    pub id: Uuid,
    pub cause: String,
}

/// Reads each of `$ids`, and puts those that do not parse aside: one of them must not keep the others back.
macro_rules! each {
    ($ids:expr, $load:expr, $value:expr, $kind:expr, $found:expr, $unreadable:expr) => {
        for ids in $ids.chunks(500) {
            let ids: Vec<Uid> = ids.iter().map(|id| Uid(id.0)).collect();
            let mut rows = Vec::new();
            match $load(ids.clone()).await {
                Ok(loaded) => rows = loaded,
                Err(Error::Broken(_)) => {
                    // A value that is not even of its column's type spoils the whole answer.
                    for id in ids {
                        match $load(vec![id]).await {
                            Ok(loaded) => rows.extend(loaded),
                            Err(Error::Broken(cause)) => $unreadable.push(Unreadable {
                                kind: $kind,
                                id: id.0,
                                cause,
                            }),
                            Err(error) => return Err(error),
                        }
                    }
                }
                Err(error) => return Err(error),
            }
            for (id, value) in rows.into_iter().map($value) {
                match value {
                    Ok(value) => $found.push(value),
                    Err(error) => $unreadable.push(Unreadable {
                        kind: $kind,
                        id,
                        cause: error.to_string(),
                    }),
                }
            }
        }
    };
}

impl Store {
    /// What became of these by now, by their ids. What is gone is left out.
    pub async fn fresh_facts(
        &self,
        credentials: &[CredentialId],
        service_accounts: &[ServiceAccountId],
        accounts: &[AccountId],
    ) -> Result<FreshFacts> {
        let mut fresh = FreshFacts::default();
        each!(
            credentials,
            |ids| self.credential_rows(ids),
            |row: WithOwners| (row.0.id.0, found_credential(row)),
            FeedKind::Credential,
            fresh.credentials,
            fresh.unreadable
        );
        each!(
            service_accounts,
            |ids| self.service_account_rows(ids),
            |row: ServiceAccountRow| (row.id.0, row.value().map(|it| (&it).into())),
            FeedKind::ServiceAccount,
            fresh.service_accounts,
            fresh.unreadable
        );
        each!(
            accounts,
            |ids| self.account_rows(ids),
            |row: AccountRow| (row.id.0, row.value().map(|it| (&it).into())),
            FeedKind::Account,
            fresh.accounts,
            fresh.unreadable
        );
        Ok(fresh)
    }

    async fn credential_rows(&self, ids: Vec<Uid>) -> Result<Vec<WithOwners>> {
        Ok(
            read!(vital self, |c| with_owners!(credentials::id.eq_any(ids))
                .load(c)
                .await)?,
        )
    }

    async fn service_account_rows(&self, ids: Vec<Uid>) -> Result<Vec<ServiceAccountRow>> {
        Ok(read!(vital self, |c| service_accounts::table
            .filter(service_accounts::id.eq_any(ids))
            .select(ServiceAccountRow::as_select())
            .load(c)
            .await)?)
    }

    async fn account_rows(&self, ids: Vec<Uid>) -> Result<Vec<AccountRow>> {
        Ok(read!(vital self, |c| accounts::table
            .filter(accounts::id.eq_any(ids))
            .select(AccountRow::as_select())
            .load(c)
            .await)?)
    }
}
