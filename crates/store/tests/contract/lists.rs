//! Lists: newest first, by keyset, filtered.

use crate::harness::*;
use symbolon_domain::change::Target;
use symbolon_domain::event::EventKind;
use symbolon_domain::issue::NewToken;
use symbolon_domain::{Account, ServiceAccount, retire};
use symbolon_store::{AccountQuery, EventQuery, Page, ServiceAccountQuery, TokenQuery};

on_both!(
    pages_have_neither_gaps_nor_repeats,
    a_list_ignores_what_was_made_meanwhile,
    searches_take_every_character_as_itself,
    service_accounts_by_status_and_environment,
    tokens_by_owner_and_status,
    events_by_everything,
    accounts_and_environments,
);

async fn names(db: &Db, account: &Account, query: &ServiceAccountQuery) -> Vec<String> {
    let found = db
        .store
        .list_service_accounts(account.id, query, ALL)
        .await
        .unwrap();
    found.iter().map(|it| it.name.as_str().to_owned()).collect()
}

async fn pages(db: &Db, account: &Account, limit: i64) -> Vec<ServiceAccount> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = Page { after, limit };
        let found = db
            .store
            .list_service_accounts(account.id, &ServiceAccountQuery::default(), page)
            .await;
        let found = found.unwrap();
        assert!(found.len() <= usize::try_from(limit).unwrap());
        after = found.last().map(|it| it.id.0);
        if after.is_none() {
            return all;
        }
        all.extend(found);
    }
}

async fn pages_have_neither_gaps_nor_repeats(db: Db) {
    let account = db.account().await;
    let other = db.account().await;
    let mut made = Vec::new();
    for at in 0..23 {
        // Several within one microsecond: then the id alone decides.
        let (it, _) = db.service_account(&account, T.plus(at / 5 * TICK)).await;
        made.push(it);
        db.service_account(&other, T).await;
    }
    made.sort_by_key(|it| std::cmp::Reverse(it.id));
    for limit in [1, 7, 23, 100] {
        assert_eq!(pages(&db, &account, limit).await, made, "{limit}");
    }
    assert!(
        made.windows(2)
            .all(|pair| pair[0].created_at >= pair[1].created_at)
    );
}

async fn a_list_ignores_what_was_made_meanwhile(db: Db) {
    let account = db.account().await;
    for at in 0..4 {
        db.service_account(&account, T.plus(at * SECOND)).await;
    }
    let query = ServiceAccountQuery::default();
    let page = Page {
        after: None,
        limit: 2,
    };
    let first = db
        .store
        .list_service_accounts(account.id, &query, page)
        .await
        .unwrap();
    db.service_account(&account, T.plus(MINUTE)).await;
    let page = Page {
        after: Some(first[1].id.0),
        limit: 10,
    };
    let rest = db
        .store
        .list_service_accounts(account.id, &query, page)
        .await
        .unwrap();
    let times: Vec<_> = first.iter().chain(&rest).map(|it| it.created_at).collect();
    assert_eq!(times, [3u32, 2, 1, 0].map(|at| T.plus(at * SECOND)));
}

