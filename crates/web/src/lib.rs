//! What every door's HTTP needs, once: request ids, client addresses, the access log, security headers,
//! panics, limits on bodies, languages, and the health scope. `edge` wraps the whole application;
//! the doors themselves only ask [`origin`], [`language`] and [`RequestTag`].

mod access_log;
mod client_address;
mod edge;
mod health;
mod language;
mod limits;
mod panics;
mod request_id;
mod route;
mod security_headers;
#[cfg(test)]
mod tests;

pub use client_address::{AddressHeader, TrustedProxies, client_address};
pub use edge::edge;
pub use health::{MetricsText, health, nodes};
pub use language::language;
pub use limits::{BodyFailure, BodyLimits, read_body};
pub use panics::catch_panic;
pub use request_id::{RequestTag, ShownId, origin};
pub use route::HotPath;
