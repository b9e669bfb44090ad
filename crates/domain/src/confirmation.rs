//! One mailed request to confirm a contact: who gets it, how often, and what the link's holder may do.

use crate::account::Account;
use crate::change::{Asking, Changes, View};
use crate::dice::Dice;
use crate::event::{Event, EventKind};
use crate::id::{AccountId, ConfirmationId, ServiceAccountId};
use crate::job::{Job, NewJob};
use crate::label::{EmailAddress, Language};
use crate::limits;
use crate::refusal::{Code, Refusal};
use crate::service_account::{ContactState, ServiceAccount};
use crate::time::Timestamp;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfirmationState {
    Pending,
    Confirmed,
    /// The address's reader said "this is not mine": no more mail.
    Disowned,
    /// Another address, or another confirmation, took its place.
    Superseded,
}

impl ConfirmationState {
    pub const ALL: [Self; 4] = [
        Self::Pending,
        Self::Confirmed,
        Self::Disowned,
        Self::Superseded,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Confirmed => "confirmed",
            Self::Disowned => "disowned",
            Self::Superseded => "superseded",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmation {
    pub id: ConfirmationId,
    pub account_id: AccountId,
    pub service_account_id: ServiceAccountId,
    pub email: EmailAddress,
    pub language: Language,
    /// Sent to the account's ops addresses (or the creating user) because the request named no contact.
    pub is_fallback: bool,
    pub state: ConfirmationState,
    /// Counts the mails asked for. Every link up to this generation works while the state is pending.
    pub generation: i32,
    /// The version of the link key that signs its links.
    pub key_version: i32,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub decided_at: Option<Timestamp>,
    pub version: i64,
}

impl Confirmation {
    /// Whether its link may still be used, or why not.
    pub fn ensure_open(&self, generation: i32, now: Timestamp) -> Result<(), Refusal> {
        if !(1..=self.generation).contains(&generation) {
            return Err(Code::LinkUnknown.into());
        }
        match self.state {
            ConfirmationState::Confirmed | ConfirmationState::Disowned => {
                Err(Code::LinkUsed.into())
            }
            ConfirmationState::Superseded => Err(Code::LinkExpired.into()),
            ConfirmationState::Pending if now >= self.expires_at => Err(Code::LinkExpired.into()),
            ConfirmationState::Pending => Ok(()),
        }
    }

    fn decide(&mut self, state: ConfirmationState, now: Timestamp) {
        self.state = state;
        self.decided_at = Some(now);
        self.version += 1;
    }
}

/// Whom to ask about a service account: its contact, else the account's ops addresses, else the user who
/// made it.
pub fn recipients(
    contact: Option<&EmailAddress>,
    account: &Account,
    creator: Option<&EmailAddress>,
) -> (Vec<EmailAddress>, bool) {
    match contact {
        Some(contact) => (vec![contact.clone()], false),
        None if !account.ops_addresses.is_empty() => (account.ops_addresses.clone(), true),
        None => (creator.cloned().into_iter().collect(), true),
    }
}

/// Asks `emails` to confirm that they are the contact of `it`: a row, a mail and a reminder each.
pub fn ask(
    it: &ServiceAccount,
    emails: Vec<EmailAddress>,
    is_fallback: bool,
    key_version: i32,
    now: Timestamp,
    changes: &mut Changes,
    dice: &mut dyn Dice,
) {
    for email in emails {
        let confirmation = Confirmation {
            id: ConfirmationId::new(now, dice),
            account_id: it.account_id,
            service_account_id: it.id,
            email,
            language: it.contact_language,
            is_fallback,
            state: ConfirmationState::Pending,
            generation: 1,
            key_version,
            created_at: now,
            expires_at: now.plus(limits::CONFIRMATION_LIFE),
            decided_at: None,
            version: 1,
        };
        changes.jobs.push(NewJob::new(
            Job::ConfirmEmail {
                confirmation_id: confirmation.id,
                generation: 1,
            },
            now,
            now,
            dice,
        ));
        changes.jobs.push(NewJob::new(
            Job::ConfirmationReminder {
                confirmation_id: confirmation.id,
            },
            now,
            now.plus(limits::CONFIRMATION_REMINDER),
            dice,
        ));
        changes.new_confirmations.push(confirmation);
    }
}

/// Whether this address's reader said about this service account that it is not theirs: then it gets no
/// more mail about it.
pub fn is_disowned(known: &[Confirmation], email: &EmailAddress) -> bool {
    let said_so = |it: &Confirmation| it.state == ConfirmationState::Disowned;
    known.iter().any(|it| said_so(it) && it.email == *email)
}

/// Puts the pending ones of a service account out of force.
pub fn supersede(pending: &[Confirmation], now: Timestamp, changes: &mut Changes) {
    for confirmation in pending
        .iter()
        .filter(|it| it.state == ConfirmationState::Pending)
    {
        let mut next = confirmation.clone();
        next.decide(ConfirmationState::Superseded, now);
        changes.put_confirmations.push(next);
    }
}

/// Counts one more mail asked for by a person: at most one a minute and ten a day per service account.
pub fn count_resend(it: &mut ServiceAccount, now: Timestamp) -> Result<(), Refusal> {
    let limited =
        |until: Timestamp| Err(Refusal::new(Code::ResendLimited).retry_after(until.since(now)));
    if let Some(last) = it.resent_at
        && now < last.plus(limits::RESEND_PAUSE)
    {
        return limited(last.plus(limits::RESEND_PAUSE));
    }
    match it.resend_window_at {
        Some(start) if now < start.plus(limits::RESEND_WINDOW) => {
            if it.resends >= limits::RESENDS_A_DAY {
                return limited(start.plus(limits::RESEND_WINDOW));
            }
            it.resends += 1;
        }
        _ => {
            it.resend_window_at = Some(now);
            it.resends = 1;
        }
    }
    it.resent_at = Some(now);
    Ok(())
}

/// Sends the pending confirmations once more; where the contact was found undeliverable or has run out,
/// asks anew. Older links keep working while theirs is pending.
pub fn resend(
    view: &View,
    asking: &Asking<'_>,
    key_version: i32,
    creator: Option<&EmailAddress>,
    dice: &mut dyn Dice,
) -> Result<(ServiceAccount, Changes), Refusal> {
    let mut it = view.service_account()?.clone();
    it.ensure_not_revoked()?;
    let mut changes = Changes::default();
    let pending: Vec<&Confirmation> = view
        .confirmations
        .iter()
        .filter(|c| c.state == ConfirmationState::Pending)
        .collect();
    if pending.is_empty() {
        if it.contact_state == ContactState::Confirmed {
            return Err(Code::NothingToConfirm.into());
        }
        let (mut emails, is_fallback) =
            recipients(it.contact_email.as_ref(), view.account()?, creator);
        emails.retain(|email| !is_disowned(&view.confirmations, email));
        if emails.is_empty() {
            return Err(Code::NothingToConfirm.into());
        }
        count_resend(&mut it, asking.now)?;
        it.contact_state = ContactState::Pending;
        ask(
            &it,
            emails,
            is_fallback,
            key_version,
            asking.now,
            &mut changes,
            dice,
        );
    } else {
        count_resend(&mut it, asking.now)?;
        for confirmation in pending {
            let mut next = confirmation.clone();
            next.generation += 1;
            next.expires_at = asking.now.plus(limits::CONFIRMATION_LIFE);
            next.version += 1;
            let job = Job::ConfirmEmail {
                confirmation_id: next.id,
                generation: next.generation,
            };
            changes
                .jobs
                .push(NewJob::new(job, asking.now, asking.now, dice));
            changes.put_confirmations.push(next);
        }
    }
    it.touch(asking.now);
    changes.events.push(
        Event::new(
            asking,
            EventKind::ConfirmationRequested,
            it.account_id,
            dice,
        )
        .about_service_account(Some(it.id)),
    );
    changes.put_service_accounts.push(it.clone());
    Ok((it, changes))
}

/// The button on the page: the contact is theirs. Single use.
pub fn confirm(
    view: &View,
    asking: &Asking<'_>,
    id: ConfirmationId,
    generation: i32,
    dice: &mut dyn Dice,
) -> Result<(ServiceAccount, Changes), Refusal> {
    let mut confirmation = view.confirmation(id)?.clone();
    confirmation.ensure_open(generation, asking.now)?;
    let mut it = view.service_account()?.clone();
    it.ensure_not_revoked()
        .map_err(|_| Refusal::new(Code::LinkExpired))?;
    let mut changes = Changes::default();
    confirmation.decide(ConfirmationState::Confirmed, asking.now);
    if !confirmation.is_fallback {
        it.contact_email = Some(confirmation.email.clone());
    }
    it.pending_contact_email = None;
    it.contact_state = ContactState::Confirmed;
    it.contact_confirmed_at = Some(asking.now);
    it.touch(asking.now);
    let others: Vec<Confirmation> = view
        .confirmations
        .iter()
        .filter(|other| other.id != id)
        .cloned()
        .collect();
    supersede(&others, asking.now, &mut changes);
    changes.events.push(
        Event::new(asking, EventKind::ContactConfirmed, it.account_id, dice)
            .about_service_account(Some(it.id))
            .with("confirmation_id", id.to_string()),
    );
    changes.mark_service_account(&it);
    changes.put_confirmations.push(confirmation);
    changes.put_service_accounts.push(it.clone());
    Ok((it, changes))
}

/// "This is not mine": no more mail to this address about this service account.
pub fn disown(
    view: &View,
    asking: &Asking<'_>,
    id: ConfirmationId,
    generation: i32,
    dice: &mut dyn Dice,
) -> Result<(ServiceAccount, Changes), Refusal> {
    let mut confirmation = view.confirmation(id)?.clone();
    confirmation.ensure_open(generation, asking.now)?;
    let mut it = view.service_account()?.clone();
    let mut changes = Changes::default();
    confirmation.decide(ConfirmationState::Disowned, asking.now);
    if it.pending_contact_email.as_ref() == Some(&confirmation.email) {
        it.pending_contact_email = None;
    } else {
        let others_pending = view
            .confirmations
            .iter()
            .any(|other| other.id != id && other.state == ConfirmationState::Pending);
        if !others_pending {
            it.contact_state = ContactState::Undeliverable;
        }
    }
    it.touch(asking.now);
    changes.events.push(
        Event::new(asking, EventKind::ContactDisowned, it.account_id, dice)
            .about_service_account(Some(it.id))
            .with("confirmation_id", id.to_string()),
    );
    changes.put_confirmations.push(confirmation);
    changes.put_service_accounts.push(it.clone());
    Ok((it, changes))
}
