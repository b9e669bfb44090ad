//! Running `cargo test` over the workspace and counting: what passed, what failed, what did not
//! run and why.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

/// What one run of the suite came to.
#[derive(Debug, Default, PartialEq)]
pub struct Tally {
    passed: u64,
    failed: Vec<String>,
    ignored: Vec<String>,
    /// Tests that lacked a server, as they said it: `what (why)`.
    not_run: Vec<String>,
    /// Suite → backend → number of cases that ran.
    counts: BTreeMap<String, BTreeMap<String, u64>>,
    /// The tests of a binary that has announced them and not yet summed up.
    open: Option<u64>,
    filtered: bool,
}

/// Runs everything to the end, with the output passed through.
pub fn run(
    filter: Option<&str>,
    exports: &[(String, String)],
    dir: &Path,
) -> Result<Tally, String> {
    let (not_run, counts) = (dir.join("not-run"), dir.join("counts"));
    let mut cargo = crate::cargo();
    cargo
        .args(["test", "--workspace", "--no-fail-fast"])
        .envs(exports.iter().map(|(name, value)| (name, value)))
        .env("SYMBOLON_TEST_NOT_RUN_FILE", &not_run)
        .env("SYMBOLON_TEST_COUNTS_FILE", &counts)
        .stdout(Stdio::piped());
    if let Some(filter) = filter {
        cargo.args(["--", filter]);
    }
    let mut child = cargo.spawn().map_err(|e| format!("cargo test: {e}"))?;
    let mut tally = Tally {
        filtered: filter.is_some(),
        ..Tally::default()
    };
    if let Some(stdout) = child.stdout.take() {
        let mut reader = BufReader::new(stdout);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            let text = String::from_utf8_lossy(&line);
            print!("{text}");
            tally.read_output(text.trim_end());
            line.clear();
        }
    }
    let status = child.wait().map_err(|e| format!("cargo test: {e}"))?;
    tally.close_binary();
    if !status.success() && tally.failed.is_empty() {
        tally.failed.push(format!("cargo test ended with {status}"));
    }
    for line in read_lines(&not_run) {
        tally.read_not_run(&line);
    }
    for line in read_lines(&counts) {
        tally.read_count(&line)?;
    }
    Ok(tally)
}

impl Tally {
    fn read_output(&mut self, line: &str) {
        if let Some(rest) = line.strip_prefix("running ") {
            self.close_binary();
            self.open = rest.split(' ').next().and_then(|n| n.parse().ok());
        } else if let Some(rest) = line.strip_prefix("test result: ") {
            self.open = None;
            self.passed += number_before(rest, " passed");
        } else if line.starts_with("NOT RUN: ") {
            self.read_not_run(line);
        } else if let Some(rest) = line.strip_prefix("test ") {
            if let Some((name, _)) = rest.split_once(" ... FAILED") {
                self.failed.push(name.to_owned());
            } else if let Some((name, reason)) = rest.split_once(" ... ignored") {
                let reason = reason.trim_start_matches(", ");
                let reason = if reason.is_empty() { "ignored" } else { reason };
                self.ignored.push(format!("{name} ({reason})"));
            }
        }
    }

    /// A test binary that announced tests and never summed them up was killed or aborted.
    fn close_binary(&mut self) {
        if let Some(tests) = self.open.take() {
            self.failed.push(format!(
                "a test binary died in the middle of its {tests} tests"
            ));
        }
    }

    fn read_not_run(&mut self, line: &str) {
        let entry = line.strip_prefix("NOT RUN: ").unwrap_or(line).trim();
        if !entry.is_empty() {
            self.not_run.push(entry.to_owned());
        }
    }

