//! `POST /v1/public/tokens/verify` on hits, every check on, beside the bare handler; what it asks of the
//! database meanwhile; and whether a million tokens cost more than a thousand.

use crate::AnyError;
use crate::bare;
use crate::http::{TOKEN, Template, head};
use crate::instance::Instance;
use crate::load::{Expects, Source};
use crate::process::Process;
use crate::proxy::Proxy;
use crate::rounds::{self, Bound, Plan, Side};
use std::sync::Arc;
use std::time::Duration;
use symbolon_app::AppSettings;

pub const PATH: &str = "/v1/public/tokens/verify";
const GOOD: Expects = Expects {
    status: 200,
    body: "\"valid\":true",
};

/// A verification with scopes and a client's address, at the real handler or at the bare one.
pub fn template(path: &str, verifier: &str, token_length: usize) -> Template {
    let head = head(
        "POST",
        path,
        &[("Authorization", &format!("Bearer {verifier}"))],
    );
    let body = format!(
        r#"{{"token":"{TOKEN}","scopes":["invoices:read","reports:read"],"client_ip":"127.10.20.30"}}"#
    );
    Template::new(&head, Some(&body), token_length)
}

pub fn source(process: &Process, instance: &Instance, tokens: Arc<Vec<String>>) -> Source {
    Source {
        to: process.address,
        template: template(PATH, &instance.verifier, tokens[0].len()),
        tokens,
        expects: GOOD,
    }
}

pub fn bare(real: &Source, instance: &Instance) -> Result<Source, AnyError> {
    let length = real.tokens[0].len();
    bare::learn(real, template(bare::PATH, &instance.verifier, length))
}

pub async fn run(plan: &Plan) -> Result<(), AnyError> {
    let instance = Instance::new(AppSettings::default()).await?;
    let (tokens, _) = instance.tokens(plan.tokens, 1).await?;
    let process = instance.start(&[])?;
    let real = source(&process, &instance, Arc::new(tokens));
    real.warm()?;
    let bare = bare(&real, &instance)?;
    println!(
        "verify on a hit, {} tokens, {} rounds of {:?}:",
        plan.tokens, plan.rounds, plan.round
    );
    let max = compare(plan, &process, &bare, &real, Bound::AtMost(1.4))?;
    latency(plan, max / 2.0, &bare, &real)?;
    flood(plan, max / 2.0, &instance, &process, &real)?;
    println!(
        "  resident memory of the process: {:.0} MB",
        process.resident()? as f64 / 1e6
    );
    drop(process);
    statements(plan, &instance, &real)
}

/// Processor time and rate; the bare maximum per second.
pub fn compare(
    plan: &Plan,
    process: &Process,
    bare: &Source,
    real: &Source,
    bound: Bound,
) -> Result<f64, AnyError> {
    let side = |source, flushes| Side {
        process,
        source,
        flushes,
    };
    let [base, real] = rounds::closed(plan, &side(bare, false), &side(real, true))?;
    rounds::print("server CPU a request", "µs", &base.cpu, &real.cpu, bound);
    rounds::print("requests", "/s", &base.rate, &real.rate, Bound::None);
    Ok(rounds::median(&base.rate))
}

pub fn latency(plan: &Plan, rate: f64, bare: &Source, real: &Source) -> Result<(), AnyError> {
    let p99 = |source: &Source, seed| rounds::p99(source, rate, plan.round, seed);
    let [base, real] = rounds::open(plan, rate, |it| p99(bare, it), |it| p99(real, it))?;
    let bound = Bound::AtMost(1.3);
    rounds::print("p99 at half the bare maximum", "µs", &base, &real, bound);
    Ok(())
}

