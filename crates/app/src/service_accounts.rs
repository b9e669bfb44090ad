//! Service accounts: create, find, list, update, suspend, activate, revoke, rotate, contact.

use crate::App;
use crate::actor::{Actor, Call};
use crate::change::{Decided, Outcome, PageRequest, Ran, Replayed, Revealed, Slice, Tools};
use crate::error::{Error, Result};
use crate::numbers::FINDERS;
use crate::tokens::of_service_account;
use std::collections::HashMap;
use symbolon_domain::change::{Changes, Target, View};
use symbolon_domain::issue::{self, Issued, NewServiceAccount, Rotation, ServiceAccountPatch};
use symbolon_domain::retire::{self, Because};
use symbolon_domain::{
    AccountId, Code, Credential, CredentialId, EmailAddress, EnvironmentId, Minted, Permission,
    Reach, Refusal, ServiceAccount, ServiceAccountId, Timestamp, confirmation, contact,
};
use symbolon_store::ServiceAccountQuery;

/// A service account with its primary token, whose fields it shows as its own.
#[derive(Debug, Clone)]
pub struct ServiceAccountRecord {
    pub it: ServiceAccount,
    pub primary: Option<Credential>,
    pub last_used_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Default)]
pub struct ServiceAccountFilter {
    pub include_revoked: bool,
    /// Part of the name, case ignored.
    pub q: Option<String>,
    /// `active`, `suspended` or `revoked`.
    pub status: Option<String>,
    pub environment_id: Option<EnvironmentId>,
}

type Id = ServiceAccountId;

/// Rows of a whole list read at once.
const WHOLE_LIST_PAGE: i64 = 1000;

/// Ids that go into one statement: SQLite takes no more than 32,766 parameters.
pub(crate) const LOOKED_UP_AT_ONCE: usize = 1000;

impl App {
    /// The secret is that of its first token, where it gets one.
    pub async fn create_service_account(
        &self,
        call: &Call<'_>,
        account: AccountId,
        mut new: NewServiceAccount,
    ) -> Result<Revealed<ServiceAccountRecord>> {
        call.actor
            .enter(account, Permission::ServiceAccountsWrite)?;
        if new.creator_email.is_none() {
            new.creator_email = self.creator_email(call.actor).await?;
        }
        let target = Target::Within {
            account,
            environment: new.environment_id,
            name: new.name_is_exclusive.then(|| new.name.key()),
        };
        let ran = self
            .run(call, target, move |view, tools| {
                let (it, issued, changes) =
                    issue::create_service_account(view, &tools.asking, new, &mut tools.mint)?;
                Ok(minted(it, issued, changes, tools))
            })
            .await?;
        ran.revealed(|outcome| self.service_account_again(account, outcome))
            .await
    }

    pub async fn find_service_account(
        &self,
        actor: &Actor,
        account: AccountId,
        id: Id,
    ) -> Result<ServiceAccountRecord> {
        actor.enter_to_read(account, Permission::ServiceAccountsRead)?;
        let it = self.visible_service_account(actor, account, id).await?;
        self.with_primary(it).await
    }

    /// One that is active or suspended, for whoever may do something to it: at doors where the revoked are
    /// gone.
    pub async fn service_account_in_force(
        &self,
        actor: &Actor,
        account: AccountId,
        id: Id,
    ) -> Result<ServiceAccountRecord> {
        actor.enter_with_any(account, &FINDERS)?;
        let it = self.visible_service_account(actor, account, id).await?;
        if it.is_revoked() {
            return Err(Code::NotFound.into());
        }
        self.with_primary(it).await
    }

    async fn service_account(&self, account: AccountId, id: Id) -> Result<ServiceAccount> {
        self.store()
            .find_service_account(account, id)
            .await?
            .ok_or(Code::NotFound.into())
    }

    /// The service account, if it lies within the actor's reach.
    pub(crate) async fn visible_service_account(
        &self,
        actor: &Actor,
        account: AccountId,
        id: Id,
    ) -> Result<ServiceAccount> {
        let it = self.service_account(account, id).await?;
        if actor
            .authority()
            .reach
            .contains(Reach::of(account, it.environment_id))
        {
            Ok(it)
        } else {
            Err(Code::NotFound.into())
        }
    }

    /// Newest first.
    pub async fn list_service_accounts(
        &self,
        actor: &Actor,
        account: AccountId,
        filter: ServiceAccountFilter,
        page: PageRequest<Id>,
    ) -> Result<Slice<ServiceAccountRecord, Id>> {
        actor.enter_to_read(account, Permission::ServiceAccountsRead)?;
        let status = filter.status.as_deref().and_then(|wanted| {
            ["active", "suspended", "revoked"]
                .into_iter()
                .find(|it| *it == wanted)
        });
        let environment = match (actor.authority().reach.environment(), filter.environment_id) {
            (Some(mine), Some(wanted)) if mine != wanted => {
                return Ok(Slice {
                    items: Vec::new(),
                    next: None,
                });
            }
            (mine, wanted) => mine.or(wanted),
        };
        let query = ServiceAccountQuery {
            include_revoked: filter.include_revoked,
            q: filter.q,
            status,
            environment,
        };
        let found = self
            .store()
            .list_service_accounts(account, &query, page.to_store(|id| id.0))
            .await?;
        if found.is_empty() && self.store().find_account(account).await?.is_none() {
            return Err(Code::NotFound.into());
        }
        let slice = page.slice(found, |it| it.id);
        Ok(Slice {
            items: self.with_primaries(slice.items).await?,
            next: slice.next,
        })
    }

