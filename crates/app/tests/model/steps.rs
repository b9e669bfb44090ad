//! One seed's life: a random step after the other, and after each, questions.

use crate::change::Change;
use crate::ground::Ground;
use crate::oracle::{AccountState, BOUND, Status, Subject};
use crate::world::{Checked, World, failed};
use std::time::Duration;
use symbolon_domain::{CredentialKind, Timestamp};

pub const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_micros(1);
/// Beyond this the clock leaps.
const NEAR: Duration = Duration::from_secs(30);
/// What ends the count of a node that is gone, and a little more.
const GONE: Duration = Duration::from_secs(23);

/// What a seed has found out: how many answers it got, and how many of them were a yes.
pub async fn run(ground: &Ground, seed: u64, steps: usize) -> Result<(u64, u64), String> {
    let mut world = World::on(ground, seed).await;
    let mut outcome = Ok(());
    for step in 0..steps {
        outcome = Box::pin(world.step(step)).await;
        if outcome.is_err() {
            break;
        }
    }
    if outcome.is_ok() {
        outcome = Box::pin(world.settle()).await;
    }
    outcome.map(|()| world.answers).map_err(|wrong| {
        let first = world.trail.len().saturating_sub(25);
        let trail = world.trail[first..].join("\n  ");
        format!(
            "SYMBOLON_MODEL_SEED={seed}: {wrong}\nat {}, after\n  {trail}",
            world.now()
        )
    })
}

