//! Nodes: how far each has come, how long it counts, and until when its uses are written.

use crate::harness::*;
use symbolon_domain::Dice;
use symbolon_store::{NodeBeat, NodeCount, NodeRow};

on_both!(
    a_beat_replaces_the_one_before,
    a_silent_node_counts_until_lease_and_bound_are_over,
    those_count_as_confirmed_who_have_come_so_far,
    who_leaves_counts_no_more,
    uses_are_flushed_until_the_slowest_flush,
    nodes_beat_at_once,
);

/// A node of its own id, with a lease of ten seconds and facts that hold for five.
pub fn node(name: &str) -> NodeBeat {
    let mut id = [0; 16];
    dice().fill(&mut id);
    NodeBeat {
        id: uuid::Uuid::from_bytes(id),
        name: name.to_owned(),
        role: "serve".to_owned(),
        started_at: T,
        applied: 0,
        lease: 10 * SECOND,
        max_age: 5 * SECOND,
        uses_flushed_at: None,
    }
}

fn counted(nodes: u32, confirmed: u32) -> NodeCount {
    NodeCount { nodes, confirmed }
}

async fn a_beat_replaces_the_one_before(db: Db) {
    assert_eq!(db.store.nodes().await.unwrap(), []);
    let mut beat = node("one");
    let mut other = node("two");
    other.started_at = T.minus(SECOND);
    db.store.beat(&other, T).await.unwrap();
    let at = |seconds: u32| T.plus(seconds * SECOND);
    for (seconds, applied, applied_at) in [
        (1, 7, at(1)),
        // The same position again: it was applied before.
        (2, 7, at(1)),
        (3, 9, at(3)),
        // Back, as after a restore.
        (4, 2, at(4)),
    ] {
        beat.applied = applied;
        beat.name = format!("one {seconds}");
        beat.uses_flushed_at = (seconds > 2).then(|| at(seconds));
        beat.max_age = seconds * SECOND;
        db.store.beat(&beat, at(seconds)).await.unwrap();
        let found = db.store.nodes().await.unwrap();
        let wanted = NodeRow {
            id: beat.id,
            name: beat.name.clone(),
            role: beat.role.clone(),
            started_at: T,
            seen_at: at(seconds),
            applied,
            applied_at,
            lease: beat.lease,
            max_age: beat.max_age,
            uses_flushed_at: beat.uses_flushed_at,
        };
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].id, &found[1]), (other.id, &wanted));
    }
}

async fn a_silent_node_counts_until_lease_and_bound_are_over(db: Db) {
    let mut beat = node("one");
    beat.applied = 3;
    db.store.beat(&beat, T).await.unwrap();
    let end = T.plus(15 * SECOND);
    let found = db.store.nodes().await.unwrap().remove(0);
    for (now, counts) in [(T, true), (end.minus(TICK), true), (end, false)] {
        let wanted = if counts { counted(1, 1) } else { counted(0, 0) };
        assert_eq!(db.store.positions(now).await.unwrap().count(3), wanted);
        assert_eq!(found.counts(now), counts);
    }
    // A shorter bound holds from the next beat on.
    beat.max_age = SECOND;
    db.store.beat(&beat, T.plus(SECOND)).await.unwrap();
    let end = T.plus(12 * SECOND);
    let last = db.store.positions(end.minus(TICK)).await.unwrap().count(3);
    assert_eq!(last, counted(1, 1));
    assert_eq!(
        db.store.positions(end).await.unwrap().count(3),
        counted(0, 0)
    );
}

async fn those_count_as_confirmed_who_have_come_so_far(db: Db) {
    assert_eq!(db.store.positions(T).await.unwrap().count(0), counted(0, 0));
    for (applied, beaten) in [(4, T), (5, T), (6, T), (9, T.minus(15 * SECOND))] {
        let mut beat = node("one");
        beat.applied = applied;
        db.store.beat(&beat, beaten).await.unwrap();
    }
    for (position, confirmed) in [(4, 3), (5, 2), (6, 1), (7, 0)] {
        let found = db.store.positions(T).await.unwrap().count(position);
        assert_eq!(found, counted(3, confirmed), "position {position}");
    }
}

async fn who_leaves_counts_no_more(db: Db) {
    let (one, two) = (node("one"), node("two"));
    for beat in [&one, &two] {
        db.store.beat(beat, T).await.unwrap();
    }
    db.store.leave_node(one.id).await.unwrap();
    assert_eq!(db.store.positions(T).await.unwrap().count(0), counted(1, 1));
    assert_eq!(db.store.nodes().await.unwrap()[0].id, two.id);
    // Twice is no more than once.
    db.store.leave_node(one.id).await.unwrap();
    db.store.beat(&one, T).await.unwrap();
    assert_eq!(db.store.positions(T).await.unwrap().count(0), counted(2, 2));
}

async fn uses_are_flushed_until_the_slowest_flush(db: Db) {
    assert_eq!(db.store.uses_flushed_until(T).await.unwrap(), None);
    let at = |seconds: u32| T.plus(seconds * SECOND);
    let (mut slow, mut fast) = (node("slow"), node("fast"));
    slow.uses_flushed_at = Some(T.minus(SECOND));
    db.store.beat(&slow, T).await.unwrap();
    db.store.beat(&fast, at(1)).await.unwrap();
    let until = async |now| db.store.uses_flushed_until(now).await.unwrap();
    assert_eq!(until(at(1)).await, None, "one never flushed");
    fast.uses_flushed_at = Some(at(1));
    db.store.beat(&fast, at(1)).await.unwrap();
    assert_eq!(until(at(1)).await, slow.uses_flushed_at);
    assert_eq!(
        until(at(15)).await,
        fast.uses_flushed_at,
        "the slow one is silent"
    );
    assert_eq!(until(at(16)).await, None, "nobody counts");
}

async fn nodes_beat_at_once(db: Db) {
    let wide = db.again(|settings| settings.pool_size = 6);
    let mut racers = tokio::task::JoinSet::new();
    for racer in 0..6 {
        let (store, mut beat) = (wide.clone(), node(&racer.to_string()));
        racers.spawn(async move {
            for applied in 0..20 {
                beat.applied = applied;
                store.beat(&beat, T).await.unwrap();
            }
        });
    }
    racers.join_all().await;
    assert_eq!(
        db.store.positions(T).await.unwrap().count(19),
        counted(6, 6)
    );
}
