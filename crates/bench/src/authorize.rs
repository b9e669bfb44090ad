//! `GET /v1/authorize`: opaque tokens on hits, access tokens on hits, and junk, each beside the bare
//! handler with the same answer.

use crate::AnyError;
use crate::bare;
use crate::http::{Connection, TOKEN, Template, head};
use crate::instance::Instance;
use crate::load::{Draw, Expects, Source};
use crate::process::Process;
use crate::rounds::{Bound, Plan};
use crate::verify::{compare, latency};
use std::sync::Arc;
use symbolon_app::AppSettings;

const ACCESS_TOKENS: usize = 5_000;
const JUNK: usize = 100_000;

fn template(path: &str, instance: &Instance) -> Template {
    let path = format!(
        "{path}?account={}&scope=invoices:read",
        instance.account_id()
    );
    let authorization = format!("Bearer {TOKEN}");
    let head = head("GET", &path, &[("Authorization", &authorization)]);
    Template::new(&head, None, 0)
}

fn source(process: &Process, instance: &Instance, tokens: Vec<String>, status: u16) -> Source {
    Source {
        to: process.address,
        template: template("/v1/authorize", instance),
        tokens: Arc::new(tokens),
        expects: Expects { status, body: "" },
    }
}

pub fn bare(real: &Source, instance: &Instance) -> Result<Source, AnyError> {
    bare::learn(real, template(bare::PATH, instance))
}

/// What no look-up is needed for: texts shaped like tokens whose checksums are wrong.
pub fn junk(process: &Process, instance: &Instance) -> Source {
    const ALPHABET: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut draw = Draw::new(99);
    let tokens = (0..JUNK).map(|_| {
        let mut drawn = |count: usize| -> String {
            let one = || char::from(ALPHABET[draw.below(ALPHABET.len())]);
            std::iter::repeat_with(one).take(count).collect()
        };
        format!("sym_{}_{}", drawn(16), drawn(49))
    });
    source(process, instance, tokens.collect(), 401)
}

pub async fn run(plan: &Plan) -> Result<(), AnyError> {
    let instance = Instance::new(AppSettings::default()).await?;
    let (tokens, _) = instance.tokens(plan.tokens, 1).await?;
    let process = instance.start(&[])?;
    println!(
        "authorize on a hit, {} tokens, {} rounds of {:?}:",
        plan.tokens, plan.rounds, plan.round
    );
    let real = source(&process, &instance, tokens, 200);
    real.warm()?;
    let bare_one = bare(&real, &instance)?;
    let max = compare(plan, &process, &bare_one, &real, Bound::AtMost(1.2))?;
    latency(plan, max / 2.0, &bare_one, &real)?;

    println!("an access token on a hit, {ACCESS_TOKENS} of them:");
    let tokens = access_tokens(&process, &instance).await?;
    let real = source(&process, &instance, tokens, 200);
    real.warm()?;
    let bare_one = bare(&real, &instance)?;
    compare(plan, &process, &bare_one, &real, Bound::AtMost(1.5))?;

    println!("junk at authorize:");
    let real = junk(&process, &instance);
    let bare_one = bare(&real, &instance)?;
    compare(plan, &process, &bare_one, &real, Bound::AtMost(1.05))?;
    Ok(())
}

/// Access tokens of one key, by the client credentials grant.
async fn access_tokens(process: &Process, instance: &Instance) -> Result<Vec<String>, AnyError> {
    let (id, secret) = instance.key().await?;
    let mut tokens = Vec::with_capacity(ACCESS_TOKENS);
    let form = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}");
    let length = form.len().to_string();
    let head = head(
        "POST",
        "/oauth2/token",
        &[
            ("Content-Type", "application/x-www-form-urlencoded"),
            ("Content-Length", &length),
        ],
    );
    // The form travels as what follows the head.
    let request = format!("{head}\r\n\r\n{form}");
    let mut connection = Connection::open(process.address)?;
    for _ in 0..ACCESS_TOKENS {
        let answer = connection.ask(request.as_bytes())?;
        let body: serde_json::Value = serde_json::from_slice(answer.body())?;
        let token = body["access_token"].as_str();
        tokens.push(token.ok_or_else(|| answer.text())?.to_owned());
    }
    Ok(tokens)
}
