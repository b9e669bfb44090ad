//! Changes of what is there: what a service account is called, may do and belongs to, and who is asked
//! about it; from where and how often a credential may be used.

use super::{Mint, resolve_environment, within_ceiling};
use crate::authority::Reach;
use crate::change::{Asking, Changes, View};
use crate::contact;
use crate::credential::Credential;
use crate::dice::Dice;
use crate::event::{Event, EventKind};
use crate::id::{CredentialId, EnvironmentId};
use crate::label::{EmailAddress, Language, Name};
use crate::network::AllowedNetworks;
use crate::rate::RateLimit;
use crate::refusal::{Code, Refusal};
use crate::scope::ScopeSet;
use crate::service_account::ServiceAccount;

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
    /// Of its primary token.
    pub allowed_networks: Option<AllowedNetworks>,
    /// Of its primary token.
    pub rate_limit: Option<Option<RateLimit>>,
}

/// What may be changed about a credential; `None` leaves as it is.
#[derive(Debug, Clone, Default)]
pub struct TokenPatch {
    pub description: Option<Option<String>>,
    pub allowed_networks: Option<AllowedNetworks>,
    pub rate_limit: Option<Option<RateLimit>>,
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
    let limits = TokenPatch {
        description: None,
        allowed_networks: patch.allowed_networks,
        rate_limit: patch.rate_limit,
    };
    if limits.allowed_networks.is_some() || limits.rate_limit.is_some() {
        let primary = view.primary().ok_or(Code::InvalidAction)?;
        changes.append(amended(view, asking, primary, limits, mint.dice)?.1);
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
    if it.name != old.name
        || it.scopes != old.scopes
        || it.environment_id != old.environment_id
        || it.basic_auth_enabled != old.basic_auth_enabled
    {
        changes.mark_service_account(&it);
    }
    changes.put_service_accounts.push(it.clone());
    Ok((it, changes))
}

/// Changes a token or key: what it is called, and from where and how often it may be used.
pub fn update_token(
    view: &View,
    asking: &Asking<'_>,
    id: CredentialId,
    patch: TokenPatch,
    dice: &mut dyn Dice,
) -> Result<(Credential, Changes), Refusal> {
    if let Some(it) = &view.service_account {
        it.ensure_not_revoked()?;
    }
    let (credential, mut changes) = amended(view, asking, view.credential(id)?, patch, dice)?;
    if let Some(it) = &view.service_account
        && credential.is_primary
        && !changes.is_empty()
    {
        // The service account shows its primary token's fields as its own.
        let mut it = it.clone();
        it.touch(asking.now);
        changes.put_service_accounts.push(it);
    }
    Ok((credential, changes))
}

fn amended(
    view: &View,
    asking: &Asking<'_>,
    old: &Credential,
    patch: TokenPatch,
    dice: &mut dyn Dice,
) -> Result<(Credential, Changes), Refusal> {
    if old.is_revoked() {
        return Err(Code::TokenRevoked.into());
    }
    let mut it = old.clone();
    let mut fields: Vec<&str> = Vec::new();
    macro_rules! set {
        ($($field:ident),*) => {$( if let Some(value) = patch.$field && it.$field != value { it.$field = value; fields.push(stringify!($field)); } )*};
    }
    set!(description, allowed_networks, rate_limit);
    let mut changes = Changes::default();
    if fields.is_empty() {
        return Ok((it, changes));
    }
    if fields != ["description"] {
        // A wider limit is more power to whoever holds it; a narrower one can be widened again.
        asking
            .authority
            .may_mint(&view.granted(old), view.reach_of(old.owner)?)?;
    }
    it.touch(asking.now);
    changes.events.push(
        Event::new(asking, EventKind::TokenUpdated, it.account_id, dice)
            .about_service_account(it.owner.service_account())
            .about_credential(it.id)
            .with("fields", fields.clone()),
    );
    if fields != ["description"] {
        changes.mark_credential(&it);
    }
    changes.put_credentials.push(it.clone());
    Ok((it, changes))
}
