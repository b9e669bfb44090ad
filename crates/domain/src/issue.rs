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
use crate::label::{EmailAddress, Language, Name, Username};
use crate::limits;
use crate::refusal::{Code, FieldCode, FieldError, Refusal};
use crate::scope::{Permission, ScopeSet};
use crate::secret::{ApiTokenClaims, Minted, Sealer, TokenSigner};
use crate::service_account::{ContactState, ServiceAccount, ServiceAccountStatus};
use crate::time::{Timestamp, format_span};
use crate::token_text::{TokenPrefix, TokenSeed};
use std::time::Duration;

/// What a minting decision needs beside the view: the dice and the seal.
pub struct Mint<'a> {
    pub dice: &'a mut dyn Dice,
    pub sealer: &'a dyn Sealer,
    /// Writes the texts of `jwt` credentials; only loaded where one may be made.
    pub signer: Option<&'a dyn TokenSigner>,
    /// The version of the link key that new confirmations are signed with.
    pub link_key_version: i32,
}

/// A service account as asked for.
#[derive(Debug, Clone)]
pub struct NewServiceAccount {
    pub name: Name,
    /// Refuses a name that another one in force has.
    pub name_is_exclusive: bool,
    pub username: Option<Username>,
    /// Whether a primary token comes with it.
    pub first_token: bool,
    pub description: Option<String>,
    pub contact_email: Option<EmailAddress>,
    pub contact_language: Language,
    pub environment_id: Option<EnvironmentId>,
    pub scopes: ScopeSet,
    pub basic_auth_enabled: bool,
    /// Of the first token.
    pub expiry: ExpiryRequest,
    /// The address of the user who asks, where a user does.
    pub creator_email: Option<EmailAddress>,
}

impl NewServiceAccount {
    /// One with this name and its first token, and nothing else said.
    pub fn named(name: Name) -> Self {
        Self {
            name,
            name_is_exclusive: false,
            username: None,
            first_token: true,
            description: None,
            contact_email: None,
            contact_language: Language::default(),
            environment_id: None,
            scopes: ScopeSet::default(),
            basic_auth_enabled: false,
            expiry: ExpiryRequest::default(),
            creator_email: None,
        }
    }
}

/// What a credential is granted.
#[derive(Debug, Clone)]
pub enum Grant {
    Only(ScopeSet),
    /// Whatever its service account may do at the time.
    Inherit,
}

impl Default for Grant {
    /// Omitted scopes are none.
    fn default() -> Self {
        Self::Only(ScopeSet::default())
    }
}

/// A further token or key as asked for.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// Service accounts have opaque ones and keys; accounts and environments opaque ones and JWTs.
    pub kind: CredentialKind,
    pub description: Option<String>,
    /// Refuses a description that another one of the owner's has.
    pub description_is_exclusive: bool,
    pub expiry: ExpiryRequest,
    pub not_before: Option<Timestamp>,
    pub grant: Grant,
    /// What its text begins with, where not with the account's prefix.
    pub prefix: Option<TokenPrefix>,
}

