//! apalis on Redis, for many processes. Its settings, and all that is done here beside it, answer to
//! measured behaviour of apalis-redis 1.0; a new version needs a new look at each line.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use apalis::prelude::{BackendExt, WorkerBuilder, WorkerBuilderExt};
use apalis_core::backend::ext::poll_strategy::{PollSnapshot, PollStrategy};
use apalis_core::task::builder::TaskBuilder;
use apalis_core::task::task_id::TaskId;
use apalis_redis::{Config, RedisStorage, queries};
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, RedisError, Script};
use symbolon_app::Lease;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, Sleep, sleep};

use super::{Deliver, Outage, Unreachable, stopped};
use crate::job::masked;

/// Where Redis is, and what all our keys begin with.
#[derive(Clone)]
pub struct RedisSettings {
    /// `redis://` or `rediss://`; holds a password.
    pub url: String,
    pub queue: String,
}

impl std::fmt::Debug for RedisSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisSettings")
            .field("queue", &self.queue)
            .finish_non_exhaustive()
    }
}

const POLL: Duration = Duration::from_millis(20);
/// A worker that was silent for three of them is dead, and its jobs go to others.
const HEARTBEAT: Duration = Duration::from_secs(5);
const MISSED_HEARTBEATS: usize = 3;
const RESPONSE_LONGEST: Duration = Duration::from_secs(2);
const CONNECT_LONGEST: Duration = Duration::from_secs(2);
/// Before a worker that ended is built anew: at first, and at most.
const PAUSE: Duration = Duration::from_millis(200);
const PAUSE_LONGEST: Duration = Duration::from_secs(2);
/// How long the description of a worker outlives its process.
const METADATA_TTL: Duration = Duration::from_secs(3600);

pub(crate) struct Redis {
    connection: ConnectionManager,
    config: Config,
    keys: Keys,
    /// Different for each start of a process: a name is refused while its last heartbeat is fresh.
    process: String,
    concurrency: usize,
    outage: Outage,
}

/// A finished task whose traces are to be removed.
struct Finished {
    worker: Arc<str>,
    task: String,
}

impl Redis {
    /// Opens no connection. `redelivery` is the time for which a task id is refused a second time.
    pub fn new(
        settings: &RedisSettings,
        process: String,
        concurrency: usize,
        redelivery: Duration,
    ) -> Result<Self, String> {
        let describe = |error: RedisError| format!("redis.url: {}", masked(&error.to_string()));
        let client = Client::open(settings.url.as_str()).map_err(describe)?;
        let manager = ConnectionManagerConfig::new()
            .set_response_timeout(Some(RESPONSE_LONGEST))
            .set_connection_timeout(Some(CONNECT_LONGEST))
            .set_number_of_retries(1)
            .set_max_delay(PAUSE);
        let connection =
            ConnectionManager::new_lazy_with_config(client, manager).map_err(describe)?;
        let queue = format!("{}:jobs", settings.queue);
        let config = Config::default()
            .queue(&queue)
            // More than one, and a saturated worker sends no heartbeats.
            .batch_size(1)
            .heartbeat_interval(HEARTBEAT)
            .missed_heartbeats(MISSED_HEARTBEATS)
            // The lease in our table is the lock, and the outcome is written there.
            .lock_tasks(false)
            .persist_results(false)
            .emit_events(false)
            .idempotency_ttl(Some(redelivery.max(Duration::from_secs(1))));
        Ok(Self {
            connection,
            keys: Keys::new(&config),
            config,
            process,
            concurrency,
            outage: Outage::new("redis"),
        })
    }

    /// Leases that no worker has taken yet.
    pub async fn waiting(&self) -> Result<usize, Unreachable> {
        let mut connection = self.connection.clone();
        let (scheduled, active): (usize, usize) = redis::pipe()
            .zcard(&self.keys.scheduled)
            .llen(&self.keys.active)
            .query_async(&mut connection)
            .await
            .map_err(unreachable)?;
        metrics::gauge!("symbolon_jobs_waiting_in_redis").set((scheduled + active) as f64);
        Ok(scheduled + active)
    }

