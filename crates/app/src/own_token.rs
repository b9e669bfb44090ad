//! What the holder of a credential may do with it, whatever it is granted: replace it, and end it.

use crate::App;
use crate::actor::{Actor, Call};
use crate::change::{Replayed, Revealed};
use crate::error::Result;
use crate::tokens::{CredentialRecord, target_of};
use symbolon_domain::change::Target;
use symbolon_domain::issue::Rotation;
use symbolon_domain::retire::{self, Because};
use symbolon_domain::{AccountId, Code, CredentialId};

impl App {
    /// Any live credential may replace itself; it needs no permission for that. An access token may not
    /// replace the key that it came from.
    pub async fn rotate_self(
        &self,
        call: &Call<'_>,
        rotation: Rotation,
    ) -> Result<Revealed<CredentialRecord>> {
        if call.actor.access_token().is_some() {
            return Err(Code::InvalidAction.into());
        }
        let (account, id, target) = own(call.actor)?;
        self.rotate(call, account, target, id, rotation).await
    }

    /// Any live credential may end itself; an access token ends itself, and leaves its key as it is. That
    /// takes no `Idempotency-Key`: all tokens of a key share its claims, and each has an end of its own.
    pub async fn revoke_self(
        &self,
        call: &Call<'_>,
        because: Because,
    ) -> Result<Replayed<CredentialRecord>> {
        let (account, id, target) = own(call.actor)?;
        let Some(token) = call.actor.access_token() else {
            return self.revoke(call, account, target, id, because).await;
        };
        let call = Call {
            idempotency: None,
            ..call.clone()
        };
        self.change_token(&call, account, target, move |view, tools| {
            retire::revoke_access_token(view, &tools.asking, id, token, tools.mint.dice)
        })
        .await
    }
}

/// The caller's own credential, as a target.
fn own(actor: &Actor) -> Result<(AccountId, CredentialId, Target)> {
    let (Some(account), Some(id), Some(owner)) =
        (actor.account_id(), actor.credential_id(), actor.owner())
    else {
        return Err(Code::NotFound.into());
    };
    Ok((account, id, target_of(account, owner, id)))
}
