//! A verification that the cache knows nothing of, beside the same join by hand through the same pool.

use crate::AnyError;
use crate::instance::Instance;
use crate::load::Draw;
use crate::rounds::{self, Bound, Plan};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Instant;
use symbolon_app::{App, AppSettings, Ask, Asker, Evidence, Origin};
use symbolon_domain::verdict::Presentation;
use symbolon_domain::{Permission, Scope, ScopeSet};

/// As many as there are connections to the database.
const AT_ONCE: usize = 16;

pub fn settings() -> AppSettings {
    AppSettings {
        // Nothing polls the feed here.
        max_age: std::time::Duration::from_secs(3600),
        ..AppSettings::default()
    }
}

/// Whoever may verify, as the doors let them in.
pub async fn asker(instance: &Instance) -> Result<Asker, AnyError> {
    let (app, origin) = (&instance.app, Origin::default());
    let evidence = Evidence::Bearer(&instance.verifier);
    let may = Permission::TokensVerify;
    Ok(app
        .admit(evidence, Presentation::Bearer, origin, may)
        .await?)
}

pub fn scopes() -> Result<Vec<Scope>, AnyError> {
    let set = ScopeSet::parse("invoices:read reports:read")?;
    Ok(set.iter().cloned().collect())
}

/// Whether the token is good.
pub async fn verify(
    app: &App,
    asker: &Asker,
    token: &str,
    scopes: &[Scope],
    fresh: bool,
) -> Result<bool, AnyError> {
    let ask = Ask {
        evidence: Evidence::Bearer(token),
        presentation_of_key: Presentation::Basic,
        scopes,
        client_ip: Some([127, 10, 20, 30].into()),
        environment: None,
        audience: None,
        cost: NonZeroU32::MIN,
        fresh,
    };
    Ok(app.verify(asker, &ask).await?.reason().is_none())
}

pub async fn run(plan: &Plan) -> Result<(), AnyError> {
    let instance = Instance::new(settings()).await?;
    let (tokens, _) = instance.tokens(plan.tokens, 1).await?;
    instance.app.poll_feed().await?;
    let public_ids: Vec<String> = tokens.iter().map(|it| it[4..20].to_owned()).collect();
    let (tokens, public_ids) = (Arc::new(tokens), Arc::new(public_ids));
    let (mut by_hand, mut ours) = (Vec::new(), Vec::new());
    for round in 0..plan.rounds {
        // Alternating, so that a slow minute of the machine hits both.
        for at in [round % 2, 1 - round % 2] {
            if at == 0 {
                by_hand.push(joins(plan, &instance, &public_ids).await?);
            } else {
                ours.push(misses(plan, &instance, &tokens).await?);
            }
        }
    }
    println!(
        "verify on a miss, {AT_ONCE} at a time, PostgreSQL, {} tokens, {} rounds of {:?}:",
        plan.tokens, plan.rounds, plan.round
    );
    let bound = Bound::AtLeast(0.7);
    rounds::print("misses", "/s", &by_hand, &ours, bound);
    Ok(())
}

/// Per second.
async fn misses(
    plan: &Plan,
    instance: &Instance,
    tokens: &Arc<Vec<String>>,
) -> Result<f64, AnyError> {
    let scopes = scopes()?;
    let (start, time) = (Instant::now(), plan.round);
    let mut tasks = Vec::new();
    for lane in 0..AT_ONCE {
        let (app, tokens, scopes) = (instance.app.clone(), tokens.clone(), scopes.clone());
        let asker = asker(instance).await?;
        tasks.push(tokio::spawn(async move {
            let (mut draw, mut done) = (Draw::new(lane as u64 + 1), 0usize);
            while start.elapsed() < time {
                let token = &tokens[draw.below(tokens.len())];
                let good = verify(&app, &asker, token, &scopes, true).await;
                if !good.map_err(|error| error.to_string())? {
                    return Err("a good token is refused".to_owned());
                }
                done += 1;
            }
            Ok(done)
        }));
    }
    sum(tasks, start).await
}

/// Per second.
async fn joins(
    plan: &Plan,
    instance: &Instance,
    public_ids: &Arc<Vec<String>>,
) -> Result<f64, AnyError> {
    let (start, time) = (Instant::now(), plan.round);
    let mut tasks = Vec::new();
    for lane in 0..AT_ONCE {
        let (store, ids) = (instance.app.store().clone(), public_ids.clone());
        tasks.push(tokio::spawn(async move {
            let (mut draw, mut done) = (Draw::new(lane as u64 + 1), 0usize);
            while start.elapsed() < time {
                let id = &ids[draw.below(ids.len())];
                let found = symbolon_store::testing::join_by_hand(&store, id).await;
                if !found.map_err(|error| error.to_string())? {
                    return Err("a token is not found".to_owned());
                }
                done += 1;
            }
            Ok(done)
        }));
    }
    sum(tasks, start).await
}

async fn sum(
    tasks: Vec<tokio::task::JoinHandle<Result<usize, String>>>,
    start: Instant,
) -> Result<f64, AnyError> {
    let mut done = 0;
    for task in tasks {
        done += task.await??;
    }
    Ok(done as f64 / start.elapsed().as_secs_f64())
}
