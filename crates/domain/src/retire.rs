//! Decisions that take away, and give back: suspend, activate, revoke, and what the sweep records.

use crate::authority::Reach;
use crate::change::{Asking, Changes, RevokedAccessToken, View};
use crate::confirmation;
use crate::credential::{Credential, CredentialStatus, RevokeReason};
use crate::dice::Dice;
use crate::event::{Event, EventKind};
use crate::id::CredentialId;
use crate::refusal::{Code, Refusal};
use crate::service_account::ServiceAccount;
use crate::time::Timestamp;

/// Why somebody did it, in their words; goes into the event.
#[derive(Debug, Clone, Default)]
pub struct Because {
    pub reason: Option<String>,
    pub note: Option<String>,
}

impl Because {
    fn on(self, mut event: Event) -> Event {
        if let Some(reason) = self.reason {
            event = event.with("reason", reason);
        }
        if let Some(note) = self.note {
            event = event.with("note", note);
        }
        event
    }
}

pub fn suspend_service_account(
    view: &View,
    asking: &Asking<'_>,
    because: Because,
    dice: &mut dyn Dice,
) -> Result<(ServiceAccount, Changes), Refusal> {
    change_service_account(
        view,
        asking,
        EventKind::ServiceAccountSuspended,
        because,
        dice,
        |it| it.suspend(asking.now),
    )
}

/// Gives its credentials back to whoever holds them: minting.
pub fn activate_service_account(
    view: &View,
    asking: &Asking<'_>,
    because: Because,
    dice: &mut dyn Dice,
) -> Result<(ServiceAccount, Changes), Refusal> {
    let it = view.service_account()?;
    asking
        .authority
        .may_mint(&it.scopes, Reach::of(it.account_id, it.environment_id))?;
    change_service_account(
        view,
        asking,
        EventKind::ServiceAccountActivated,
        because,
        dice,
        ServiceAccount::activate,
    )
}

/// Revokes a service account; its credentials are refused with it. Revoking again changes nothing.
pub fn revoke_service_account(
    view: &View,
    asking: &Asking<'_>,
    because: Because,
    dice: &mut dyn Dice,
) -> Result<(ServiceAccount, Changes), Refusal> {
    let it = view.service_account()?;
    if it.is_revoked() {
        return Ok((it.clone(), Changes::default()));
    }
    let (it, mut changes) = change_service_account(
        view,
        asking,
        EventKind::ServiceAccountRevoked,
        because,
        dice,
        |it| {
            it.revoke(asking.now, asking.by);
            it.pending_contact_email = None;
            Ok(())
        },
    )?;
    confirmation::supersede(&view.confirmations, asking.now, &mut changes);
    Ok((it, changes))
}

fn change_service_account(
    view: &View,
    asking: &Asking<'_>,
    kind: EventKind,
    because: Because,
    dice: &mut dyn Dice,
    transition: impl FnOnce(&mut ServiceAccount) -> Result<(), Refusal>,
) -> Result<(ServiceAccount, Changes), Refusal> {
    let mut it = view.service_account()?.clone();
    transition(&mut it)?;
    it.touch(asking.now);
    let mut changes = Changes::default();
    changes.events.push(
        because
            .on(Event::new(asking, kind, it.account_id, dice).about_service_account(Some(it.id))),
    );
    changes.mark_service_account(&it);
    changes.put_service_accounts.push(it.clone());
    Ok((it, changes))
}

pub fn suspend_token(
    view: &View,
    asking: &Asking<'_>,
    id: CredentialId,
    because: Because,
    dice: &mut dyn Dice,
) -> Result<(Credential, Changes), Refusal> {
    let mut credential = view.credential(id)?.clone();
    if let Some(it) = &view.service_account {
        it.ensure_not_revoked()?;
    }
    credential.suspend(asking.now)?;
    Ok(change_token(
        view,
        asking,
        credential,
        EventKind::TokenSuspended,
        because,
        dice,
    ))
}

/// Makes a suspended token work again: minting.
pub fn activate_token(
    view: &View,
    asking: &Asking<'_>,
    id: CredentialId,
    because: Because,
    dice: &mut dyn Dice,
) -> Result<(Credential, Changes), Refusal> {
    let mut credential = view.credential(id)?.clone();
    if let Some(it) = &view.service_account {
        it.ensure_not_revoked()?;
    }
    asking
        .authority
        .may_mint(&view.granted(&credential), view.reach_of(credential.owner)?)?;
    credential.activate(asking.now)?;
    Ok(change_token(
        view,
        asking,
        credential,
        EventKind::TokenActivated,
        because,
        dice,
    ))
}

