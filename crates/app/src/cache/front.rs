//! What single threads ask for again and again. A gateway's own credential is needed for every question that
//! it asks, and so is a busy service's: if all threads counted its uses in one place, they would wait for each
//! other. So a thread that asks for the same entry often has a copy of its own to count in.

use super::Cached;
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use symbolon_domain::PublicId;
use thread_local::ThreadLocal;

/// Entries of which a thread may have copies: a power of two.
const SLOTS: usize = 16;
/// How often others have to be asked for in its place before a copy gives way.
const PATIENCE: u8 = 32;

#[derive(Default)]
pub(super) struct Fronts {
    of_threads: ThreadLocal<RefCell<[Slot; SLOTS]>>,
    changes: Changes,
}

/// How often anything that is kept was changed: a copy is only good until the next time. Alone on its cache
/// lines, since every request reads it.
#[derive(Default)]
#[repr(align(128))]
struct Changes(AtomicU64);

#[derive(Default)]
struct Slot {
    id: Option<PublicId>,
    /// What is left of its patience.
    patience: u8,
    /// With the number of changes when it was made, or before.
    copy: Option<(u64, Arc<Cached>)>,
}

impl Fronts {
    /// The thread's own copy, or what `kept` finds.
    pub fn get(
        &self,
        id: &PublicId,
        kept: impl FnOnce(&PublicId) -> Option<Arc<Cached>>,
    ) -> Option<Arc<Cached>> {
        // Read before anything is looked up: a copy made of what is about to change counts as old.
        let changes = self.changes.0.load(Ordering::Acquire);
        let slots = self.of_threads.get_or_default();
        let mut slots = slots.borrow_mut();
        let slot = &mut slots[usize::from(id.last_byte()) % SLOTS];
        if slot.id.as_ref() != Some(id) {
            match slot.patience.checked_sub(1) {
                Some(less) => slot.patience = less,
                None => {
                    slot.id = Some(*id);
                    slot.copy = None;
                }
            }
            return kept(id);
        }
        slot.patience = PATIENCE;
        if let Some((made, copy)) = &slot.copy
            && *made == changes
        {
            return Some(copy.clone());
        }
        let entry = kept(id)?;
        let copy = entry.copy().map(Arc::new);
        slot.copy = copy.clone().map(|copy| (changes, copy));
        Some(copy.unwrap_or(entry))
    }

    /// Whatever was kept may have been replaced: from here on no copy made before is used.
    pub fn forget(&self) {
        self.changes.0.fetch_add(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::Shared;
    use super::*;
    use crate::limiter::{Level, Limiter};
    use std::time::Duration;
    use symbolon_domain::time::ManualClock;
    use symbolon_domain::verdict::{AccountFacts, CredentialFacts, CredentialState, OptionalTime};
    use symbolon_domain::{
        AccountId, AccountStatus, AllowedNetworks, CredentialId, CredentialKind, Digest, Owner,
        RateLimit, ScopeSet, Timestamp,
    };
    use uuid::Uuid;

    fn entry(rate_limit: Option<RateLimit>, version: i64) -> Arc<Cached> {
        let clock = Arc::new(ManualClock::new(Timestamp::from_micros(0)));
        Arc::new(Cached {
            facts: CredentialFacts {
                id: CredentialId(Uuid::nil()),
                kind: CredentialKind::Opaque,
                owner: Owner::Account,
                public_id: PublicId::parse("0123456789abcdef").unwrap(),
                digest: Digest::of("secret"),
                state: CredentialState::Active,
                replaced_at: OptionalTime::NONE,
                scopes: Arc::new(ScopeSet::default()),
                inherits_scopes: false,
                allowed_networks: AllowedNetworks::default(),
                rate_limit,
                not_before: OptionalTime::NONE,
                ends_at: OptionalTime::NONE,
                retires_at: OptionalTime::NONE,
                created_at: Timestamp::from_micros(0),
                version,
            },
            account: Arc::new(Shared::new(Arc::new(AccountFacts {
                id: AccountId(Uuid::nil()),
                status: AccountStatus::Active,
                max_lifetime: None,
                require_confirmed_contact: false,
                version: 1,
            }))),
            service_account: None,
            limiter: rate_limit.map(|rate| Arc::new(Limiter::new(rate, clock))),
            level: Level::default(),
            last_used: 0.into(),
            pending_uses: 0.into(),
        })
    }

    #[test]
    fn a_copy_serves_until_anything_changes() {
        let (fronts, kept) = (Fronts::default(), entry(None, 1));
        let id = kept.facts.public_id;
        let get = |kept: &Arc<Cached>| fronts.get(&id, |_| Some(kept.clone())).unwrap();
        assert!(Arc::ptr_eq(&get(&kept), &kept), "once is not often");
        let copy = get(&kept);
        assert!(!Arc::ptr_eq(&copy, &kept));
        assert!(Arc::ptr_eq(&get(&kept), &copy));
        let changed = entry(None, 2);
        fronts.forget();
        assert_eq!(get(&changed).facts.version, 2);
        fronts.forget();
        assert!(fronts.get(&id, |_| None).is_none());
        assert!(Arc::ptr_eq(&get(&changed), &get(&changed)));
    }

    #[test]
    fn a_limit_is_counted_in_one_place() {
        let rate = RateLimit::new(5, Duration::from_secs(1)).unwrap();
        let (fronts, kept) = (Fronts::default(), entry(Some(rate), 1));
        let id = kept.facts.public_id;
        for _ in 0..4 {
            let got = fronts.get(&id, |_| Some(kept.clone())).unwrap();
            assert!(Arc::ptr_eq(&got, &kept));
        }
    }

    #[test]
    fn what_is_asked_for_often_keeps_its_place() {
        let (fronts, kept) = (Fronts::default(), entry(None, 1));
        let often = kept.facts.public_id;
        let seldom = PublicId::parse("fedcba987654321f").unwrap();
        assert_eq!(often.last_byte(), seldom.last_byte(), "both want one place");
        let get = |id: &PublicId| fronts.get(id, |_| Some(kept.clone())).unwrap();
        get(&often);
        let copy = get(&often);
        for _ in 0..100 {
            assert!(Arc::ptr_eq(&get(&seldom), &kept));
            assert!(Arc::ptr_eq(&get(&often), &copy));
        }
        for _ in 0..=PATIENCE {
            get(&seldom);
        }
        assert!(!Arc::ptr_eq(&get(&seldom), &kept));
    }
}