    pub async fn hand_over(&self, leases: &[Lease]) -> Result<(), Unreachable> {
        let mut tasks = Vec::with_capacity(leases.len());
        for lease in leases {
            let payload = serde_json::to_vec(lease).map_err(|e| Unreachable(e.to_string()))?;
            let id = task_id(lease);
            let task = TaskBuilder::new(payload)
                .idempotency_key(&id)
                .task_id(TaskId::from_string(id));
            tasks.push(task.build());
        }
        let mut connection = self.connection.clone();
        queries::push_tasks(&mut connection, &self.config, &tasks)
            .await
            .map_err(|error| Unreachable(masked(&error.to_string())))?;
        Ok(())
    }

    /// Supervises apalis's worker: whenever it ends (Redis was restarted, flushed, or is away), its
    /// unfinished tasks go back and a new one is built under a new name.
    pub async fn run(&self, deliver: Deliver, stopping: watch::Receiver<bool>) {
        let (finished, cleaning) = mpsc::unbounded_channel();
        let cleaner = tokio::spawn(clean(self.connection.clone(), self.keys.clone(), cleaning));
        let (mut generation, mut pause) = (0u64, PAUSE);
        while !*stopping.borrow() {
            generation += 1;
            let name: Arc<str> = format!("{}-{generation}", self.process).into();
            let began = Instant::now();
            self.work(&name, deliver.clone(), finished.clone(), stopping.clone())
                .await;
            self.hand_back(&name).await;
            if *stopping.borrow() {
                break;
            }
            pause = if began.elapsed() > PAUSE_LONGEST * 4 {
                PAUSE
            } else {
                (pause * 2).min(PAUSE_LONGEST)
            };
            tokio::select! {
                () = sleep(pause) => {}
                () = stopped(stopping.clone()) => {}
            }
        }
        drop(finished);
        // What is left over when Redis is away stays for the next worker, which finds it done.
        let _ = tokio::time::timeout(RESPONSE_LONGEST, cleaner).await;
    }

    /// One life of apalis's worker, in a task of its own: it may panic.
    async fn work(
        &self,
        name: &Arc<str>,
        deliver: Deliver,
        finished: mpsc::UnboundedSender<Finished>,
        stopping: watch::Receiver<bool>,
    ) {
        let storage: RedisStorage<Lease> =
            RedisStorage::new(self.connection.clone()).with_config(self.config.clone());
        let signal = stopped(stopping.clone());
        let worker_name = name.clone();
        let mut worker = tokio::spawn(
            WorkerBuilder::new(name.as_ref())
                .backend(storage.poll_with_strategy(Tick::every(POLL)))
                .concurrency(self.concurrency)
                .catch_panic()
                .build(move |lease: Lease| {
                    let delivery = deliver(lease);
                    let (finished, worker) = (finished.clone(), worker_name.clone());
                    // Its own task: apalis drops its futures when Redis fails it, and the traces of
                    // a task that ran must go nevertheless.
                    let task = tokio::spawn(async move {
                        delivery.await;
                        let task = task_id(&lease);
                        // Nobody listens only after the end of `run`.
                        let _ = finished.send(Finished { worker, task });
                    });
                    async move {
                        // An error is a panic in there; the lease lapses.
                        let _ = task.await;
                    }
                })
                .run_until(async move {
                    signal.await;
                    Ok::<(), std::io::Error>(())
                }),
        );
        let mut beat = tokio::time::interval(HEARTBEAT);
        let ended = loop {
            tokio::select! {
                ended = &mut worker => break ended,
                _ = beat.tick() => self.refresh(name).await,
            }
        };
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.outage.began(&masked(&error.to_string())),
            Err(_) => self.outage.began(&"apalis's worker panicked"),
        }
    }

    /// Lets the description of a worker die some time after the worker, and notes that all is well.
    async fn refresh(&self, name: &str) {
        let mut connection = self.connection.clone();
        let seconds = i64::try_from(METADATA_TTL.as_secs()).unwrap_or(i64::MAX);
        let kept: Result<(), _> = redis::cmd("EXPIRE")
            .arg(self.keys.metadata(name))
            .arg(seconds)
            .query_async(&mut connection)
            .await;
        if kept.is_ok() {
            self.outage.ended();
        }
    }

    /// Puts what an ended worker had taken back to the others, and removes the worker. Without this they
    /// would find it only when its heartbeats are missed; and tasks without data, which end the
    /// worker that takes them, would go round for ever.
    async fn hand_back(&self, name: &str) {
        let mut connection = self.connection.clone();
        let script = Script::new(HAND_BACK);
        let back: Result<u64, RedisError> = script
            .key(self.keys.inflight(name))
            .key(&self.keys.active)
            .key(&self.keys.data)
            .key(&self.keys.workers)
            .key(self.keys.metadata(name))
            .key(&self.keys.meta)
            .key(&self.keys.idempotency)
            .arg(name)
            .invoke_async(&mut connection)
            .await;
        match back {
            Ok(0) | Err(_) => {}
            Ok(tasks) => tracing::info!(tasks, "tasks of an ended worker went back"),
        }
    }
}

