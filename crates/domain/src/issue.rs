//! Decisions that make credentials: a service account with its first token, further tokens, rotations.

use crate::account::{Account, AccountStatus, ExpiryRequest};
use crate::authority::{ActorRef, Reach};
use crate::change::{Asking, Changes, View};
use crate::confirmation;
use crate::contact;
use crate::credential::{Credential, CredentialKind, CredentialStatus, Owner, RevokeReason};
use crate::dice::Dice;
use crate::event::{Event, EventKind};
use crate::id::{CredentialId, EnvironmentId, ServiceAccountId};
use crate::label::{EmailAddress, Language, Name};
use crate::limits;
use crate::refusal::{Code, FieldCode, FieldError, Refusal};
use crate::scope::{Permission, ScopeSet};
use crate::secret::{Minted, Sealer};
use crate::service_account::{ContactState, ServiceAccount, ServiceAccountStatus};
use crate::time::{Timestamp, format_span};
use crate::token_text::TokenSeed;
use std::time::Duration;

/// What a minting decision needs beside the view: the dice and the seal.
pub struct Mint<'a> {
    pub dice: &'a mut dyn Dice,
    pub sealer: &'a dyn Sealer,
    /// The version of the link key that new confirmations are signed with.
    pub link_key_version: i32,
}

/// A service account as asked for.
#[derive(Debug, Clone)]
pub struct NewServiceAccount {
    pub name: Name,
    pub description: Option<String>,
    pub contact_email: Option<EmailAddress>,
    pub contact_language: Language,
    pub environment_id: Option<EnvironmentId>,
    pub scopes: ScopeSet,
    pub basic_auth_enabled: bool,
    pub expiry: ExpiryRequest,
    /// The address of the user who asks, where a user does.
    pub creator_email: Option<EmailAddress>,
}

/// A further token as asked for.
#[derive(Debug, Clone, Default)]
pub struct NewToken {
    pub description: Option<String>,
    pub expiry: ExpiryRequest,
    pub not_before: Option<Timestamp>,
    /// Omitted scopes are none.
    pub scopes: ScopeSet,
}

/// A rotation as asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rotation {
    /// How long the old token goes on; zero ends it at once.
    pub grace: Duration,
    pub expiry: ExpiryRequest,
}

/// What may be changed about a service account; `None` leaves as it is.
#[derive(Debug, Clone, Default)]
pub struct ServiceAccountPatch {
    pub name: Option<Name>,
    pub description: Option<Option<String>>,
    pub contact_email: Option<Option<EmailAddress>>,
    pub contact_language: Option<Language>,
    pub environment_id: Option<Option<EnvironmentId>>,
    pub scopes: Option<ScopeSet>,
    pub basic_auth_enabled: Option<bool>,
}

/// A minted secret with the credential it proves. Shown once.
#[derive(Debug)]
pub struct Issued {
    pub credential: Credential,
    pub secret: Minted,
}

/// Makes a service account with its primary token.
pub fn create_service_account(
    view: &View,
    asking: &Asking<'_>,
    new: NewServiceAccount,
    mint: &mut Mint<'_>,
) -> Result<(ServiceAccount, Issued, Changes), Refusal> {
    let account = view.account()?;
    ensure_account_active(account)?;
    let environment = resolve_environment(view, new.environment_id)?;
    asking
        .authority
        .may_grant(&new.scopes, Reach::of(account.id, environment))?;
    within_ceiling(account, &new.scopes)?;
    let now = asking.now;
    let expires_at = account
        .policy
        .expiry(new.expiry, now, now)
        .map_err(one_field)?;
    let (emails, is_fallback) = confirmation::recipients(
        new.contact_email.as_ref(),
        account,
        new.creator_email.as_ref(),
    );
    let it = ServiceAccount {
        id: ServiceAccountId::new(now, mint.dice),
        account_id: account.id,
        environment_id: environment,
        name: new.name,
        description: new.description,
        contact_email: new.contact_email,
        pending_contact_email: None,
        contact_language: new.contact_language,
        contact_state: if emails.is_empty() {
            ContactState::None
        } else {
            ContactState::Pending
        },
        contact_confirmed_at: None,
        resent_at: None,
        resend_window_at: None,
        resends: 0,
        scopes: new.scopes.clone(),
        basic_auth_enabled: new.basic_auth_enabled,
        status: ServiceAccountStatus::Active,
        created_at: now,
        created_by: asking.by,
        updated_at: now,
        version: 1,
    };
    let mut changes = Changes::default();
    let draft = Draft {
        owner: Owner::ServiceAccount(it.id),
        description: None,
        scopes: new.scopes,
        is_primary: true,
        family: None,
        not_before: None,
        expires_at,
    };
    let issued = write_token(account, asking, draft, mint);
    confirmation::ask(
        &it,
        emails,
        is_fallback,
        mint.link_key_version,
        now,
        &mut changes,
        mint.dice,
    );
    changes.events.push(
        Event::new(
            asking,
            EventKind::ServiceAccountCreated,
            account.id,
            mint.dice,
        )
        .about_service_account(Some(it.id))
        .about_credential(issued.credential.id),
    );
    changes.new_service_accounts.push(it.clone());
    changes.new_credentials.push(issued.credential.clone());
    Ok((it, issued, changes))
}

