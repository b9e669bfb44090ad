//! The processes that answer from memory: each writes how far it has applied the feed, so that whoever
//! revokes can be told when it holds everywhere.
//!
//! A beat is a lease: until that is over the others wait for this process, and after that it answers nobody
//! ([`App::is_fresh`]). Both ends are measured from before the beat was sent, the others' by the database's
//! clock.

use crate::App;
use crate::error::{Error, Result};
use std::time::Duration;
use symbolon_domain::Timestamp;
use symbolon_domain::id::uuid_v7;
use symbolon_store::{NodeBeat, NodePositions, NodeRow};
use tokio::sync::watch;
use tokio::time::Instant;
use uuid::Uuid;

/// Between two signs of life.
const BEAT: Duration = Duration::from_secs(2);
/// Between two reports of progress: at most twenty a second.
const COALESCE: Duration = Duration::from_millis(50);
/// A process that was silent for so long, and then for the age of its facts, answers nobody any more.
const LEASE: Duration = Duration::from_secs(10);
/// By so much a process stops answering before the others stop waiting for it: clocks run apart, and what was
/// decided at the last moment is answered a little later.
const SLACK: Duration = Duration::from_secs(1);
/// Between two looks whether everybody has applied a change, whoever waits.
const LOOK: Duration = Duration::from_millis(10);

/// This process, as the others see it.
#[derive(Debug, Clone)]
pub struct Node {
    /// For people: the machine's name and the process's number.
    pub name: String,
    pub role: &'static str,
}

/// How far a change holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effective {
    /// Processes that answer from memory, silent ones included until they surely do not any more.
    pub nodes: u32,
    /// Those that have applied the change.
    pub confirmed: u32,
    pub elapsed: Duration,
}

/// A process that answers from memory.
#[derive(Debug, Clone)]
pub struct NodeState {
    pub id: Uuid,
    pub name: String,
    pub role: String,
    pub seen_at: Timestamp,
    /// Rows of the feed that it has not reported as applied.
    pub behind: i64,
    /// Since it was last heard of.
    pub silent: Duration,
    /// Whether changes wait for it.
    pub counted: bool,
}

/// The last look at how far each process has come. Those who wait for them share it.
#[derive(Default)]
pub(crate) struct LastLook(tokio::sync::Mutex<Option<Look>>);

struct Look {
    begun: Instant,
    /// `None` where the database could not tell.
    found: Option<NodePositions>,
}

impl App {
    /// How far the change at this position of the feed holds; waits until it does everywhere, at most this
    /// long. `None` asks for everything up to now.
    pub async fn effective(&self, position: Option<i64>, wait: Duration) -> Result<Effective> {
        let begun = Instant::now();
        let position = match position {
            Some(position) => position,
            None => self.store().feed_end().await?.map_or(0, |row| row.seq),
        };
        loop {
            let count = self.look_at_nodes().await?.count(position);
            let elapsed = begun.elapsed();
            if count.confirmed >= count.nodes || elapsed >= wait {
                return Ok(Effective {
                    nodes: count.nodes,
                    confirmed: count.confirmed,
                    elapsed,
                });
            }
            tokio::time::sleep(LOOK.min(wait - elapsed)).await;
        }
    }

    /// How far each process has come from now on. One looks at a time, and no sooner than [`LOOK`] after the
    /// last; whoever came before it began has the same answer.
    async fn look_at_nodes(&self) -> Result<NodePositions> {
        let wanted = Instant::now();
        let mut last = self.0.last_look.0.lock().await;
        if let Some(look) = &*last {
            if look.begun < wanted {
                tokio::time::sleep_until(look.begun + LOOK).await;
            } else {
                let found = look.found.clone();
                return found.ok_or_else(|| Error::Unavailable {
                    cause: "another request could not see how far a change holds".into(),
                });
            }
        }
        let begun = Instant::now();
        let found = self.store().positions(self.database_now()).await;
        *last = Some(Look {
            begun,
            found: found.as_ref().ok().cloned(),
        });
        Ok(found?)
    }

    /// All processes that were heard of within the last day.
    pub async fn node_states(&self) -> Result<Vec<NodeState>> {
        let now = self.database_now();
        let end = self.store().feed_end().await?.map_or(0, |row| row.seq);
        let state = |row: NodeRow| NodeState {
            id: row.id,
            behind: (end - row.applied).max(0),
            silent: now.since(row.seen_at),
            counted: row.counts(now),
            name: row.name,
            role: row.role,
            seen_at: row.seen_at,
        };
        Ok(self.store().nodes().await?.into_iter().map(state).collect())
    }

    /// Reads the feed for the first time and announces the process: before it answers anybody.
    pub async fn join(&self, node: &Node) -> Result<()> {
        self.poll_feed().await?;
        self.beat(node).await
    }

    fn node_id(&self) -> Uuid {
        let id = || uuid_v7(self.0.started_at, &mut *self.dice());
        *self.0.node_id.get_or_init(id)
    }

    pub(crate) async fn beat(&self, node: &Node) -> Result<()> {
        let (begun, now) = (self.monotonic(), self.database_now());
        let max_age = self.settings().max_age;
        let beat = NodeBeat {
            id: self.node_id(),
            name: node.name.clone(),
            role: node.role.to_owned(),
            started_at: self.0.started_at,
            applied: self.0.feed.applied(),
            lease: LEASE,
            max_age,
            uses_flushed_at: self.0.uses.flushed_at(),
        };
        self.store().beat(&beat, now).await?;
        self.0.feed.count_until(begun + LEASE + max_age - SLACK);
        Ok(())
    }

    /// Takes the process off the list: it answers nobody any more.
    pub(crate) async fn leave(&self) {
        if let Err(error) = self.store().leave_node(self.node_id()).await {
            tracing::debug!(%error, "this process stays on the list until its lease is over");
        }
    }

    /// Reports progress as it is made, and signs of life, until told to stop.
    pub(crate) async fn report(self, node: Node, mut stop: watch::Receiver<bool>) {
        let mut failing = false;
        loop {
            let beaten = tokio::select! {
                // An error means that whoever could stop us is gone: then we stop.
                _ = stop.wait_for(|it| *it) => return,
                beaten = self.beat(&node) => beaten,
            };
            match &beaten {
                Ok(()) if failing => tracing::info!("this process is reported as alive again"),
                Err(error) if !failing => tracing::warn!(
                    %error, "this process cannot be reported as alive; it stops answering with its lease"
                ),
                _ => {}
            }
            failing = beaten.is_err();
            tokio::select! {
                _ = stop.wait_for(|it| *it) => return,
                () = tokio::time::sleep(COALESCE) => {}
            }
            tokio::select! {
                _ = stop.wait_for(|it| *it) => return,
                () = self.0.feed.progress.notified() => {}
                () = tokio::time::sleep(BEAT) => {}
            }
        }
    }
}
