//! Instants in microseconds, spans in words, and the clock that callers bring.

use chrono::{DateTime, Datelike, Timelike, Utc};
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// An instant in microseconds since 1970-01-01T00:00:00Z: what both databases keep without loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

/// The first and the last instant that a four-digit year can write (RFC 3339 §1).
const EARLIEST: i64 = -62_167_219_200_000_000;
const LATEST: i64 = 253_402_300_799_999_999;

impl Timestamp {
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    pub const fn as_micros(self) -> i64 {
        self.0
    }

    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// Whole days since 1970, in UTC.
    pub const fn day(self) -> i64 {
        self.0.div_euclid(86_400_000_000)
    }

    /// Parses RFC 3339 with any offset; digits beyond microseconds are cut off.
    /// `None` for anything else, and for years outside 0000 to 9999.
    pub fn parse(text: &str) -> Option<Self> {
        // The parser takes a space for the T, which RFC 3339 leaves to applications; ours does not.
        if !matches!(text.as_bytes().get(10), Some(b'T' | b't')) {
            return None;
        }
        let time = DateTime::parse_from_rfc3339(text).ok()?;
        let micros = time.with_timezone(&Utc).timestamp_micros();
        (EARLIEST..=LATEST)
            .contains(&micros)
            .then_some(Self(micros))
    }

    /// The later instant, stopping at the last that RFC 3339 can write.
    pub fn plus(self, span: Duration) -> Self {
        let micros = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(micros).min(LATEST))
    }

    pub fn minus(self, span: Duration) -> Self {
        let micros = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(micros))
    }

    /// The span from `earlier` to here; zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    pub fn to_chrono(self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.0).unwrap_or_default()
    }

    pub fn from_chrono(time: DateTime<Utc>) -> Self {
        Self(time.timestamp_micros())
    }

    /// Room for what [`Self::write`] writes.
    pub const TEXT_MAX: usize = "2026-11-22T12:34:56.123456Z".len();

    /// The time as RFC 3339 in UTC, with no, three or six digits after the second. Answers that are given
    /// thousands of times a second are written with it. What no four-digit year can write is written as the
    /// nearest that one can.
    pub fn write(self, room: &mut [u8; Self::TEXT_MAX]) -> &str {
        let time = Self(self.0.clamp(EARLIEST, LATEST)).to_chrono();
        let mut put = |at: usize, digits: usize, mut value: u32| {
            for place in room[at..at + digits].iter_mut().rev() {
                *place = b'0' + (value % 10) as u8;
                value /= 10;
            }
        };
        put(0, 4, time.year().unsigned_abs());
        put(5, 2, time.month());
        put(8, 2, time.day());
        put(11, 2, time.hour());
        put(14, 2, time.minute());
        put(17, 2, time.second());
        let micros = time.timestamp_subsec_micros();
        let digits = match micros {
            0 => 0,
            micros if micros % 1000 == 0 => 3,
            _ => 6,
        };
        put(20, digits, if digits == 3 { micros / 1000 } else { micros });
        for (at, mark) in [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')] {
            room[at] = mark;
        }
        let end = if digits == 0 {
            19
        } else {
            room[19] = b'.';
            20 + digits
        };
        room[end] = b'Z';
        std::str::from_utf8(&room[..=end]).expect("digits and marks are ASCII")
    }
}

impl std::fmt::Display for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.write(&mut [0; Self::TEXT_MAX]))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not an RFC 3339 time"))
    }
}

/// What time it is. The machine's clock lives in `app`; tests move a [`ManualClock`].
pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;

    /// The time since some moment before: it never goes back, whatever is done to the time of day.
    fn monotonic(&self) -> Duration;
}

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct ManualClock {
    now: AtomicI64,
    /// Microseconds by which it was moved forward in all.
    moved: AtomicU64,
}

impl ManualClock {
    pub fn new(start: Timestamp) -> Self {
        Self {
            now: AtomicI64::new(start.as_micros()),
            moved: AtomicU64::new(0),
        }
    }

    pub fn advance(&self, span: Duration) {
        let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        self.moved.fetch_add(micros, Ordering::SeqCst);
        let micros = i64::try_from(micros).unwrap_or(i64::MAX);
        self.now.fetch_add(micros, Ordering::SeqCst);
    }