/// Makes a further token of a service account.
pub fn issue_token(
    view: &View,
    asking: &Asking<'_>,
    new: NewToken,
    mint: &mut Mint<'_>,
) -> Result<(Issued, Changes), Refusal> {
    let (account, it) = (view.account()?, view.service_account()?);
    ensure_account_active(account)?;
    it.ensure_active()?;
    asking
        .authority
        .may_grant(&new.scopes, Reach::of(account.id, it.environment_id))?;
    if let Some(scope) = new.scopes.iter().find(|scope| !it.scopes.covers(scope)) {
        return Err(Refusal::with(
            Code::ScopeExceeded,
            [("scope", scope.as_str().into())],
        ));
    }
    within_ceiling(account, &new.scopes)?;
    let live = view
        .credentials
        .iter()
        .filter(|credential| credential.counts(asking.now))
        .count();
    let limit = account.policy.tokens_per_service_account;
    if live >= usize::try_from(limit).unwrap_or(0) {
        return Err(Refusal::with(
            Code::TokenLimitReached,
            [("limit", limit.to_string())],
        ));
    }
    let start = new.not_before.unwrap_or(asking.now);
    let expires_at = account
        .policy
        .expiry(new.expiry, start, asking.now)
        .map_err(one_field)?;
    if expires_at.is_some_and(|end| end <= start) {
        return Err(Refusal::field("/not_before", FieldCode::BeforeStart));
    }
    let draft = Draft {
        owner: Owner::ServiceAccount(it.id),
        description: new.description,
        scopes: new.scopes,
        is_primary: false,
        family: None,
        not_before: new.not_before,
        expires_at,
    };
    let issued = write_token(account, asking, draft, mint);
    let mut changes = Changes::default();
    changes.events.push(
        Event::new(asking, EventKind::TokenIssued, account.id, mint.dice)
            .about_service_account(Some(it.id))
            .about_credential(issued.credential.id),
    );
    changes.new_credentials.push(issued.credential.clone());
    Ok((issued, changes))
}

/// Makes a token that belongs to the account or an environment directly (`bootstrap`, and the
/// compatibility doors).
pub fn issue_direct(
    account: &Account,
    asking: &Asking<'_>,
    environment: Option<EnvironmentId>,
    new: NewToken,
    mint: &mut Mint<'_>,
) -> Result<(Issued, Changes), Refusal> {
    ensure_account_active(account)?;
    asking
        .authority
        .may_grant(&new.scopes, Reach::of(account.id, environment))?;
    within_ceiling(account, &new.scopes)?;
    let expires_at = account
        .policy
        .expiry(new.expiry, new.not_before.unwrap_or(asking.now), asking.now)
        .map_err(one_field)?;
    let owner = environment.map_or(Owner::Account, Owner::Environment);
    let draft = Draft {
        owner,
        description: new.description,
        scopes: new.scopes,
        is_primary: false,
        family: None,
        not_before: new.not_before,
        expires_at,
    };
    let issued = write_token(account, asking, draft, mint);
    let mut changes = Changes::default();
    changes.events.push(
        Event::new(asking, EventKind::TokenIssued, account.id, mint.dice)
            .about_credential(issued.credential.id),
    );
    changes.new_credentials.push(issued.credential.clone());
    Ok((issued, changes))
}

