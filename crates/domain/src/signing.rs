//! The keys that sign tokens: which one signs, which comes next, and when they change places.

use crate::change::Changes;
use crate::id::SigningKeyId;
use crate::limits;
use crate::secret::Sealed;
use crate::time::Timestamp;
use std::time::Duration;

/// How long anybody may keep the published keys before asking again.
pub const JWKS_MAX_AGE: Duration = Duration::from_secs(3600);
/// How late a process may notice what another one did to the keys.
pub const NOTICED_WITHIN: Duration = Duration::from_secs(60);

// Whoever asks any process gets to know a key before it first signs, however long they keep the answer, with
// as much again for clocks that differ.
const _: () = assert!(
    2 * (JWKS_MAX_AGE.as_secs() + NOTICED_WITHIN.as_secs()) <= limits::SIGNING_KEY_LEAD.as_secs()
);

/// Next → active → retired. A key is published in all three: before it signs, so that nobody meets a
/// signature by a key unheard of, and afterwards, until its last token has ended. Only the very first signs
/// as soon as it is made: until then nobody can have met a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SigningKeyStatus {
    Next,
    Active { at: Timestamp },
    Retired { at: Timestamp },
}

impl SigningKeyStatus {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Active { .. } => "active",
            Self::Retired { .. } => "retired",
        }
    }
}

/// An Ed25519 key (RFC 8037).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningKey {
    pub id: SigningKeyId,
    pub status: SigningKeyStatus,
    pub public_key: Vec<u8>,
    /// The private half, sealed under the key file.
    pub sealed: Sealed,
    pub created_at: Timestamp,
    pub version: i64,
}

impl SigningKey {
    fn become_(&self, status: SigningKeyStatus) -> Self {
        Self {
            status,
            version: self.version + 1,
            ..self.clone()
        }
    }
}

/// What it takes that one key signs and one waits: makes what is missing, and lets the next one take over
/// once the active one has signed for its period and the next was published for its lead.
///
/// `make` draws a fresh key; its status is set here.
pub fn maintain(
    keys: &[SigningKey],
    now: Timestamp,
    make: &mut dyn FnMut() -> SigningKey,
) -> Changes {
    let mut changes = Changes::default();
    let active = keys.iter().find_map(|key| match key.status {
        SigningKeyStatus::Active { at } => Some((key, at)),
        _ => None,
    });
    let next = keys.iter().find(|key| key.status == SigningKeyStatus::Next);
    let takes_over = match (active, next) {
        // Without one that signs there is nothing to wait for.
        (None, _) => true,
        (Some((_, since)), Some(next)) => {
            now >= since.plus(limits::SIGNING_KEY_PERIOD)
                && now >= next.created_at.plus(limits::SIGNING_KEY_LEAD)
        }
        (Some(_), None) => false,
    };
    if takes_over {
        if let Some((old, _)) = active {
            let retired = old.become_(SigningKeyStatus::Retired { at: now });
            changes.put_signing_keys.push(retired);
        }
        let status = SigningKeyStatus::Active { at: now };
        match next {
            Some(next) => changes.put_signing_keys.push(next.become_(status)),
            None => changes
                .new_signing_keys
                .push(SigningKey { status, ..make() }),
        }
    }
    if takes_over || next.is_none() {
        changes.new_signing_keys.push(SigningKey {
            status: SigningKeyStatus::Next,
            ..make()
        });
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dice::SeededDice;
    use proptest::prelude::*;

    const DAY: i64 = 86_400_000_000;

    /// Applies what `maintain` wants, as a store would.
    fn step(keys: &mut Vec<SigningKey>, now: Timestamp, dice: &mut SeededDice) -> bool {
        let changes = maintain(keys, now, &mut || SigningKey {
            id: SigningKeyId::new(now, dice),
            status: SigningKeyStatus::Next,
            public_key: vec![],
            sealed: Sealed {
                key_version: 1,
                bytes: vec![],
            },
            created_at: now,
            version: 1,
        });
        let changed = !changes.is_empty();
        for put in changes.put_signing_keys {
            let slot = keys.iter_mut().find(|key| key.id == put.id).unwrap();
            assert_eq!(put.version, slot.version + 1);
            *slot = put;
        }
        keys.extend(changes.new_signing_keys);
        changed
    }

    fn count(keys: &[SigningKey], status: &str) -> usize {
        keys.iter()
            .filter(|key| key.status.as_str() == status)
            .count()
    }

    proptest! {
        /// However seldom or often it is looked after: always one that signs and one that waits, and none
        /// signs for less than its period or before its lead.
        #[test]
        fn one_signs_and_one_waits(gaps in proptest::collection::vec(0i64..200, 1..40)) {
            let (mut keys, mut dice, mut now) = (Vec::new(), SeededDice::new(1), 0);
            let mut first_signed: Vec<(Timestamp, Timestamp)> = Vec::new();
            for gap in gaps {
                now += gap * DAY;
                let at = Timestamp::from_micros(now);
                step(&mut keys, at, &mut dice);
                prop_assert_eq!((count(&keys, "active"), count(&keys, "next")), (1, 1));
                prop_assert!(!step(&mut keys, at, &mut dice), "twice at once changes nothing");
                let active = keys.iter().find_map(|key| match key.status {
                    SigningKeyStatus::Active { at } => Some((at, key.created_at)),
                    _ => None,
                });
                first_signed.extend(active.filter(|it| first_signed.last() != Some(it)));
            }
            let mut starts: Vec<_> = keys.iter().filter_map(|key| match key.status {
                SigningKeyStatus::Retired { at } => Some(at),
                _ => None,
            }).collect();
            starts.sort();
            for pair in starts.windows(2) {
                prop_assert!(pair[1] >= pair[0].plus(limits::SIGNING_KEY_PERIOD));
            }
            for (at, made) in first_signed.into_iter().skip(1) {
                prop_assert!(at >= made.plus(limits::SIGNING_KEY_LEAD), "made at {made}, signs at {at}");
            }
        }
    }

    #[test]
    fn takes_over_at_the_instant_and_not_before() {
        let (mut keys, mut dice) = (Vec::new(), SeededDice::new(1));
        let begin = Timestamp::from_micros(0);
        assert!(step(&mut keys, begin, &mut dice));
        let due = begin.plus(limits::SIGNING_KEY_PERIOD);
        let early = Timestamp::from_micros(due.as_micros() - 1);
        assert!(!step(&mut keys, early, &mut dice));
        assert!(step(&mut keys, due, &mut dice));
        assert_eq!(count(&keys, "retired"), 1);
    }
}
