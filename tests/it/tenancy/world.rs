//! Two accounts with their environments, the credentials that are asked about, and those who ask.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use symbolon_tests::http::Client;

use super::{Cell, Kind, Place, Reach, Subject, Way};
use crate::data_plane::verify;
use crate::dialects::{Key, NEVER, PREFACTOR, text};
use crate::instance::{Api, Instance, Node, list, token};

/// How often a credential that is made natively may be used in a day.
pub const LIMIT: u64 = 1000;

/// What may be asked, and ended.
const ASKING: [&str; 2] = ["symbolon:tokens:verify", "symbolon:tokens:write"];

/// As a client has it, and as its owner finds it.
pub struct Credential {
    pub text: String,
    /// Of what is remembered: of an access token, its key's.
    pub id: String,
    /// Where it stands, if it is a service account's.
    path: Option<String>,
}

/// An installation with the account in which the subjects are.
pub struct Tenant {
    pub instance: Instance,
    pub node: Node,
    pub operator: Api,
    administrator: Api,
    /// Holds `symbolon:tokens:write` in the environment.
    in_environment: Api,
    environment: String,
    /// Whose tokens and keys the subjects are, by place.
    holders: BTreeMap<Place, Value>,
}

/// A service account of an account, which does nothing unless it is told to.
#[track_caller]
fn service_account(api: &Api, name: &str, scopes: &[&str], environment: Option<&str>) -> Value {
    let body = json!({
        "name": name,
        "contact_email": "ops@acme.test",
        "scopes": scopes,
        "environment_id": environment,
        "basic_auth_enabled": true,
    });
    api.try_create(body, &[]).expect(201).json()
}

#[track_caller]
fn environment(api: &Api, name: &str) -> String {
    let path = format!("{}/environments", api.account);
    let made = api.client.post(&path, Some(json!({"name": name})), &[]);
    text(&made.expect(201).json(), "id")
}

#[track_caller]
fn key(api: &Api, of: &Value, rate_limit: &Value) -> (Key, String) {
    let path = api.of(of, "/keys");
    let body = json!({"inherit_scopes": true, "rate_limit": rate_limit});
    let made = api.client.post(&path, Some(body), &[]).expect(201).json();
    let key = Key {
        owner: text(of, "id"),
        id: text(&made, "key_id"),
        secret: text(&made, "secret"),
    };
    (key, text(&made, "id"))
}

impl Tenant {
    pub fn new(instance: Instance) -> Self {
        let node = match instance.is_sqlite() {
            true => instance.serve(),
            false => instance.start("api", &[]),
        };
        let operator = instance.admin(&node);
        let administrator = operator.administrator();
        let environment = environment(&operator, "production");
        let inside = Some(&*environment);
        let writer = service_account(&operator, "writer", &ASKING, inside);
        let in_environment = Api {
            client: node.client().bearer(&token(&writer)),
            ..operator.clone()
        };
        let invoices = &["invoices:read"];
        let holders = BTreeMap::from([
            (
                Place::Account,
                service_account(&operator, "outside", invoices, None),
            ),
            (
                Place::Environment,
                service_account(&operator, "inside", invoices, inside),
            ),
        ]);
        Self {
            instance,
            node,
            operator,
            administrator,
            in_environment,
            environment,
            holders,
        }
    }

    /// A new one.
    pub fn mint(&self, (kind, place): Subject) -> Credential {
        let (api, holder) = (&self.operator, &self.holders[&place]);
        let limited = json!({"limit": LIMIT, "period": "86400s"});
        match kind {
            Kind::Opaque => {
                let path = api.of(holder, "/tokens");
                let body = json!({"scopes": ["invoices:read"], "rate_limit": limited});
                let made = api.client.post(&path, Some(body), &[]).expect(201).json();
                let id = text(&made, "id");
                Credential {
                    text: token(&made),
                    path: Some(format!("{path}/{id}")),
                    id,
                }
            }
            Kind::DirectOpaque => {
                let made = self.instance.json(&[
                    "bootstrap",
                    "--recover",
                    "--account",
                    "acme",
                    "--email",
                    "owner@acme.test",
                    "--json",
                ]);
                self.direct(token(&made))
            }
            Kind::AccountJwt => self.direct(token(&self.administrator.at_prefactor())),
            Kind::EnvironmentJwt => {
                // Its maker's own environment.
                let body = json!({"details": {"token_scope": "environment", "expires_at": NEVER}});
                let made = self.in_environment.client.post(PREFACTOR, Some(body), &[]);
                self.direct(token(&made.expect(200).json()))
            }
            Kind::Key => {
                let (key, id) = key(api, holder, &limited);
                Credential {
                    text: format!("{}:{}", key.id, key.secret),
                    path: Some(api.of(holder, &format!("/keys/{}", key.id))),
                    id,
                }
            }
            Kind::AccessToken => {
                let (key, id) = key(api, holder, &Value::Null);
                let form = [("Content-Type", "application/x-www-form-urlencoded")];
                let client = self.node.client().header("Authorization", &key.basic());
                let body = b"grant_type=client_credentials".to_vec();
                let issued = client.send("POST", "/oauth2/token", Some(body), &form);
                Credential {
                    text: text(&issued.unwrap().expect(200).json(), "access_token"),
                    path: Some(api.of(holder, &format!("/keys/{}", key.id))),
                    id,
                }
            }
        }
    }

