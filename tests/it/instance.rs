//! An installation under test: a database, a key file, settings, an account with its admin token,
//! and the processes that serve it. Each process keeps a log of its own.

use std::process::Output;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use symbolon_tests::documents::Documents;
use symbolon_tests::eventually;
use symbolon_tests::http::{Answer, Client};
use symbolon_tests::mail::Mail;
use symbolon_tests::postgres::{Database, create_database};
use symbolon_tests::process::{Home, Symbolon, free_port};
use symbolon_tests::redis::RedisServer;

/// How long anything may take that ought to take well under a second.
pub const SOON: Duration = Duration::from_secs(20);

/// What every process is told, unless a test says otherwise: the product's intervals, shortened.
const QUICK: &[(&str, &str)] = &[
    ("SYMBOLON__JOBS__POLL_INTERVAL", "50ms"),
    ("SYMBOLON__SCHEDULES__EXPIRE_TOKENS", "200ms"),
    ("SYMBOLON__CACHE__FEED_POLL", "50ms"),
    ("SYMBOLON__USES__FLUSH_INTERVAL", "200ms"),
    ("SYMBOLON__HTTP__WORKERS", "2"),
];

pub struct Instance {
    pub home: Home,
    pub account: String,
    /// The token that `bootstrap` showed: an operator's.
    pub token: String,
    pub setup_url: String,
    pub database: Option<Database>,
    pub redis: Option<RedisServer>,
    settings: Vec<(String, String)>,
    /// Where the processes logged.
    logs: Mutex<Vec<Home>>,
}

/// A running process of an instance.
pub struct Node {
    pub process: Symbolon,
    pub base: String,
    /// What it promises; a worker has no doors.
    documents: Option<Arc<Documents>>,
}

impl Instance {
    /// Embedded: SQLite in the data directory; `serve` is the role to start.
    pub fn sqlite(settings: &[(&str, &str)]) -> Self {
        Self::begin(settings, None, None)
    }

    /// PostgreSQL with its schema, and no Redis; nothing runs yet. `None` without a server.
    pub fn postgres(settings: &[(&str, &str)]) -> Option<Self> {
        Some(Self::begin(settings, Some(create_database()?), None))
    }

    /// PostgreSQL and a private Redis. `None` without the servers.
    pub fn distributed(settings: &[(&str, &str)]) -> Option<Self> {
        let (database, redis) = (create_database()?, RedisServer::start()?);
        Some(Self::begin(settings, Some(database), Some(redis)))
    }

    fn begin(
        wanted: &[(&str, &str)],
        database: Option<Database>,
        redis: Option<RedisServer>,
    ) -> Self {
        let home = Home::new();
        let mut settings = owned(QUICK);
        if let Some(database) = &database {
            settings.extend(owned(&[
                ("SYMBOLON__DATABASE__URL", &with_tls_off(&database.url())),
                // Several processes serve it under one name.
                ("SYMBOLON__HTTP__PUBLIC_URL", "http://symbolon.test"),
            ]));
        }
        if let Some(redis) = &redis {
            settings.extend(owned(&[("SYMBOLON__REDIS__URL", &redis.url())]));
        }
        settings.extend(owned(wanted));
        let mut instance = Self {
            home,
            account: String::new(),
            token: String::new(),
            setup_url: String::new(),
            database,
            redis,
            settings,
            logs: Mutex::default(),
        };
        if instance.database.is_some() {
            let keys = instance.home.data().join("keys");
            let keys = keys.to_str().expect("temporary paths are text").to_owned();
            instance.command(&["migrate"]);
            instance.command(&["keys", "generate", &keys]);
        }
        let bootstrap = ["--account", "acme", "--email", "owner@acme.test", "--json"];
        let made = instance.json(&[&["bootstrap"], &bootstrap[..]].concat());
        let text = |key: &str| made[key].as_str().expect("bootstrap says it").to_owned();
        instance.account = text("account_id");
        instance.token = text("token");
        instance.setup_url = text("setup_url");
        instance
    }

    pub fn is_sqlite(&self) -> bool {
        self.database.is_none()
    }

    pub fn set(&mut self, key: &str, value: &str) {
        self.settings.push((key.to_owned(), value.to_owned()));
    }