/// Replaces a credential: atomically a successor, and the old one dead at once or retiring until its
/// grace ends. `None` rotates the service account's primary.
pub fn rotate(
    view: &View,
    asking: &Asking<'_>,
    id: Option<CredentialId>,
    rotation: Rotation,
    mint: &mut Mint<'_>,
) -> Result<(Option<ServiceAccount>, Issued, Changes), Refusal> {
    let (account, now) = (view.account()?, asking.now);
    ensure_account_active(account)?;
    if let Some(it) = &view.service_account {
        it.ensure_active()?;
    }
    let old = match id {
        Some(id) => view.credential(id)?,
        None => view.primary().ok_or(Refusal::new(Code::NotFound))?,
    };
    old.ensure_active()?;
    if old.retires_at.is_some() {
        return Err(Code::RotationInProgress.into());
    }
    // What the service account has lost meanwhile is not minted again.
    let scopes: ScopeSet = match &view.service_account {
        Some(it) => old
            .scopes
            .iter()
            .filter(|scope| it.scopes.covers(scope))
            .cloned()
            .collect(),
        None => old.scopes.clone(),
    };
    asking
        .authority
        .may_mint(&scopes, view.reach_of(old.owner)?)?;
    if rotation.grace > limits::GRACE_MAX {
        return Err(Refusal::field(
            "/grace",
            FieldCode::BeyondLimit {
                max: format_span(limits::GRACE_MAX),
            },
        ));
    }
    let retiring: Vec<&Credential> = view
        .credentials
        .iter()
        .filter(|other| {
            other.family_id == old.family_id && other.id != old.id && other.is_retiring(now)
        })
        .collect();
    if !retiring.is_empty() && !rotation.grace.is_zero() {
        return Err(Code::RotationInProgress.into());
    }
    // A credential by itself gets its old lifetime again, and no more: whoever limited it meant it.
    let own = matches!(asking.by, ActorRef::Credential { id, .. } if id == old.id);
    if let (ExpiryRequest::At(end), Some(life)) = (rotation.expiry, old.lifetime())
        && own
        && !asking.authority.allows(Permission::TokensWrite)
        && end > now.plus(life)
    {
        let max = format_span(life);
        return Err(Refusal::field(
            "/expires_at",
            FieldCode::BeyondLimit { max },
        ));
    }
    let request = match (rotation.expiry, old.lifetime()) {
        (ExpiryRequest::Default, Some(life)) => ExpiryRequest::At(now.plus(life)),
        (request, _) => request,
    };
    // What is not valid yet becomes so no earlier by being rotated.
    let not_before = old.not_before.filter(|start| *start > now);
    let expires_at = account
        .policy
        .expiry(request, not_before.unwrap_or(now), now)
        .map_err(one_field)?;

    let mut changes = Changes::default();
    for predecessor in retiring {
        let mut ended = predecessor.clone();
        ended.revoke(now, asking.by, RevokeReason::Rotated);
        changes.mark_credential(&ended);
        changes.put_credentials.push(ended);
    }
    let mut replaced = old.clone();
    replaced.is_primary = false;
    if rotation.grace.is_zero() || replaced.has_ended(now) {
        replaced.revoke(now, asking.by, RevokeReason::Rotated);
    } else {
        let end = now.plus(rotation.grace);
        replaced.retires_at = Some(replaced.expires_at.map_or(end, |expiry| expiry.min(end)));
        replaced.touch(now);
    }
    changes.mark_credential(&replaced);
    let draft = Draft {
        owner: old.owner,
        description: old.description.clone(),
        scopes,
        is_primary: old.is_primary,
        family: Some(old.family_id),
        not_before,
        expires_at,
    };
    let issued = write_token(account, asking, draft, mint);
    let mut event = Event::new(asking, EventKind::TokenRotated, account.id, mint.dice)
        .about_service_account(old.owner.service_account())
        .about_credential(old.id)
        .with("successor_id", issued.credential.id.to_string());
    if let Some(end) = replaced.retires_at {
        event = event.with("retires_at", end.to_string());
    }
    changes.events.push(event);
    changes.put_credentials.push(replaced);
    changes.new_credentials.push(issued.credential.clone());
    let mut shown = view.service_account.clone();
    if let Some(it) = shown.as_mut().filter(|_| issued.credential.is_primary) {
        it.touch(now);
        changes.put_service_accounts.push(it.clone());
    }
    Ok((shown, issued, changes))
}

