//! Rotations: a successor for a credential, and the end of the old one.

use super::{Draft, Grant, Issued, Limits, Mint};
use super::{ensure_account_active, ensure_room, issued_by, one_field, write_credential};
use crate::account::ExpiryRequest;
use crate::authority::{ActorRef, Reach};
use crate::change::{Asking, Changes, View};
use crate::credential::{Credential, Owner, RevokeReason};
use crate::event::{Event, EventKind};
use crate::id::CredentialId;
use crate::limits;
use crate::refusal::{Code, FieldCode, Refusal};
use crate::scope::Permission;
use crate::service_account::ServiceAccount;
use crate::time::format_span;
use crate::token_text::TokenPrefix;
use std::time::Duration;

/// A rotation as asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rotation {
    /// How long the old token goes on; zero ends it at once.
    pub grace: Duration,
    pub expiry: ExpiryRequest,
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
        limits: Limits::of(old),
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
        // Whoever limited the one before meant the service account's token, whichever it is.
        limits: view.primary().map(Limits::of).unwrap_or_default(),
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