/// Revokes one token. Revoking again changes nothing.
pub fn revoke_token(
    view: &View,
    asking: &Asking<'_>,
    id: CredentialId,
    because: Because,
    dice: &mut dyn Dice,
) -> Result<(Credential, Changes), Refusal> {
    let mut credential = view.credential(id)?.clone();
    if !credential.revoke(asking.now, asking.by, RevokeReason::Requested) {
        return Ok((credential, Changes::default()));
    }
    Ok(change_token(
        view,
        asking,
        credential,
        EventKind::TokenRevoked,
        because,
        dice,
    ))
}

/// Hides a revoked token at the doors that know deletion. The row stays for its retention.
pub fn delete_token(
    view: &View,
    asking: &Asking<'_>,
    id: CredentialId,
    dice: &mut dyn Dice,
) -> Result<(Credential, Changes), Refusal> {
    let owner = view.service_account.as_ref();
    let mut credential = view.credential(id)?.clone();
    if credential.deleted_at.is_some() {
        return Err(Code::NotFound.into());
    }
    if !credential
        .available_actions_under(owner.is_some_and(ServiceAccount::is_revoked))
        .delete
    {
        return Err(Code::InvalidAction.into());
    }
    credential.deleted_at = Some(asking.now);
    credential.touch(asking.now);
    let mut changes = Changes::default();
    changes.events.push(
        Event::new(asking, EventKind::TokenDeleted, credential.account_id, dice)
            .about_service_account(credential.owner.service_account())
            .about_credential(credential.id),
    );
    changes.put_credentials.push(credential.clone());
    Ok((credential, changes))
}

/// Ends one access token of a key before its time; the key stays as it is.
pub fn revoke_access_token(
    view: &View,
    asking: &Asking<'_>,
    key: CredentialId,
    token: RevokedAccessToken,
    dice: &mut dyn Dice,
) -> Result<(Credential, Changes), Refusal> {
    let credential = view.credential(key)?.clone();
    let mut changes = Changes::default();
    changes.events.push(
        Event::new(
            asking,
            EventKind::AccessTokenRevoked,
            credential.account_id,
            dice,
        )
        .about_service_account(credential.owner.service_account())
        .about_credential(credential.id)
        .with("jti", token.id.to_string()),
    );
    changes.revoked_access_tokens.push(token);
    changes.mark_access_token(token.id);
    Ok((credential, changes))
}

fn change_token(
    view: &View,
    asking: &Asking<'_>,
    credential: Credential,
    kind: EventKind,
    because: Because,
    dice: &mut dyn Dice,
) -> (Credential, Changes) {
    let mut changes = Changes::default();
    let event = Event::new(asking, kind, credential.account_id, dice)
        .about_service_account(credential.owner.service_account())
        .about_credential(credential.id);
    changes.events.push(because.on(event));
    changes.mark_credential(&credential);
    if let Some(it) = view
        .service_account
        .as_ref()
        .filter(|_| credential.is_primary)
    {
        let mut it = it.clone();
        it.touch(asking.now);
        changes.put_service_accounts.push(it);
    }
    changes.put_credentials.push(credential.clone());
    (credential, changes)
}

/// What the sweep has to record about a credential: `None` while it has not ended, or once its end was
/// recorded, or when it was revoked before. Agrees with [`crate::verdict::standing`] and with the store's
/// predicate, to the microsecond.
pub fn end_to_record(credential: &Credential, now: Timestamp) -> Option<EventKind> {
    let open = credential.end_recorded_at.is_none()
        && !matches!(credential.status, CredentialStatus::Revoked { .. });
    let end = credential.ends_at().filter(|end| open && now >= *end)?;
    Some(if credential.expires_at == Some(end) {
        EventKind::TokenExpired
    } else {
        EventKind::TokenRetired
    })
}

/// The event that records a credential's end.
pub fn end_event(
    credential: &Credential,
    kind: EventKind,
    asking: &Asking<'_>,
    dice: &mut dyn Dice,
) -> Event {
    let event = Event::new(asking, kind, credential.account_id, dice)
        .about_service_account(credential.owner.service_account())
        .about_credential(credential.id);
    match credential.ends_at() {
        Some(end) => event.with("ended_at", end.to_string()),
        None => event,
    }
}