async fn searches_take_every_character_as_itself(db: Db) {
    let account = db.account().await;
    let labels = [
        "100% sure",
        "100 sure",
        "snake_case",
        "snakeXcase",
        r"back\slash",
        "backslash",
        "حساب الفواتير",
        "مرحبا",
        "Straße É",
        "ÇELIK",
    ];
    for label in labels {
        db.create(&account, T, service_account(label)).await;
    }
    for (q, wanted) in [
        ("100%", &["100% sure"][..]),
        ("%", &["100% sure"]),
        ("e_c", &["snake_case"]),
        ("_", &["snake_case"]),
        (r"\", &[r"back\slash"]),
        (r"k\s", &[r"back\slash"]),
        ("الفواتير", &["حساب الفواتير"]),
        ("مرح", &["مرحبا"]),
        ("STRASSE", &[]),
        ("straße é", &["Straße É"]),
        // The same letter, written as two.
        ("E\u{301}", &["Straße É"]),
        ("çelik", &["ÇELIK"]),
        ("SURE", &["100% sure", "100 sure"]),
        ("'; DROP TABLE jobs; --", &[]),
    ] {
        let query = ServiceAccountQuery {
            q: Some(q.into()),
            ..Default::default()
        };
        let mut found = names(&db, &account, &query).await;
        found.sort();
        let mut wanted = wanted.to_vec();
        wanted.sort_unstable();
        assert_eq!(found, wanted, "{q}");
    }
}

async fn service_accounts_by_status_and_environment(db: Db) {
    let account = db.account().await;
    let environment = db.environment(&account, "prod").await;
    let mut inside = service_account("inside");
    inside.environment_id = Some(environment.id);
    db.create(&account, T, inside).await;
    db.create(&account, T.plus(TICK), service_account("active"))
        .await;
    let (suspended, _) = db
        .create(&account, T.plus(2 * TICK), service_account("suspended"))
        .await;
    let (revoked, _) = db
        .create(&account, T.plus(3 * TICK), service_account("revoked"))
        .await;
    change(&db.store, the(&suspended), T, |view, asking, mint| {
        retire::suspend_service_account(view, asking, Default::default(), mint.dice)
    })
    .await
    .unwrap();
    change(&db.store, the(&revoked), T, |view, asking, mint| {
        retire::revoke_service_account(view, asking, Default::default(), mint.dice)
    })
    .await
    .unwrap();
    let all = ServiceAccountQuery::default();
    assert_eq!(
        names(&db, &account, &all).await,
        ["suspended", "active", "inside"]
    );
    let with_revoked = ServiceAccountQuery {
        include_revoked: true,
        ..all.clone()
    };
    assert_eq!(
        names(&db, &account, &with_revoked).await,
        ["revoked", "suspended", "active", "inside"]
    );
    for (status, wanted) in [
        ("active", &["active", "inside"][..]),
        ("suspended", &["suspended"]),
        ("revoked", &["revoked"]),
    ] {
        let query = ServiceAccountQuery {
            status: Some(status),
            ..all.clone()
        };
        assert_eq!(names(&db, &account, &query).await, wanted);
    }
    let query = ServiceAccountQuery {
        environment: Some(environment.id),
        ..all.clone()
    };
    assert_eq!(names(&db, &account, &query).await, ["inside"]);
    let query = ServiceAccountQuery {
        status: Some("suspended"),
        ..query
    };
    assert!(names(&db, &account, &query).await.is_empty());
}

async fn tokens_by_owner_and_status(db: Db) {
    let account = db.account().await;
    let environment = db.environment(&account, "prod").await;
    let (it, primary) = db.service_account(&account, T).await;
    let further = db.issue(&it, T.plus(TICK), NewToken::default()).await;
    let gone = db.issue(&it, T.plus(2 * TICK), NewToken::default()).await;
    let id = gone.credential.id;
    change(
        &db.store,
        token_of(&it, id),
        T,
        move |view, asking, mint| {
            retire::revoke_token(view, asking, id, Default::default(), mint.dice)
        },
    )
    .await
    .unwrap();
    let direct = direct_credential(&account, T);
    let mut bound = direct_credential(&account, T.plus(TICK));
    bound.owner = symbolon_domain::Owner::Environment(environment.id);
    db.plant(&account, vec![direct.clone(), bound.clone()])
        .await;
    let of = TokenQuery {
        account: account.id,
        service_account: Some(it.id),
        environment: None,
        include_revoked: false,
        kind: None,
    };
    let ids = async |query, page| -> Vec<_> {
        let found = db.store.list_credentials(query, page).await.unwrap();
        found.iter().map(|it| it.id).collect()
    };
    let (first, second) = (further.credential.id, primary.credential.id);
    assert_eq!(ids(of, ALL).await, [first, second]);
    let with_revoked = TokenQuery {
        include_revoked: true,
        ..of
    };
    assert_eq!(ids(with_revoked, ALL).await, [id, first, second]);
    let page = Page {
        after: Some(first.0),
        limit: 1,
    };
    assert_eq!(ids(with_revoked, page).await, [second]);
    let direct_ones = TokenQuery {
        service_account: None,
        ..of
    };
    assert_eq!(ids(direct_ones, ALL).await, [bound.id, direct.id]);
    let in_environment = TokenQuery {
        environment: Some(environment.id),
        ..direct_ones
    };
    assert_eq!(ids(in_environment, ALL).await, [bound.id]);
}

async fn events_by_everything(db: Db) {
    let account = db.account().await;
    let environment = db.environment(&account, "prod").await;
    let (it, issued) = db.service_account(&account, T.plus(SECOND)).await;
    let id = issued.credential.id;
    for (at, kind) in [(2u32, "suspend"), (3, "activate")] {
        let target = token_of(&it, id);
        change(
            &db.store,
            target,
            T.plus(at * SECOND),
            move |view, asking, mint| {
                if kind == "suspend" {
                    retire::suspend_token(view, asking, id, Default::default(), mint.dice)
                } else {
                    retire::activate_token(view, asking, id, Default::default(), mint.dice)
                }
            },
        )
        .await
        .unwrap();
    }
    let kinds = async |query: EventQuery| -> Vec<&'static str> {
        let found = db.store.list_events(account.id, &query, ALL).await.unwrap();
        found.iter().map(|it| it.kind.as_str()).collect()
    };
    let all = EventQuery::default();
    let (suspended, activated) = ("token.suspended", "token.activated");
    let created = "service_account.created";
    assert_eq!(
        kinds(all.clone()).await[..3],
        [activated, suspended, created]
    );
    let by_kind = EventQuery {
        kind: Some(EventKind::TokenSuspended),
        ..all.clone()
    };
    assert_eq!(kinds(by_kind).await, [suspended]);
    let by_owner = EventQuery {
        service_account: Some(it.id),
        ..all.clone()
    };
    assert_eq!(kinds(by_owner).await, [activated, suspended, created]);
    let by_credential = EventQuery {
        credential: Some(id),
        ..all.clone()
    };
    assert_eq!(kinds(by_credential).await, [activated, suspended, created]);
    let by_environment = EventQuery {
        environment: Some(environment.id),
        ..all.clone()
    };
    assert_eq!(kinds(by_environment).await, ["environment.created"]);
    // At or after; before.
    let since = EventQuery {
        since: Some(T.plus(2 * SECOND)),
        until: Some(T.plus(3 * SECOND)),
        ..all.clone()
    };
    assert_eq!(kinds(since).await, [suspended]);
    let nobody = EventQuery {
        actor: Some(uuid::Uuid::nil()),
        ..all.clone()
    };
    assert!(kinds(nobody).await.is_empty());
    let mut after = None;
    let mut paged = Vec::new();
    loop {
        let page = Page { after, limit: 2 };
        let found = db.store.list_events(account.id, &all, page).await.unwrap();
        after = found.last().map(|it| it.id.0);
        if after.is_none() {
            break;
        }
        paged.extend(found);
    }
    assert_eq!(
        paged,
        db.store.list_events(account.id, &all, ALL).await.unwrap()
    );
}

