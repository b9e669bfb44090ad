//! Tokens seen from their account, whatever they belong to: a service account, the account itself or an
//! environment. Strict where the others are kind: what the available actions deny is refused.

use crate::App;
use crate::actor::{Actor, Call};
use crate::change::{Replayed, Revealed, Tools};
use crate::error::{Error, Result};
use crate::jose::JWS_MAX;
use crate::tokens::{CredentialRecord, minted, target_of};
use symbolon_domain::change::{Changes, Target, View};
use symbolon_domain::credential::AvailableActions;
use symbolon_domain::issue::{self, NewToken};
use symbolon_domain::retire::{self, Because};
use symbolon_domain::verdict::{OwnerState, ServiceAccountFacts};
use symbolon_domain::{
    AccountId, Code, Credential, CredentialId, CredentialKind, EnvironmentId, FieldCode,
    Permission, Reach, Refusal, ServiceAccount,
};
use symbolon_store::{AccountTokenQuery, TokenSort};

/// A token with its owner, where that is a service account.
#[derive(Debug, Clone)]
pub struct AccountToken {
    pub record: CredentialRecord,
    pub owner: Option<ServiceAccountFacts>,
}

impl AccountToken {
    /// The environment that it reaches, through its service account or directly; `None` is all of the
    /// account.
    pub fn environment(&self) -> Option<EnvironmentId> {
        match &self.owner {
            Some(owner) => owner.environment_id,
            None => self.record.it.owner.environment(),
        }
    }

    /// `active`, `suspended` or `revoked`.
    pub fn status(&self) -> &'static str {
        self.record.it.status_under(self.owner_is_revoked())
    }

    pub fn actions(&self) -> AvailableActions {
        self.record
            .it
            .available_actions_under(self.owner_is_revoked())
    }

    fn owner_is_revoked(&self) -> bool {
        let owner = self.owner.as_ref();
        owner.is_some_and(|it| it.state == OwnerState::Revoked)
    }

    fn is_listed(it: &Credential) -> bool {
        it.kind != CredentialKind::Key && it.deleted_at.is_none()
    }
}

impl App {
    /// Tokens of every status that were not deleted; no keys. With how many there are in all.
    pub async fn page_account_tokens(
        &self,
        actor: &Actor,
        account: AccountId,
        sort: TokenSort,
        descending: bool,
        offset: u64,
        limit: u32,
    ) -> Result<(Vec<AccountToken>, u64)> {
        actor.enter_to_read(account, Permission::TokensRead)?;
        let query = AccountTokenQuery {
            account,
            environment: actor.authority().reach.environment(),
            sort,
            descending,
            offset: i64::try_from(offset).unwrap_or(i64::MAX),
            limit: i64::from(limit),
        };
        let (found, total) = self.store().list_account_tokens(query).await?;
        let total = u64::try_from(total).unwrap_or(0);
        if total == 0 && self.store().find_account(account).await?.is_none() {
            return Err(Code::NotFound.into());
        }
        let (tokens, owners): (Vec<_>, Vec<_>) = found
            .into_iter()
            .map(|it| (it.credential, it.service_account))
            .unzip();
        let records = self.with_uses_each(tokens).await?;
        let joined = records.into_iter().zip(owners).map(joined).collect();
        Ok((joined, total))
    }

    pub async fn find_account_token(
        &self,
        actor: &Actor,
        account: AccountId,
        id: CredentialId,
    ) -> Result<AccountToken> {
        actor.enter_to_read(account, Permission::TokensRead)?;
        let found = self.account_token(account, id).await?;
        let reach = Reach::of(account, found.environment());
        if actor.authority().reach.contains(reach) && AccountToken::is_listed(&found.record.it) {
            Ok(found)
        } else {
            Err(Code::NotFound.into())
        }
    }

    /// Makes a token that belongs to the account or to one of its environments directly.
    pub async fn issue_direct_token(
        &self,
        call: &Call<'_>,
        account: AccountId,
        environment: Option<EnvironmentId>,
        new: NewToken,
    ) -> Result<Revealed<AccountToken>> {
        call.actor.enter(account, Permission::TokensWrite)?;
        let signer = match new.kind {
            CredentialKind::Opaque => None,
            CredentialKind::Jwt => Some(self.signer().await?),
            // Assertions are about service accounts.
            CredentialKind::Key => return Err(Code::InvalidAction.into()),
        };
        let target = Target::Within {
            account,
            environment,
            name: None,
        };
        let ran = self
            .run_signing(call, target, signer, move |view, tools| {
                let (issued, changes) = issue::issue_direct_within(
                    view,
                    &tools.asking,
                    environment,
                    new,
                    &mut tools.mint,
                )?;
                // A JWT carries its scopes; one that no header could carry would be of no use.
                if issued.secret.reveal().len() > JWS_MAX {
                    let max = JWS_MAX;
                    return Err(Refusal::field("/scopes", FieldCode::TooLong { max }));
                }
                Ok(minted(view, issued, changes, tools))
            })
            .await?;
        let revealed = ran
            .revealed(|outcome| async move {
                self.token_record(account, outcome.credential_id()?).await
            })
            .await?;
        Ok(Revealed {
            record: AccountToken {
                record: revealed.record,
                owner: None,
            },
            secret: revealed.secret,
            replayed: revealed.replayed,
            position: revealed.position,
        })
    }

