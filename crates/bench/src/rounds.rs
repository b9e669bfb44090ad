//! Alternating rounds of two sides on one server, so that a slow minute of the machine hits both, and the
//! ratios of their medians.

use crate::AnyError;
use crate::load::{Closed, Source};
use crate::process::Process;
use std::time::Duration;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub rounds: usize,
    pub round: Duration,
    pub tokens: usize,
}

/// After a round of the measured side: the uses that it noted are written, and count as its own work.
const FLUSH: Duration = Duration::from_millis(5_500);

/// A source, the process that answers it, and whether its work goes on after the last answer.
pub struct Side<'a> {
    pub process: &'a Process,
    pub source: &'a Source,
    pub flushes: bool,
}

#[derive(Debug, Default)]
pub struct Measured {
    /// µs of the server's processor time a request.
    pub cpu: Vec<f64>,
    /// Requests a second.
    pub rate: Vec<f64>,
}

impl Measured {
    fn round(&mut self, side: &Side<'_>, time: Duration, seed: u64) -> Result<(), AnyError> {
        let before = side.process.cpu()?;
        let closed: Closed = side.source.closed(time, seed)?;
        if side.flushes {
            std::thread::sleep(FLUSH);
        }
        let took = side.process.cpu()?.since(&before);
        self.cpu.push(took / closed.requests as f64);
        self.rate.push(closed.rate());
        Ok(())
    }
}

/// Closed loop: the processor time and the rate of both sides.
pub fn closed(plan: &Plan, base: &Side<'_>, real: &Side<'_>) -> Result<[Measured; 2], AnyError> {
    let mut both = [Measured::default(), Measured::default()];
    for round in 0..plan.rounds {
        let seed = round as u64 + 1;
        let order = if round % 2 == 0 { [0, 1] } else { [1, 0] };
        for at in order {
            both[at].round([base, real][at], plan.round, seed)?;
        }
    }
    Ok(both)
}

/// Open loop at one rate: the p99 of both sides in µs.
pub fn open(
    plan: &Plan,
    rate: f64,
    base: impl Fn(u64) -> Result<Duration, AnyError>,
    real: impl Fn(u64) -> Result<Duration, AnyError>,
) -> Result<[Vec<f64>; 2], AnyError> {
    let mut both = [Vec::new(), Vec::new()];
    println!("  open loop at {rate:.0}/s");
    for round in 0..plan.rounds {
        let seed = round as u64 + 100;
        let order = if round % 2 == 0 { [0, 1] } else { [1, 0] };
        for at in order {
            let p99 = if at == 0 { base(seed)? } else { real(seed)? };
            both[at].push(p99.as_secs_f64() * 1e6);
        }
    }
    Ok(both)
}

/// The p99 of a source at a rate; an error where the server could not keep up with it.
pub fn p99(source: &Source, rate: f64, time: Duration, seed: u64) -> Result<Duration, AnyError> {
    let histogram = source.open(rate, time, seed)?;
    let expected = rate * time.as_secs_f64();
    if (histogram.len() as f64) < 0.98 * expected {
        return Err(format!("{} of {expected:.0} requests were sent", histogram.len()).into());
    }
    Ok(histogram.quantile(0.99))
}

pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}

fn spread(values: &[f64]) -> (f64, f64) {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(0.0, f64::max);
    (least, most)
}

/// Whether the ratio has to stay below or above a bound.
#[derive(Debug, Clone, Copy)]
pub enum Bound {
    AtMost(f64),
    AtLeast(f64),
    None,
}

impl Bound {
    pub fn verdict(self, value: f64) -> String {
        match self {
            Self::AtMost(bound) if value <= bound => format!("<= {bound} ok"),
            Self::AtMost(bound) => format!("<= {bound} MISSED"),
            Self::AtLeast(bound) if value >= bound => format!(">= {bound} ok"),
            Self::AtLeast(bound) => format!(">= {bound} MISSED"),
            Self::None => String::new(),
        }
    }
}

/// One line: medians with their spread, and the ratio with that of the single rounds.
pub fn print(what: &str, unit: &str, base: &[f64], real: &[f64], bound: Bound) -> f64 {
    let show = |values: &[f64]| {
        let (least, most) = spread(values);
        format!("{:8.1} ({least:.1} to {most:.1})", median(values))
    };
    let pairs: Vec<f64> = base
        .iter()
        .zip(real)
        .map(|(base, real)| real / base)
        .collect();
    let ((least, most), ratio) = (spread(&pairs), median(real) / median(base));
    println!(
        "  {what:<28} {unit:<6} base {}  real {}  ratio {ratio:.3} ({least:.2} to {most:.2}) {}",
        show(base),
        show(real),
        bound.verdict(ratio)
    );
    ratio
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_verdicts() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(spread(&[3.0, 1.0, 2.0]), (1.0, 3.0));
        assert_eq!(Bound::AtMost(1.4).verdict(1.41), "<= 1.4 MISSED");
        assert_eq!(Bound::AtLeast(0.7).verdict(0.7), ">= 0.7 ok");
    }
}