async fn accounts_and_environments(db: Db) {
    let mut made = Vec::new();
    for label in ["Alpha", "Beta", "Alpha_2"] {
        made.push(db.account_with(label, Default::default()).await);
    }
    made.sort_by_key(|it| std::cmp::Reverse(it.id));
    let all = AccountQuery::default();
    assert_eq!(db.store.list_accounts(&all, ALL).await.unwrap(), made);
    let page = Page {
        after: Some(made[0].id.0),
        limit: 1,
    };
    assert_eq!(
        db.store.list_accounts(&all, page).await.unwrap(),
        made[1..2]
    );
    let q = AccountQuery {
        q: Some("alpha_".into()),
    };
    let found = db.store.list_accounts(&q, ALL).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].name.as_str(), "Alpha_2");
    let (mine, theirs) = (&made[0], &made[1]);
    let environment = db.environment(mine, "prod").await;
    let same_name = db.environment(theirs, "prod").await;
    assert_eq!(
        db.store.list_environments(mine.id, ALL).await.unwrap(),
        [environment]
    );
    let found = db
        .store
        .find_environment(mine.id, same_name.id)
        .await
        .unwrap();
    assert!(
        found.is_none(),
        "another account's environment is not there"
    );
    let target = Target::Within {
        account: mine.id,
        environment: Some(same_name.id),
        name: None,
    };
    let seen = change(&db.store, target, T, |view, _, _| {
        Ok((view.environment.is_some(), Default::default()))
    });
    assert!(!seen.await.unwrap());
}
