//! Decisions that make credentials: a service account with its first token, further tokens and keys;
//! rotations and changes of the service account in rooms of their own.

mod amend;
mod rotation;

pub use amend::{ServiceAccountPatch, TokenPatch, update_service_account, update_token};
pub use rotation::{Rotation, rotate};

use crate::account::{Account, AccountStatus, ExpiryRequest};
use crate::authority::Reach;
use crate::change::{Asking, Changes, View};
use crate::confirmation;
use crate::credential::{Credential, CredentialKind, CredentialStatus, Owner};
use crate::dice::Dice;
use crate::event::{Event, EventKind};
use crate::id::{CredentialId, EnvironmentId, ServiceAccountId};
use crate::label::{EmailAddress, Language, Name, Username};
use crate::network::AllowedNetworks;
use crate::rate::RateLimit;
use crate::refusal::{Code, FieldCode, FieldError, Refusal};
use crate::scope::ScopeSet;
use crate::secret::{ApiTokenClaims, Minted, Sealer, TokenSigner};
use crate::service_account::{ContactState, ServiceAccount, ServiceAccountStatus};
use crate::time::Timestamp;
use crate::token_text::{TokenPrefix, TokenSeed};

/// What a minting decision needs beside the view: the dice and the seal.
pub struct Mint<'a> {
    pub dice: &'a mut dyn Dice,
    pub sealer: &'a dyn Sealer,
    /// Writes the texts of `jwt` credentials; only loaded where one may be made.
    pub signer: Option<&'a dyn TokenSigner>,
    /// The version of the link key that new confirmations are signed with.
    pub link_key_version: i32,
}

/// From where and how often a credential may be used; as a rule from everywhere, and ever so often.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    pub allowed_networks: AllowedNetworks,
    pub rate_limit: Option<RateLimit>,
}

impl Limits {
    fn of(credential: &Credential) -> Self {
        Self {
            allowed_networks: credential.allowed_networks.clone(),
            rate_limit: credential.rate_limit,
        }
    }
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
    /// Of the first token.
    pub limits: Limits,
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
            limits: Limits::default(),
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
    pub limits: Limits,
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
            limits: Limits::default(),
            prefix: None,
        }
    }
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
            limits: new.limits,
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
        limits: new.limits,
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
        limits: new.limits,
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

struct Draft {
    owner: Owner,
    kind: CredentialKind,
    prefix: Option<TokenPrefix>,
    description: Option<String>,
    grant: Grant,
    limits: Limits,
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
            limits: Limits::default(),
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
        allowed_networks: draft.limits.allowed_networks,
        rate_limit: draft.limits.rate_limit,
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
