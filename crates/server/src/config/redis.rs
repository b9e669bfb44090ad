//! `[redis]`: the carrier of jobs between processes, if there is one.

use super::reader::{Parsed, Reader};
use super::values::{Secret, UrlParts};

#[derive(Debug, Clone, PartialEq)]
pub struct Redis {
    /// Absent: jobs are carried in memory.
    pub url: Option<Secret>,
    /// What all our keys begin with.
    pub queue: String,
}

impl Redis {
    pub(super) fn read(reader: &mut Reader) -> Self {
        Self {
            url: reader.optional("redis.url", url),
            queue: reader.text("redis.queue", queue),
        }
    }
}

fn url(text: &str) -> Parsed<Secret> {
    UrlParts::parse(text)
        .filter(|url| matches!(url.scheme, "redis" | "rediss") && !url.host.is_empty())
        .map(|_| Secret::new(text))
        .ok_or_else(|| "redis:// or rediss://, then USER:PASSWORD@HOST:PORT/NUMBER".to_owned())
}

fn queue(text: &str) -> Parsed<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if (1..=64).contains(&text.len()) && text.chars().all(plain) {
        Ok(text.to_owned())
    } else {
        Err("1 to 64 letters, digits, '.', '_' or '-'".to_owned())
    }
}