    /// The settings of this instance with others after them, which win.
    fn env<'a>(&'a self, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        let mut env: Vec<_> = self.settings.iter().map(|(k, v)| (&**k, &**v)).collect();
        env.extend_from_slice(more);
        env
    }

    /// Runs a command to its end, whatever that is.
    pub fn try_command(&self, args: &[&str], more: &[(&str, &str)]) -> Output {
        self.home.run(args, &self.env(more))
    }

    /// Runs a command that must succeed, and returns what it printed.
    #[track_caller]
    pub fn command(&self, args: &[&str]) -> String {
        let output = self.try_command(args, &[]);
        assert!(
            output.status.success(),
            "{args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).expect("commands print text")
    }

    #[track_caller]
    pub fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.command(args)).expect("--json prints JSON")
    }

    /// The jobs in a state, newest first.
    #[track_caller]
    pub fn jobs(&self, state: &str) -> Vec<Value> {
        let args = [
            "jobs", "list", "--state", state, "--limit", "1000", "--json",
        ];
        list(self.json(&args))
    }

    /// The ledger of mails, newest first.
    #[track_caller]
    pub fn notices(&self) -> Vec<Value> {
        list(self.json(&["notices", "--limit", "1000", "--json"]))
    }

    /// Starts a process, and does not wait for anything.
    pub fn spawn(&self, role: &str, more: &[(&str, &str)]) -> Symbolon {
        let log = Home::new();
        let data = self.home.data();
        let mut env = vec![(
            "SYMBOLON__DATA__DIR",
            data.to_str().expect("temporary paths are text"),
        )];
        env.extend(self.env(more));
        let logs = self.logs.lock();
        logs.unwrap_or_else(PoisonError::into_inner)
            .push(log.clone());
        log.spawn(&[role], &env)
    }

    /// Starts a process and waits until it is ready.
    pub fn start(&self, role: &str, more: &[(&str, &str)]) -> Node {
        let admin = format!("127.0.0.1:{}", free_port());
        let mut settings = match role {
            // It says where it listens in its health scope only, so the port is chosen here.
            "worker" => vec![("SYMBOLON__HTTP__ADMIN_BIND", admin.as_str())],
            _ => vec![("SYMBOLON__HTTP__BIND", "127.0.0.1:0")],
        };
        settings.extend_from_slice(more);
        let mut process = self.spawn(role, &settings);
        let base = if role == "worker" {
            format!("http://{admin}")
        } else {
            address_of(&mut process)
        };
        process.wait_ready(&base);
        let documents = || Arc::new(Documents::of(&Client::new(&base)));
        let documents = (role != "worker").then(documents);
        Node {
            process,
            base,
            documents,
        }
    }

    pub fn serve(&self) -> Node {
        self.start("serve", &[])
    }

    /// What all processes have logged.
    pub fn log_text(&self) -> String {
        let logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        logs.iter().fold(String::new(), |all, home| {
            let read = |name| std::fs::read(home.path().join(name)).unwrap_or_default();
            let (out, err) = (read("stdout"), read("stderr"));
            all + &String::from_utf8_lossy(&out) + &String::from_utf8_lossy(&err)
        })
    }

    /// A client of a node that holds the admin token.
    pub fn admin(&self, node: &Node) -> Api {
        Api {
            client: node.client().bearer(&self.token),
            open: node.client(),
            account: format!("/v1/public/accounts/{}", self.account),
        }
    }
}

/// The native door of one node, for one account.
#[derive(Clone)]
pub struct Api {
    pub client: Client,
    /// The same node, without credentials.
    pub open: Client,
    /// The path of the account.
    pub account: String,
}

impl Api {
    pub fn service_accounts(&self) -> String {
        format!("{}/auth/service-accounts", self.account)
    }

    /// The path of a service account, or of what is below it.
    pub fn of(&self, service_account: &Value, below: &str) -> String {
        let id = service_account["id"].as_str().expect("it has an id");
        format!("{}/{id}{below}", self.service_accounts())
    }

    pub fn try_create(&self, body: Value, headers: &[(&str, &str)]) -> Answer {
        self.client
            .post(&self.service_accounts(), Some(body), headers)
    }

    #[track_caller]
    pub fn create(&self, name: &str, email: &str) -> Value {
        let body = json!({"name": name, "contact_email": email});
        self.try_create(body, &[]).expect(201).json()
    }

    #[track_caller]
    pub fn rotate(&self, service_account: &Value) -> Value {
        let path = self.of(service_account, "/rotate");
        self.client.post(&path, None, &[]).expect(200).json()
    }

    #[track_caller]
    pub fn read(&self, service_account: &Value) -> Value {
        let path = self.of(service_account, "");
        self.client.get(&path, &[]).expect(200).json()
    }

    /// The events that a query selects, newest first, up to 200.
    #[track_caller]
    pub fn events(&self, query: &str) -> Vec<Value> {
        let path = format!("{}/events?limit=200&{query}", self.account);
        list(self.client.get(&path, &[]).expect(200).json())
    }

    /// How the door receives a token.
    pub fn whoami(&self, token: &str) -> u16 {
        let holder = self.open.bearer(token);
        holder.get("/v1/public/whoami", &[]).status
    }
}

impl Node {
    /// A client without credentials, which holds the node to its documents.
    pub fn client(&self) -> Client {
        let client = Client::new(&self.base);
        match &self.documents {
            Some(documents) => client.held_to(documents),
            None => client,
        }
    }
}

/// The token in an answer that shows one.
#[track_caller]
pub fn token(of: &Value) -> String {
    let text = of["token"].as_str();
    text.unwrap_or_else(|| panic!("no token in {of}"))
        .to_owned()
}

/// The path of the confirmation link in a mail.
#[track_caller]
pub fn link(mail: &Mail) -> String {
    let links = mail.links();
    let found = links.iter().find_map(|link| {
        let (_, path) = link.split_once("://")?.1.split_once('/')?;
        path.starts_with("confirm/").then(|| format!("/{path}"))
    });
    found.unwrap_or_else(|| panic!("no confirmation link in {links:?}"))
}

/// Presses a button of a page.
pub fn press(client: &Client, path: &str, action: &str) -> Answer {
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let body = format!("action={action}").into_bytes();
    client
        .send("POST", path, Some(body), &form)
        .expect("the page answers")
}

#[track_caller]
pub fn list(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items,
        other => panic!("not a list: {other}"),
    }
}

/// The program's standard error as text.
pub fn complaint(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The private server offers TLS; without it a proxy can follow the conversation.
pub fn with_tls_off(url: &str) -> String {
    format!("{url}?sslmode=disable")
}

/// Where a process that was given port 0 listens, as it logs when it has started.
fn address_of(process: &mut Symbolon) -> String {
    eventually("the process has started", Duration::from_secs(60), || {
        let (log, ended) = (process.log_text(), process.try_status());
        assert!(ended.is_none(), "ended: {ended:?}; the log:\n{log}");
        let line = log.lines().find(|line| line.contains("\"listens\""))?;
        let line: Value = serde_json::from_str(line).ok()?;
        Some(format!("http://{}", line["listens"].as_str()?))
    })
}

fn owned(settings: &[(&str, &str)]) -> Vec<(String, String)> {
    let pair = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    settings.iter().map(pair).collect()
}
