//! Accounts, environments, and who the caller is.

use crate::App;
use crate::actor::{Actor, Call};
use crate::change::{Decided, PageRequest, Replayed, Slice};
use crate::error::{Error, Result};
use symbolon_domain::account::{self, AccountPatch};
use symbolon_domain::change::Target;
use symbolon_domain::{
    Account, AccountId, Code, Credential, Environment, EnvironmentId, Name, Permission, Reach,
    Refusal, ScopeSet, ServiceAccount,
};
use symbolon_store::AccountQuery;

/// What a credential is told about itself.
#[derive(Debug, Clone)]
pub struct WhoAmI {
    pub account: Account,
    pub environment_id: Option<EnvironmentId>,
    pub service_account: Option<ServiceAccount>,
    pub credential: Credential,
    /// What it may do: its own scopes, as far as its service account still has them, and as far as the
    /// access token goes that stands for it.
    pub scopes: ScopeSet,
    pub reach: Reach,
}

/// Changing an account, or what belongs to it as a whole, takes a reach over all of it.
fn over_all_of(actor: &Actor, account: AccountId) -> Result<()> {
    if actor.authority().reach.contains(Reach::Account(account)) {
        Ok(())
    } else {
        Err(Code::ReachExceeded.into())
    }
}

impl App {
    pub async fn whoami(&self, actor: &Actor) -> Result<WhoAmI> {
        actor.ensure_live()?;
        let (Some(account), Some(id)) = (actor.account_id(), actor.credential_id()) else {
            return Err(Code::NotFound.into());
        };
        let gone = || Error::from(Code::Unauthenticated);
        let credential = self
            .store()
            .find_credential(account, id)
            .await?
            .ok_or_else(gone)?;
        let service_account = match credential.owner.service_account() {
            Some(owner) => Some(
                self.store()
                    .find_service_account(account, owner)
                    .await?
                    .ok_or_else(gone)?,
            ),
            None => None,
        };
        let mut credential = credential.seen_under(service_account.as_ref());
        if let Some(token) = actor.access_token() {
            credential.expires_at = Some(token.expires_at);
        }
        let environment_id = credential
            .owner
            .environment()
            .or(service_account.as_ref().and_then(|it| it.environment_id));
        let authority = actor.authority();
        Ok(WhoAmI {
            account: self.store().find_account(account).await?.ok_or_else(gone)?,
            environment_id,
            service_account,
            credential,
            scopes: authority.scopes.clone(),
            reach: authority.reach,
        })
    }

    pub async fn create_account(
        &self,
        call: &Call<'_>,
        name: Name,
        patch: AccountPatch,
    ) -> Result<Replayed<Account>> {
        call.actor.demand(Permission::Instance)?;
        // Nothing exists yet that could be locked; the id that is looked for is nobody's.
        let target = Target::Within {
            account: AccountId(uuid::Uuid::nil()),
            environment: None,
            name: None,
        };
        let ran = self
            .run(call, target, move |_, tools| {
                let (it, changes) = account::create(&tools.asking, name, patch, tools.mint.dice)?;
                let id = it.id;
                Ok(Decided::new(it, changes, id))
            })
            .await?;
        ran.replayed(|outcome| async move { self.account(outcome.account_id()?).await })
            .await
    }

    async fn account(&self, id: AccountId) -> Result<Account> {
        self.store()
            .find_account(id)
            .await?
            .ok_or(Code::NotFound.into())
    }

    pub async fn find_account(&self, actor: &Actor, id: AccountId) -> Result<Account> {
        actor.enter_to_read(id, Permission::ServiceAccountsRead)?;
        self.account(id).await
    }

    /// An operator's list of all accounts, newest first; everybody else's holds their own.
    pub async fn list_accounts(
        &self,
        actor: &Actor,
        q: Option<String>,
        page: PageRequest<AccountId>,
    ) -> Result<Slice<Account, AccountId>> {
        actor.ensure_live()?;
        actor.demand(Permission::ServiceAccountsRead)?;
        let found = match actor.authority().reach.account() {
            Some(own) => {
                let shown = page.after.is_none_or(|after| own < after);
                let key = q
                    .as_deref()
                    .map(symbolon_domain::label::fold)
                    .unwrap_or_default();
                let found = self.store().find_account(own).await?;
                found
                    .into_iter()
                    .filter(|it| shown && it.name.key().contains(&key))
                    .collect()
            }
            None => {
                self.store()
                    .list_accounts(&AccountQuery { q }, page.to_store(|id| id.0))
                    .await?
            }
        };
        Ok(page.slice(found, |it| it.id))
    }

    pub async fn update_account(
        &self,
        call: &Call<'_>,
        id: AccountId,
        patch: AccountPatch,
        if_match: Option<i64>,
    ) -> Result<Replayed<Account>> {
        call.actor.enter(id, Permission::Admin)?;
        over_all_of(call.actor, id)?;
        let ran = self
            .run(call, Target::Account(id), move |view, tools| {
                let old = view.account()?;
                if if_match.is_some_and(|wanted| wanted != old.version) {
                    return Err(Refusal::new(Code::VersionMismatch));
                }
                let (it, changes) = account::update(old, &tools.asking, patch, tools.mint.dice)?;
                Ok(Decided::new(it, changes, id))
            })
            .await?;
        ran.replayed(|_| self.account(id)).await
    }

    pub async fn create_environment(
        &self,
        call: &Call<'_>,
        account: AccountId,
        name: Name,
    ) -> Result<Replayed<Environment>> {
        call.actor.enter(account, Permission::Admin)?;
        over_all_of(call.actor, account)?;
        let ran = self
            .run(
                call,
                Target::Within {
                    account,
                    environment: None,
                    name: None,
                },
                move |view, tools| {
                    let (it, changes) = account::create_environment(
                        view.account()?,
                        &tools.asking,
                        name,
                        tools.mint.dice,
                    )?;
                    let id = it.id;
                    Ok(Decided::new(it, changes, id))
                },
            )
            .await?;
        ran.replayed(|outcome| async move {
            let id = outcome.environment_id()?;
            self.store()
                .find_environment(account, id)
                .await?
                .ok_or(Code::NotFound.into())
        })
        .await
    }

    /// Newest first.
    pub async fn list_environments(
        &self,
        actor: &Actor,
        account: AccountId,
        page: PageRequest<EnvironmentId>,
    ) -> Result<Slice<Environment, EnvironmentId>> {
        actor.enter_to_read(account, Permission::ServiceAccountsRead)?;
        let mut found = self
            .store()
            .list_environments(account, page.to_store(|id| id.0))
            .await?;
        if found.is_empty() && self.store().find_account(account).await?.is_none() {
            return Err(Code::NotFound.into());
        }
        if let Some(mine) = actor.authority().reach.environment() {
            found = self
                .store()
                .find_environment(account, mine)
                .await?
                .into_iter()
                .collect();
            found.retain(|it| page.after.is_none_or(|after| it.id < after));
        }
        Ok(page.slice(found, |it| it.id))
    }
}
