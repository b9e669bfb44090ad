//! The state machine over the wire: what `available_actions` says is what happens.

use super::*;

const ACTIONS: [&str; 4] = ["activate", "delete", "revoke", "suspend"];

/// Every situation that a token can be in.
const SITUATIONS: [&str; 11] = [
    "active",
    "suspended",
    "revoked",
    "deleted",
    "expired",
    "expired and suspended",
    "opaque",
    "of a suspended service account",
    "suspended, of a suspended service account",
    "of a revoked service account",
    "suspended, of a revoked service account",
];

impl<S, B> World<'_, S>
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    /// A token of its own for each try.
    async fn in_situation(&self, situation: &str) -> String {
        if situation.contains("service account") || situation == "opaque" {
            let made = self.service_account(&json!({"name": "Deployer"})).await;
            let id = self.newest().await;
            if situation.starts_with("suspended,") {
                self.act(&id, "suspend").got().await.success();
            }
            let path = format!(
                "{}/{}",
                self.instance.service_accounts(),
                made["id"].as_str().unwrap()
            );
            let ended = if situation.ends_with("a suspended service account") {
                Some(self.post(&format!("{path}/suspend"), &json!({})))
            } else if situation.ends_with("a revoked service account") {
                Some(self.delete(&path))
            } else {
                None
            };
            if let Some(ask) = ended {
                assert!(ask.got().await.status.is_success());
            }
            return id;
        }
        let mut body = of_account();
        if situation.starts_with("expired") {
            let end = self
                .instance
                .app
                .now()
                .plus(std::time::Duration::from_secs(60));
            body["details"]["expires_at"] = end.to_string().into();
        }
        let id = self.create(&body).await["details"]["id"].clone();
        let id = id.as_str().unwrap().to_owned();
        for action in match situation {
            "suspended" | "expired and suspended" => &["suspend"][..],
            "revoked" => &["revoke"],
            "deleted" => &["revoke", "delete"],
            _ => &[],
        } {
            self.act(&id, action).got().await.success();
        }
        if situation.starts_with("expired") {
            self.instance
                .clock
                .advance(std::time::Duration::from_secs(120));
        }
        id
    }
}

async fn what_is_available_is_what_happens(instance: Instance) {
    let service = serve!(instance.app);
    let world = World::new(&service, &instance);
    let mut table = Vec::new();
    for situation in SITUATIONS {
        for action in ACTIONS {
            let id = world.in_situation(situation).await;
            let path = format!("{TOKENS}/{id}");
            let before = world.get(&path).got().await;
            let done = world.act(&id, action).got().await;
            let after = world.get(&path).got().await;
            let line = format!("{situation}: {action}");
            if situation == "deleted" {
                for got in [before, done, after] {
                    assert_eq!(got.prefactor(404), "not_found", "{line}");
                }
                table.push(format!("{line} -> not found"));
                continue;
            }
            let before = before.success();
            let status = |it: &Value| it["details"]["status"].as_str().unwrap().to_owned();
            let outcome = match before["details"]["available_actions"][action].as_bool() {
                Some(true) => {
                    let done = done.success();
                    assert!(done.get("token").is_none());
                    if action == "delete" {
                        assert_eq!(after.prefactor(404), "not_found", "{line}");
                        for action in ACTIONS {
                            assert_eq!(done["details"]["available_actions"][action], false);
                        }
                        "deleted".to_owned()
                    } else {
                        assert_eq!(done, after.success(), "{line}");
                        status(&done)
                    }
                }
                Some(false) => {
                    assert_eq!(done.prefactor(409), "invalid_action", "{line}");
                    assert_eq!(before, after.success(), "{line}: nothing has changed");
                    "refused".to_owned()
                }
                None => panic!("{line}: {before}"),
            };
            table.push(format!("{line} ({}) -> {outcome}", status(&before)));
        }
    }
    insta::assert_snapshot!("prefactor_transitions", table.join("\n"));
}

on_both!(what_is_available_is_what_happens);

#[actix_web::test]
async fn a_token_works_as_long_as_its_status_says() {
    let instance = Instance::start().await;
    let service = serve!(instance.app);
    let world = World::new(&service, &instance);
    let made = world.create(&of_account()).await;
    let (id, token) = (&made["details"]["id"], made["token"].as_str().unwrap());
    let id = id.as_str().unwrap();
    let ping = async || Ask::get(&service, "/api/v1/ping").by(token).got().await;
    assert_eq!(ping().await.success()["api_token_id"], id);
    world.act(id, "suspend").got().await.success();
    assert_eq!(ping().await.prefactor(401), "bad_authtoken");
    world.act(id, "activate").got().await.success();
    ping().await.success();
    world.act(id, "revoke").got().await.success();
    assert_eq!(ping().await.prefactor(401), "bad_authtoken");
    world.act(id, "delete").got().await.success();
    assert_eq!(ping().await.prefactor(401), "bad_authtoken");
}

/// A token that ends itself cannot undo it.
#[actix_web::test]
async fn a_token_may_act_on_itself() {
    let instance = Instance::start().await;
    let service = serve!(instance.app);
    let world = World::new(&service, &instance);
    let made = world.create(&of_account()).await;
    let (id, token) = (&made["details"]["id"], made["token"].as_str().unwrap());
    let path = format!("{TOKENS}/{}", id.as_str().unwrap());
    let ask = Ask::post(&service, &format!("{path}/suspend")).by(token);
    assert_eq!(ask.got().await.success()["details"]["status"], "suspended");
    let ask = Ask::post(&service, &format!("{path}/activate")).by(token);
    assert_eq!(ask.got().await.prefactor(401), "bad_authtoken");
}

/// An access token stands for a key, which is no API token: it may do what its key may, and has no id here.
#[actix_web::test]
async fn an_access_token_is_taken_and_has_no_id() {
    let instance = Instance::start().await;
    let service = serve!(instance.app);
    let owner = crate::tests::neowit::made(&instance, &service, "Deployer", false).await;
    let key = crate::tests::neowit::key(&instance, &service, &owner).await;
    let token = crate::tests::oauth::access_token(&instance, &service, &key, "").await;
    let got = Ask::get(&service, "/api/v1/ping").by(&token).got().await;
    let ping = got.success();
    assert_eq!(ping["account_id"], account_ref(instance.account));
    assert_eq!(ping["api_token_id"], Value::Null);
    let ask = Ask::post(&service, TOKENS).by(&token).sends(&of_account());
    let made = ask.got().await.success();
    assert_eq!(made["details"]["status"], "active");
    // The key itself is good, and no bearer.
    let got = Ask::get(&service, "/api/v1/ping")
        .by(&key.secret)
        .got()
        .await;
    assert_eq!(got.prefactor(403), "not_permitted");
}
