//! Tokens and keys, of service accounts mostly: issue, find, list, rotate, suspend, activate, revoke.

use crate::App;
use crate::actor::{Actor, Call};
use crate::change::{Decided, Outcome, PageRequest, Replayed, Revealed, Slice, Tools, shown};
use crate::error::{Error, Result};
use crate::service_accounts::LOOKED_UP_AT_ONCE;
use std::collections::{HashMap, HashSet};
use symbolon_domain::change::{Changes, Target, View};
use symbolon_domain::issue::{self, NewToken, Rotation, TokenPatch};
use symbolon_domain::retire::{self, Because};
use symbolon_domain::{
    AccountId, Code, Credential, CredentialId, CredentialKind, Owner, Permission, PublicId, Reach,
    Refusal, ScopeSet, ServiceAccount, ServiceAccountId, Timestamp,
};
use symbolon_store::TokenQuery;

/// A token or key with its uses, as far as they were flushed. `it.scopes` of one that inherits are its
/// service account's of now.
#[derive(Debug, Clone)]
pub struct CredentialRecord {
    pub it: Credential,
    pub last_used_at: Option<Timestamp>,
    pub uses: i64,
}

impl CredentialRecord {
    pub(crate) fn unused(it: Credential) -> Self {
        Self {
            it,
            last_used_at: None,
            uses: 0,
        }
    }
}

#[derive(Debug, Clone, Copy, Default)]
pub struct TokenFilter {
    pub include_revoked: bool,
    /// `None` is every kind.
    pub kind: Option<CredentialKind>,
}

type Id = CredentialId;

/// A token of a service account.
pub(crate) fn of_service_account(
    account: AccountId,
    service_account: ServiceAccountId,
    id: Option<Id>,
) -> Target {
    Target::credential_of(account, service_account, id)
}

impl App {
    /// Makes a token, or a key, whose secret signs assertions.
    pub async fn issue_token(
        &self,
        call: &Call<'_>,
        account: AccountId,
        service_account: ServiceAccountId,
        new: NewToken,
    ) -> Result<Revealed<CredentialRecord>> {
        call.actor.enter(account, Permission::TokensWrite)?;
        if new.kind == CredentialKind::Jwt {
            // Those belong to accounts and environments.
            return Err(Code::InvalidAction.into());
        }
        let target = Target::ServiceAccount {
            account,
            id: service_account,
            credential: None,
            environment: None,
            description: new
                .description
                .clone()
                .filter(|_| new.description_is_exclusive),
        };
        let ran = self
            .run(call, target, move |view, tools| {
                let (issued, changes) =
                    issue::issue_token(view, &tools.asking, new, &mut tools.mint)?;
                Ok(minted(view, issued, changes, tools))
            })
            .await?;
        ran.revealed(|outcome| self.token_again(account, outcome))
            .await
    }

