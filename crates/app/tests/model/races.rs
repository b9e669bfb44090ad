//! What happens in the midst of something else: a change while a miss is read, while a transaction is open,
//! while the feed is applied.

use crate::change::Change;
use crate::oracle::{Edit, Subject};
use crate::steps::MILLISECOND;
use crate::world::{Checked, World, failed};
use std::time::Duration;
use symbolon_app::Place;
use symbolon_domain::Timestamp;
use symbolon_store::ChangePlace;

/// How long (by the wall's clock) one change waits for another that is held, before it is taken for blocked.
const BLOCKED: Duration = Duration::from_millis(40);

impl World<'_> {
    /// A node reads a credential; before it keeps what it read, that changes.
    pub async fn race_a_fill(&mut self) -> Checked {
        let at = self.node_in_reach();
        let subject = self.subject();
        let place = match subject {
            Subject::AccessToken(_) => self
                .random
                .pick(&[Place::AccessTokenRead, Place::CredentialRead]),
            Subject::Credential(_) => Place::CredentialRead,
        };
        let fresh = !self.random.once_in(3);
        if !fresh {
            // So that it knows of nothing.
            self.members[at] = self.start(at).await;
        }
        self.says(format!("node {at} reads {subject:?}, held at {place:?}"));
        let from = fresh.then_some(self.next_order());
        let mut held = self.members[at].app.hold_at(place);
        let mut asked = self.ask(at, subject, fresh);
        let early = tokio::select! {
            answer = &mut asked => Some(answer),
            () = held.arrived() => None,
        };
        if let Some(answer) = early {
            return self.judge(at, subject, from, answer);
        }
        for _ in 0..=self.random.below(2) {
            let mut change = self.any_change(subject);
            while matches!(change, Change::RevokeAccessToken { .. }) && self.is_cut(1 - at) {
                change = self.any_change(subject);
            }
            // What looks the same credential up would wait for the reader.
            let looks_up = matches!(change, Change::RevokeAccessToken { .. });
            let by = if looks_up || (self.random.once_in(2) && !self.is_cut(1 - at)) {
                1 - at
            } else {
                at
            };
            self.change(by, change).await?;
        }
        match self.random.below(3) {
            0 => self.poll(at).await?,
            1 => self.pass_the_bound().await?,
            _ => {}
        }
        self.says(format!("node {at} goes on with {subject:?}"));
        drop(held);
        let answer = asked.await;
        self.judge(at, subject, from, answer)?;
        self.check(at, subject, false).await?;
        self.pass_the_bound().await?;
        self.check(0, subject, false).await?;
        self.check(1, subject, false).await
    }

    /// A change is written, and not committed; others are, and are read.
    pub async fn hold_a_transaction(&mut self) -> Checked {
        let (at, other) = (self.node_in_reach(), self.node_in_reach());
        let place = self
            .random
            .pick(&[ChangePlace::BeforeFeed, ChangePlace::BeforeCommit]);
        let subject = self.subject();
        let change = self.any_change(subject);
        if matches!(change, Change::RevokeAccessToken { .. }) {
            // May find nothing to do before it comes to the gate.
            return Ok(());
        }
        self.says(format!("node {at}, held at {place:?}: {change:?}"));
        let edits = change.edits(&self.model, self.now());
        let mut performed = change.perform(&self.model, &self.members[at].app);
        self.model.begin(&edits);
        let mut held = self.members[at].store.hold_change(place);
        let early = tokio::select! {
            result = &mut performed => Some(result),
            () = held.arrived() => None,
        };
        if let Some(result) = early {
            self.finish(at, &edits, result)?;
            return Ok(());
        }
        self.is_writable = !self.ground.is_sqlite();
        let mut second = None;
        if let Some(change) = self.change_beside(&edits) {
            self.says(format!("node {other}, meanwhile: {change:?}"));
            let edits = change.edits(&self.model, self.now());
            let mut performed = change.perform(&self.model, &self.members[other].app);
            self.model.begin(&edits);
            match tokio::time::timeout(BLOCKED, &mut performed).await {
                Ok(result) => {
                    self.finish(other, &edits, result)?;
                }
                Err(_) => second = Some((edits, performed)),
            }
        }
        let rest = async {
            let held = held;
            self.meanwhile().await?;
            self.says(format!("node {at} goes on"));
            drop(held);
            Ok::<_, String>(performed.await)
        };
        // The second goes on all the while: it may have done its part, and hold what the first needs.
        let beside = async {
            match &mut second {
                Some((_, performed)) => Some(performed.await),
                None => None,
            }
        };
        let (result, beside) = tokio::join!(rest, beside);
        self.finish(at, &edits, result?)?;
        if let (Some((edits, _)), Some(result)) = (second, beside) {
            self.finish(other, &edits, result)?;
        }
        self.is_writable = true;
        self.check_all(true).await?;
        self.pass_the_bound().await?;
        self.check_all(true).await
    }

    /// All that goes on while a transaction is open.
    async fn meanwhile(&mut self) -> Checked {
        for node in 0..2 {
            if !self.is_cut(node) {
                self.poll(node).await?;
            }
        }
        let later = self.now().plus(self.random.span(700 * MILLISECOND));
        self.advance_to(later).await?;
        self.check_all(false).await
    }

    /// A change of something else than what is being changed.
    fn change_beside(&mut self, under_way: &[Edit]) -> Option<Change> {
        for _ in 0..8 {
            let subject = self.subject();
            let change = self.any_change(subject);
            let edits = change.edits(&self.model, self.now());
            let is_beside = edits
                .iter()
                .all(|it| !under_way.iter().any(|other| it.is_of_same(other)));
            if is_beside && !matches!(change, Change::RevokeAccessToken { .. }) {
                return Some(change);
            }
        }
        None
    }

    /// A node has read the feed and what it names, and says how far it is before it goes by that.
    pub async fn race_the_feed(&mut self) -> Checked {
        let at = self.node_in_reach();
        if self.is_cut(1 - at) {
            return Ok(());
        }
        let subject = self.subject();
        self.check(at, subject, false).await?;
        let change = self.any_change(subject);
        self.change(1 - at, change).await?;
        self.says(format!("node {at} reads the feed, held"));
        let begun: Timestamp = self.now();
        let app = self.members[at].app.clone();
        let mut held = app.hold_at(Place::FeedRead);
        let mut polled = Box::pin(app.poll_feed());
        let early = tokio::select! {
            read = &mut polled => Some(read),
            () = held.arrived() => None,
        };
        let read = match early {
            Some(read) => read,
            None => {
                self.beat(0).await?;
                self.beat(1).await?;
                self.check_effective(1 - at).await?;
                drop(held);
                polled.await
            }
        };
        read.map_err(failed("the feed is not read"))?;
        self.has_polled(at, begun);
        self.check(at, subject, false).await
    }
}