    /// All of the account that are in force, active or suspended, oldest first: for doors without pages.
    pub async fn all_service_accounts(
        &self,
        actor: &Actor,
        account: AccountId,
    ) -> Result<Vec<ServiceAccountRecord>> {
        actor.enter_to_read(account, Permission::ServiceAccountsRead)?;
        let mut found = self.in_force(actor, account).await?;
        if found.is_empty() && self.store().find_account(account).await?.is_none() {
            return Err(Code::NotFound.into());
        }
        found.reverse();
        self.with_primaries(found).await
    }

    /// All that are in force within the actor's reach, newest first.
    pub(crate) async fn in_force(
        &self,
        actor: &Actor,
        account: AccountId,
    ) -> Result<Vec<ServiceAccount>> {
        let query = ServiceAccountQuery {
            environment: actor.authority().reach.environment(),
            ..ServiceAccountQuery::default()
        };
        let mut all: Vec<ServiceAccount> = Vec::new();
        loop {
            let page = symbolon_store::Page {
                after: all.last().map(|it| it.id.0),
                limit: WHOLE_LIST_PAGE,
            };
            let found = self
                .store()
                .list_service_accounts(account, &query, page)
                .await?;
            let more = i64::try_from(found.len()).unwrap_or(0) == WHOLE_LIST_PAGE;
            all.extend(found);
            if !more {
                return Ok(all);
            }
        }
    }

    async fn with_primaries(
        &self,
        found: Vec<ServiceAccount>,
    ) -> Result<Vec<ServiceAccountRecord>> {
        let ids: Vec<Id> = found.iter().map(|it| it.id).collect();
        let (mut primaries, mut uses) = (HashMap::new(), HashMap::new());
        for ids in ids.chunks(LOOKED_UP_AT_ONCE) {
            let some = self.store().primaries(ids).await?;
            let credentials: Vec<CredentialId> = some.values().map(|it| it.id).collect();
            uses.extend(self.store().uses(&credentials).await?);
            primaries.extend(some);
        }
        let record = |it: ServiceAccount| {
            let primary = primaries.remove(&it.id);
            let last_used_at = primary
                .as_ref()
                .and_then(|it| uses.get(&it.id))
                .and_then(|it| it.last_used_at);
            ServiceAccountRecord {
                it,
                primary,
                last_used_at,
            }
        };
        Ok(found.into_iter().map(record).collect())
    }

    /// `if_match` is the version that the change was thought out on.
    pub async fn update_service_account(
        &self,
        call: &Call<'_>,
        account: AccountId,
        id: Id,
        patch: ServiceAccountPatch,
        if_match: Option<i64>,
    ) -> Result<Replayed<ServiceAccountRecord>> {
        call.actor
            .enter(account, Permission::ServiceAccountsWrite)?;
        let environment = patch.environment_id.flatten();
        let target = Target::ServiceAccount {
            account,
            id,
            credential: None,
            environment,
            description: None,
        };
        let ran = self
            .run(call, target, move |view, tools| {
                if if_match.is_some_and(|wanted| {
                    view.service_account().is_ok_and(|it| it.version != wanted)
                }) {
                    return Err(Code::VersionMismatch.into());
                }
                let (it, changes) =
                    issue::update_service_account(view, &tools.asking, patch, &mut tools.mint)?;
                Ok(decided(it, changes))
            })
            .await?;
        self.recorded(account, ran).await
    }

    pub async fn suspend_service_account(
        &self,
        call: &Call<'_>,
        account: AccountId,
        id: Id,
        because: Because,
    ) -> Result<Replayed<ServiceAccountRecord>> {
        self.change_service_account(call, account, id, move |view, tools| {
            retire::suspend_service_account(view, &tools.asking, because, tools.mint.dice)
        })
        .await
    }

    pub async fn activate_service_account(
        &self,
        call: &Call<'_>,
        account: AccountId,
        id: Id,
        because: Because,
    ) -> Result<Replayed<ServiceAccountRecord>> {
        self.change_service_account(call, account, id, move |view, tools| {
            retire::activate_service_account(view, &tools.asking, because, tools.mint.dice)
        })
        .await
    }

    /// Revokes it with all its credentials. Revoking again changes nothing.
    pub async fn revoke_service_account(
        &self,
        call: &Call<'_>,
        account: AccountId,
        id: Id,
        because: Because,
    ) -> Result<ServiceAccountRecord> {
        let revoke = move |view: &View, tools: &mut Tools<'_, '_>| {
            retire::revoke_service_account(view, &tools.asking, because, tools.mint.dice)
        };
        Ok(self
            .change_service_account(call, account, id, revoke)
            .await?
            .record)
    }