    /// # Errors
    /// [`Code::InvalidAction`] unless it is active.
    pub async fn suspend_account_token(
        &self,
        call: &Call<'_>,
        account: AccountId,
        id: CredentialId,
    ) -> Result<Replayed<AccountToken>> {
        self.act_on_token(call, account, id, move |view, tools| {
            demand(view, id, |it| it.suspend)?;
            retire::suspend_token(view, &tools.asking, id, Because::default(), tools.mint.dice)
        })
        .await
    }

    /// # Errors
    /// [`Code::InvalidAction`] unless it is suspended.
    pub async fn activate_account_token(
        &self,
        call: &Call<'_>,
        account: AccountId,
        id: CredentialId,
    ) -> Result<Replayed<AccountToken>> {
        self.act_on_token(call, account, id, move |view, tools| {
            demand(view, id, |it| it.activate)?;
            retire::activate_token(view, &tools.asking, id, Because::default(), tools.mint.dice)
        })
        .await
    }

    /// Revokes it.
    ///
    /// # Errors
    /// [`Code::InvalidAction`] when it is revoked already.
    pub async fn end_account_token(
        &self,
        call: &Call<'_>,
        account: AccountId,
        id: CredentialId,
    ) -> Result<Replayed<AccountToken>> {
        self.act_on_token(call, account, id, move |view, tools| {
            demand(view, id, |it| it.revoke)?;
            retire::revoke_token(view, &tools.asking, id, Because::default(), tools.mint.dice)
        })
        .await
    }

    /// Hides it here. It stays in the native list and in the events.
    ///
    /// # Errors
    /// [`Code::InvalidAction`] unless it is revoked.
    pub async fn delete_account_token(
        &self,
        call: &Call<'_>,
        account: AccountId,
        id: CredentialId,
    ) -> Result<Replayed<AccountToken>> {
        self.act_on_token(call, account, id, move |view, tools| {
            demand(view, id, |it| it.delete)?;
            retire::delete_token(view, &tools.asking, id, tools.mint.dice)
        })
        .await
    }

    async fn act_on_token<F>(
        &self,
        call: &Call<'_>,
        account: AccountId,
        id: CredentialId,
        decide: F,
    ) -> Result<Replayed<AccountToken>>
    where
        F: FnOnce(&View, &mut Tools<'_, '_>) -> std::result::Result<(Credential, Changes), Refusal>
            + Send
            + 'static,
    {
        call.actor.ensure_live()?;
        call.actor.enter(account, Permission::TokensWrite)?;
        // What a token belongs to never changes, so that it may be read before the lock.
        let owner = self.credential(account, id).await?.owner;
        let target = target_of(account, owner, id);
        let changed = self.change_token(call, account, target, decide).await?;
        let owner = match owner.service_account() {
            Some(_) => self.account_token(account, id).await?.owner,
            None => None,
        };
        Ok(Replayed {
            record: AccountToken {
                record: changed.record,
                owner,
            },
            replayed: changed.replayed,
            position: changed.position,
        })
    }

    async fn account_token(&self, account: AccountId, id: CredentialId) -> Result<AccountToken> {
        let found = self.store().find_with_owners(id).await?;
        let found = found.filter(|it| it.account.id == account);
        let found = found.ok_or(Error::from(Code::NotFound))?;
        let mut records = self.with_uses_each(vec![found.credential]).await?;
        let record = records
            .pop()
            .ok_or_else(|| Error::broken("a record was lost"))?;
        Ok(joined((record, found.service_account)))
    }
}

fn joined((mut record, owner): (CredentialRecord, Option<ServiceAccountFacts>)) -> AccountToken {
    if record.it.inherits_scopes {
        record.it.scopes = record.it.granted(owner.as_ref().map(|it| &*it.scopes));
    }
    AccountToken { record, owner }
}

/// What the available actions say, decided where they cannot change any more. A deleted token and a key
/// are not there.
fn demand(
    view: &View,
    id: CredentialId,
    is_available: impl FnOnce(AvailableActions) -> bool,
) -> std::result::Result<(), Refusal> {
    let it = view.credential(id)?;
    if !AccountToken::is_listed(it) {
        return Err(Code::NotFound.into());
    }
    let owner = view.service_account.as_ref();
    let owner_is_revoked = owner.is_some_and(ServiceAccount::is_revoked);
    if is_available(it.available_actions_under(owner_is_revoked)) {
        Ok(())
    } else {
        Err(Code::InvalidAction.into())
    }
}
