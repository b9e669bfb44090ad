//! The load: a closed loop that finds out how much the server can, and an open loop that sends at a given
//! rate and counts each latency from when its request was due, so that a stall is paid for by all that
//! would have come meanwhile.

use crate::AnyError;
use crate::histogram::Histogram;
use crate::http::{Answer, Connection, Template};
use std::net::SocketAddr;
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
        let mut lanes = Lanes::open(self)?;
        let mut next = 0..self.tokens.len();
        while lanes.step(|| next.next())? != (0, 0) {}
        Ok(())
    }

    /// As many requests as are answered in this time, [`CONNECTIONS`] at once; per second.
    pub fn closed(&self, time: Duration, seed: u64) -> Result<Closed, AnyError> {
        let mut lanes = Lanes::open(self)?;
        let mut draw = Draw::new(seed);
        let start = Instant::now();
        let mut requests = 0;
        while start.elapsed() < time {
            requests += lanes.step(|| Some(draw.below(self.tokens.len())))?.0;
        }
        requests += lanes.step(|| None)?.0;
        Ok(Closed {
            requests,
            took: start.elapsed(),
        })
    }

    /// Requests at a fixed rate, evenly spaced over [`CONNECTIONS`].
    pub fn open(&self, rate: f64, time: Duration, seed: u64) -> Result<Histogram, AnyError> {
        let period = Duration::from_secs_f64(CONNECTIONS as f64 / rate);
        // Everybody is connected by then.
        let start = Instant::now() + Duration::from_millis(100);
        let lane = |at: usize| -> Result<Histogram, String> {
            let told = |error: AnyError| error.to_string();
            let mut connection = Connection::open(self.to).map_err(told)?;
            let mut draw = Draw::new(seed.wrapping_mul(1000).wrapping_add(at as u64));
            let mut histogram = Histogram::default();
            let mut request = Vec::new();
            let mut due = start + period.mul_f64(at as f64 / CONNECTIONS as f64);
            let end = start + time;
            while due < end {
                let token = &self.tokens[draw.below(self.tokens.len())];
                self.template.write(token, &mut request);
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                let answer = connection.ask(&request).map_err(told)?;
                let latency = due.elapsed();
                self.expects.check(&answer).map_err(told)?;
                histogram.record(latency);
                due += period;
            }
            Ok(histogram)
        };
        let mut all = Histogram::default();
        std::thread::scope(|scope| {
            let lanes: Vec<_> = (0..CONNECTIONS)
                .map(|at| {
                    let lane = &lane;
                    scope.spawn(move || lane(at))
                })
                .collect();
            for lane in lanes {
                all.add(&lane.join().map_err(|_| "a lane panicked")??);
            }
            Ok(all)
        })
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

/// All connections of a closed loop in one thread: each has a request under way while the others are
/// looked at, so the server is never without work and this side never waits but for it.
struct Lanes<'a> {
    source: &'a Source,
    lanes: Vec<(Connection, bool)>,
    request: Vec<u8>,
}

impl<'a> Lanes<'a> {
    fn open(source: &'a Source) -> Result<Self, AnyError> {
        let lanes = (0..CONNECTIONS)
            .map(|_| Ok((Connection::open(source.to)?, false)))
            .collect::<Result<_, AnyError>>()?;
        Ok(Self {
            source,
            lanes,
            request: Vec::new(),
        })
    }

    /// Takes the answer of each connection and sends its next request, if there is one: how many answers
    /// were taken, and how many requests sent.
    fn step(
        &mut self,
        mut next: impl FnMut() -> Option<usize>,
    ) -> Result<(usize, usize), AnyError> {
        let (mut answered, mut begun) = (0, 0);
        for (connection, is_waiting) in &mut self.lanes {
            if *is_waiting {
                let answer = connection.receive()?;
                self.source.expects.check(&answer)?;
                *is_waiting = false;
                answered += 1;
            }
            if let Some(token) = next() {
                let token = &self.source.tokens[token];
                self.source.template.write(token, &mut self.request);
                connection.send(&self.request)?;
                *is_waiting = true;
                begun += 1;
            }
        }
        Ok((answered, begun))
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
