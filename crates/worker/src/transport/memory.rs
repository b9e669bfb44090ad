//! apalis in memory, for a single process. A bounded channel feeds its worker: apalis's own memory
//! storage has an unbounded one, and no way to push while its worker runs.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use apalis::prelude::{WorkerBuilder, WorkerBuilderExt};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use symbolon_app::Lease;
use tokio::sync::{mpsc, watch};

use super::{Deliver, Unreachable, stopped};

/// Leases waiting between relay and worker; more would only grow old there.
const WAITING: usize = 64;
/// Before a worker that ended is built anew.
const PAUSE: Duration = Duration::from_millis(200);

pub(crate) struct Memory {
    concurrency: usize,
    sender: mpsc::Sender<Lease>,
    /// Locked for the moment of taking one out only, so that a worker built anew goes on with it.
    receiver: Arc<Mutex<mpsc::Receiver<Lease>>>,
}

impl Memory {
    pub fn new(concurrency: usize) -> Self {
        let (sender, receiver) = mpsc::channel(WAITING);
        Self {
            concurrency,
            sender,
            receiver: Arc::new(Mutex::new(receiver)),
        }
    }

    pub fn room(&self) -> usize {
        self.sender.capacity()
    }

    pub fn hand_over(&self, leases: &[Lease]) -> Result<(), Unreachable> {
        for lease in leases {
            self.sender
                .try_send(*lease)
                .map_err(|_| Unreachable("the queue in memory is full".to_owned()))?;
        }
        Ok(())
    }

    pub fn take_undelivered(&self) -> Vec<Lease> {
        let mut receiver = self.receiver.lock().unwrap_or_else(PoisonError::into_inner);
        std::iter::from_fn(|| receiver.try_recv().ok()).collect()
    }

    fn leases(&self) -> BoxStream<'static, Result<Lease, Infallible>> {
        let receiver = self.receiver.clone();
        futures_util::stream::poll_fn(move |cx| {
            let mut receiver = receiver.lock().unwrap_or_else(PoisonError::into_inner);
            receiver.poll_recv(cx).map(|lease| lease.map(Ok))
        })
        .boxed()
    }

    pub async fn run(&self, deliver: Deliver, stopping: watch::Receiver<bool>) {
        while !*stopping.borrow() {
            let deliver = deliver.clone();
            let signal = stopped(stopping.clone());
            let worker = WorkerBuilder::new("memory")
                .backend(self.leases())
                .concurrency(self.concurrency)
                .catch_panic()
                .build(move |lease: Lease| deliver(lease))
                .run_until(async move {
                    signal.await;
                    Ok::<(), std::io::Error>(())
                });
            match tokio::spawn(worker).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(%error, "the worker in memory ended"),
                Err(error) => tracing::error!(%error, "the worker in memory broke"),
            }
            if !*stopping.borrow() {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{lease, recorder};
    use super::*;
    use std::sync::atomic::Ordering;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn delivers_everything_and_stops() {
        let memory = Arc::new(Memory::new(4));
        let (deliver, seen) = recorder(Duration::from_millis(1));
        let (stop, stopping) = watch::channel(false);
        let running = tokio::spawn({
            let memory = memory.clone();
            async move { memory.run(deliver, stopping).await }
        });
        for number in 0..1000 {
            while memory.room() == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            memory.hand_over(&[lease(number)]).unwrap();
        }
        seen.wait_for(1000).await;
        assert!(seen.most_at_once.load(Ordering::SeqCst) <= 4);
        stop.send(true).unwrap();
        running.await.unwrap();
        assert_eq!(seen.distinct(), 1000);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_was_not_delivered_is_given_back() {
        let memory = Arc::new(Memory::new(1));
        let (deliver, seen) = recorder(Duration::from_millis(300));
        let (stop, stopping) = watch::channel(false);
        let leases: Vec<_> = (0..WAITING as i64).map(lease).collect();
        memory.hand_over(&leases).unwrap();
        assert_eq!(memory.room(), 0);
        assert!(memory.hand_over(&[lease(99)]).is_err());
        let running = tokio::spawn({
            let memory = memory.clone();
            async move { memory.run(deliver, stopping).await }
        });
        while seen.started.load(Ordering::SeqCst) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        stop.send(true).unwrap();
        tokio::time::timeout(Duration::from_secs(2), running)
            .await
            .unwrap()
            .unwrap();
        let back = memory.take_undelivered();
        assert_eq!(back.len() + seen.distinct(), WAITING);
        assert!(seen.distinct() <= 2, "{}", seen.distinct());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_panic_does_not_end_the_worker() {
        let memory = Arc::new(Memory::new(2));
        let (deliver, seen) = recorder(Duration::ZERO);
        let fragile: Deliver = Arc::new(move |lease| {
            assert!(lease.lease_no != 0, "poison");
            deliver(lease)
        });
        let (_stop, stopping) = watch::channel(false);
        let carrier = memory.clone();
        tokio::spawn(async move { carrier.run(fragile, stopping).await });
        for number in 0..10 {
            memory.hand_over(&[lease(number)]).unwrap();
        }
        seen.wait_for(9).await;
    }
}