    /// Newest first.
    pub async fn list_tokens(
        &self,
        actor: &Actor,
        account: AccountId,
        service_account: ServiceAccountId,
        filter: TokenFilter,
        page: PageRequest<Id>,
    ) -> Result<Slice<CredentialRecord, Id>> {
        actor.enter_to_read(account, Permission::TokensRead)?;
        let owner = self
            .visible_service_account(actor, account, service_account)
            .await?;
        let query = TokenQuery {
            account,
            service_account: Some(service_account),
            environment: None,
            include_revoked: filter.include_revoked,
            kind: filter.kind,
        };
        if owner.is_revoked() && !filter.include_revoked {
            return Ok(Slice {
                items: Vec::new(),
                next: None,
            });
        }
        self.list(query, Some(&owner), page).await
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

    /// A key by its key id, which is its public id; a revoked one, too.
    pub async fn find_key(
        &self,
        actor: &Actor,
        account: AccountId,
        service_account: ServiceAccountId,
        key_id: &str,
    ) -> Result<CredentialRecord> {
        actor.enter_with_any(account, &[Permission::TokensRead, Permission::TokensWrite])?;
        self.visible_service_account(actor, account, service_account)
            .await?;
        if PublicId::parse(key_id).is_none() {
            return Err(Code::NotFound.into());
        }
        let found = self
            .store()
            .find_by_public_id_of(service_account, key_id)
            .await?
            .filter(|it| it.kind == CredentialKind::Key);
        self.with_uses(found.ok_or(Error::from(Code::NotFound))?)
            .await
    }

    /// What these service accounts have that is neither revoked nor deleted, of every kind, oldest first.
    /// Those that the actor cannot see have nothing.
    pub async fn tokens_of(
        &self,
        actor: &Actor,
        account: AccountId,
        of: &[ServiceAccountId],
    ) -> Result<HashMap<ServiceAccountId, Vec<CredentialRecord>>> {
        actor.enter_to_read(account, Permission::TokensRead)?;
        let visible = match of {
            [] => Vec::new(),
            [one] => self
                .store()
                .find_service_account(account, *one)
                .await?
                .into_iter()
                .filter(|it| {
                    let reach = Reach::of(account, it.environment_id);
                    !it.is_revoked() && actor.authority().reach.contains(reach)
                })
                .collect(),
            _ => self.in_force(actor, account).await?,
        };
        let wanted: HashSet<&ServiceAccountId> = of.iter().collect();
        let scopes: HashMap<ServiceAccountId, ScopeSet> = visible
            .into_iter()
            .filter(|it| wanted.contains(&it.id))
            .map(|it| (it.id, it.scopes))
            .collect();
        let ids: Vec<ServiceAccountId> = scopes.keys().copied().collect();
        let mut found = self.store().credentials_of(&ids).await?;
        found.sort_by_key(|it| it.id);
        let owner = |it: &Credential| it.owner.service_account();
        for it in found.iter_mut().filter(|it| it.inherits_scopes) {
            it.scopes = it.granted(owner(it).and_then(|owner| scopes.get(&owner)));
        }
        let mut all: HashMap<ServiceAccountId, Vec<CredentialRecord>> = HashMap::new();
        for record in self.with_uses_each(found).await? {
            if let Some(owner) = owner(&record.it) {
                all.entry(owner).or_default().push(record);
            }
        }
        Ok(all)
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

    /// Changes what a token or key is called, and from where and how often it may be used. `if_match` is the
    /// version that the change was thought out on.
    pub async fn update_token(
        &self,
        call: &Call<'_>,
        account: AccountId,
        service_account: ServiceAccountId,
        id: Id,
        patch: TokenPatch,
        if_match: Option<i64>,
    ) -> Result<Replayed<CredentialRecord>> {
        call.actor.enter(account, Permission::TokensWrite)?;
        let target = of_service_account(account, service_account, Some(id));
        self.change_token(call, account, target, move |view, tools| {
            let old = view.credential(id)?;
            if if_match.is_some_and(|wanted| wanted != old.version) {
                return Err(Code::VersionMismatch.into());
            }
            issue::update_token(view, &tools.asking, id, patch, tools.mint.dice)
        })
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
        let target = of_service_account(account, service_account, Some(id));
        self.change_token(call, account, target, move |view, tools| {
            retire::suspend_token(view, &tools.asking, id, because, tools.mint.dice)
        })
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
        let target = of_service_account(account, service_account, Some(id));
        self.change_token(call, account, target, move |view, tools| {
            retire::activate_token(view, &tools.asking, id, because, tools.mint.dice)
        })
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
    ) -> Result<Replayed<CredentialRecord>> {
        call.actor.enter(account, Permission::TokensWrite)?;
        let target = of_service_account(account, service_account, Some(id));
        self.revoke(call, account, target, id, because).await
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
        let query = TokenQuery {
            account,
            service_account: None,
            environment: actor.authority().reach.environment(),
            include_revoked,
            kind: None,
        };
        let slice = self.list(query, None, page).await?;
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
    ) -> Result<Replayed<CredentialRecord>> {
        call.actor.enter(account, Permission::TokensWrite)?;
        let target = Target::Credential { account, id };
        self.revoke(call, account, target, id, because).await
    }

    pub(crate) async fn revoke(
        &self,
        call: &Call<'_>,
        account: AccountId,
        target: Target,
        id: Id,
        because: Because,
    ) -> Result<Replayed<CredentialRecord>> {
        self.change_token(call, account, target, move |view, tools| {
            retire::revoke_token(view, &tools.asking, id, because, tools.mint.dice)
        })
        .await
    }

    pub(crate) async fn rotate(
        &self,
        call: &Call<'_>,
        account: AccountId,
        target: Target,
        id: Id,
        rotation: Rotation,
    ) -> Result<Revealed<CredentialRecord>> {
        // Only what belongs to no service account may be a JWT.
        let signer = match target {
            Target::Credential { .. } if !call.actor.is_replay_only() => Some(self.signer().await?),
            _ => None,
        };
        let ran = self
            .run_signing(call, target, signer, move |view, tools| {
                let (_, issued, changes) =
                    issue::rotate(view, &tools.asking, Some(id), rotation, &mut tools.mint)?;
                Ok(minted(view, issued, changes, tools))
            })
            .await?;
        ran.revealed(|outcome| self.token_again(account, outcome))
            .await
    }

    pub(crate) async fn change_token<F>(
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
                let id = it.id;
                Ok(Decided::new(it, changes, id))
            })
            .await?;
        let changed = ran
            .replayed(|outcome| async move {
                let id = outcome.credential_id()?;
                self.credential(account, id).await
            })
            .await?;
        Ok(Replayed {
            record: self.with_uses(changed.record).await?,
            replayed: changed.replayed,
            position: changed.position,
        })
    }

