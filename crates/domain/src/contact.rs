//! Changing whom a service account answers to. The address in force stays until the new one confirms.

use crate::change::{Asking, Changes, View};
use crate::confirmation::{self, ConfirmationState};
use crate::dice::Dice;
use crate::event::{Event, EventKind};
use crate::id::ConfirmationId;
use crate::label::EmailAddress;
use crate::refusal::{FieldCode, Refusal};
use crate::service_account::{ContactState, ServiceAccount};

/// Applies a new contact to `it` (already loaded for change); `None` falls back to the ops addresses.
/// Asking for a mail counts against the limits of resending.
pub fn change(
    view: &View,
    asking: &Asking<'_>,
    it: &mut ServiceAccount,
    contact: Option<EmailAddress>,
    key_version: i32,
    changes: &mut Changes,
    dice: &mut dyn Dice,
) -> Result<(), Refusal> {
    let same_address = it.contact_email == contact;
    if same_address && it.pending_contact_email.is_none() {
        return Ok(());
    }
    if it.pending_contact_email.is_some() && it.pending_contact_email == contact {
        return Ok(());
    }
    confirmation::supersede(&view.confirmations, asking.now, changes);
    it.pending_contact_email = None;
    let event = Event::new(asking, EventKind::ContactChanged, it.account_id, dice)
        .about_service_account(Some(it.id));
    match contact {
        // Back to the address in force: only the waiting one is dropped.
        Some(_) if same_address && it.contact_state == ContactState::Confirmed => {
            changes.events.push(event.with("change", "pending_dropped"));
        }
        Some(address) if confirmation::is_disowned(&view.confirmations, &address) => {
            return Err(Refusal::field("/contact_email", FieldCode::Disowned));
        }
        Some(address) => {
            confirmation::count_resend(it, asking.now)?;
            if it.contact_state == ContactState::Confirmed && it.contact_email.is_some() {
                it.pending_contact_email = Some(address.clone());
                changes.events.push(event.with("change", "pending"));
            } else {
                it.contact_email = Some(address.clone());
                it.contact_state = ContactState::Pending;
                changes.events.push(event.with("change", "replaced"));
            }
            confirmation::ask(
                it,
                vec![address],
                false,
                key_version,
                asking.now,
                changes,
                dice,
            );
        }
        None => {
            it.contact_email = None;
            it.contact_state = ContactState::None;
            changes.events.push(event.with("change", "removed"));
        }
    }
    Ok(())
}

/// Somebody (or, later, a mail server) says that mail to the contact does not arrive.
pub fn undeliverable(
    view: &View,
    asking: &Asking<'_>,
    detail: Option<&str>,
    dice: &mut dyn Dice,
) -> Result<(ServiceAccount, Changes), Refusal> {
    let mut it = view.service_account()?.clone();
    it.ensure_not_revoked()?;
    let mut changes = Changes::default();
    let waiting = view
        .confirmations
        .iter()
        .any(|c| c.state == ConfirmationState::Pending);
    if it.contact_state == ContactState::Undeliverable && !waiting {
        return Ok((it, changes));
    }
    // A new address that bounces says nothing about the one in force.
    if it.pending_contact_email.take().is_none() {
        it.contact_state = ContactState::Undeliverable;
    }
    confirmation::supersede(&view.confirmations, asking.now, &mut changes);
    it.touch(asking.now);
    let mut event = Event::new(asking, EventKind::ContactUndeliverable, it.account_id, dice)
        .about_service_account(Some(it.id));
    if let Some(detail) = detail {
        event = event.with("detail", detail);
    }
    changes.events.push(event);
    changes.put_service_accounts.push(it.clone());
    Ok((it, changes))
}

/// The mail server of one address says that it does not exist.
pub fn bounced(
    view: &View,
    asking: &Asking<'_>,
    id: ConfirmationId,
    dice: &mut dyn Dice,
) -> Result<Changes, Refusal> {
    let confirmation = view.confirmation(id)?.clone();
    let mut it = view.service_account()?.clone();
    let mut changes = Changes::default();
    if confirmation.state != ConfirmationState::Pending {
        return Ok(changes);
    }
    confirmation::supersede(
        std::slice::from_ref(&confirmation),
        asking.now,
        &mut changes,
    );
    let others = view
        .confirmations
        .iter()
        .any(|c| c.id != id && c.state == ConfirmationState::Pending);
    if it.pending_contact_email.as_ref() == Some(&confirmation.email) {
        it.pending_contact_email = None;
    } else if !others {
        it.contact_state = ContactState::Undeliverable;
    }
    it.touch(asking.now);
    changes.events.push(
        Event::new(asking, EventKind::ContactUndeliverable, it.account_id, dice)
            .about_service_account(Some(it.id))
            .with("confirmation_id", id.to_string()),
    );
    changes.put_service_accounts.push(it);
    Ok(changes)
}
