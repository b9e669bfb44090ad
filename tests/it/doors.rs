//! One thing, four doors: what is made at one is seen at the others in their shapes, ends everywhere
//! when it ends at one, and is refused everywhere while it is suspended.

use serde_json::{Value, json};
use symbolon_tests::eventually;

use crate::dialects::{Key, NEOWIT, NEVER, PREFACTOR, TOKEN_ENDPOINT, UNLEASH, exchange, text};
use crate::instance::{Api, Instance, Node, SOON, list, token};

/// Every door under which an administrator may be received.
const DOORS: [&str; 4] = ["native", UNLEASH, PREFACTOR, NEOWIT];

/// The same on both databases: with the node, as the account's administrator.
fn in_both(test: impl Fn(&Instance, &Node, &Api)) {
    let run = |instance: Instance| {
        let node = instance.serve();
        let api = instance.admin(&node).administrator();
        test(&instance, &node, &api);
    };
    run(Instance::sqlite(&[]));
    if let Some(instance) = Instance::postgres(&[]) {
        run(instance);
    }
}

/// What the native door says of a service account that another door calls so.
#[track_caller]
fn native(api: &Api, name: &str) -> Value {
    let all = list(api.get(&format!("{}?include_revoked=true", api.service_accounts())));
    let named = all.into_iter().find(|it| it["name"] == name);
    named.unwrap_or_else(|| panic!("no {name}"))
}

#[track_caller]
fn native_tokens(api: &Api, of: &Value) -> Vec<Value> {
    list(api.get(&api.of(of, "/tokens?include_revoked=true")))
}

#[track_caller]
fn native_keys(api: &Api, of: &Value) -> Vec<Value> {
    list(api.get(&api.of(of, "/keys?include_revoked=true")))
}

