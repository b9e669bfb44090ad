//! A fresh database with short words for filling it and for looking behind the store.

use diesel::prelude::*;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use symbolon_domain::account::{self, AccountPatch};
use symbolon_domain::change::{Asking, Changes, Target, View};
use symbolon_domain::dice::SeededDice;
use symbolon_domain::issue::{self, Issued, Mint, NewServiceAccount, NewToken};
use symbolon_domain::secret::{Digest, Minted, Sealed, Sealer};
use symbolon_domain::{
    Account, AccountId, ActorRef, Authority, Credential, CredentialId, CredentialKind,
    CredentialStatus, Dice, EmailAddress, Name, Owner, Refusal, ScopeSet, ServiceAccount,
    Timestamp,
};
use symbolon_store::testing::TestDatabase;
use symbolon_store::{Changed, Decision, Error, Location, Page, Result, Store, StoreSettings};

/// 2026-11-22T00:00:00Z.
pub const T: Timestamp = Timestamp::from_micros(1_795_305_600_000_000);
pub const TICK: Duration = Duration::from_micros(1);
pub const SECOND: Duration = Duration::from_secs(1);
pub const MINUTE: Duration = Duration::from_secs(60);
pub const DAY: Duration = Duration::from_secs(86_400);
pub const ALL: Page = Page {
    after: None,
    limit: 1000,
};

/// Expands each test into one on SQLite and one on PostgreSQL, and counts those that ran.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod sqlite {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                Box::pin(super::$name(crate::harness::Db::new(symbolon_store::testing::sqlite().await))).await;
                crate::harness::ran("sqlite");
            }
        )*}
        mod postgres {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                let test = concat!(module_path!(), "::", stringify!($name));
                if let Some(db) = crate::harness::postgres(test).await {
                    Box::pin(super::$name(db)).await;
                    crate::harness::ran("postgres");
                }
            }
        )*}
    };
}
pub(crate) use on_both;

/// A fresh database on the test server; without one, the summary is told about the test.
pub async fn postgres(test: &str) -> Option<Db> {
    let database = symbolon_store::testing::postgres().await;
    if database.is_none() {
        append(
            "SYMBOLON_TEST_NOT_RUN_FILE",
            &format!("{test} (no PostgreSQL)"),
        );
    }
    database.map(Db::new)
}

/// Counts a case of the contract, so that both backends can be seen to have run the same.
pub fn ran(backend: &str) {
    append(
        "SYMBOLON_TEST_COUNTS_FILE",
        &format!("contract {backend} 1"),
    );
}

fn append(variable: &str, line: &str) {
    let line = format!("{line}\n");
    match std::env::var(variable) {
        Ok(path) if !path.is_empty() => std::fs::File::options()
            .append(true)
            .create(true)
            .open(path)
            .and_then(|mut file| file.write_all(line.as_bytes()))
            .unwrap(),
        _ => eprint!("{line}"),
    }
}

