//! The load: a closed loop that finds out how much the server can, and an open loop that sends at a given
//! rate and counts each latency from when its request was due, so that a stall is paid for by all that
//! would have come meanwhile.

use crate::AnyError;
use crate::histogram::Histogram;
use crate::http::{Answer, Connection, PATIENCE, Template};
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub const CONNECTIONS: usize = 64;

/// What is sent, and what has to come back.
#[derive(Clone)]
pub struct Source {
    pub to: SocketAddr,
    pub template: Template,
    /// Drawn from uniformly.
    pub tokens: Arc<Vec<String>>,
    pub expects: Expects,
}

#[derive(Clone, Debug)]
pub struct Expects {
    pub status: u16,
    /// What the body holds near its beginning.
    pub body: &'static str,
}

impl Expects {
    fn check(&self, answer: &Answer<'_>) -> Result<(), AnyError> {
        let body = answer.body();
        let wanted = self.body.as_bytes();
        let fits = wanted.is_empty() || body.windows(wanted.len()).take(64).any(|it| it == wanted);
        if answer.status == self.status && fits {
            return Ok(());
        }
        Err(format!("expected {self:?}, got:\n{}", answer.text()).into())
    }
}

/// xorshift64*: which token comes next has to be cheap and even, nothing more.
pub struct Draw(u64);

impl Draw {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32;
        ((high * bound as u64) >> 32) as usize
    }
}

impl Source {
    /// One request and its answer as text.
    pub fn sample(&self) -> Result<String, AnyError> {
        let mut request = Vec::new();
        self.template.write(&self.tokens[0], &mut request);
        let mut connection = Connection::open(self.to)?;
        let answer = connection.ask(&request)?;
        self.expects.check(&answer)?;
        Ok(answer.text())
    }

    /// Asks once for every token.
    pub fn warm(&self) -> Result<(), AnyError> {
        let mut tokens = 0..self.tokens.len();
        self.saturate(|| tokens.next()).map(|_| ())
    }

    /// As many requests as are answered in this time, [`CONNECTIONS`] at once; per second.
    pub fn closed(&self, time: Duration, seed: u64) -> Result<Closed, AnyError> {
        let mut draw = Draw::new(seed);
        let start = Instant::now();
        let requests =
            self.saturate(|| (start.elapsed() < time).then(|| draw.below(self.tokens.len())))?;
        Ok(Closed {
            requests,
            took: start.elapsed(),
        })
    }

    /// A request under way on each connection, as long as there is a next one; how many were answered.
    fn saturate(&self, mut next: impl FnMut() -> Option<usize>) -> Result<usize, AnyError> {
        let (mut lanes, mut answered) = (Lanes::open(self)?, 0);
        for lane in 0..CONNECTIONS {
            if let Some(token) = next() {
                lanes.send(lane, token)?;
            }
        }
        while lanes.waiting > 0 {
            for lane in lanes.answered(PATIENCE)? {
                answered += 1;
                if let Some(token) = next() {
                    lanes.send(lane, token)?;
                }
            }
        }
        Ok(answered)
    }

    /// Requests at a fixed rate, evenly spaced over [`CONNECTIONS`].
    pub fn open(&self, rate: f64, time: Duration, seed: u64) -> Result<Histogram, AnyError> {
        let period = Duration::from_secs_f64(CONNECTIONS as f64 / rate);
        let (mut lanes, mut draw) = (Lanes::open(self)?, Draw::new(seed));
        let start = Instant::now();
        let end = start + time;
        let first = |lane| start + period.mul_f64(lane as f64 / CONNECTIONS as f64);
        let mut due: Vec<Instant> = (0..CONNECTIONS).map(first).collect();
        let mut idle: BinaryHeap<_> = (0..CONNECTIONS).map(|it| Reverse((due[it], it))).collect();
        let mut histogram = Histogram::default();
        while lanes.waiting > 0 || !idle.is_empty() {
            while let Some(&Reverse((at, lane))) = idle.peek()
                && at <= Instant::now()
            {
                idle.pop();
                lanes.send(lane, draw.below(self.tokens.len()))?;
            }
            let next = idle.peek().map(|Reverse((at, _))| *at);
            let until = next.map(|at| at.saturating_duration_since(Instant::now()));
            for lane in lanes.answered(until.unwrap_or(PATIENCE))? {
                histogram.record(due[lane].elapsed());
                due[lane] += period;
                if due[lane] < end {
                    idle.push(Reverse((due[lane], lane)));
                }
            }
        }
        Ok(histogram)
    }
}

pub struct Closed {
    pub requests: usize,
    pub took: Duration,
}

impl Closed {
    pub fn rate(&self) -> f64 {
        self.requests as f64 / self.took.as_secs_f64()
    }
}

/// All connections, served by one thread as their answers come: it takes little from the machine that the
/// server runs on, too.
struct Lanes<'a> {
    source: &'a Source,
    lanes: Vec<Connection>,
    waiting: usize,
    poll: OwnedFd,
    events: Vec<epoll::Event>,
    request: Vec<u8>,
}

impl<'a> Lanes<'a> {
    fn open(source: &'a Source) -> Result<Self, AnyError> {
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut lanes = Vec::with_capacity(CONNECTIONS);
        for lane in 0..CONNECTIONS {
            let connection = Connection::open(source.to)?;
            connection.never_block()?;
            let data = epoll::EventData::new_u64(lane as u64);
            epoll::add(&poll, connection.stream(), data, epoll::EventFlags::IN)?;
            lanes.push(connection);
        }
        Ok(Self {
            source,
            lanes,
            waiting: 0,
            poll,
            events: Vec::with_capacity(CONNECTIONS),
            request: Vec::new(),
        })
    }

    fn send(&mut self, lane: usize, token: usize) -> Result<(), AnyError> {
        let token = &self.source.tokens[token];
        self.source.template.write(token, &mut self.request);
        self.lanes[lane].send(&self.request)?;
        self.waiting += 1;
        Ok(())
    }

    /// Whose answers are there, each of them checked; waits for the first at most so long.
    fn answered(&mut self, at_most: Duration) -> Result<Vec<usize>, AnyError> {
        let timeout = Timespec::try_from(at_most)?;
        self.events.clear();
        let buffer = spare_capacity(&mut self.events);
        match epoll::wait(&self.poll, buffer, Some(&timeout)) {
            Ok(0) if at_most >= PATIENCE => return Err("no answer for half a minute".into()),
            Ok(_) => {}
            Err(Errno::INTR) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        }
        let mut answered = Vec::with_capacity(self.events.len());
        for event in &self.events {
            let data = event.data;
            let lane = data.u64() as usize;
            if let Some(answer) = self.lanes[lane].received()? {
                self.source.expects.check(&answer)?;
                self.waiting -= 1;
                answered.push(lane);
            }
        }
        Ok(answered)
    }
}

/// Lets this process and its later threads be woken within a microsecond of when they asked to be: the
/// system's default groups wake-ups by 50 µs.
pub fn sharpen_timers() {
    // Where it is not possible, latencies of all sides are coarser alike.
    let _ = std::fs::write("/proc/self/timerslack_ns", "1000");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_even() {
        let mut draw = Draw::new(7);
        let mut counts = [0u32; 10];
        for _ in 0..100_000 {
            counts[draw.below(10)] += 1;
        }
        assert!(
            counts.iter().all(|count| (9_500..10_500).contains(count)),
            "{counts:?}"
        );
    }
}
