//! The numbers that stand for ids where a dialect needs integers: given when first asked for, growing, and
//! never given twice.

use crate::App;
use crate::actor::Actor;
use crate::error::{Error, Result};
use crate::service_accounts::ServiceAccountRecord;
use crate::tokens::CredentialRecord;
use std::collections::HashMap;
use symbolon_domain::{AccountId, Code, CredentialId, Owner, Permission, ServiceAccountId};
use uuid::Uuid;

/// Whoever may do something to a thing may find it.
pub(crate) const FINDERS: [Permission; 4] = [
    Permission::ServiceAccountsRead,
    Permission::ServiceAccountsWrite,
    Permission::TokensRead,
    Permission::TokensWrite,
];

impl App {
    /// The numbers of these ids, which the caller has seen already.
    pub async fn numbers(&self, ids: &[Uuid]) -> Result<HashMap<Uuid, i64>> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        Ok(self.store().numbers(ids).await?)
    }

    /// # Errors
    /// [`Code::NotFound`] for a number of nothing, of something else, of another account's, of one outside
    /// the actor's reach, and of a revoked one.
    pub async fn service_account_of_number(
        &self,
        actor: &Actor,
        account: AccountId,
        number: i64,
    ) -> Result<ServiceAccountRecord> {
        actor.enter_with_any(account, &FINDERS)?;
        let id = ServiceAccountId(self.id_of_number(number).await?);
        self.service_account_in_force(actor, account, id).await
    }

    /// A token of a service account, neither revoked nor deleted.
    ///
    /// # Errors
    /// As [`Self::service_account_of_number`]; also for a token of another service account.
    pub async fn token_of_number(
        &self,
        actor: &Actor,
        account: AccountId,
        service_account: ServiceAccountId,
        number: i64,
    ) -> Result<CredentialRecord> {
        actor.enter_with_any(account, &FINDERS[2..])?;
        let owner = self
            .visible_service_account(actor, account, service_account)
            .await?;
        let id = CredentialId(self.id_of_number(number).await?);
        let record = self.token_record(account, id).await?;
        let it = &record.it;
        let gone = owner.is_revoked() || it.is_revoked() || it.deleted_at.is_some();
        if gone || it.owner != Owner::ServiceAccount(service_account) {
            return Err(Code::NotFound.into());
        }
        Ok(record)
    }

    async fn id_of_number(&self, number: i64) -> Result<Uuid> {
        let found = self.store().id_of_number(number).await?;
        found.ok_or(Error::from(Code::NotFound))
    }
}