/// Dice that no other call of this process throws.
pub fn dice() -> SeededDice {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    SeededDice::new(NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Stands for the key file, which is not the store's.
struct Unsealed;

impl Sealer for Unsealed {
    fn seal_digest(&self, _: CredentialId, digest: &Digest, _: &mut dyn Dice) -> Sealed {
        Sealed {
            key_version: 1,
            bytes: digest.as_bytes().to_vec(),
        }
    }

    fn seal_secret(&self, _: CredentialId, secret: &Minted, _: &mut dyn Dice) -> Sealed {
        Sealed {
            key_version: 1,
            bytes: secret.reveal().as_bytes().to_vec(),
        }
    }
}

pub struct Db {
    pub store: Store,
    pub database: TestDatabase,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    n: i64,
}

/// Runs one decision with all authority of the instance.
pub async fn change<T, F>(store: &Store, target: Target, now: Timestamp, decide: F) -> Result<T>
where
    T: Send + 'static,
    F: FnOnce(&View, &Asking<'_>, &mut Mint<'_>) -> std::result::Result<(T, Changes), Refusal>
        + Send
        + 'static,
{
    let changed = store
        .change(target, now, None, deciding(now, decide))
        .await?;
    match changed {
        Changed::Done { value, .. } => Ok(value),
        Changed::Replayed(_) => panic!("nothing was claimed"),
    }
}

/// The closure that the store wants, around a decision of the domain.
pub fn deciding<T, F>(
    now: Timestamp,
    decide: F,
) -> impl FnOnce(&View) -> std::result::Result<Decision<T>, Refusal> + Send + 'static
where
    T: Send + 'static,
    F: FnOnce(&View, &Asking<'_>, &mut Mint<'_>) -> std::result::Result<(T, Changes), Refusal>
        + Send
        + 'static,
{
    let mut dice = dice();
    move |view| {
        let authority = Authority::instance();
        let asking = Asking {
            now,
            by: ActorRef::Operator,
            authority: &authority,
            request: None,
            client_ip: None,
        };
        let mut mint = Mint {
            dice: &mut dice,
            sealer: &Unsealed,
            signer: None,
            link_key_version: 1,
        };
        let (value, changes) = decide(view, &asking, &mut mint)?;
        Ok(Decision {
            value,
            changes,
            save: None,
        })
    }
}

impl Db {
    pub fn new(database: TestDatabase) -> Self {
        Self {
            store: database.store.clone(),
            database,
        }
    }

    pub fn is_pg(&self) -> bool {
        !self.store.is_sqlite()
    }

    pub fn url(&self) -> &str {
        match &self.database.settings.location {
            Location::Postgres(url) => url,
            Location::Sqlite(path) => path.to_str().unwrap(),
        }
    }

    /// Another store on the same database, as another process would open it.
    pub fn again(&self, adjust: impl FnOnce(&mut StoreSettings)) -> Store {
        let mut settings = self.database.settings.clone();
        adjust(&mut settings);
        Store::open(&settings).unwrap()
    }

    /// How many rows `table [WHERE …]` has, asked past the store.
    pub async fn count(&self, from: &str) -> i64 {
        let statement = format!("SELECT count(*) AS n FROM {from}");
        if self.is_pg() {
            let rows = symbolon_store::testing::rows(self.url(), &statement).await;
            return rows[0].parse().unwrap();
        }
        let mut connection = self.lite();
        diesel::sql_query(statement)
            .get_result::<Count>(&mut connection)
            .unwrap()
            .n
    }

    /// Runs one statement past the store.
    pub async fn execute(&self, statement: &str) {
        if self.is_pg() {
            symbolon_store::testing::execute(self.url(), statement).await;
        } else {
            diesel::sql_query(statement)
                .execute(&mut self.lite())
                .unwrap();
        }
    }

    /// A connection of one's own to the SQLite file.
    pub fn lite(&self) -> SqliteConnection {
        let mut connection = SqliteConnection::establish(self.url()).unwrap();
        diesel::sql_query("PRAGMA busy_timeout = 5000")
            .execute(&mut connection)
            .unwrap();
        connection
    }

    /// No session of this database sits in a transaction; SQLite lets another writer in.
    pub async fn assert_nothing_open(&self) {
        if self.is_pg() {
            let idle = "pg_stat_activity WHERE datname = current_database() \
                        AND state LIKE 'idle in transaction%'";
            eventually("no transaction stays open", async || {
                (self.count(idle).await == 0).then_some(())
            })
            .await;
        } else {
            let mut connection = self.lite();
            diesel::sql_query("BEGIN IMMEDIATE")
                .execute(&mut connection)
                .unwrap();
            diesel::sql_query("ROLLBACK")
                .execute(&mut connection)
                .unwrap();
        }
    }

    pub async fn account(&self) -> Account {
        self.account_with("Acme", AccountPatch::default()).await
    }

    pub async fn account_with(&self, label: &str, patch: AccountPatch) -> Account {
        let name = name(label);
        let nowhere = Target::within(AccountId(uuid::Uuid::nil()));
        let decide = move |_: &View, asking: &Asking<'_>, mint: &mut Mint<'_>| {
            account::create(asking, name, patch, mint.dice)
        };
        change(&self.store, nowhere, T, decide).await.unwrap()
    }

    pub async fn environment(&self, of: &Account, label: &str) -> symbolon_domain::Environment {
        create_environment(&self.store, of.id, label).await.unwrap()
    }

    pub async fn service_account(&self, of: &Account, now: Timestamp) -> (ServiceAccount, Issued) {
        self.create(of, now, service_account("billing")).await
    }

    pub async fn create(
        &self,
        of: &Account,
        now: Timestamp,
        new: NewServiceAccount,
    ) -> (ServiceAccount, Issued) {
        let (it, issued) = self.try_create(of, now, new).await.unwrap();
        (it, issued.unwrap())
    }

    pub async fn try_create(
        &self,
        of: &Account,
        now: Timestamp,
        new: NewServiceAccount,
    ) -> Result<(ServiceAccount, Option<Issued>)> {
        let target = Target::Within {
            account: of.id,
            environment: new.environment_id,
            name: new.name_is_exclusive.then(|| new.name.key()),
        };
        change(&self.store, target, now, move |view, asking, mint| {
            let (it, issued, changes) = issue::create_service_account(view, asking, new, mint)?;
            Ok(((it, issued), changes))
        })
        .await
    }

    pub async fn issue(&self, it: &ServiceAccount, now: Timestamp, new: NewToken) -> Issued {
        change(&self.store, the(it), now, move |view, asking, mint| {
            issue::issue_token(view, asking, new, mint)
        })
        .await
        .unwrap()
    }

    /// Writes credentials as they are, past all decisions.
    pub async fn plant(&self, of: &Account, credentials: Vec<Credential>) {
        let target = Target::within(of.id);
        let changes = Changes {
            new_credentials: credentials,
            ..Changes::default()
        };
        change(&self.store, target, T, move |_, _, _| Ok(((), changes)))
            .await
            .unwrap();
    }

    pub async fn credential(&self, it: &Credential) -> Credential {
        let found = self.store.find_credential(it.account_id, it.id).await;
        found.unwrap().unwrap()
    }
}

pub async fn create_environment(
    store: &Store,
    account: AccountId,
    label: &str,
) -> Result<symbolon_domain::Environment> {
    let name = name(label);
    change(
        store,
        Target::within(account),
        T,
        move |view, asking, mint| {
            account::create_environment(view.account()?, asking, name, mint.dice)
        },
    )
    .await
}

/// A service account as a target.
pub fn the(it: &ServiceAccount) -> Target {
    Target::service_account(it.account_id, it.id)
}

/// A service account with one of its tokens as a target.
pub fn token_of(it: &ServiceAccount, credential: CredentialId) -> Target {
    Target::credential_of(it.account_id, it.id, Some(credential))
}

pub fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

pub fn email(text: &str) -> EmailAddress {
    EmailAddress::parse(text).unwrap()
}

pub fn service_account(label: &str) -> NewServiceAccount {
    NewServiceAccount::named(name(label))
}

/// A live token that belongs to the account directly.
pub fn direct_credential(of: &Account, now: Timestamp) -> Credential {
    let mut dice = dice();
    let id = CredentialId::new(now, &mut dice);
    Credential {
        id,
        account_id: of.id,
        owner: Owner::Account,
        kind: CredentialKind::Opaque,
        // The half of the id that is random, as long as a public id is.
        public_id: id.0.simple().to_string()[16..].to_owned(),
        prefix: "sym_".into(),
        last4: "last".into(),
        sealed: Sealed {
            key_version: 1,
            bytes: vec![1; 72],
        },
        sealed_secret: None,
        description: None,
        scopes: ScopeSet::default(),
        inherits_scopes: false,
        is_primary: false,
        allowed_networks: Default::default(),
        rate_limit: None,
        family_id: id,
        status: CredentialStatus::Active,
        not_before: None,
        expires_at: None,
        retires_at: None,
        end_recorded_at: None,
        deleted_at: None,
        created_at: now,
        created_by: ActorRef::Operator,
        updated_at: now,
        version: 1,
    }
}

/// Blocks a decision for a while, as a slow machine would, and not the runtime.
pub fn pause(span: Duration) {
    tokio::task::block_in_place(|| std::thread::sleep(span));
}

/// Asks again every 10 ms until there is an answer, for ten seconds.
pub async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..1000 {
        if let Some(answer) = ask().await {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what}: still not so");
}

/// The stable code of a refusal.
pub fn code<T>(result: Result<T>) -> symbolon_domain::Code {
    match result {
        Err(Error::Refused(refusal)) => refusal.code,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was allowed"),
    }
}