/// Changes a service account. Taking scopes away takes them from its tokens too, at verify.
pub fn update_service_account(
    view: &View,
    asking: &Asking<'_>,
    patch: ServiceAccountPatch,
    mint: &mut Mint<'_>,
) -> Result<(ServiceAccount, Changes), Refusal> {
    let (account, old) = (view.account()?, view.service_account()?);
    old.ensure_not_revoked()?;
    let mut it = old.clone();
    let mut changes = Changes::default();
    let mut fields: Vec<&str> = Vec::new();
    macro_rules! set {
        ($($field:ident),*) => {$( if let Some(value) = patch.$field && it.$field != value { it.$field = value; fields.push(stringify!($field)); } )*};
    }
    set!(name, description, contact_language, basic_auth_enabled);
    if let Some(environment) = patch.environment_id
        && environment != it.environment_id
    {
        it.environment_id = resolve_environment(view, environment)?;
        fields.push("environment_id");
    }
    if let Some(scopes) = patch.scopes
        && scopes != it.scopes
    {
        // Narrowing can be undone later: whoever narrows must be able to hold what was there.
        asking
            .authority
            .may_mint(&it.scopes, Reach::of(account.id, old.environment_id))?;
        let added: ScopeSet = scopes
            .iter()
            .filter(|scope| !it.scopes.covers(scope))
            .cloned()
            .collect();
        asking
            .authority
            .may_grant(&added, Reach::of(account.id, it.environment_id))?;
        within_ceiling(account, &added)?;
        it.scopes = scopes;
        fields.push("scopes");
    }
    let contact = patch
        .contact_email
        .filter(|contact| *contact != it.contact_email || it.pending_contact_email.is_some());
    if contact.is_some() || it.environment_id != old.environment_id {
        asking
            .authority
            .may_mint(&it.scopes, Reach::of(account.id, it.environment_id))?;
        asking
            .authority
            .may_mint(&old.scopes, Reach::of(account.id, old.environment_id))?;
    }
    if let Some(contact) = contact {
        contact::change(
            view,
            asking,
            &mut it,
            contact,
            mint.link_key_version,
            &mut changes,
            mint.dice,
        )?;
    }
    if it == *old && changes.is_empty() {
        return Ok((it, changes));
    }
    it.touch(asking.now);
    if !fields.is_empty() {
        changes.events.push(
            Event::new(
                asking,
                EventKind::ServiceAccountUpdated,
                account.id,
                mint.dice,
            )
            .about_service_account(Some(it.id))
            .with("fields", fields.clone()),
        );
    }
    if it.scopes != old.scopes
        || it.environment_id != old.environment_id
        || it.basic_auth_enabled != old.basic_auth_enabled
    {
        changes.mark_service_account(&it);
    }
    changes.put_service_accounts.push(it.clone());
    Ok((it, changes))
}

struct Draft {
    owner: Owner,
    description: Option<String>,
    scopes: ScopeSet,
    is_primary: bool,
    family: Option<CredentialId>,
    not_before: Option<Timestamp>,
    expires_at: Option<Timestamp>,
}

fn write_token(
    account: &Account,
    asking: &Asking<'_>,
    draft: Draft,
    mint: &mut Mint<'_>,
) -> Issued {
    let now = asking.now;
    let id = CredentialId::new(now, mint.dice);
    let seed = TokenSeed::draw(mint.dice);
    let secret = seed.write(&account.token_prefix);
    let credential = Credential {
        id,
        account_id: account.id,
        owner: draft.owner,
        kind: CredentialKind::Opaque,
        public_id: seed.public_id().to_owned(),
        prefix: account.token_prefix.as_str().to_owned(),
        last4: secret.last4(),
        sealed: mint.sealer.seal_digest(id, &secret.digest(), mint.dice),
        description: draft.description,
        scopes: draft.scopes,
        is_primary: draft.is_primary,
        family_id: draft.family.unwrap_or(id),
        status: CredentialStatus::Active,
        not_before: draft.not_before,
        expires_at: draft.expires_at,
        retires_at: None,
        end_recorded_at: None,
        created_at: now,
        created_by: asking.by,
        updated_at: now,
        version: 1,
    };
    Issued { credential, secret }
}

fn ensure_account_active(account: &Account) -> Result<(), Refusal> {
    if account.status == AccountStatus::Active {
        Ok(())
    } else {
        Err(Code::AccountSuspended.into())
    }
}

fn resolve_environment(
    view: &View,
    wanted: Option<EnvironmentId>,
) -> Result<Option<EnvironmentId>, Refusal> {
    match wanted {
        Some(id) if view.environment.as_ref().is_none_or(|found| found.id != id) => {
            Err(Refusal::field("/environment_id", FieldCode::NotFound))
        }
        wanted => Ok(wanted),
    }
}

fn within_ceiling(account: &Account, scopes: &ScopeSet) -> Result<(), Refusal> {
    let Some(ceiling) = &account.scope_ceiling else {
        return Ok(());
    };
    match scopes.application().find(|scope| !ceiling.covers(scope)) {
        Some(scope) => Err(Refusal::with(
            Code::ScopeExceeded,
            [("scope", scope.as_str().into())],
        )),
        None => Ok(()),
    }
}

fn one_field(error: FieldError) -> Refusal {
    Refusal::fields(vec![error])
}
