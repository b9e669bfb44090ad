//! Dates as people write them, always in UTC and saying so.

use crate::catalogue::{Arg, message};
use crate::lang::Lang;
use chrono::{DateTime, Datelike};

/// `22 November 2026, 05:31 UTC`. Takes microseconds since 1970; an instant beyond what a calendar can
/// write is shown as the epoch.
pub fn date(lang: Lang, unix_micros: i64) -> String {
    let time = DateTime::from_timestamp_micros(unix_micros).unwrap_or_default();
    let month = message(lang, &format!("month-{}", time.month()), &[]);
    message(
        lang,
        "date",
        &[
            ("day", Arg::Num(time.day().into())),
            ("month", Arg::Str(&month)),
            ("year", Arg::Num(time.year().into())),
            ("time", Arg::Str(&time.format("%H:%M").to_string())),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_read_well_in_both_languages() {
        let at = 1_795_325_460_000_000 + 59_999_999;
        assert_eq!(date(Lang::En, at), "22 November 2026, 05:31 UTC");
        assert_eq!(date(Lang::Ar, at), "22 نوفمبر 2026، 05:31 UTC");
        assert_eq!(date(Lang::En, 0), "1 January 1970, 00:00 UTC");
        assert_eq!(date(Lang::En, -1), "31 December 1969, 23:59 UTC");
        assert_eq!(date(Lang::En, i64::MAX), date(Lang::En, i64::MAX - 1));
    }

    #[test]
    fn every_month_has_its_own_name() {
        for lang in Lang::ALL {
            let mut names: Vec<_> = (1..=12)
                .map(|month| message(lang, &format!("month-{month}"), &[]))
                .collect();
            names.sort();
            names.dedup();
            assert_eq!(names.len(), 12);
            assert!(!names.iter().any(|name| name.starts_with("month-")));
        }
    }
}