impl Default for NewToken {
    fn default() -> Self {
        Self {
            kind: CredentialKind::Opaque,
            description: None,
            description_is_exclusive: false,
            expiry: ExpiryRequest::default(),
            not_before: None,
            grant: Grant::default(),
            prefix: None,
        }
    }
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

/// Makes a service account, as a rule with its primary token.
pub fn create_service_account(
    view: &View,
    asking: &Asking<'_>,
    new: NewServiceAccount,
    mint: &mut Mint<'_>,
) -> Result<(ServiceAccount, Option<Issued>, Changes), Refusal> {
    let account = view.account()?;
    ensure_account_active(account)?;
    if new.name_is_exclusive && view.name_taken {
        return Err(Code::NameTaken.into());
    }
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
        name_is_exclusive: new.name_is_exclusive,
        username: new.username,
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
    let issued = if new.first_token {
        let draft = Draft {
            grant: Grant::Only(new.scopes),
            is_primary: true,
            expires_at,
            ..Draft::of(Owner::ServiceAccount(it.id))
        };
        Some(write_credential(account, asking, draft, mint)?)
    } else {
        None
    };
    confirmation::ask(
        &it,
        emails,
        is_fallback,
        mint.link_key_version,
        now,
        &mut changes,
        mint.dice,
    );
    let mut event = Event::new(
        asking,
        EventKind::ServiceAccountCreated,
        account.id,
        mint.dice,
    )
    .about_service_account(Some(it.id));
    changes.new_service_accounts.push(it.clone());
    if let Some(issued) = &issued {
        event = event.about_credential(issued.credential.id);
        changes.new_credentials.push(issued.credential.clone());
    }
    changes.events.push(event);
    Ok((it, issued, changes))
}

/// Makes a further token or key of a service account.
pub fn issue_token(
    view: &View,
    asking: &Asking<'_>,
    new: NewToken,
    mint: &mut Mint<'_>,
) -> Result<(Issued, Changes), Refusal> {
    let (account, it) = (view.account()?, view.service_account()?);
    ensure_account_active(account)?;
    it.ensure_active()?;
    let granted = match &new.grant {
        Grant::Only(scopes) => scopes,
        Grant::Inherit => &it.scopes,
    };
    asking
        .authority
        .may_grant(granted, Reach::of(account.id, it.environment_id))?;
    if let Some(scope) = granted.iter().find(|scope| !it.scopes.covers(scope)) {
        return Err(Refusal::with(
            Code::ScopeExceeded,
            [("scope", scope.as_str().into())],
        ));
    }
    within_ceiling(account, granted)?;
    let start = new.not_before.unwrap_or(asking.now);
    let expires_at = account
        .policy
        .expiry(new.expiry, start, asking.now)
        .map_err(one_field)?;
    if expires_at.is_some_and(|end| end <= start) {
        return Err(Refusal::field("/not_before", FieldCode::BeforeStart));
    }
    ensure_room(view, account, asking.now)?;
    if new.description_is_exclusive && view.description_taken {
        return Err(Code::DescriptionTaken.into());
    }
    let draft = Draft {
        kind: new.kind,
        prefix: new.prefix,
        description: new.description,
        grant: new.grant,
        not_before: new.not_before,
        expires_at,
        ..Draft::of(Owner::ServiceAccount(it.id))
    };
    let issued = write_credential(account, asking, draft, mint)?;
    let changes = issued_by(&issued, asking, account, mint);
    Ok((issued, changes))
}

/// Makes a token that belongs to the account or an environment directly (`bootstrap`, and the
/// compatibility doors). `environment` has to be one of the account's.
pub fn issue_direct(
    account: &Account,
    asking: &Asking<'_>,
    environment: Option<EnvironmentId>,
    new: NewToken,
    mint: &mut Mint<'_>,
) -> Result<(Issued, Changes), Refusal> {
    ensure_account_active(account)?;
    let Grant::Only(granted) = &new.grant else {
        // There is nobody to inherit from.
        return Err(Code::InvalidAction.into());
    };
    asking
        .authority
        .may_grant(granted, Reach::of(account.id, environment))?;
    within_ceiling(account, granted)?;
    let expires_at = account
        .policy
        .expiry(new.expiry, new.not_before.unwrap_or(asking.now), asking.now)
        .map_err(one_field)?;
    let draft = Draft {
        kind: new.kind,
        prefix: new.prefix,
        description: new.description,
        grant: new.grant,
        not_before: new.not_before,
        expires_at,
        ..Draft::of(environment.map_or(Owner::Account, Owner::Environment))
    };
    let issued = write_credential(account, asking, draft, mint)?;
    let changes = issued_by(&issued, asking, account, mint);
    Ok((issued, changes))
}

/// As [`issue_direct`], with the environment looked up in the view.
pub fn issue_direct_within(
    view: &View,
    asking: &Asking<'_>,
    environment: Option<EnvironmentId>,
    new: NewToken,
    mint: &mut Mint<'_>,
) -> Result<(Issued, Changes), Refusal> {
    let environment = resolve_environment(view, environment)?;
    issue_direct(view.account()?, asking, environment, new, mint)
}

fn ensure_room(view: &View, account: &Account, now: Timestamp) -> Result<(), Refusal> {
    let live = view
        .credentials
        .iter()
        .filter(|credential| credential.counts(now))
        .count();
    let limit = account.policy.tokens_per_service_account;
    if live >= usize::try_from(limit).unwrap_or(0) {
        return Err(Refusal::with(
            Code::TokenLimitReached,
            [("limit", limit.to_string())],
        ));
    }
    Ok(())
}

fn issued_by(
    issued: &Issued,
    asking: &Asking<'_>,
    account: &Account,
    mint: &mut Mint<'_>,
) -> Changes {
    let mut changes = Changes::default();
    changes.events.push(
        Event::new(asking, EventKind::TokenIssued, account.id, mint.dice)
            .about_service_account(issued.credential.owner.service_account())
            .about_credential(issued.credential.id),
    );
    changes.new_credentials.push(issued.credential.clone());
    changes
}

/// Replaces a credential: atomically a successor, and the old one dead at once or retiring until its
/// grace ends. `None` rotates the service account's primary; where it has none in force, it gets a new one.
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
        None => match view.primary() {
            Some(primary) if !primary.is_revoked() => primary,
            _ => return new_primary(view, asking, rotation.expiry, mint),
        },
    };
    old.ensure_active()?;
    if old.retires_at.is_some() {
        return Err(Code::RotationInProgress.into());
    }
    // What the service account has lost meanwhile is not minted again.
    let scopes = view.granted(old);
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
    let grant = if old.inherits_scopes {
        Grant::Inherit
    } else {
        Grant::Only(scopes)
    };
    let draft = Draft {
        kind: old.kind,
        // The account's prefix may have changed meanwhile; the dialect's stays.
        prefix: Some(TokenPrefix::user()).filter(|it| it.as_str() == old.prefix),
        description: old.description.clone(),
        grant,
        is_primary: old.is_primary,
        family: Some(old.family_id),
        not_before,
        expires_at,
        ..Draft::of(old.owner)
    };
    let issued = write_credential(account, asking, draft, mint)?;
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
    if it.basic_auth_enabled && !old.basic_auth_enabled {
        // Another way in for whoever holds its keys; switching it off only takes away.
        asking
            .authority
            .may_mint(&old.scopes, Reach::of(account.id, old.environment_id))?;
    }
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
    kind: CredentialKind,
    prefix: Option<TokenPrefix>,
    description: Option<String>,
    grant: Grant,
    is_primary: bool,
    family: Option<CredentialId>,
    not_before: Option<Timestamp>,
    expires_at: Option<Timestamp>,
}