    /// Sets the time of day. Set back, it stands still as a measure of time.
    pub fn set(&self, now: Timestamp) {
        let before = self.now.swap(now.as_micros(), Ordering::SeqCst);
        let forward = u64::try_from(now.as_micros() - before).unwrap_or(0);
        self.moved.fetch_add(forward, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.now.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_micros(self.moved.load(Ordering::SeqCst))
    }
}

/// Parses a span as people write it: `90d`, `24h`, `15m`, `30s`, `500ms`, or ISO 8601 (`P90D`, `PT24H`,
/// `P1DT12H`; weeks, but no months or years, whose length depends on the date). Bare `0` is zero.
pub fn parse_span(text: &str) -> Option<Duration> {
    let text = text.trim();
    if text == "0" {
        return Some(Duration::ZERO);
    }
    if let Some(iso) = text.strip_prefix('P') {
        return parse_iso_span(iso);
    }
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let count: u64 = text.get(..digits)?.parse().ok()?;
    let millis = match &text[digits..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "w" => 604_800_000,
        _ => return None,
    };
    bounded(count.checked_mul(millis)?)
}

fn parse_iso_span(iso: &str) -> Option<Duration> {
    let (mut in_time, mut seen, mut number, mut millis) = (false, false, String::new(), 0u64);
    for c in iso.chars() {
        if c == 'T' && !in_time && number.is_empty() {
            in_time = true;
            seen = false;
            continue;
        }
        if c.is_ascii_digit() {
            number.push(c);
            continue;
        }
        let unit = match (in_time, c) {
            (false, 'W') => 604_800_000,
            (false, 'D') => 86_400_000,
            (true, 'H') => 3_600_000,
            (true, 'M') => 60_000,
            (true, 'S') => 1_000,
            _ => return None,
        };
        millis = millis.checked_add(number.parse::<u64>().ok()?.checked_mul(unit)?)?;
        number.clear();
        seen = true;
    }
    (seen && number.is_empty()).then_some(())?;
    bounded(millis)
}

/// Longer than ten thousand years is a slip, not a span.
fn bounded(millis: u64) -> Option<Duration> {
    (millis <= 10_000 * 366 * 86_400_000).then(|| Duration::from_millis(millis))
}

/// Writes a span the way [`parse_span`] reads it, in the largest unit that divides it.
pub fn format_span(span: Duration) -> String {
    let millis = span.as_millis();
    for (unit, size) in [
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
    ] {
        if millis >= size && millis.is_multiple_of(size) {
            return format!("{}{unit}", millis / size);
        }
    }
    if millis == 0 {
        "0".into()
    } else {
        format!("{millis}ms")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::SecondsFormat;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn times_are_written_as_chrono_writes_them(micros in EARLIEST..=LATEST, cut in 0u32..3) {
            // Whole milliseconds and whole seconds, too.
            let time = Timestamp(micros - micros.rem_euclid(1000i64.pow(cut)));
            let expected = time.to_chrono().to_rfc3339_opts(SecondsFormat::AutoSi, true);
            prop_assert_eq!(time.to_string(), expected);
        }
    }

    #[test]
    fn times_beyond_four_digits_are_written_as_the_last() {
        for (micros, text) in [
            (i64::MAX, "9999-12-31T23:59:59.999999Z"),
            (i64::MIN, "0000-01-01T00:00:00Z"),
        ] {
            assert_eq!(Timestamp(micros).to_string(), text);
        }
    }

    #[test]
    fn times_round_trip_and_compare_in_utc() {
        let time = Timestamp::parse("2026-11-22T05:31:56.123456789+02:00").unwrap();
        assert_eq!(time.to_string(), "2026-11-22T03:31:56.123456Z");
        assert_eq!(Timestamp::parse(&time.to_string()), Some(time));
        assert_eq!(
            Timestamp::parse("2023-11-07T05:31:56Z")
                .unwrap()
                .to_string(),
            "2023-11-07T05:31:56Z"
        );
        assert_eq!(Timestamp::parse("2023-11-07"), None);
        assert_eq!(Timestamp::parse("+12023-11-07T00:00:00Z"), None);
    }

    #[test]
    fn spans_are_read_and_written() {
        for (text, seconds) in [
            ("90d", 7_776_000),
            ("P90D", 7_776_000),
            ("PT24H", 86_400),
            ("P1DT12H", 129_600),
            ("15m", 900),
            ("0", 0),
            ("P1W", 604_800),
        ] {
            assert_eq!(
                parse_span(text),
                Some(Duration::from_secs(seconds)),
                "{text}"
            );
        }
        for text in [
            "",
            "d",
            "90",
            "-1d",
            "P",
            "PT",
            "P1M",
            "P1Y",
            "1.5h",
            "P1DT",
            "99999999999999999999d",
            "1dd",
        ] {
            assert_eq!(parse_span(text), None, "{text}");
        }
        for span in [0, 1, 999, 1_000, 60_000, 90_000, 3_600_000, 86_400_000] {
            let span = Duration::from_millis(span);
            assert_eq!(parse_span(&format_span(span)), Some(span));
        }
    }
}
