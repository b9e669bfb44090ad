//! Two nodes over one database, one clock for both, and the model beside them.

use crate::change::{Change, Made};
use crate::ground::Ground;
use crate::oracle::{Acknowledged, Edit, Model, Subject};
use crate::random::Random;
use std::sync::Arc;
use std::time::Duration;
use symbolon_app::{App, Asker, Error, Evidence, Node, Origin};
use symbolon_domain::account::AccountPatch;
use symbolon_domain::time::ManualClock;
use symbolon_domain::verdict::Presentation;
use symbolon_domain::{Clock, Name, Permission, Timestamp};
use symbolon_store::Store;

/// What is wrong.
pub type Checked<T = ()> = Result<T, String>;

/// What is presented at most at a time.
const SUBJECTS: usize = 12;
/// At least so often a node tells that it is there.
const BEAT: Duration = Duration::from_secs(2);

/// A process, started over and over.
pub struct Member {
    pub app: App,
    pub node: Node,
    pub store: Store,
    /// Its start, and the place of that among all that happened.
    pub start: u64,
    pub started: u64,
    pub polled: Timestamp,
    /// Its last change, for which it may have read the feed, too.
    pub changed: Timestamp,
    pub next_poll: Option<Timestamp>,
    beaten: Timestamp,
    /// When the database was out of its reach; at the end, until when it will be.
    pub cuts: Vec<(Timestamp, Option<Timestamp>)>,
    pub cut_until: Option<Timestamp>,
}

pub struct World<'a> {
    pub ground: &'a Ground,
    pub clock: Arc<ManualClock>,
    pub random: Random,
    pub model: Model,
    pub members: Vec<Member>,
    pub subjects: Vec<Subject>,
    /// While a transaction is held open on SQLite, nobody else writes.
    pub is_writable: bool,
    pub trail: Vec<String>,
    pub verifier: Asker,
    pub order: u64,
    starts: u64,
    /// Answers given, and those among them that were a yes.
    pub answers: (u64, u64),
}