impl Draft {
    fn of(owner: Owner) -> Self {
        Self {
            owner,
            kind: CredentialKind::Opaque,
            prefix: None,
            description: None,
            grant: Grant::default(),
            is_primary: false,
            family: None,
            not_before: None,
            expires_at: None,
        }
    }
}

/// What the texts of our JWTs begin with: the head of every JOSE header.
const JWT_PREFIX: &str = "eyJ";

fn write_credential(
    account: &Account,
    asking: &Asking<'_>,
    draft: Draft,
    mint: &mut Mint<'_>,
) -> Result<Issued, Refusal> {
    let now = asking.now;
    let id = CredentialId::new(now, mint.dice);
    let seed = TokenSeed::draw(mint.dice);
    let (scopes, inherits_scopes) = match draft.grant {
        Grant::Only(scopes) => (scopes, false),
        Grant::Inherit => (ScopeSet::default(), true),
    };
    let (prefix, secret) = match draft.kind {
        CredentialKind::Opaque | CredentialKind::Key => {
            let prefix = draft.prefix.unwrap_or(account.token_prefix.clone());
            let secret = seed.write(&prefix);
            (String::from(prefix), secret)
        }
        CredentialKind::Jwt => {
            let signer = mint.signer.ok_or(Refusal::new(Code::Unavailable))?;
            let secret = signer.sign_api_token(&ApiTokenClaims {
                jti: seed.public_id(),
                account: account.id,
                environment: draft.owner.environment(),
                scopes: &scopes,
                issued_at: now,
                not_before: draft.not_before,
                expires_at: draft.expires_at,
            });
            (JWT_PREFIX.to_owned(), secret)
        }
    };
    let sealed_secret = (draft.kind == CredentialKind::Key)
        .then(|| mint.sealer.seal_secret(id, &secret, mint.dice));
    let credential = Credential {
        id,
        account_id: account.id,
        owner: draft.owner,
        kind: draft.kind,
        public_id: seed.public_id().to_owned(),
        prefix,
        last4: secret.last4(),
        sealed: mint.sealer.seal_digest(id, &secret.digest(), mint.dice),
        sealed_secret,
        description: draft.description,
        scopes,
        inherits_scopes,
        is_primary: draft.is_primary,
        family_id: draft.family.unwrap_or(id),
        status: CredentialStatus::Active,
        not_before: draft.not_before,
        expires_at: draft.expires_at,
        retires_at: None,
        end_recorded_at: None,
        deleted_at: None,
        created_at: now,
        created_by: asking.by,
        updated_at: now,
        version: 1,
    };
    Ok(Issued { credential, secret })
}

/// A primary token for a service account that was made without one, or whose was revoked by itself.
fn new_primary(
    view: &View,
    asking: &Asking<'_>,
    expiry: ExpiryRequest,
    mint: &mut Mint<'_>,
) -> Result<(Option<ServiceAccount>, Issued, Changes), Refusal> {
    let (account, it) = (view.account()?, view.service_account()?);
    asking
        .authority
        .may_mint(&it.scopes, Reach::of(account.id, it.environment_id))?;
    let expires_at = account
        .policy
        .expiry(expiry, asking.now, asking.now)
        .map_err(one_field)?;
    ensure_room(view, account, asking.now)?;
    let draft = Draft {
        grant: Grant::Only(it.scopes.clone()),
        is_primary: true,
        expires_at,
        ..Draft::of(Owner::ServiceAccount(it.id))
    };
    let issued = write_credential(account, asking, draft, mint)?;
    let mut changes = issued_by(&issued, asking, account, mint);
    if let Some(revoked) = view.primary() {
        let mut revoked = revoked.clone();
        revoked.is_primary = false;
        revoked.touch(asking.now);
        changes.put_credentials.push(revoked);
    }
    let mut shown = it.clone();
    shown.touch(asking.now);
    changes.put_service_accounts.push(shown.clone());
    Ok((Some(shown), issued, changes))
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
