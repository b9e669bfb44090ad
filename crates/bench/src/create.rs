//! Creating service accounts through the use case, beside the same rows by plain INSERTs, one transaction
//! each, through the same pool, in alternating rounds of the same run.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use symbolon_app::{
    Actor, App, AppSettings, Call, KeyFile, Keyring, Origin, Start, SystemClock, SystemDice,
};
use symbolon_domain::account::AccountPatch;
use symbolon_domain::change::{Asking, View};
use symbolon_domain::issue::{self, Mint, NewServiceAccount};
use symbolon_domain::{Account, Changes, Clock, ScopeSet};
use symbolon_store::{Location, Store, StoreSettings};

use crate::AnyError;
use crate::instance::{email, name};

const CONNECTIONS: usize = 32;
const ROUND: Duration = Duration::from_secs(3);
/// Rows made beforehand for one round of plain INSERTs; more than any round needs.
const PREPARED: usize = 20_000;

pub async fn run(rounds: usize) -> Result<(), AnyError> {
    let (app, accounts) = set_up().await?;
    for (label, accounts) in [
        ("32 accounts", &accounts[..]),
        ("1 account", &accounts[..1]),
    ] {
        let (mut ours, mut plain) = (Vec::new(), Vec::new());
        for round in 0..rounds {
            // Alternating, so that a slow minute of the machine hits both.
            if round % 2 == 0 {
                ours.push(creates(&app, accounts).await?);
                plain.push(inserts(&app, accounts).await?);
            } else {
                plain.push(inserts(&app, accounts).await?);
                ours.push(creates(&app, accounts).await?);
            }
        }
        let (ours, plain) = (Summary::of(ours), Summary::of(plain));
        println!(
            "create, {CONNECTIONS} at a time over {label}, PostgreSQL, synchronous_commit=on, \
             {rounds} rounds of {ROUND:?}:"
        );
        println!("  use case       {ours}");
        println!("  plain INSERTs  {plain}");
        println!("  ratio          {:.2}", ours.median / plain.median);
    }
    Ok(())
}

struct Summary {
    median: f64,
    least: f64,
    most: f64,
}

impl Summary {
    fn of(mut rates: Vec<f64>) -> Self {
        rates.sort_by(f64::total_cmp);
        let at = |index: usize| rates.get(index).copied().unwrap_or(0.0);
        Self {
            median: at(rates.len() / 2),
            least: at(0),
            most: at(rates.len().saturating_sub(1)),
        }
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:7.0}/s (median; {:.0} to {:.0})",
            self.median, self.least, self.most
        )
    }
}

async fn set_up() -> Result<(App, Vec<Account>), AnyError> {
    let url = std::env::var("SYMBOLON_TEST_POSTGRES_URL")
        .map_err(|_| "run this through `cargo xtask bench create`")?;
    let settings = symbolon_store::testing::empty_postgres()
        .await
        .ok_or("no PostgreSQL")?;
    let synchronous = symbolon_store::testing::rows(&url, "SHOW synchronous_commit").await;
    if synchronous != ["on"] {
        return Err("the bench needs synchronous_commit=on".into());
    }
    let Location::Postgres(url) = settings.location else {
        return Err("not PostgreSQL".into());
    };
    let store = Store::open(&StoreSettings::new(Location::Postgres(url)))?;
    store.migrate().await?;
    let keyring = Keyring::new(&KeyFile::generate(&mut SystemDice));
    let dice = Box::new(|| -> Box<dyn symbolon_domain::Dice> { Box::new(SystemDice) });
    let app = App::new(
        store,
        keyring,
        Arc::new(SystemClock),
        dice,
        AppSettings::default(),
    );
    let owner = email("ops@example.com")?;
    app.bootstrap(name("bench")?, Start::Owned { owner })
        .await?;
    let operator = Actor::operator_cli();
    let call = Call::new(&operator, Origin::default());
    let mut accounts = Vec::new();
    for at in 0..CONNECTIONS {
        accounts.push(
            app.create_account(
                &call,
                name(&format!("account {at}"))?,
                AccountPatch::default(),
            )
            .await?
            .record,
        );
    }
    Ok((app, accounts))
}

fn new_service_account() -> Result<NewServiceAccount, AnyError> {
    Ok(NewServiceAccount {
        contact_email: Some(email("ops@example.com")?),
        scopes: ScopeSet::parse("invoices:read")?,
        ..NewServiceAccount::named(name("ci")?)
    })
}

/// Creates through the use case for one round; per second.
async fn creates(app: &App, accounts: &[Account]) -> Result<f64, AnyError> {
    let start = Instant::now();
    let mut tasks = Vec::new();
    for at in 0..CONNECTIONS {
        let (app, account, new) = (
            app.clone(),
            accounts[at % accounts.len()].id,
            new_service_account()?,
        );
        tasks.push(tokio::spawn(async move {
            let actor = Actor::operator_cli();
            let mut done = 0usize;
            while start.elapsed() < ROUND {
                let call = Call::new(&actor, Origin::default());
                app.create_service_account(&call, account, new.clone())
                    .await
                    .map_err(|error| error.to_string())?;
                done += 1;
            }
            Ok::<usize, String>(done)
        }));
    }
    let mut done = 0;
    for task in tasks {
        done += task.await??;
    }
    Ok(done as f64 / start.elapsed().as_secs_f64())
}

/// Plain INSERTs of rows that were made beforehand, for one round; per second.
async fn inserts(app: &App, accounts: &[Account]) -> Result<f64, AnyError> {
    let prepared = Arc::new(prepare(accounts)?);
    let next = Arc::new(AtomicUsize::new(0));
    let start = Instant::now();
    let mut tasks = Vec::new();
    for _ in 0..CONNECTIONS {
        let (app, prepared, next) = (app.clone(), prepared.clone(), next.clone());
        tasks.push(tokio::spawn(async move {
            let mut done = 0usize;
            while start.elapsed() < ROUND {
                let rows = prepared
                    .get(next.fetch_add(1, Ordering::Relaxed))
                    .ok_or("more rows are needed")?;
                let now = SystemClock.now();
                symbolon_store::testing::insert_rows(app.store(), rows, now)
                    .await
                    .map_err(|error| error.to_string())?;
                done += 1;
            }
            Ok::<usize, String>(done)
        }));
    }
    let mut done = 0;
    for task in tasks {
        done += task.await??;
    }
    Ok(done as f64 / start.elapsed().as_secs_f64())
}

fn prepare(accounts: &[Account]) -> Result<Vec<Changes>, AnyError> {
    let keyring = Keyring::new(&KeyFile::generate(&mut SystemDice));
    let operator = Actor::operator_cli();
    let new = new_service_account()?;
    let mut prepared = Vec::with_capacity(PREPARED);
    for at in 0..PREPARED {
        let view = View {
            account: Some(accounts[at % accounts.len()].clone()),
            ..View::default()
        };
        let asking = Asking {
            now: SystemClock.now(),
            by: operator.by(),
            authority: operator.authority(),
            request: None,
            client_ip: None,
        };
        let mut dice = SystemDice;
        let mut mint = Mint {
            dice: &mut dice,
            sealer: &keyring,
            signer: None,
            link_key_version: 1,
        };
        let (_, _, changes) = issue::create_service_account(&view, &asking, new.clone(), &mut mint)
            .map_err(|refusal| refusal.code.as_str())?;
        prepared.push(changes);
    }
    Ok(prepared)
}