const HAND_BACK: &str = "
local back = 0
for _, id in ipairs(redis.call('smembers', KEYS[1])) do
    if redis.call('hexists', KEYS[3], id) == 1 then
        redis.call('rpush', KEYS[2], id)
        back = back + 1
    else
        redis.call('del', KEYS[6] .. ':' .. id, KEYS[7] .. ':' .. id)
    end
end
redis.call('del', KEYS[1], KEYS[5])
redis.call('zrem', KEYS[4], ARGV[1])
return back";

/// Removes all that apalis keeps of finished tasks, in one transaction for many. While Redis is away the
/// tasks wait here: there are never more than were outstanding.
async fn clean(
    mut connection: ConnectionManager,
    keys: Keys,
    mut finished: mpsc::UnboundedReceiver<Finished>,
) {
    let mut batch = Vec::new();
    while finished.recv_many(&mut batch, 100).await > 0 {
        let mut pipe = redis::pipe();
        pipe.atomic();
        for Finished { worker, task } in &batch {
            // It waits in another list when this worker was taken for dead meanwhile; without its data
            // it would end the worker that takes it.
            pipe.srem(keys.inflight(worker), task).ignore();
            pipe.lrem(&keys.active, 0, task).ignore();
            pipe.zrem(&keys.scheduled, task).ignore();
            pipe.hdel(&keys.data, task).ignore();
            pipe.del(keys.task_meta(task)).ignore();
            pipe.del(keys.idempotency(task)).ignore();
        }
        while pipe.exec_async(&mut connection).await.is_err() {
            sleep(Duration::from_millis(500)).await;
        }
        batch.clear();
    }
}

/// The keys that apalis uses for our queue.
#[derive(Clone)]
struct Keys {
    active: String,
    scheduled: String,
    data: String,
    workers: String,
    queue: String,
    inflight: String,
    meta: String,
    idempotency: String,
}

impl Keys {
    fn new(config: &Config) -> Self {
        Self {
            active: config.active_jobs_list(),
            scheduled: config.scheduled_jobs_set(),
            data: config.job_data_hash(),
            workers: config.workers_set(),
            queue: config.queue.to_string(),
            inflight: config.inflight_jobs_set(),
            meta: config.job_meta_hash(),
            idempotency: config.idempotency_key_set(),
        }
    }

    fn inflight(&self, worker: &str) -> String {
        format!("{}:{worker}", self.inflight)
    }

    fn metadata(&self, worker: &str) -> String {
        format!("{}:workers:metadata:{worker}", self.queue)
    }

    fn task_meta(&self, task: &str) -> String {
        format!("{}:{task}", self.meta)
    }

    fn idempotency(&self, task: &str) -> String {
        format!("{}:{task}", self.idempotency)
    }
}

/// Row and lease: handing the same lease over twice is one task, another lease is another.
fn task_id(lease: &Lease) -> String {
    format!("{}.{}", lease.id, lease.lease_no)
}

fn unreachable(error: RedisError) -> Unreachable {
    Unreachable(masked(&error.to_string()))
}

/// Polls at an interval. apalis's own strategy loses its wake-up when the timer and a reply of Redis
/// land in the same poll; this one polls the timer it has just set.
struct Tick {
    every: Duration,
    sleep: Pin<Box<Sleep>>,
}

impl Tick {
    fn every(every: Duration) -> Self {
        Self {
            every,
            sleep: Box::pin(sleep(every)),
        }
    }
}

impl PollStrategy for Tick {
    fn poll_drive(&mut self, cx: &mut Context<'_>, _: &PollSnapshot) -> Poll<Option<()>> {
        let mut due = false;
        while self.sleep.as_mut().poll(cx).is_ready() {
            due = true;
            let next = Instant::now() + self.every;
            self.sleep.as_mut().reset(next);
        }
        if due {
            Poll::Ready(Some(()))
        } else {
            Poll::Pending
        }
    }
}

#[cfg(test)]
mod tests;