    async fn list(
        &self,
        query: TokenQuery,
        owner: Option<&ServiceAccount>,
        page: PageRequest<Id>,
    ) -> Result<Slice<CredentialRecord, Id>> {
        let found = self
            .store()
            .list_credentials(query, page.to_store(|id| id.0))
            .await?;
        let slice = page.slice(found, |it| it.id);
        let items = slice.items.into_iter().map(|it| it.seen_under(owner));
        Ok(Slice {
            items: self.with_uses_each(items.collect()).await?,
            next: slice.next,
        })
    }

    pub(crate) async fn credential(&self, account: AccountId, id: Id) -> Result<Credential> {
        self.store()
            .find_credential(account, id)
            .await?
            .ok_or(Code::NotFound.into())
    }

    pub(crate) async fn token_record(
        &self,
        account: AccountId,
        id: Id,
    ) -> Result<CredentialRecord> {
        self.with_uses(self.credential(account, id).await?).await
    }

    async fn token_again(&self, account: AccountId, outcome: Outcome) -> Result<CredentialRecord> {
        self.token_record(account, outcome.credential_id()?).await
    }

    async fn with_uses(&self, mut it: Credential) -> Result<CredentialRecord> {
        if let Some(owner) = it.owner.service_account() {
            let owner = self
                .store()
                .find_service_account(it.account_id, owner)
                .await?;
            it = it.seen_under(owner.as_ref());
        }
        let mut records = self.with_uses_each(vec![it]).await?;
        records
            .pop()
            .ok_or_else(|| Error::broken("a record was lost"))
    }

    pub(crate) async fn with_uses_each(
        &self,
        found: Vec<Credential>,
    ) -> Result<Vec<CredentialRecord>> {
        let ids: Vec<Id> = found.iter().map(|it| it.id).collect();
        let mut uses = HashMap::new();
        for ids in ids.chunks(LOOKED_UP_AT_ONCE) {
            uses.extend(self.store().uses(ids).await?);
        }
        let record = |it: Credential| {
            let used = uses.get(&it.id).copied().unwrap_or_default();
            CredentialRecord {
                it,
                last_used_at: used.last_used_at,
                uses: used.uses,
            }
        };
        Ok(found.into_iter().map(record).collect())
    }
}

pub(crate) fn minted(
    view: &View,
    issued: issue::Issued,
    changes: Changes,
    tools: &mut Tools<'_, '_>,
) -> Decided<(CredentialRecord, Option<symbolon_domain::Minted>)> {
    let id = issued.credential.id;
    let record = CredentialRecord::unused(shown(view, issued.credential));
    tools.minted(record, Some(issued.secret), changes, id.into())
}

/// A credential as a target: through its service account, or directly.
pub(crate) fn target_of(account: AccountId, owner: Owner, id: Id) -> Target {
    match owner {
        Owner::ServiceAccount(service_account) => {
            of_service_account(account, service_account, Some(id))
        }
        Owner::Account | Owner::Environment(_) => Target::Credential { account, id },
    }
}