impl<'a> World<'a> {
    pub async fn on(ground: &'a Ground, seed: u64) -> Self {
        let app = &ground.test.app;
        for node in app.node_states().await.unwrap() {
            // Of the seed before.
            app.store().leave_node(node.id).await.unwrap();
        }
        // A seed that runs again begins at the same part of a second, in which some ends are counted.
        let past = app.now().as_micros().rem_euclid(1_000_000).unsigned_abs();
        ground
            .test
            .clock
            .advance(Duration::from_micros(1_000_000 - past));
        let evidence = Evidence::Bearer(&ground.verifier);
        let (how, origin) = (Presentation::Bearer, Origin::default());
        let verifier = app.admit(evidence, how, origin, Permission::TokensVerify);
        let verifier = verifier.await.unwrap();
        let mut model = Model::default();
        let operator = symbolon_app::Actor::operator_cli();
        for _ in 0..2 {
            let call = symbolon_app::Call::new(&operator, Origin::default());
            let name = Name::parse("Tenant").unwrap();
            let made = app.create_account(&call, name, AccountPatch::default());
            model.add_account(made.await.unwrap().record.id);
        }
        let mut world = Self {
            ground,
            clock: ground.test.clock.clone(),
            random: Random::new(seed),
            model,
            members: Vec::new(),
            subjects: Vec::new(),
            is_writable: true,
            trail: Vec::new(),
            verifier,
            order: 0,
            starts: 0,
            answers: (0, 0),
        };
        for at in 0..2 {
            let member = world.start(at).await;
            world.members.push(member);
        }
        world
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub fn next_order(&mut self) -> u64 {
        self.order += 1;
        self.order
    }

    /// A process as it comes up: it knows nothing.
    pub async fn start(&mut self, at: usize) -> Member {
        let app = self.ground.new_app(at);
        self.starts += 1;
        let node = Node {
            name: format!("{at}:{}", self.starts),
            role: "serve",
        };
        let started = self.next_order();
        app.join(&node).await.unwrap();
        let now = self.now();
        Member {
            next_poll: app.until_next_poll().map(|it| now.plus(it)),
            app,
            node,
            store: self.ground.stores[at].clone(),
            start: self.starts,
            started,
            polled: now,
            changed: now,
            beaten: now,
            cuts: Vec::new(),
            cut_until: None,
        }
    }

    pub fn says(&mut self, what: String) {
        let at = self.now();
        self.trail.push(format!("{at} {what}"));
    }

    /// Out of reach of the database, or back and still to read the feed.
    pub fn is_cut(&self, at: usize) -> bool {
        let member = &self.members[at];
        let until = member.cuts.last().map(|(_, until)| *until);
        until.is_some_and(|it| it.is_none_or(|it| member.polled < it))
    }

    pub fn cut(&mut self, at: usize, span: Duration) {
        let now = self.now();
        let member = &mut self.members[at];
        member.cut_until = Some(now.plus(span));
        member.cuts.push((now, None));
    }

    /// Reads the feed at this node, and now and then reports how far it has come.
    pub async fn poll(&mut self, at: usize) -> Checked {
        let now = self.now();
        let app = self.members[at].app.clone();
        app.poll_feed()
            .await
            .map_err(failed("the feed is not read"))?;
        self.has_polled(at, now);
        let member = &self.members[at];
        let is_due = now.since(member.beaten) >= BEAT;
        if self.is_writable && (is_due || self.random.once_in(2)) {
            self.beat(at).await?;
        }
        Ok(())
    }

    pub fn has_polled(&mut self, at: usize, begun: Timestamp) {
        let member = &mut self.members[at];
        member.polled = begun;
        let interval = member.app.until_next_poll();
        member.next_poll = interval.map(|it| begun.plus(it));
    }

    pub async fn beat(&mut self, at: usize) -> Checked {
        let now = self.now();
        let member = &mut self.members[at];
        member.beaten = now;
        let reported = member.app.report_now(&member.node).await;
        reported.map_err(failed("a node does not report"))
    }

    /// Moves the clock, polling on the way as the nodes would.
    pub async fn advance_to(&mut self, target: Timestamp) -> Checked {
        loop {
            let due = |it: &Member| it.cut_until.or(it.next_poll);
            let next = (0..2).filter_map(|at| Some((due(&self.members[at])?, at)));
            let Some((when, at)) = next.min().filter(|(when, _)| *when <= target) else {
                break;
            };
            self.set_clock(when);
            if self.members[at].cut_until.is_some() {
                self.heal(at);
                let late = self.random.span(Duration::from_millis(500));
                let member = &mut self.members[at];
                member.next_poll = member.app.until_next_poll().map(|_| when.plus(late));
            } else {
                self.poll(at).await?;
            }
        }
        self.set_clock(target);
        Ok(())
    }

    fn heal(&mut self, at: usize) {
        let now = self.now();
        let member = &mut self.members[at];
        member.cut_until = None;
        if let Some(cut) = member.cuts.last_mut() {
            cut.1 = Some(now);
        }
    }

    /// Moves the clock far ahead; nobody is asked anything on the way.
    pub async fn leap_to(&mut self, target: Timestamp) -> Checked {
        self.set_clock(target);
        for at in 0..2 {
            if self.members[at].cut_until.is_some() {
                self.heal(at);
            }
            if self.members[at].app.until_next_poll().is_some() {
                self.poll(at).await?;
            }
        }
        Ok(())
    }

    fn set_clock(&self, to: Timestamp) {
        self.clock.advance(to.since(self.now()));
    }

    /// Does a change at a node. It takes no time.
    pub async fn change(&mut self, at: usize, change: Change) -> Checked<Option<Subject>> {
        self.says(format!("node {at}: {change:?}"));
        let edits = change.edits(&self.model, self.now());
        let performed = change.perform(&self.model, &self.members[at].app);
        self.model.begin(&edits);
        let result = performed.await;
        self.finish(at, &edits, result)
    }

    /// Takes note of how a change ended that was begun.
    pub fn finish(
        &mut self,
        at: usize,
        edits: &[Edit],
        result: Result<Option<Made>, Error>,
    ) -> Checked<Option<Subject>> {
        match result {
            Ok(made) => {
                let by = Acknowledged {
                    at: self.now(),
                    order: self.next_order(),
                    by: self.members[at].start,
                };
                self.members[at].changed = by.at;
                self.model.acknowledge(edits, by);
                let soon = self.now().plus(self.random.span(Duration::from_millis(50)));
                let other = &mut self.members[1 - at];
                // Half of all notifications are lost.
                if self.random.once_in(2) && other.cut_until.is_none() {
                    other.next_poll = Some(other.next_poll.map_or(soon, |next| next.min(soon)));
                }
                let Some(made) = made else {
                    return Ok(None);
                };
                let subject = self.model.add(made);
                if self.subjects.len() == SUBJECTS {
                    // The good ones stay.
                    let good = self.good();
                    let bad = (0..SUBJECTS).filter(|at| !good.contains(&self.subjects[*at]));
                    let bad: Vec<usize> = bad.collect();
                    let leaving = match bad.as_slice() {
                        [] => self.random.below(SUBJECTS),
                        bad => self.random.pick(bad),
                    };
                    self.subjects.remove(leaving);
                }
                self.subjects.push(subject);
                Ok(Some(subject))
            }
            Err(Error::Refused(refusal)) => {
                self.says(format!("refused: {}", refusal.code.as_str()));
                self.model.withdraw(edits);
                Ok(None)
            }
            Err(error) => Err(format!("a change failed at node {at}: {error}")),
        }
    }
}

pub fn failed(what: &str) -> impl Fn(Error) -> String {
    move |error| format!("{what}: {error}")
}
