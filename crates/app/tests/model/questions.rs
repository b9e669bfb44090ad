//! What nodes are asked, and their answers held against what was promised.

use crate::oracle::{Sight, Subject};
use crate::world::{Checked, World, failed};
use std::num::NonZeroU32;
use std::pin::Pin;
use std::time::Duration;
use symbolon_app::{Ask, Error, Evidence};
use symbolon_domain::verdict::Presentation;
use symbolon_domain::{CredentialKind, Reason};

/// A verdict; `None` is a yes.
type Answer = Result<Option<Reason>, Error>;

impl World<'_> {
    pub fn sight(&self, at: usize, fresh_from: Option<u64>) -> Sight {
        let member = &self.members[at];
        Sight {
            now: self.now(),
            start: member.start,
            started: member.started,
            fresh_from,
            cuts: member.cuts.clone(),
            max_age: member.app.settings().max_age,
        }
    }

    /// Asks a node about a subject; owned, so that the answer may come later.
    pub fn ask(
        &self,
        at: usize,
        subject: Subject,
        fresh: bool,
    ) -> Pin<Box<dyn Future<Output = Answer>>> {
        let app = self.members[at].app.clone();
        let asker = self.verifier;
        let (key_id, text) = match subject {
            Subject::AccessToken(at) => (None, self.model.access_tokens[at].text.clone()),
            Subject::Credential(at) => {
                let it = &self.model.credentials[at];
                let key_id = (it.kind == CredentialKind::Key).then(|| it.public_id.clone());
                (key_id, it.secret.clone())
            }
        };
        Box::pin(async move {
            let evidence = match &key_id {
                Some(key_id) => Evidence::Basic {
                    key_id,
                    secret: &text,
                },
                None => Evidence::Bearer(&text),
            };
            let ask = Ask {
                evidence,
                presentation_of_key: Presentation::Basic,
                scopes: &[],
                client_ip: None,
                environment: None,
                audience: None,
                cost: NonZeroU32::MIN,
                fresh,
            };
            Ok(app.verify(&asker, &ask).await?.reason())
        })
    }

    /// Holds an answer that has just come against what was promised.
    pub fn judge(
        &mut self,
        at: usize,
        subject: Subject,
        fresh_from: Option<u64>,
        answer: Answer,
    ) -> Checked {
        let member = &self.members[at];
        let (now, max_age) = (self.now(), member.app.settings().max_age);
        let may_be_stale = self.is_cut(at) && now.since(member.polled) > max_age;
        let is_stale = may_be_stale && now.since(member.changed) > max_age;
        let answer = match answer {
            Ok(answer) => answer,
            Err(Error::Unavailable { .. }) if may_be_stale => return Ok(()),
            Err(error) => {
                return Err(format!(
                    "node {at} does not answer about {subject:?}: {error}"
                ));
            }
        };
        if is_stale {
            return Err(format!("node {at} answers from facts too old"));
        }
        self.answers.0 += 1;
        self.answers.1 += u64::from(answer.is_none());
        let possible = self.model.possible(subject, &self.sight(at, fresh_from));
        if possible.contains(&answer) {
            return Ok(());
        }
        let said = |it: &Option<Reason>| it.map_or("yes", Reason::as_str);
        let possible: Vec<_> = possible.iter().map(said).collect();
        Err(format!(
            "node {at} says {} of {subject:?} where only {possible:?} may be",
            said(&answer)
        ))
    }

    pub async fn check(&mut self, at: usize, subject: Subject, fresh: bool) -> Checked {
        let from = fresh.then_some(self.order + 1);
        let answer = self.ask(at, subject, fresh).await;
        self.judge(at, subject, from, answer)
    }

    /// Asks both nodes about everything, or about every other thing.
    pub async fn check_all(&mut self, all: bool) -> Checked {
        for subject in self.subjects.clone() {
            for at in 0..2 {
                if all || self.random.once_in(2) {
                    self.check(at, subject, false).await?;
                }
            }
        }
        Ok(())
    }

    /// A node that counts as confirmed goes by nothing older.
    pub async fn check_effective(&mut self, at: usize) -> Checked {
        let app = self.members[at].app.clone();
        let effective = app.effective(None, Duration::ZERO).await;
        let effective = effective.map_err(failed("nobody tells how far a change holds"))?;
        let all = Some(self.order + 1);
        let mut behind = 0;
        for node in 0..2 {
            let mut lags = false;
            for subject in self.subjects.clone() {
                let answer = self.ask(node, subject, false).await;
                if let Ok(answer) = answer {
                    let settled = self.model.possible(subject, &self.sight(node, all));
                    lags |= !settled.contains(&answer);
                }
            }
            behind += u32::from(lags);
        }
        if behind + effective.confirmed > effective.nodes {
            return Err(format!("{behind} nodes are behind: {effective:?}"));
        }
        Ok(())
    }
}
