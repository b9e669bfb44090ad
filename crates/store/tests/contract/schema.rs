//! The migrations: the same on both databases, and back again.

use crate::harness::*;
use diesel::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;

on_both!(up_down_up_leads_to_the_same_place);

/// Table and column → whether it may be null; and the indexes' names.
type Shape = (BTreeMap<(String, String), bool>, Vec<String>);

#[derive(QueryableByName)]
struct Column {
    #[diesel(sql_type = diesel::sql_types::Text)]
    table_name: String,
    #[diesel(sql_type = diesel::sql_types::Text)]
    column_name: String,
    #[diesel(sql_type = diesel::sql_types::Bool)]
    nullable: bool,
}

#[derive(QueryableByName)]
struct Named {
    #[diesel(sql_type = diesel::sql_types::Text)]
    name: String,
}

async fn shape(db: &Db) -> Shape {
    let (columns, indexes) = if db.is_pg() {
        let columns = symbolon_store::testing::rows(
            db.url(),
            "SELECT table_name || ' ' || column_name || ' ' || is_nullable \
             FROM information_schema.columns WHERE table_schema = 'public'",
        );
        let of_line = |line: String| {
            let words: Vec<&str> = line.split(' ').collect();
            (
                (words[0].to_owned(), words[1].to_owned()),
                words[2] == "YES",
            )
        };
        let columns = columns.await.into_iter().map(of_line).collect();
        let indexes = symbolon_store::testing::rows(
            db.url(),
            "SELECT indexname FROM pg_indexes WHERE schemaname = 'public' \
             AND indexname NOT LIKE '%\\_pkey' ORDER BY indexname",
        );
        (columns, indexes.await)
    } else {
        let mut connection = db.lite();
        // A primary key of SQLite is never null here, though it does not say so.
        let columns: Vec<Column> = diesel::sql_query(
            "SELECT m.name AS table_name, c.name AS column_name, \
             c.\"notnull\" = 0 AND c.pk = 0 AS nullable \
             FROM sqlite_master m JOIN pragma_table_info(m.name) c \
             WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'",
        )
        .load(&mut connection)
        .unwrap();
        let indexes: Vec<Named> = diesel::sql_query(
            "SELECT name FROM sqlite_master WHERE type = 'index' AND name NOT LIKE 'sqlite_%' ORDER BY name",
        )
        .load(&mut connection)
        .unwrap();
        let of_row = |it: Column| ((it.table_name, it.column_name), it.nullable);
        (
            columns.into_iter().map(of_row).collect(),
            indexes.into_iter().map(|it| it.name).collect(),
        )
    };
    let ours = |table: &str| table != "__diesel_schema_migrations";
    let columns: BTreeMap<_, _> = columns;
    (
        columns
            .into_iter()
            .filter(|((table, _), _)| ours(table))
            .collect(),
        indexes,
    )
}

async fn up_down_up_leads_to_the_same_place(db: Db) {
    let before = shape(&db).await;
    assert!(before.0.len() > 100 && before.1.len() > 20);
    let folder = if db.is_pg() { "postgres" } else { "sqlite" };
    let names = migrations(folder);
    let reverted = db.store.revert_all().await.unwrap();
    assert_eq!(reverted.len(), names.len());
    assert_eq!(shape(&db).await, (BTreeMap::new(), Vec::new()));
    assert_eq!(
        db.store.pending_migrations().await.unwrap().len(),
        names.len()
    );
    assert_eq!(db.store.migrate().await.unwrap().len(), names.len());
    assert_eq!(shape(&db).await, before);
    assert!(
        db.store.migrate().await.unwrap().is_empty(),
        "nothing is left to do"
    );
    db.account().await;
}

/// On SQLite the directory's lock sees to that.
#[tokio::test(flavor = "multi_thread")]
async fn migrators_take_turns() {
    let Some(db) = postgres("schema::migrators_take_turns").await else {
        return;
    };
    db.store.revert_all().await.unwrap();
    let mut racers = tokio::task::JoinSet::new();
    for _ in 0..3 {
        let store = db.again(|_| {});
        racers.spawn(async move { store.migrate().await.unwrap().len() });
    }
    let applied: usize = racers.join_all().await.into_iter().sum();
    assert_eq!(applied, migrations("postgres").len());
    db.account().await;
}

fn migrations(database: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../migrations")
        .join(database);
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|it| it.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn both_databases_have_the_same_migrations() {
    assert!(!migrations("sqlite").is_empty());
    assert_eq!(migrations("sqlite"), migrations("postgres"));
}

#[tokio::test(flavor = "multi_thread")]
async fn both_databases_have_the_same_tables() {
    let Some(postgres) = postgres("schema::both_databases_have_the_same_tables").await else {
        return;
    };
    let sqlite = Db::new(symbolon_store::testing::sqlite().await);
    let (theirs, ours) = (shape(&postgres).await, shape(&sqlite).await);
    assert_eq!(theirs.0, ours.0);
    assert_eq!(theirs.1, ours.1);
}
