//! How long a revocation takes to reach another process: revoked through one, asked about at the other,
//! which is under half its load.

use crate::AnyError;
use crate::histogram::Histogram;
use crate::http::{Connection, Template, head};
use crate::instance::{Ids, Instance};
use crate::process::Process;
use crate::proxy::Proxy;
use crate::rounds::{Bound, Plan};
use crate::verify;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use symbolon_app::AppSettings;

/// Between two questions about one token.
const PERIOD: Duration = Duration::from_micros(500);
const PATIENCE: Duration = Duration::from_secs(15);

pub async fn run(plan: &Plan, revocations: usize) -> Result<(), AnyError> {
    let instance = Instance::new(AppSettings::default()).await?;
    let (load, _) = instance.tokens(plan.tokens, 1).await?;
    let load = Arc::new(load);
    for (what, loses, lanes, bound) in [
        ("with notifications", false, 1, Duration::from_millis(50)),
        (
            "without notifications",
            true,
            8,
            Duration::from_millis(1_500),
        ),
    ] {
        let (victims, ids) = instance.tokens(revocations, 1).await?;
        let proxy = Proxy::start(instance.server()?)?;
        if loses {
            proxy.lose_notifications();
        }
        let first = instance.start(&[])?;
        let second = instance.start_behind(proxy.address, &[])?;
        let background = verify::source(&second, &instance, load.clone());
        background.warm()?;
        let bare = verify::bare(&background, &instance)?;
        let half = bare.closed(Duration::from_secs(3), 1)?.rate() / 2.0;
        let stop = AtomicBool::new(false);
        let reached = std::thread::scope(|scope| {
            let loaded = scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    background
                        .open(half, Duration::from_secs(1), 5)
                        .map_err(|error| error.to_string())?;
                }
                Ok::<_, String>(())
            });
            let reached = revoke_all(&instance, &first, &second, &victims, &ids, lanes);
            stop.store(true, Ordering::Relaxed);
            loaded.join().map_err(|_| "the load panicked")??;
            reached
        })?;
        print(what, half, &reached, bound);
    }
    Ok(())
}

fn print(what: &str, half: f64, reached: &Histogram, bound: Duration) {
    let millis = |share| reached.quantile(share).as_secs_f64() * 1e3;
    println!(
        "revoke at one process, refused at another {what}, {half:.0} verifies/s there, {} revocations:",
        reached.len()
    );
    println!(
        "  from the answer to the first refusal: p50 {:.1} ms, p99 {:.1} ms, longest {:.1} ms {}",
        millis(0.5),
        millis(0.99),
        millis(1.0),
        Bound::AtMost(bound.as_secs_f64() * 1e3).verdict(millis(0.99))
    );
}

/// Revokes every token, so many at a time.
fn revoke_all(
    instance: &Instance,
    first: &Process,
    second: &Process,
    tokens: &[String],
    ids: &[Ids],
    lanes: usize,
) -> Result<Histogram, AnyError> {
    let each = tokens.len().div_ceil(lanes);
    let lane = |tokens: &[String], ids: &[Ids]| {
        let mut reached = Histogram::default();
        let mut asks = Asks::open(second.address, instance, tokens[0].len())?;
        for (token, ids) in tokens.iter().zip(ids) {
            reached.record(revoke(instance, first, &mut asks, token, ids)?);
        }
        Ok::<_, AnyError>(reached)
    };
    let mut all = Histogram::default();
    std::thread::scope(|scope| {
        let lanes: Vec<_> = tokens
            .chunks(each)
            .zip(ids.chunks(each))
            .map(|(tokens, ids)| {
                let lane = &lane;
                scope.spawn(move || lane(tokens, ids).map_err(|error| error.to_string()))
            })
            .collect();
        for lane in lanes {
            all.add(&lane.join().map_err(|_| "a lane panicked")??);
        }
        Ok(all)
    })
}

/// Asks one process about one token after another.
struct Asks {
    connection: Connection,
    template: Template,
    request: Vec<u8>,
}

impl Asks {
    fn open(to: SocketAddr, instance: &Instance, token_length: usize) -> Result<Self, AnyError> {
        Ok(Self {
            connection: Connection::open(to)?,
            template: verify::template(verify::PATH, &instance.verifier, token_length),
            request: Vec::new(),
        })
    }

    fn is_good(&mut self, token: &str) -> Result<bool, AnyError> {
        self.template.write(token, &mut self.request);
        let answer = self.connection.ask(&self.request)?;
        let holds = |text: &str| {
            let text = text.as_bytes();
            answer.body().windows(text.len()).any(|it| it == text)
        };
        match (
            answer.status,
            holds("\"valid\":true"),
            holds("\"code\":\"revoked\""),
        ) {
            (200, true, false) => Ok(true),
            (200, false, true) => Ok(false),
            _ => Err(answer.text().into()),
        }
    }
}

/// From the answer to a revocation until the other process says no; nothing where it did before.
fn revoke(
    instance: &Instance,
    first: &Process,
    asks: &mut Asks,
    token: &str,
    ids: &Ids,
) -> Result<Duration, AnyError> {
    if !asks.is_good(token)? {
        return Err("a token was revoked before its time".into());
    }
    let path = format!(
        "/v1/public/accounts/{}/auth/service-accounts/{}/tokens/{}",
        instance.account_id(),
        ids.service_account,
        ids.id
    );
    let authorization = format!("Bearer {}", instance.admin);
    let mut request = Vec::new();
    let head = head("DELETE", &path, &[("Authorization", &authorization)]);
    Template::new(&head, None, 0).write("", &mut request);
    let mut connection = Connection::open(first.address)?;
    std::thread::scope(|scope| {
        let revoking = scope.spawn(move || {
            let answer = connection
                .ask(&request)
                .map_err(|error| error.to_string())?;
            let answered = Instant::now();
            if answer.status == 204 {
                Ok(answered)
            } else {
                Err(answer.text())
            }
        });
        let begun = Instant::now();
        let mut due = begun;
        while asks.is_good(token)? {
            if begun.elapsed() > PATIENCE {
                return Err("the revocation never arrived".into());
            }
            due += PERIOD;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        let refused = Instant::now();
        let answered = revoking.join().map_err(|_| "revoking panicked")??;
        Ok(refused.saturating_duration_since(answered))
    })
}