/// Good tokens beside as many requests with junk, against good tokens beside as many that cost the server
/// nothing but their receipt: at half the bare maximum each, and at half of that in all.
fn flood(
    plan: &Plan,
    half: f64,
    instance: &Instance,
    process: &Process,
    good: &Source,
) -> Result<(), AnyError> {
    let junk = crate::authorize::junk(process, instance);
    let learnt = crate::authorize::bare(&junk, instance)?;
    for (share, rate) in [("half", half), ("a quarter", half / 2.0)] {
        println!("  {share} of the bare maximum, and as much of a flood:");
        let beside = |flood: &Source, seed: u64| {
            std::thread::scope(|scope| {
                let flood = scope.spawn(move || {
                    let flooded = flood.open(rate, plan.round, seed + 1);
                    flooded.map(|_| ()).map_err(|error| error.to_string())
                });
                let p99 = rounds::p99(good, rate, plan.round, seed);
                flood.join().map_err(|_| "the flood panicked")??;
                p99
            })
        };
        let alone = rounds::p99(good, rate, plan.round, 7)?;
        println!("  p99 without a flood: {alone:?}");
        let measured = rounds::open(plan, rate, |it| beside(&learnt, it), |it| beside(&junk, it));
        match measured {
            Ok([base, real]) => {
                let bound = Bound::AtMost(1.3);
                rounds::print("p99 of the good ones", "µs", &base, &real, bound);
            }
            Err(error) => println!("  both together are more than this machine does: {error}"),
        }
    }
    Ok(())
}

/// What passes between a process and its database while it verifies hits.
fn statements(plan: &Plan, instance: &Instance, real: &Source) -> Result<(), AnyError> {
    let proxy = Proxy::start(instance.server()?)?;
    let process = instance.start_behind(proxy.address, &[])?;
    let real = Source {
        to: process.address,
        ..real.clone()
    };
    real.warm()?;
    // What the warming noted is written, and what it read has arrived.
    std::thread::sleep(Duration::from_secs(6));
    proxy.take_statements();
    let closed = real.closed(plan.round, 1)?;
    std::thread::sleep(Duration::from_secs(6));
    let ran = proxy.take_statements();
    println!(
        "statements during {} verifies on hits and the {:?} until their uses were written:",
        closed.requests,
        plan.round + Duration::from_secs(6)
    );
    let mut sorts = [
        ("uses", 0),
        ("feed", 0),
        ("heartbeats", 0),
        ("clock", 0),
        ("other", 0),
    ];
    for (statement, count) in &ran {
        let text = statement.to_ascii_lowercase();
        let sort = if ["begin", "commit", "rollback", "set "]
            .iter()
            .any(|it| text.starts_with(it))
        {
            // Part of what they enclose.
            continue;
        } else if text.contains("credential_use") {
            0
        } else if text.contains("feed") {
            1
        } else if text.contains("nodes") {
            2
        } else if text.contains("clock_timestamp") || text.contains("now()") {
            3
        } else {
            println!("  other: {count} x {statement}");
            4
        };
        sorts[sort].1 += count;
    }
    for (sort, count) in sorts {
        println!("  {sort:<12} {count}");
    }
    Ok(())
}

/// A million tokens in the database and a quarter of them in memory, against a thousand of each.
pub async fn scale(plan: &Plan, tokens: usize, cached: usize) -> Result<(), AnyError> {
    const FEW: usize = 1000;
    // The cache is split by hashes, so its parts do not fill evenly: some room keeps all of them in.
    let capacity = (cached + cached / 5).to_string();
    let settings = [("SYMBOLON__CACHE__CAPACITY", capacity.as_str())];
    let (small, large) = (
        Instance::new(AppSettings::default()).await?,
        Instance::new(AppSettings::default()).await?,
    );
    let few = small.tokens(FEW, 1).await?.0;
    let mut many = large.tokens(tokens, 1).await?.0;
    many.truncate(cached);
    let (of_few, of_many) = (small.start(&settings)?, large.start(&settings)?);
    let few = source(&of_few, &small, Arc::new(few));
    let many = source(&of_many, &large, Arc::new(many));
    few.warm()?;
    many.warm()?;
    println!("verify: {tokens} tokens in the database, {cached} of them cached, against {FEW}:");
    let side = |process, source| Side {
        process,
        source,
        flushes: true,
    };
    let [base, real] = rounds::closed(plan, &side(&of_few, &few), &side(&of_many, &many))?;
    let bound = Bound::AtMost(1.1);
    rounds::print("server CPU a request", "µs", &base.cpu, &real.cpu, bound);
    println!(
        "  resident memory: {:.0} MB against {:.0} MB",
        of_many.resident()? as f64 / 1e6,
        of_few.resident()? as f64 / 1e6
    );
    Ok(())
}
