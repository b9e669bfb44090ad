//! The bare handler's side: it answers the identical request with the identical bytes, learnt from a sample
//! of the real answer.

use crate::AnyError;
use crate::http::{Template, head, once};
use crate::load::{Expects, Source};
use serde_json::json;

pub const PATH: &str = "/v1/bench/bare";

/// What the middleware adds by itself.
const ADDED: [&str; 5] = [
    "content-length",
    "date",
    "x-request-id",
    "x-content-type-options",
    "referrer-policy",
];

/// Teaches the bare handler the answer of `real`; the source that asks it with `template`, which is the
/// real one's but for the path.
pub fn learn(real: &Source, template: Template) -> Result<Source, AnyError> {
    let sample = real.sample()?;
    let (lines, body) = sample
        .split_once("\r\n\r\n")
        .ok_or("an answer without an end")?;
    let headers: Vec<[&str; 2]> = lines
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(": "))
        .filter(|(name, value)| {
            let default_cache = *name == "cache-control" && *value == "no-store";
            !default_cache && !ADDED.contains(name)
        })
        .map(|(name, value)| [name, value])
        .collect();
    let answer = json!({"status": real.expects.status, "headers": headers, "body": body});
    let put = head("PUT", PATH, &[]);
    let (status, text) = once(real.to, &put, Some(&answer.to_string()))?;
    if status != 204 {
        return Err(format!("the bare handler does not learn ({status}): {text}").into());
    }
    let bare = Source {
        template,
        expects: Expects {
            status: real.expects.status,
            body: "",
        },
        ..real.clone()
    };
    let echoed = bare.sample()?;
    // Numbers in the body may have a digit more or less from one request to the next.
    if echoed.len().abs_diff(sample.len()) > 4 {
        return Err(format!("the bare answer differs:\n{echoed}\n---\n{sample}").into());
    }
    Ok(bare)
}
