//! What tests do to the cache: faults that they plant, to show that they would be found, and places where
//! they hold it. Without the feature `testing` there are none, and looking for one costs nothing.

use std::time::Duration;

/// One thing that the promises of the cache rest on, left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A fill wins, whatever is known already.
    NoVersionCheck,
    /// What the feed names is taken out of the cache, and nothing else is remembered of it.
    Evicts,
    /// Only notifications make a process read the feed.
    NoPolling,
    /// An end counts from the microsecond after it: `>` where `>=` belongs.
    EndsLate,
    /// A change is answered, and its position confirmed, before it is applied.
    AcknowledgesEarly,
}

/// Where a test may hold what is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A miss has read the database, and is not kept yet.
    CredentialRead,
    /// The same of an access token.
    AccessTokenRead,
    /// What the feed names is read again, and not in place yet.
    FeedRead,
    /// The only account is read, and not kept yet.
    SoleAccountRead,
}

/// The fault that was planted, if any.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    #[cfg(feature = "testing")]
    planted: Option<Fault>,
}

impl Faults {
    #[cfg(feature = "testing")]
    pub fn plant(fault: Fault) -> Self {
        Self {
            planted: Some(fault),
        }
    }

    #[cfg(feature = "testing")]
    pub(crate) fn has(self, fault: Fault) -> bool {
        self.planted == Some(fault)
    }

    #[cfg(not(feature = "testing"))]
    pub(crate) const fn has(self, _: Fault) -> bool {
        false
    }

    /// After what time the feed is read though nothing was heard; `None` if never.
    pub(crate) fn poll_interval(self, interval: Duration) -> Option<Duration> {
        (!self.has(Fault::NoPolling)).then_some(interval)
    }
}
