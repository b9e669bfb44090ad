//! Tokens: issue, rotate, suspend, activate, revoke; those of service accounts, of accounts and
//! environments directly, and the caller's own.

use crate::App;
use crate::actor::{Actor, Call};
use crate::change::{Decided, Outcome, PageRequest, Ran, Replayed, Revealed, Slice, Tools};
use crate::error::{Error, Result};
use symbolon_domain::change::{Changes, Target, View};
use symbolon_domain::issue::{self, NewToken, Rotation};
use symbolon_domain::retire::{self, Because};
use symbolon_domain::{
    AccountId, Code, Credential, CredentialId, Minted, Owner, Permission, Refusal,
    ServiceAccountId, Timestamp,
};
use symbolon_store::TokenQuery;

/// A token with its uses, as far as they were flushed.
#[derive(Debug, Clone)]
pub struct CredentialRecord {
    pub it: Credential,
    pub last_used_at: Option<Timestamp>,
    pub uses: i64,
}

type Id = CredentialId;

/// A token of a service account.
fn of_service_account(
    account: AccountId,
    service_account: ServiceAccountId,
    id: Option<Id>,
) -> Target {
    Target::ServiceAccount {
        account,
        id: service_account,
        credential: id,
        environment: None,
    }
}

impl App {
    pub async fn issue_token(
        &self,
        call: &Call<'_>,
        account: AccountId,
        service_account: ServiceAccountId,
        new: NewToken,
    ) -> Result<Revealed<CredentialRecord>> {
        call.actor.enter(account, Permission::TokensWrite)?;
        let ran = self
            .run(
                call,
                of_service_account(account, service_account, None),
                move |view, tools| {
                    let (issued, changes) =
                        issue::issue_token(view, &tools.asking, new, &mut tools.mint)?;
                    Ok(minted(issued, changes, tools))
                },
            )
            .await?;
        self.revealed_token(account, ran).await
    }

    /// Newest first.
    pub async fn list_tokens(
        &self,
        actor: &Actor,
        account: AccountId,
        service_account: ServiceAccountId,
        include_revoked: bool,
        page: PageRequest<Id>,
    ) -> Result<Slice<CredentialRecord, Id>> {
        actor.enter_to_read(account, Permission::TokensRead)?;
        self.visible_service_account(actor, account, service_account)
            .await?;
        self.list(
            TokenQuery {
                account,
                service_account: Some(service_account),
                environment: None,
                include_revoked,
            },
            page,
        )
        .await
    }

    pub async fn find_token(
        &self,
        actor: &Actor,
        account: AccountId,
        service_account: ServiceAccountId,
        id: Id,
    ) -> Result<CredentialRecord> {
        actor.enter_to_read(account, Permission::TokensRead)?;
        self.visible_service_account(actor, account, service_account)
            .await?;
        let record = self.token_record(account, id).await?;
        if record.it.owner == Owner::ServiceAccount(service_account) {
            Ok(record)
        } else {
            Err(Code::NotFound.into())
        }
    }

    pub async fn rotate_token(
        &self,
        call: &Call<'_>,
        account: AccountId,
        service_account: ServiceAccountId,
        id: Id,
        rotation: Rotation,
    ) -> Result<Revealed<CredentialRecord>> {
        call.actor.enter(account, Permission::TokensWrite)?;
        self.rotate(
            call,
            account,
            of_service_account(account, service_account, Some(id)),
            id,
            rotation,
        )
        .await
    }

    pub async fn suspend_token(
        &self,
        call: &Call<'_>,
        account: AccountId,
        service_account: ServiceAccountId,
        id: Id,
        because: Because,
    ) -> Result<Replayed<CredentialRecord>> {
        call.actor.enter(account, Permission::TokensWrite)?;
        let decide = move |view: &View, tools: &mut Tools<'_, '_>| {
            retire::suspend_token(view, &tools.asking, id, because, tools.mint.dice)
        };
        self.change_token(
            call,
            account,
            of_service_account(account, service_account, Some(id)),
            decide,
        )
        .await
    }