impl World<'_> {
    async fn step(&mut self, step: usize) -> Checked {
        if self.subjects.len() < 4 {
            return self.create().await;
        }
        if self.good().len() < 4 && self.random.once_in(2) {
            self.create().await?;
        }
        match self.random.below(40) {
            0..12 => {
                let at = self.node_in_reach();
                let subject = self.subject();
                let change = self.any_change(subject);
                self.change(at, change).await?;
            }
            12..15 => self.create().await?,
            15..23 => self.advance().await?,
            23..25 => {
                let (at, subject) = (self.random.below(2), self.subject());
                if !self.is_cut(at) {
                    self.check(at, subject, true).await?;
                }
            }
            25..27 => self.delay(),
            27 => self.cut_off(),
            28 => self.restart().await?,
            29..32 => self.race_a_fill().await?,
            32..35 => self.hold_a_transaction().await?,
            35..37 => self.race_the_feed().await?,
            37 => {
                let at = self.node_in_reach();
                self.poll(at).await?;
            }
            _ => {
                let at = self.node_in_reach();
                self.beat(at).await?;
                self.check_effective(at).await?;
            }
        }
        self.check_all(step.is_multiple_of(8)).await
    }

    /// Once all is quiet, everybody knows everything, and says so.
    async fn settle(&mut self) -> Checked {
        for _ in 0..2 {
            self.advance_to(self.now().plus(GONE)).await?;
            self.check_all(true).await?;
        }
        for at in 0..2 {
            self.poll(at).await?;
            self.beat(at).await?;
        }
        self.check_effective(0).await?;
        let effective = self.members[0].app.effective(None, Duration::ZERO).await;
        let effective = effective.map_err(failed("nobody tells how far all holds"))?;
        if (effective.nodes, effective.confirmed) != (2, 2) {
            return Err(format!("both nodes have applied everything: {effective:?}"));
        }
        Ok(())
    }

    pub fn subject(&mut self) -> Subject {
        self.random.pick(&self.subjects)
    }

    /// What is good once everybody knows everything.
    pub fn good(&self) -> Vec<Subject> {
        let all = self.sight(0, Some(self.order + 1));
        let is_good = |it: &Subject| self.model.possible(*it, &all).contains(&None);
        self.subjects.iter().copied().filter(is_good).collect()
    }

    /// A node that has the database in reach; there always is one.
    pub fn node_in_reach(&mut self) -> usize {
        let at = self.random.below(2);
        if self.is_cut(at) { 1 - at } else { at }
    }

    fn life(&mut self) -> Option<Duration> {
        let some = !self.random.once_in(3);
        some.then(|| SECOND + self.random.span(20 * SECOND))
    }

    async fn create(&mut self) -> Checked {
        let (at, life) = (self.node_in_reach(), self.life());
        let keys: Vec<usize> = self
            .subjects
            .iter()
            .map(|it| self.model.credential_of(*it))
            .filter(|at| self.model.credentials[*at].kind == CredentialKind::Key)
            .collect();
        let owner = self.subjects.last().copied();
        let change = match (self.random.below(3), owner) {
            (0, Some(owner)) => Change::Issue {
                owner: self.model.credentials[self.model.credential_of(owner)].owner,
                kind: self
                    .random
                    .pick(&[CredentialKind::Key, CredentialKind::Opaque]),
                life,
            },
            (1, _) if !keys.is_empty() => Change::Exchange {
                key: self.random.pick(&keys),
            },
            _ => Change::Create {
                account: self.random.below(2),
                life,
            },
        };
        self.change(at, change).await?;
        Ok(())
    }

    /// A change that concerns this subject.
    pub fn any_change(&mut self, subject: Subject) -> Change {
        let at = self.model.credential_of(subject);
        let owner = self.model.credentials[at].owner;
        let account = self.model.account_of(at);
        if let Subject::AccessToken(at) = subject
            && self.random.once_in(4)
        {
            return Change::RevokeAccessToken { at };
        }
        let own = self.model.credentials[at].state.latest().status;
        let owners = self.model.service_accounts[owner].status.latest();
        let accounts = self.model.accounts[account].state.latest();
        // What was taken away is given back more often than not, lest hardly anything be good.
        if self.random.once_in(2) {
            if own == Status::Suspended {
                let to = Status::Active;
                return Change::Credential { at, to };
            }
            if owners == Status::Suspended {
                let (at, to) = (owner, Status::Active);
                return Change::ServiceAccount { at, to };
            }
            if accounts.suspended || accounts.max_lifetime.is_some() {
                let to = AccountState {
                    suspended: false,
                    max_lifetime: None,
                };
                return Change::Account { at: account, to };
            }
        }
        match self.random.below(12) {
            0..3 => Change::Credential {
                at,
                to: Status::Suspended,
            },
            3 => Change::Credential {
                at,
                to: Status::Revoked,
            },
            4..8 => Change::Rotate {
                at,
                grace: match self.random.below(3) {
                    0 => Duration::ZERO,
                    1 => self.random.span(2 * SECOND),
                    _ => SECOND + self.random.span(10 * SECOND),
                },
            },
            8 => Change::ServiceAccount {
                at: owner,
                to: self
                    .random
                    .pick(&[Status::Suspended, Status::Suspended, Status::Revoked]),
            },
            9 => Change::Account {
                at: account,
                to: AccountState {
                    suspended: true,
                    ..accounts
                },
            },
            _ => Change::Account {
                at: account,
                to: AccountState {
                    max_lifetime: Some(SECOND + self.random.span(60 * SECOND)),
                    ..accounts
                },
            },
        }
    }

    /// Moves the clock: a little, or exactly to where something ends.
    pub async fn advance(&mut self) -> Checked {
        let now = self.now();
        let target = match self.random.below(6) {
            0 => now.plus(self.random.span(3 * MILLISECOND)),
            1 => now.plus(self.random.span(500 * MILLISECOND)),
            2 => now.plus(self.random.span(3 * SECOND)),
            _ => self.boundary().unwrap_or(now.plus(TICK)),
        };
        self.says(format!("the clock moves to {target}"));
        if target.since(now) > NEAR {
            self.leap_to(target).await
        } else {
            self.advance_to(target).await
        }
    }

    /// An instant at which something turns, one before it, or one after.
    fn boundary(&mut self) -> Option<Timestamp> {
        let (now, near) = (self.now(), self.now().plus(NEAR));
        let each = self.subjects.iter();
        let mut found: Vec<Timestamp> = each
            .flat_map(|it| self.model.boundaries(*it))
            .filter(|at| *at > now)
            .collect();
        if found.iter().any(|at| *at <= near) && !self.random.once_in(30) {
            found.retain(|at| *at <= near);
        }
        if found.is_empty() {
            return None;
        }
        let at = self.random.pick(&found).as_micros();
        let target = Timestamp::from_micros(at + self.random.pick(&[-1, 0, 0, 1]));
        Some(target.max(now))
    }

    /// A node reads the feed later than it should, and still in time.
    fn delay(&mut self) {
        let at = self.random.below(2);
        self.says(format!("node {at} is slow"));
        let late = self.random.span(900 * MILLISECOND);
        let member = &mut self.members[at];
        let latest = member.polled.plus(1400 * MILLISECOND);
        let next = member.next_poll.map(|it| it.plus(late));
        if next.is_some_and(|it| it <= latest) {
            member.next_poll = next;
        }
    }

    fn cut_off(&mut self) {
        let at = self.random.below(2);
        let span = self.random.span(14 * SECOND);
        if !self.is_cut(at) && !self.is_cut(1 - at) {
            self.says(format!("node {at} has no database for {span:?}"));
            self.cut(at, span);
        }
    }

    async fn restart(&mut self) -> Checked {
        let at = self.node_in_reach();
        self.says(format!("node {at} starts again"));
        self.members[at] = self.start(at).await;
        Ok(())
    }

    /// Past the bound, whatever was just done holds everywhere.
    pub async fn pass_the_bound(&mut self) -> Checked {
        self.advance_to(self.now().plus(BOUND).plus(TICK)).await
    }
}