    /// One that belongs to the account or an environment itself.
    fn direct(&self, text: String) -> Credential {
        let me = self
            .node
            .client()
            .bearer(&text)
            .get("/v1/public/whoami", &[]);
        Credential {
            id: self::text(&me.expect(200).json()["token"], "id"),
            text,
            path: None,
        }
    }

    /// What the owner can see of it, and of its use.
    pub fn state(&self, it: &Credential) -> Value {
        let read = |path: &str| self.operator.get(path);
        let Some(path) = &it.path else {
            let path = format!(
                "{}/auth/tokens?include_revoked=true&limit=200",
                self.operator.account
            );
            let mut all = list(read(&path));
            all.retain(|known| known["id"] == it.id.as_str());
            assert_eq!(all.len(), 1, "{}", it.id);
            return json!({"record": all[0]});
        };
        let mut uses = read(&format!("{path}/uses"));
        // Goes on by itself.
        uses["tracked_until"].take();
        if uses["state"] != "used" {
            uses["state"].take();
        }
        json!({"record": read(path), "uses": uses})
    }
}

/// Who asks, in either way.
pub struct Asker {
    token: Client,
    key: Client,
}

impl Asker {
    fn of(node: &Node, api: &Api, service_account: &Value) -> Self {
        let (key, _) = key(api, service_account, &Value::Null);
        Self {
            token: node.client().bearer(&token(service_account)),
            key: node.client().header("Authorization", &key.basic()),
        }
    }
}

pub struct World {
    pub here: Tenant,
    there: Api,
    /// An environment of the same account, and one of the other.
    beside: String,
    pub foreign: String,
    askers: BTreeMap<Reach, Asker>,
}

impl World {
    pub fn new(instance: Instance) -> Self {
        let here = Tenant::new(instance);
        let operator = here.operator.clone();
        let made = operator
            .client
            .post("/v1/public/accounts", Some(json!({"name": "beta"})), &[]);
        let there = Api {
            account: format!(
                "/v1/public/accounts/{}",
                text(&made.expect(201).json(), "id")
            ),
            ..operator.clone()
        };
        let (beside, foreign) = (environment(&operator, "test"), environment(&there, "test"));
        let who = |api: &Api, name: &str, scopes: &[&str], environment: Option<&str>| {
            let it = service_account(api, name, scopes, environment);
            Asker::of(&here.node, api, &it)
        };
        let all = ["symbolon:instance:*"];
        let askers = BTreeMap::from([
            (
                Reach::OwnAccount,
                who(&operator, "asks here", &ASKING, None),
            ),
            (
                Reach::OtherAccount,
                who(&there, "asks there", &ASKING, None),
            ),
            (
                Reach::OwnEnvironment,
                who(&operator, "asks inside", &ASKING, Some(&here.environment)),
            ),
            (
                Reach::OtherEnvironment,
                who(&operator, "asks beside", &ASKING, Some(&beside)),
            ),
            (
                Reach::ForeignEnvironment,
                who(&there, "asks far off", &ASKING, Some(&foreign)),
            ),
            // Whose account is another, and who sees all the same.
            (Reach::Operator, who(&there, "asks everywhere", &all, None)),
        ]);
        Self {
            here,
            there,
            beside,
            foreign,
            askers,
        }
    }

    pub fn asker(&self, reach: Reach, way: Way) -> &Client {
        let Asker { token, key } = &self.askers[&reach];
        match way {
            Way::Token => token,
            Way::Key => key,
        }
    }

    /// A reach as `authorize` is told it.
    pub fn query(&self, reach: Reach) -> String {
        let account = |api: &Api| api.account.rsplit('/').next().unwrap().to_owned();
        let (here, there) = (account(&self.here.operator), account(&self.there));
        match reach {
            Reach::OwnAccount => format!("?account={here}"),
            Reach::OtherAccount => format!("?account={there}"),
            Reach::OwnEnvironment => {
                format!("?account={here}&environment={}", self.here.environment)
            }
            Reach::OtherEnvironment => format!("?account={here}&environment={}", self.beside),
            Reach::ForeignEnvironment => format!("?account={there}&environment={}", self.foreign),
            Reach::Operator => String::new(),
        }
    }

    /// The path of `authorize` for an environment, whosever it is.
    pub fn authorizing(&self, environment: &str) -> String {
        format!(
            "/v1/authorize{}&environment={environment}",
            self.query(Reach::OwnAccount)
        )
    }

    /// The newest events of both accounts.
    pub fn events(&self) -> [Value; 2] {
        [&self.here.operator, &self.there].map(|api| Value::Array(api.events("")))
    }

    /// A credential that was revoked where it could be seen is over; the key of an access token is not.
    #[track_caller]
    pub fn has_ended(&self, cell: Cell, it: &Credential) {
        let operator = &self.here.operator;
        let said = verify(&operator.client, &it.text, &[]).expect(200).json();
        assert_eq!(said["code"], "revoked", "{cell:?}: {said}");
        let ((kind, _), ..) = cell;
        let ended = match kind {
            Kind::AccessToken => 0,
            _ => 1,
        };
        let events = operator.events(&format!("kind=token.revoked&token_id={}", it.id));
        assert_eq!(events.len(), ended, "{cell:?}");
        let state = self.here.state(it);
        let status = if ended == 1 { "revoked" } else { "active" };
        assert_eq!(state["record"]["status"], status, "{cell:?}");
    }
}
