//! Counts, sizes and spans with their reasons.

use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

/// The longest a rotated token may go on: a month covers every deployment calendar we know of.
pub const GRACE_MAX: Duration = Duration::from_secs(30 * 86_400);
/// A confirmation link's life.
pub const CONFIRMATION_LIFE: Duration = Duration::from_secs(7 * 86_400);
/// When the one reminder of an unanswered confirmation is due.
pub const CONFIRMATION_REMINDER: Duration = Duration::from_secs(3 * 86_400);
/// Confirmation mails on request per service account: one a minute, ten a day.
pub const RESEND_PAUSE: Duration = Duration::from_secs(60);
pub const RESENDS_A_DAY: i32 = 10;
pub const RESEND_WINDOW: Duration = DAY;
/// Unconfirmed mails a day to one address over all accounts: nobody's mailbox is ours to fill.
pub const UNCONFIRMED_A_DAY: i64 = 20;
/// Live tokens per service account unless the account's policy says otherwise.
pub const TOKENS_PER_SERVICE_ACCOUNT: i32 = 10;
/// The most a policy may allow: a change loads them all.
pub const TOKENS_PER_SERVICE_ACCOUNT_MAX: i32 = 1000;
/// The life of the token that `bootstrap` prints: long enough to set up, short enough to forget safely.
pub const BOOTSTRAP_TOKEN_LIFE: Duration = Duration::from_secs(30 * 86_400);
/// A link that sets a first password.
pub const SETUP_LINK_LIFE: Duration = Duration::from_secs(7 * 86_400);
/// Ops addresses of one account.
pub const OPS_ADDRESSES_MAX: usize = 10;
/// A rotated credential may repeat the identical request for so long, to fetch a lost answer.
pub const REPLAY_WINDOW: Duration = Duration::from_secs(600);
/// How long a sealed secret waits for a repeat of its request.
pub const SEALED_SECRET_LIFE: Duration = Duration::from_secs(600);
/// The longest life of an access token.
pub const ACCESS_TOKEN_LIFE: Duration = Duration::from_secs(3600);
/// How far ahead an assertion may expire.
pub const ASSERTION_LIFE_MAX: Duration = Duration::from_secs(3600);
/// How far the clock of whoever signed an assertion may be off.
pub const CLOCK_LEEWAY: Duration = Duration::from_secs(30);
/// How long a signing key signs before the next one takes over.
pub const SIGNING_KEY_PERIOD: Duration = Duration::from_secs(90 * 86_400);
/// How long a signing key is published before it signs: longer than anybody may cache the published set.
pub const SIGNING_KEY_LEAD: Duration = DAY;
/// The longest `Idempotency-Key`.
pub const IDEMPOTENCY_KEY_MAX: usize = 200;
/// The longest reason or note that goes with a suspension or revocation.
pub const NOTE_MAX: usize = 500;
/// Networks from which one credential may be used: more belong into a firewall.
pub const NETWORKS_MAX: usize = 50;
/// The most uses that a rate limit counts.
pub const RATE_LIMIT_MAX: u32 = 1_000_000;
/// The longest period of a rate limit.
pub const RATE_PERIOD_MAX: Duration = DAY;
