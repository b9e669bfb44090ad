//! Changes of a service account: what it is called, may do, belongs to, and who is asked about it.

use super::{Mint, resolve_environment, within_ceiling};
use crate::authority::Reach;
use crate::change::{Asking, Changes, View};
use crate::contact;
use crate::event::{Event, EventKind};
use crate::id::EnvironmentId;
use crate::label::{EmailAddress, Language, Name};
use crate::refusal::Refusal;
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
