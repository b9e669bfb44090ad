//! Revocation of what somebody holds (RFC 7009): the text itself proves which credential is meant.

use crate::App;
use crate::actor::{Actor, Call, Origin};
use crate::authenticate::{Asked, Evidence, end_of, refused};
use crate::error::Result;
use crate::tokens::target_of;
use symbolon_domain::retire::{self, Because};
use symbolon_domain::verdict::Presentation;
use symbolon_domain::{Code, Permission, Reason};

impl App {
    /// Who presents this, where a key's secret may be presented in another way than by Basic.
    ///
    /// # Errors
    /// As [`App::authenticate`].
    pub async fn authenticate_as(
        &self,
        evidence: Evidence<'_>,
        presentation_of_key: Presentation,
        origin: Origin,
    ) -> Result<Actor> {
        let judged = self
            .judge_own(evidence, presentation_of_key, origin)
            .await?;
        match judged.outcome {
            Ok(()) => Ok(judged.actor()),
            Err(reason) => Err(refused(reason, judged.rate)),
        }
    }

    /// Ends what this text proves to be: an access token by itself, else the credential. The actor's own, and
    /// the access tokens of its own, take no permission; but an access token does not end its key. What is
    /// revoked already, outside the actor's reach or nothing at all is left as it is, without a word.
    ///
    /// # Errors
    /// [`Code::PermissionMissing`] for another's within reach; [`crate::Error::Unavailable`] when nobody can
    /// tell.
    pub async fn revoke_presented(
        &self,
        actor: &Actor,
        origin: Origin,
        token: Evidence<'_>,
    ) -> Result<()> {
        let held = self.hold(token, Presentation::Client, false).await?;
        let Some(held) = held else {
            return Ok(());
        };
        let asked = Asked {
            reach: actor.authority().reach,
            environment: None,
            audience: None,
            client_ip: None,
            scopes: &[],
            cost: None,
        };
        let judged = self.judge(held, &asked);
        // A longer lifetime in its account's policy would bring an expired credential back, and its access
        // tokens before their own end.
        let has_ended = judged
            .access_token()
            .is_some_and(|token| judged.now >= token.expires_at);
        if has_ended
            || judged
                .outcome
                .is_err_and(|reason| reason <= Reason::Revoked)
        {
            return Ok(());
        }
        let facts = judged.known.facts();
        let (account, id) = (facts.account.id, facts.credential.id);
        let token = judged.access_token().map(end_of);
        let is_own = actor.credential_id() == Some(id);
        if !is_own || (actor.is_access_token() && token.is_none()) {
            actor.enter(account, Permission::TokensWrite)?;
        }
        let call = Call::new(actor, origin);
        let target = target_of(account, facts.credential.owner, id);
        let revoked = match token {
            Some(token) => {
                self.change_token(&call, account, target, move |view, tools| {
                    retire::revoke_access_token(view, &tools.asking, id, token, tools.mint.dice)
                })
                .await
            }
            None => {
                let because = Because::default();
                self.revoke(&call, account, target, id, because).await
            }
        };
        match revoked {
            // Gone meanwhile.
            Err(error) if error.code() == Code::NotFound => Ok(()),
            revoked => revoked.map(drop),
        }
    }
}