    /// Replaces the primary token; one that was made without gets its first.
    pub async fn rotate_service_account(
        &self,
        call: &Call<'_>,
        account: AccountId,
        id: Id,
        rotation: Rotation,
    ) -> Result<Revealed<ServiceAccountRecord>> {
        call.actor.enter(account, Permission::TokensWrite)?;
        let target = of_service_account(account, id, None);
        let ran = self
            .run(call, target, move |view, tools| {
                view.service_account()?;
                let (it, issued, changes) =
                    issue::rotate(view, &tools.asking, None, rotation, &mut tools.mint)?;
                let it = it.ok_or(Refusal::new(Code::NotFound))?;
                Ok(minted(it, Some(issued), changes, tools))
            })
            .await?;
        ran.revealed(|outcome| self.service_account_again(account, outcome))
            .await
    }

    /// Sends the confirmation mail once more.
    pub async fn resend_confirmation(
        &self,
        call: &Call<'_>,
        account: AccountId,
        id: Id,
    ) -> Result<Replayed<ServiceAccountRecord>> {
        let creator = self.creator_email(call.actor).await?;
        self.change_service_account(call, account, id, move |view, tools| {
            confirmation::resend(
                view,
                &tools.asking,
                tools.mint.link_key_version,
                creator.as_ref(),
                tools.mint.dice,
            )
        })
        .await
    }

    /// Somebody found that mail to the contact does not arrive.
    pub async fn report_undeliverable(
        &self,
        call: &Call<'_>,
        account: AccountId,
        id: Id,
        detail: Option<String>,
    ) -> Result<Replayed<ServiceAccountRecord>> {
        self.change_service_account(call, account, id, move |view, tools| {
            contact::undeliverable(view, &tools.asking, detail.as_deref(), tools.mint.dice)
        })
        .await
    }

    async fn change_service_account<F>(
        &self,
        call: &Call<'_>,
        account: AccountId,
        id: Id,
        decide: F,
    ) -> Result<Replayed<ServiceAccountRecord>>
    where
        F: FnOnce(
                &View,
                &mut Tools<'_, '_>,
            ) -> std::result::Result<(ServiceAccount, Changes), Refusal>
            + Send
            + 'static,
    {
        call.actor
            .enter(account, Permission::ServiceAccountsWrite)?;
        let target = of_service_account(account, id, None);
        let ran = self
            .run(call, target, move |view, tools| {
                let (it, changes) = decide(view, tools)?;
                Ok(decided(it, changes))
            })
            .await?;
        self.recorded(account, ran).await
    }

    async fn recorded(
        &self,
        account: AccountId,
        ran: Ran<ServiceAccount>,
    ) -> Result<Replayed<ServiceAccountRecord>> {
        let changed = ran
            .replayed(|outcome| async move {
                let id = outcome.service_account_id()?;
                self.service_account(account, id).await
            })
            .await?;
        Ok(Replayed {
            record: self.with_primary(changed.record).await?,
            replayed: changed.replayed,
            position: changed.position,
        })
    }

    pub(crate) async fn with_primary(&self, it: ServiceAccount) -> Result<ServiceAccountRecord> {
        let mut records = self.with_primaries(vec![it]).await?;
        records
            .pop()
            .ok_or_else(|| Error::broken("a record was lost"))
    }

    /// The record as its repeat shows it: with the credential that was minted then, so that the token's
    /// fields and its text belong together.
    async fn service_account_again(
        &self,
        account: AccountId,
        outcome: Outcome,
    ) -> Result<ServiceAccountRecord> {
        let it = self
            .service_account(account, outcome.service_account_id()?)
            .await?;
        let mut record = self.with_primary(it).await?;
        if let Some(minted) = outcome.credential
            && record.primary.as_ref().is_none_or(|it| it.id != minted)
        {
            record.primary = self.store().find_credential(account, minted).await?;
            record.last_used_at = self
                .store()
                .uses(&[minted])
                .await?
                .remove(&minted)
                .and_then(|it| it.last_used_at);
        }
        Ok(record)
    }

    /// The address of the user who asks, where a user does.
    async fn creator_email(&self, actor: &Actor) -> Result<Option<EmailAddress>> {
        match actor.by().user() {
            Some(user) => Ok(self.store().find_user(user).await?.map(|it| it.email)),
            None => Ok(None),
        }
    }
}

fn decided(it: ServiceAccount, changes: Changes) -> Decided<ServiceAccount> {
    let id = it.id;
    Decided::new(it, changes, id)
}

fn minted(
    it: ServiceAccount,
    issued: Option<Issued>,
    changes: Changes,
    tools: &mut Tools<'_, '_>,
) -> Decided<(ServiceAccountRecord, Option<Minted>)> {
    let (primary, secret) = issued.map(|it| (it.credential, it.secret)).unzip();
    let outcome = Outcome {
        service_account: Some(it.id),
        credential: primary.as_ref().map(|it| it.id),
        ..Outcome::default()
    };
    let record = ServiceAccountRecord {
        it,
        primary,
        last_used_at: None,
    };
    tools.minted(record, secret, changes, outcome)
}