#[track_caller]
fn only(mut found: Vec<Value>) -> Value {
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

#[track_caller]
fn fields(value: &Value) -> Vec<&str> {
    let object = value.as_object().unwrap();
    object.keys().map(String::as_str).collect()
}

/// The shape of a service account at the Neowit door, and whose it is.
#[track_caller]
fn is_at_neowit(api: &Api, native: &Value, basic: bool, keys: &[&str]) {
    let it = api.named(NEOWIT, native["name"].as_str().unwrap()).unwrap();
    assert_eq!(
        fields(&it),
        ["created", "enableBasicAuth", "id", "keys", "name"]
    );
    assert_eq!(it["id"], native["id"]);
    assert_eq!(it["enableBasicAuth"], basic);
    let shown: Vec<_> = list(it["keys"].clone());
    assert_eq!(
        shown.iter().map(|it| text(it, "keyId")).collect::<Vec<_>>(),
        keys
    );
    assert!(
        shown
            .iter()
            .all(|it| it["created"].is_u64() && it["secret"].is_null())
    );
    assert!(it["created"].is_u64());
    let path = format!("{NEOWIT}/{}", text(&it, "id"));
    assert_eq!(api.get(&path), it);
}

/// The shape of a service account at the Unleash door; returns its tokens there.
#[track_caller]
fn is_at_unleash(api: &Api, native: &Value, role: i64) -> Vec<Value> {
    let it = api
        .named(UNLEASH, native["name"].as_str().unwrap())
        .unwrap();
    assert!(it["id"].as_i64().unwrap() > 0, "{it}");
    assert_eq!(it["rootRole"], role);
    assert_eq!(it["createdAt"], native["created_at"]);
    let path = format!("{UNLEASH}/{}/token", it["id"]);
    let tokens = list(api.get(&path)["pats"].clone());
    assert!(tokens.iter().all(|it| it["secret"].is_null()), "{tokens:?}");
    assert_eq!(it["tokens"], Value::Array(tokens.clone()));
    tokens
}

/// The tokens that the Prefactor door lists with this end.
#[track_caller]
fn at_prefactor(api: &Api, expires_at: &Value) -> Vec<Value> {
    let mut all = api.all(PREFACTOR);
    all.retain(|it| it["type"] == "api_token" && it["expires_at"] == *expires_at);
    all
}

#[test]
fn what_is_made_at_the_unleash_door_is_seen_at_the_others() {
    in_both(|_, node, api| {
        let it = api.at_unleash("builder", 1);
        assert_eq!(it["tokens"], json!([]));
        let own = native(api, "builder");
        for empty in ["token_prefix", "token_public_id", "token_last4"] {
            assert_eq!(own[empty], "", "{empty}: it has no primary token");
        }
        assert_eq!(own["scopes"], json!(["symbolon:admin"]));
        is_at_neowit(api, &own, false, &[]);

        let pat = api.unleash_token(&it, "nightly");
        assert!(text(&pat, "secret").starts_with("user:"));
        let shown = only(native_tokens(api, &own));
        assert_eq!(shown["kind"], "opaque");
        assert_eq!(shown["description"], "nightly");
        assert_eq!(
            (&shown["primary"], &shown["token_prefix"]),
            (&json!(false), &json!("user:"))
        );
        assert_eq!(shown["created_at"], pat["createdAt"]);
        // Whatever the door, the secret is the same holder's.
        let holder = node.client().bearer(&text(&pat, "secret"));
        let me = holder.get("/v1/public/whoami", &[]).expect(200).json();
        assert_eq!(me["service_account"]["name"], "builder");
        assert_eq!(me["token"]["id"], shown["id"]);
        let raw = node.client().header("Authorization", &text(&pat, "secret"));
        assert_eq!(api.received(UNLEASH, &raw), 200);
        assert_eq!(
            api.received("native", &raw),
            401,
            "raw only where Unleash's clients come"
        );
        for door in DOORS {
            assert_eq!(api.received(door, &holder), 200, "{door}");
        }
        let summary = only(at_prefactor(api, &shown["expires_at"]));
        assert_eq!(summary["token_scope"], "account");
        assert_eq!(summary["status"], "active");
        assert_eq!(text(&summary, "id").len(), 32);
        // No key, so nothing new here.
        is_at_neowit(api, &own, false, &[]);
        // Where it was used, and where that is seen, is no matter either.
        let seen = eventually("the uses are written down", SOON, || {
            let pats = is_at_unleash(api, &own, 1);
            pats[0]["seenAt"]
                .is_string()
                .then(|| pats[0]["seenAt"].clone())
        });
        let summary = only(at_prefactor(api, &shown["expires_at"]));
        assert!(
            summary["last_used_at"].as_str() >= seen.as_str(),
            "{summary}"
        );
    });
}

#[test]
fn what_is_made_at_the_neowit_door_is_seen_at_the_others() {
    in_both(|_, node, api| {
        let it = api.at_neowit("gate", true);
        let own = native(api, "gate");
        assert_eq!(own["id"], it["id"]);
        assert_eq!(own["token_public_id"], "");
        assert_eq!(own["basic_auth_enabled"], true);
        assert_eq!(own["scopes"], json!(["symbolon:admin"]));
        is_at_unleash(api, &own, 1);

        let key = api.neowit_key(&it);
        is_at_neowit(api, &own, true, &[&key.id]);
        let shown = only(native_keys(api, &own));
        assert_eq!(shown["kind"], "key");
        assert_eq!(shown["token_public_id"], key.id.as_str());
        assert_eq!(shown["service_account_id"], own["id"]);
        let holder = node.client().header("Authorization", &key.basic());
        let me = holder.get("/v1/public/whoami", &[]).expect(200).json();
        assert_eq!(me["service_account"]["name"], "gate");
        assert_eq!(me["token"]["id"], shown["id"]);
        assert_eq!(api.received(NEOWIT, &holder), 200);
        // A key's secret is no bearer token, anywhere; who knows it is told that much.
        let bearer = node.client().bearer(&key.secret);
        for door in DOORS {
            assert_eq!(api.received(door, &bearer), 403, "{door}");
        }
        // Keys are not API tokens.
        assert!(
            at_prefactor(api, &shown["expires_at"])
                .iter()
                .all(|it| it["id"] != shown["id"])
        );
    });
}

#[test]
fn what_is_made_at_the_native_door_is_seen_at_the_others() {
    in_both(|_, node, api| {
        let body = json!({
            "name": "deployer",
            "contact_email": "ops@acme.test",
            "expires_at": NEVER,
            "basic_auth_enabled": true,
            "scopes": ["symbolon:service-accounts:read", "symbolon:tokens:read", "symbolon:events:read"],
        });
        let own = api.try_create(body, &[]).expect(201).json();
        let pat = only(is_at_unleash(api, &own, 3));
        assert_eq!(pat["createdAt"], own["created_at"]);
        assert_eq!(pat["seenAt"], Value::Null);
        assert!(text(&pat, "expiresAt").starts_with("2099-01-01T00:00:00"));
        let summary = only(at_prefactor(api, &own["expires_at"]));
        assert_eq!(summary["status"], "active");

        let inherits = json!({"inherit_scopes": true});
        let key = api.client.post(&api.of(&own, "/keys"), Some(inherits), &[]);
        let key = key.expect(201).json();
        let held = Key {
            owner: text(&own, "id"),
            id: text(&key, "key_id"),
            secret: text(&key, "secret"),
        };
        is_at_neowit(api, &own, true, &[&held.id]);
        let path = format!("{NEOWIT}/{}/key", text(&own, "id"));
        let keys = api.get(&path).to_string();
        assert!(
            keys.contains(&held.id) && !keys.contains(&held.secret),
            "{keys}"
        );
        // What it may do is the same at each door: look, and not touch.
        let holder = node.client().header("Authorization", &held.basic());
        assert_eq!(api.received(NEOWIT, &holder), 200);
        assert_eq!(api.received("native", &holder), 200);
        let new = Some(json!({"name": "another"}));
        holder.post(NEOWIT, new.clone(), &[]).expect(403);
        holder.post(&api.service_accounts(), new, &[]).expect(403);
        let holder = node.client().bearer(&token(&own));
        let new = json!({"name": "another", "username": "another", "rootRole": 3});
        holder.post(UNLEASH, Some(new), &[]).expect(403);
    });
}

#[test]
fn what_is_made_at_the_prefactor_door_is_seen_at_the_native_one() {
    in_both(|_, node, api| {
        let made = api.at_prefactor();
        let (details, jwt) = (&made["details"], token(&made));
        assert_eq!(jwt.split('.').count(), 3);
        let path = format!("{}/auth/tokens", api.account);
        let mut direct = list(api.get(&path));
        direct.retain(|it| it["kind"] == "jwt");
        let direct = only(direct);
        assert_eq!(direct["service_account_id"], Value::Null);
        assert_eq!(direct["environment_id"], Value::Null);
        assert_eq!(direct["created_at"], details["inserted_at"]);
        assert_eq!(direct["expires_at"], details["expires_at"]);
        let holder = node.client().bearer(&jwt);
        let me = holder.get("/v1/public/whoami", &[]).expect(200).json();
        assert_eq!(me["token"]["id"], direct["id"]);
        for door in DOORS {
            assert_eq!(api.received(door, &holder), 200, "{door}");
        }
        // It is nobody's: neither of the doors that list service accounts has one more.
        for door in [UNLEASH, NEOWIT] {
            assert_eq!(api.all(door).len(), 1, "{door}: the administrator");
        }
        // Revoked natively, it is revoked here, and only then may it go.
        let path = format!("{path}/{}", text(&direct, "id"));
        api.client.delete(&path, None, &[]).expect(204);
        let own = format!("{PREFACTOR}/{}", text(details, "id"));
        let seen = api.get(&own);
        assert_eq!(seen["details"]["status"], "revoked");
        let actions = json!({"activate": false, "delete": true, "revoke": false, "suspend": false});
        assert_eq!(seen["details"]["available_actions"], actions);
        assert_eq!(api.received(PREFACTOR, &holder), 401);
    });
}

/// What `kind` of events there are about something, by its native id.
#[track_caller]
fn events(api: &Api, kind: &str, about: &str, it: &Value) -> usize {
    let id = text(it, "id");
    api.events(&format!("kind={kind}&{about}={id}")).len()
}

/// Hard at the door, soft inside: revoked, still there for who asks the native door, and its name free.
#[test]
fn deletion_at_a_door() {
    in_both(|_, node, api| {
        let unleash = api.at_unleash("builder", 1);
        let again = json!({"name": "x", "username": "service-builder", "rootRole": 1});
        api.client.post(UNLEASH, Some(again), &[]).expect(409);
        let pat = api.unleash_token(&unleash, "nightly");
        let gone = api.unleash_token(&unleash, "gone");
        let taken = json!({"description": "gone", "expiresAt": NEVER});
        let tokens = format!("{UNLEASH}/{}/token", unleash["id"]);
        api.client.post(&tokens, Some(taken), &[]).expect(409);
        let path = format!("{tokens}/{}", gone["id"]);
        let empty = api.client.delete(&path, None, &[]).expect(200);
        assert!(empty.body.is_empty());
        let builder = native(api, "builder");
        assert_eq!(is_at_unleash(api, &builder, 1).len(), 1);
        let all = native_tokens(api, &builder);
        let dead = all.iter().find(|it| it["description"] == "gone").unwrap();
        assert_eq!(dead["status"], "revoked");
        assert_eq!(events(api, "token.revoked", "token_id", dead), 1);
        assert_eq!(api.whoami(&text(&gone, "secret")), 401);
        assert_eq!(api.whoami(&text(&pat, "secret")), 200);
        // Its description is free, its number is not.
        let newer = api.unleash_token(&unleash, "gone");
        assert!(newer["id"].as_i64() > gone["id"].as_i64());

        let path = format!("{UNLEASH}/{}", unleash["id"]);
        let empty = api.client.delete(&path, None, &[]).expect(200);
        assert!(empty.body.is_empty());
        api.client.delete(&path, None, &[]).expect(404);
        assert_eq!(api.whoami(&text(&pat, "secret")), 401);
        is_over(api, &builder);
        let newer = api.at_unleash("builder", 1);
        assert!(newer["id"].as_i64() > unleash["id"].as_i64());

        let neowit = api.at_neowit("gate", true);
        let taken = json!({"name": "gate"});
        api.client.post(NEOWIT, Some(taken), &[]).expect(409);
        let (key, gone) = (api.neowit_key(&neowit), api.neowit_key(&neowit));
        let path = format!("{NEOWIT}/{}", text(&neowit, "id"));
        let gone_path = format!("{path}/key/{}", gone.id);
        api.client.delete(&gone_path, None, &[]).expect(204);
        api.client.delete(&gone_path, None, &[]).expect(404);
        let gate = native(api, "gate");
        is_at_neowit(api, &gate, true, &[&key.id]);
        let all = native_keys(api, &gate);
        let dead = all
            .iter()
            .find(|it| it["token_public_id"] == gone.id.as_str());
        assert_eq!(dead.unwrap()["status"], "revoked");
        let basic = |key: &Key| node.client().header("Authorization", &key.basic());
        assert_eq!(api.received(NEOWIT, &basic(&gone)), 401);
        assert_eq!(api.received(NEOWIT, &basic(&key)), 200);
        api.client.delete(&path, None, &[]).expect(204);
        api.client.delete(&path, None, &[]).expect(404);
        api.client.get(&path, &[]).expect(404);
        assert_eq!(api.received(NEOWIT, &basic(&key)), 401);
        is_over(api, &gate);
        assert_ne!(api.at_neowit("gate", false)["id"], neowit["id"]);

        let made = api.at_prefactor();
        let path = format!("{PREFACTOR}/{}", text(&made["details"], "id"));
        let refused = api.client.delete(&path, None, &[]);
        assert!((400..500).contains(&refused.status));
        assert_eq!(refused.json()["code"], "invalid_action");
        let revoke = format!("{path}/revoke");
        api.client.post(&revoke, Some(json!({})), &[]).expect(200);
        assert_eq!(api.whoami(&token(&made)), 401);
        api.client.delete(&path, None, &[]).expect(200);
        api.client.get(&path, &[]).expect(404);
        let direct = format!("{}/auth/tokens?include_revoked=true", api.account);
        let mut direct = list(api.get(&direct));
        direct.retain(|it| it["kind"] == "jwt");
        let direct = only(direct);
        assert_eq!(direct["status"], "revoked");
        for kind in ["token.revoked", "token.deleted"] {
            assert_eq!(events(api, kind, "token_id", &direct), 1, "{kind}");
        }
    });
}

/// Ended at a door: hidden at the compatibility doors, and at the native one unless it is asked for.
#[track_caller]
fn is_over(api: &Api, native: &Value) {
    let name = native["name"].as_str().unwrap();
    assert_eq!(api.read(native)["status"], "revoked");
    for door in [UNLEASH, NEOWIT] {
        assert!(api.named(door, name).is_none(), "{door}");
    }
    let list_of = |query: &str| {
        let list = list(api.get(&format!("{}{query}", api.service_accounts())));
        list.iter().any(|it| it["id"] == native["id"])
    };
    assert!(!list_of("") && list_of("?include_revoked=true"));
    let revoked = events(api, "service_account.revoked", "service_account_id", native);
    assert_eq!(revoked, 1);
}

/// Every way of showing oneself, at every door, follows what the native door has decided.
#[test]
fn suspended_and_revoked_at_the_native_door_bite_at_every_other() {
    in_both(|instance, node, api| {
        let unleash = api.at_unleash("builder", 1);
        let pat = api.unleash_token(&unleash, "nightly");
        let neowit = api.at_neowit("gate", true);
        let key = api.neowit_key(&neowit);
        let made = api.try_create(
            json!({"name": "deployer", "scopes": ["symbolon:admin"]}),
            &[],
        );
        let deployer = made.expect(201).json();
        let audience = match instance.is_sqlite() {
            true => format!("{}{TOKEN_ENDPOINT}", node.base),
            false => format!("http://symbolon.test{TOKEN_ENDPOINT}"),
        };
        let granted = exchange(&api.open, &key.assertion(&audience, None)).expect(200);
        let granted = text(&granted.json(), "access_token");
        let pat = node.client().bearer(&text(&pat, "secret"));
        let native_token = node.client().bearer(&token(&deployer));
        let basic = node.client().header("Authorization", &key.basic());
        let access = node.client().bearer(&granted);
        let ways = [
            (native(api, "builder"), &pat, &DOORS[..]),
            (native(api, "gate"), &basic, &["native", NEOWIT][..]),
            (native(api, "gate"), &access, &DOORS[..]),
            (deployer, &native_token, &DOORS[..]),
        ];
        let all_answer = |status: u16| {
            for (whose, holder, doors) in &ways {
                for door in *doors {
                    assert_eq!(
                        api.received(door, holder),
                        status,
                        "{}: {door}",
                        whose["name"]
                    );
                }
            }
            let again = exchange(&api.open, &key.assertion(&audience, None));
            match status {
                200 => drop(again.expect(200)),
                _ => assert_eq!(again.expect(400).json()["error"], "invalid_grant"),
            }
        };
        let tell_all = |action: &str| {
            for name in ["builder", "gate", "deployer"] {
                let path = api.of(&native(api, name), action);
                api.client.post(&path, None, &[]).expect(200);
            }
        };
        all_answer(200);
        tell_all("/suspend");
        all_answer(401);
        // Suspended is not gone.
        for name in ["builder", "gate", "deployer"] {
            assert!(api.named(UNLEASH, name).is_some() && api.named(NEOWIT, name).is_some());
        }
        tell_all("/activate");
        all_answer(200);
        for name in ["builder", "gate", "deployer"] {
            let path = api.of(&native(api, name), "");
            api.client.delete(&path, None, &[]).expect(204);
        }
        all_answer(401);
        for name in ["builder", "gate", "deployer"] {
            assert!(api.named(UNLEASH, name).is_none() && api.named(NEOWIT, name).is_none());
        }
    });
}