    /// Lines of the form `contract sqlite 57`; several binaries add up.
    fn read_count(&mut self, line: &str) -> Result<(), String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [suite, backend, count] = words[..] else {
            return Err(format!("not `suite backend count`: {line}"));
        };
        let count: u64 = count.parse().map_err(|_| format!("not a count: {line}"))?;
        let backends = self.counts.entry(suite.to_owned()).or_default();
        *backends.entry(backend.to_owned()).or_default() += count;
        Ok(())
    }

    /// Every backend must have run the same contract; a filter, or a server that is not there,
    /// legitimately leaves some out.
    fn contract_difference(&self, all_servers: bool) -> Option<String> {
        if self.filtered || !all_servers {
            return None;
        }
        let backends = self.counts.get("contract")?;
        let of = |backend: &str| backends.get(backend).copied().unwrap_or(0);
        let (sqlite, postgres) = (of("sqlite"), of("postgres"));
        (sqlite != postgres).then(|| {
            format!("the contract ran {sqlite} cases on sqlite and {postgres} on postgres")
        })
    }

    /// Prints the summary, its last line the count; true if the run may be called good. `strict`
    /// (in CI): what did not run is a failure.
    pub fn report(mut self, missing: &[(&str, &str)], all_servers: bool, strict: bool) -> bool {
        self.failed.extend(self.contract_difference(all_servers));
        println!();
        for (program, command) in missing {
            println!("{program} is not installed; install it with: {command}");
        }
        print_list("did not run", &self.not_run);
        print_list("ignored", &self.ignored);
        for (suite, backends) in &self.counts {
            let counts: Vec<String> = backends
                .iter()
                .map(|(backend, count)| format!("{count} on {backend}"))
                .collect();
            println!("{suite}: {}", counts.join(", "));
        }
        print_list("failed", &self.failed);
        println!("{}", self.last_line());
        self.is_good(strict)
    }

    fn skipped(&self) -> usize {
        self.not_run.len() + self.ignored.len()
    }

    fn last_line(&self) -> String {
        // A test that found its server missing returned early, and libtest called that passed.
        let passed = self.passed.saturating_sub(self.not_run.len() as u64);
        let mut line = format!("{passed} passed, {} failed", self.failed.len());
        if self.skipped() > 0 {
            line += &format!(", {} skipped", self.skipped());
        }
        line
    }

    fn is_good(&self, strict: bool) -> bool {
        self.failed.is_empty() && self.passed > 0 && !(strict && self.skipped() > 0)
    }
}

fn print_list(what: &str, names: &[String]) {
    if !names.is_empty() {
        println!("{} {what}:", names.len());
        for name in names {
            println!("  {name}");
        }
    }
}

fn number_before(text: &str, unit: &str) -> u64 {
    text.split_once(unit)
        .and_then(|(before, _)| before.rsplit(' ').next()?.parse().ok())
        .unwrap_or(0)
}

fn read_lines(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .filter(|line| !line.trim().is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(output: &str) -> Tally {
        let mut tally = Tally::default();
        output.lines().for_each(|line| tally.read_output(line));
        tally.close_binary();
        tally
    }

    const ONE_OF_EACH: &str = "\
running 3 tests
test rules::good ... ok
test rules::bad ... FAILED
test rules::later ... ignored, needs a browser

test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s

running 20 tests
test result: ok. 20 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s";

    #[test]
    fn passed_failed_and_ignored_are_summed_over_binaries() {
        let tally = tally(ONE_OF_EACH);
        assert_eq!(tally.last_line(), "21 passed, 1 failed, 1 skipped");
        assert_eq!(tally.failed, ["rules::bad"]);
        assert_eq!(tally.ignored, ["rules::later (needs a browser)"]);
        assert!(!tally.is_good(false));
    }

    #[test]
    fn a_binary_that_dies_is_a_failure() {
        let tally = tally(
            "running 7 tests\ntest a ... ok\nrunning 1 test\ntest result: ok. 1 passed; 0 failed",
        );
        assert_eq!(tally.last_line(), "1 passed, 1 failed");
    }

    #[test]
    fn what_did_not_run_is_not_counted_as_passed_and_fails_only_where_strict() {
        let mut tally = tally("running 2 tests\ntest result: ok. 2 passed; 0 failed");
        tally.read_not_run("relay (no Redis)");
        assert_eq!(tally.last_line(), "1 passed, 0 failed, 1 skipped");
        tally.read_output("NOT RUN: lease (no Redis)");
        assert_eq!(tally.last_line(), "0 passed, 0 failed, 2 skipped");
        tally.passed = 3;
        assert!(tally.is_good(false));
        assert!(!tally.is_good(true));
    }

    #[test]
    fn no_tests_at_all_is_not_good() {
        assert!(!tally("running 0 tests\ntest result: ok. 0 passed; 0 failed").is_good(false));
    }

    #[test]
    fn the_contract_must_be_the_same_on_both_databases() {
        let mut tally = Tally::default();
        for line in [
            "contract sqlite 50",
            "contract sqlite 7",
            "contract postgres 57",
        ] {
            tally.read_count(line).unwrap();
        }
        assert_eq!(tally.contract_difference(true), None);
        tally.read_count("contract sqlite 1").unwrap();
        assert!(tally.contract_difference(true).unwrap().contains("58"));
        assert_eq!(tally.contract_difference(false), None);
        tally.filtered = true;
        assert_eq!(tally.contract_difference(true), None);
        assert!(tally.read_count("contract sqlite many").is_err());
    }
}