    pub async fn activate_token(
        &self,
        call: &Call<'_>,
        account: AccountId,
        service_account: ServiceAccountId,
        id: Id,
        because: Because,
    ) -> Result<Replayed<CredentialRecord>> {
        call.actor.enter(account, Permission::TokensWrite)?;
        let decide = move |view: &View, tools: &mut Tools<'_, '_>| {
            retire::activate_token(view, &tools.asking, id, because, tools.mint.dice)
        };
        self.change_token(
            call,
            account,
            of_service_account(account, service_account, Some(id)),
            decide,
        )
        .await
    }

    /// Revoking again changes nothing.
    pub async fn revoke_token(
        &self,
        call: &Call<'_>,
        account: AccountId,
        service_account: ServiceAccountId,
        id: Id,
        because: Because,
    ) -> Result<CredentialRecord> {
        call.actor.enter(account, Permission::TokensWrite)?;
        let decide = move |view: &View, tools: &mut Tools<'_, '_>| {
            retire::revoke_token(view, &tools.asking, id, because, tools.mint.dice)
        };
        Ok(self
            .change_token(
                call,
                account,
                of_service_account(account, service_account, Some(id)),
                decide,
            )
            .await?
            .record)
    }

    /// Tokens that belong to the account or an environment directly, newest first.
    pub async fn list_direct_tokens(
        &self,
        actor: &Actor,
        account: AccountId,
        include_revoked: bool,
        page: PageRequest<Id>,
    ) -> Result<Slice<CredentialRecord, Id>> {
        actor.enter_to_read(account, Permission::TokensRead)?;
        let environment = actor.authority().reach.environment();
        let slice = self
            .list(
                TokenQuery {
                    account,
                    service_account: None,
                    environment,
                    include_revoked,
                },
                page,
            )
            .await?;
        if slice.items.is_empty() && self.store().find_account(account).await?.is_none() {
            return Err(Code::NotFound.into());
        }
        Ok(slice)
    }

    pub async fn revoke_direct_token(
        &self,
        call: &Call<'_>,
        account: AccountId,
        id: Id,
        because: Because,
    ) -> Result<CredentialRecord> {
        call.actor.enter(account, Permission::TokensWrite)?;
        let decide = move |view: &View, tools: &mut Tools<'_, '_>| {
            retire::revoke_token(view, &tools.asking, id, because, tools.mint.dice)
        };
        Ok(self
            .change_token(call, account, Target::Credential { account, id }, decide)
            .await?
            .record)
    }

    /// Any live credential may replace itself; it needs no permission for that.
    pub async fn rotate_self(
        &self,
        call: &Call<'_>,
        rotation: Rotation,
    ) -> Result<Revealed<CredentialRecord>> {
        let (account, id, target) = own(call.actor)?;
        self.rotate(call, account, target, id, rotation).await
    }

    /// Any live credential may end itself.
    pub async fn revoke_self(
        &self,
        call: &Call<'_>,
        because: Because,
    ) -> Result<Replayed<CredentialRecord>> {
        let (account, id, target) = own(call.actor)?;
        let decide = move |view: &View, tools: &mut Tools<'_, '_>| {
            retire::revoke_token(view, &tools.asking, id, because, tools.mint.dice)
        };
        self.change_token(call, account, target, decide).await
    }

    async fn rotate(
        &self,
        call: &Call<'_>,
        account: AccountId,
        target: Target,
        id: Id,
        rotation: Rotation,
    ) -> Result<Revealed<CredentialRecord>> {
        let ran = self
            .run(call, target, move |view, tools| {
                let (_, issued, changes) =
                    issue::rotate(view, &tools.asking, Some(id), rotation, &mut tools.mint)?;
                Ok(minted(issued, changes, tools))
            })
            .await?;
        self.revealed_token(account, ran).await
    }

    async fn change_token<F>(
        &self,
        call: &Call<'_>,
        account: AccountId,
        target: Target,
        decide: F,
    ) -> Result<Replayed<CredentialRecord>>
    where
        F: FnOnce(&View, &mut Tools<'_, '_>) -> std::result::Result<(Credential, Changes), Refusal>
            + Send
            + 'static,
    {
        let ran = self
            .run(call, target, move |view, tools| {
                let (it, changes) = decide(view, tools)?;
                let outcome = Outcome {
                    credential: Some(it.id),
                    ..Outcome::default()
                };
                Ok(Decided {
                    value: it,
                    changes,
                    outcome,
                    sealed: None,
                })
            })
            .await?;
        match ran {
            Ran::Done(it) => Ok(Replayed {
                record: self.with_uses(it).await?,
                replayed: false,
            }),
            Ran::Replayed { outcome, .. } => {
                let id = outcome
                    .credential
                    .ok_or_else(|| Error::broken("a saved outcome names nothing"))?;
                Ok(Replayed {
                    record: self.token_record(account, id).await?,
                    replayed: true,
                })
            }
        }
    }

    async fn revealed_token(
        &self,
        account: AccountId,
        ran: Ran<(Credential, Minted)>,
    ) -> Result<Revealed<CredentialRecord>> {
        match ran {
            Ran::Done((it, secret)) => {
                let record = CredentialRecord {
                    it,
                    last_used_at: None,
                    uses: 0,
                };
                Ok(Revealed {
                    record,
                    secret: Some(secret),
                    replayed: false,
                })
            }
            Ran::Replayed { outcome, secret } => {
                let id = outcome
                    .credential
                    .ok_or_else(|| Error::broken("a saved outcome names nothing"))?;
                Ok(Revealed {
                    record: self.token_record(account, id).await?,
                    secret,
                    replayed: true,
                })
            }
        }
    }

    async fn list(
        &self,
        query: TokenQuery,
        page: PageRequest<Id>,
    ) -> Result<Slice<CredentialRecord, Id>> {
        let found = self
            .store()
            .list_credentials(query, page.to_store(|id| id.0))
            .await?;
        let slice = page.slice(found, |it| it.id);
        let ids: Vec<Id> = slice.items.iter().map(|it| it.id).collect();
        let uses = self.store().uses(&ids).await?;
        let record = |it: Credential| {
            let used = uses.get(&it.id).copied().unwrap_or_default();
            CredentialRecord {
                it,
                last_used_at: used.last_used_at,
                uses: used.uses,
            }
        };
        Ok(Slice {
            items: slice.items.into_iter().map(record).collect(),
            next: slice.next,
        })
    }

    async fn token_record(&self, account: AccountId, id: Id) -> Result<CredentialRecord> {
        let it = self
            .store()
            .find_credential(account, id)
            .await?
            .ok_or(Error::from(Code::NotFound))?;
        self.with_uses(it).await
    }

    pub(crate) async fn with_uses(&self, it: Credential) -> Result<CredentialRecord> {
        let used = self
            .store()
            .uses(&[it.id])
            .await?
            .remove(&it.id)
            .unwrap_or_default();
        Ok(CredentialRecord {
            it,
            last_used_at: used.last_used_at,
            uses: used.uses,
        })
    }
}

fn minted(
    issued: issue::Issued,
    changes: Changes,
    tools: &mut Tools<'_, '_>,
) -> Decided<(Credential, Minted)> {
    let id = issued.credential.id;
    let sealed = tools.seal(id, &issued.secret);
    let outcome = Outcome {
        credential: Some(id),
        ..Outcome::default()
    };
    Decided {
        value: (issued.credential, issued.secret),
        changes,
        outcome,
        sealed,
    }
}

/// The caller's own credential, as a target.
fn own(actor: &Actor) -> Result<(AccountId, Id, Target)> {
    let (Some(account), Some(id), Some(owner)) =
        (actor.account_id(), actor.credential_id(), actor.owner())
    else {
        return Err(Code::NotFound.into());
    };
    let target = match owner {
        Owner::ServiceAccount(service_account) => {
            of_service_account(account, service_account, Some(id))
        }
        Owner::Account | Owner::Environment(_) => Target::Credential { account, id },
    };
    Ok((account, id, target))
}
