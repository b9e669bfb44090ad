//! Lists: what is in them, in which order, and how they are paged.

use super::*;

fn ids(page: &Value) -> Vec<String> {
    let summaries = page["summaries"].as_array().unwrap().iter();
    summaries
        .map(|it| it["id"].as_str().unwrap().to_owned())
        .collect()
}

async fn everything_is_listed_in_every_order(instance: Instance) {
    let service = serve!(instance.app);
    let world = World::new(&service, &instance);
    let account = instance.account;
    let page = async |query: &str| world.get(&format!("{TOKENS}{query}")).got().await.success();
    let operators = world.newest().await;
    // Expires first.
    let soon = instance
        .app
        .now()
        .plus(std::time::Duration::from_secs(3600));
    let body = json!({"token_scope": "account", "expires_at": soon.to_string()});
    let short = world.create(&body).await["details"]["id"].clone();
    let short = short.as_str().unwrap();
    let suspended = world.token().await;
    // Never expires, belongs to a service account.
    let owner = world.service_account(&json!({"name": "Deployer"})).await;
    let opaque = world.newest().await;
    let revoked = world.token().await;
    world.tick();
    world.act(&revoked, "revoke").got().await.success();
    world.tick();
    world.act(&suspended, "suspend").got().await.success();
    let made = [operators.as_str(), short, &suspended, &opaque, &revoked];
    let backwards =
        |order: &[&str]| -> Vec<String> { order.iter().rev().map(|it| (*it).to_owned()).collect() };
    for (field, order) in [
        ("inserted_at", made),
        (
            "updated_at",
            [&operators, short, &opaque, &revoked, &suspended],
        ),
        // The operator's ends after 30 days, the others after a year.
        (
            "expires_at",
            [short, &operators, &suspended, &revoked, &opaque],
        ),
        ("status", [&operators, short, &opaque, &revoked, &suspended]),
    ] {
        for (query, descending) in [
            (format!("?sorting={field}"), false),
            (format!("?sorting=-{field}"), true),
            (format!("?sorting[field]={field}"), false),
            (
                format!("?sorting%5Bfield%5D={field}&sorting%5Bdirection%5D=desc"),
                true,
            ),
            (
                format!("?sorting=-{field}&sorting[field]=status&sorting[direction]=asc"),
                true,
            ),
        ] {
            let found = page(&query).await;
            let mut wanted = backwards(&order);
            if !descending {
                wanted.reverse();
            }
            assert_eq!(ids(&found), wanted, "{query}");
            let direction = if descending { "desc" } else { "asc" };
            let sorting = json!({"field": field, "direction": direction});
            assert_eq!(found["sorting"], sorting, "{query}");
        }
    }
    let newest_first = page("").await;
    assert_eq!(ids(&newest_first), backwards(&made));
    let sorting = json!({"field": "inserted_at", "direction": "desc"});
    assert_eq!(newest_first["sorting"], sorting);
    for query in [
        "?sorting[direction]=desc",
        "?idempotency_key=x&colour=red&page=2",
    ] {
        assert_eq!(ids(&page(query).await), backwards(&made), "{query}");
    }

    // Summaries are details without the actions.
    for summary in newest_first["summaries"].as_array().unwrap() {
        let mut details = world.details(summary["id"].as_str().unwrap()).await;
        assert!(
            details
                .as_object_mut()
                .unwrap()
                .remove("available_actions")
                .is_some()
        );
        assert_eq!(&details, summary);
    }
    // What is deleted is gone, here; with its service account a token is revoked.
    world.act(&revoked, "delete").got().await.success();
    let path = format!("/{}", owner["id"].as_str().unwrap());
    let ask = world.delete(&format!("{}{path}", instance.service_accounts()));
    assert_eq!(ask.got().await.status, 204);
    let left = page("?sorting=status").await;
    assert_eq!(
        ids(&left),
        [operators.as_str(), short, &opaque, &suspended],
        "in the order of what is shown"
    );
    assert_eq!(left["summaries"][2]["status"], "revoked");
    // Both spellings of the collection.
    let slash = world.get(&format!("{TOKENS}/")).await_ok().await;
    assert_eq!(slash["pagination"]["item_count"], 4);
    assert_eq!(account_ref(account), left["summaries"][0]["account_id"]);
}

async fn pages_follow_each_other(instance: Instance) {
    let service = serve!(instance.app);
    let world = World::new(&service, &instance);
    for _ in 0..6 {
        world.token().await;
    }
    let all = world.get(TOKENS).await_ok().await;
    let all = ids(&all);
    assert_eq!(all.len(), 7);
    let page = async |offset: usize, size: usize| {
        let query = format!("pagination%5Boffset%5D={offset}&pagination[page_size]={size}");
        world.get(&format!("{TOKENS}?{query}")).await_ok().await
    };
    for size in [1, 3, 7, 100] {
        for offset in 0..9 {
            let found = page(offset, size).await;
            let wanted: Vec<_> = all.iter().skip(offset).take(size).cloned().collect();
            assert_eq!(ids(&found), wanted, "{offset} {size}");
            let pagination = &found["pagination"];
            assert_eq!(pagination["item_count"], 7);
            let start = if wanted.is_empty() { 0 } else { offset + 1 };
            let end = if wanted.is_empty() {
                0
            } else {
                offset + wanted.len()
            };
            assert_eq!(pagination["item_start"], start);
            assert_eq!(pagination["item_end"], end);
        }
    }
    let beyond = page(9_007_199_254_740_991, 100).await;
    assert_eq!(ids(&beyond), [""; 0]);
    assert_eq!(beyond["pagination"]["previous_page_offset"], 0);
    let usual = world.get(TOKENS).await_ok().await;
    let wanted = json!({
        "item_count": 7, "item_start": 1, "item_end": 7, "page_count": 1, "page_index": 1, "page_offset": 0,
        "page_size": 20, "next_page_offset": null, "previous_page_offset": null,
    });
    assert_eq!(usual["pagination"], wanted);
}

on_both!(everything_is_listed_in_every_order, pages_follow_each_other);

impl<S, B> Ask<'_, S>
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    async fn await_ok(self) -> Value {
        self.got().await.success()
    }
}

#[actix_web::test]
async fn parameters_are_checked() {
    let instance = Instance::start().await;
    let service = serve!(instance.app);
    let world = World::new(&service, &instance);
    let environment = reference(RefType::Environment, NOBODY, instance.account);
    for (query, wanted) in [
        (
            "pagination[page_size]=0",
            "pagination[page_size] out_of_range",
        ),
        (
            "pagination[page_size]=101",
            "pagination[page_size] out_of_range",
        ),
        (
            "pagination[page_size]=ten",
            "pagination[page_size] out_of_range",
        ),
        (
            "pagination[page_size]=",
            "pagination[page_size] out_of_range",
        ),
        ("pagination[offset]=-1", "pagination[offset] out_of_range"),
        ("pagination[offset]=1.5", "pagination[offset] out_of_range"),
        (
            "pagination[offset]=9007199254740992",
            "pagination[offset] out_of_range",
        ),
        (
            "pagination[offset]=99999999999999999999999",
            "pagination[offset] out_of_range",
        ),
        (
            "pagination[offset]=1&pagination%5boffset%5d=2",
            "pagination[offset] too_many",
        ),
        ("sorting=", "sorting not_allowed"),
        ("sorting=--status", "sorting not_allowed"),
        ("sorting=id", "sorting not_allowed"),
        ("sorting[field]=-status", "sorting[field] not_allowed"),
        ("sorting[direction]=down", "sorting[direction] not_allowed"),
        ("account_id=7", "account_id not_an_id"),
        (
            &format!("account_id={environment}"),
            "account_id unexpected_ref_type",
        ),
    ] {
        let got = world.get(&format!("{TOKENS}?{query}")).got().await;
        assert_eq!(got.wrong_fields(), [wanted], "{query}");
    }
    let query = "sorting=x&sorting[direction]=y&pagination[page_size]=z&account_id=?";
    let got = world.get(&format!("{TOKENS}?{query}")).got().await;
    assert_eq!(got.wrong_fields().len(), 4, "all at once");
}

#[actix_web::test]
async fn an_environment_sees_its_own() {
    let instance = Instance::start().await;
    let service = serve!(instance.app);
    let world = World::new(&service, &instance);
    let account = instance.account;
    let here = world.environment(account, "Here").await;
    let there = world.environment(account, "There").await;
    let scopes = json!(["symbolon:tokens:read", "symbolon:tokens:write"]);
    let body = json!({"name": "Bound", "scopes": scopes, "environment_id": here});
    let bound = world.service_account(&body).await["token"].clone();
    let own = world.newest().await;
    let create = async |environment: &Value| {
        let environment = environment_ref(environment, account);
        let body = json!({"token_scope": "environment", "environment_id": environment});
        let made = world.create(&body).await;
        made["details"]["id"].as_str().unwrap().to_owned()
    };
    let (mine, other) = (create(&here).await, create(&there).await);
    let whole = world.token().await;
    let ask = |path: &str| Ask::get(&service, path).by(bound.as_str().unwrap());
    let page = ask(TOKENS).await_ok().await;
    assert_eq!(ids(&page), [mine.as_str(), &own]);
    assert_eq!(page["pagination"]["item_count"], 2);
    ask(&format!("{TOKENS}/{mine}")).await_ok().await;
    for hidden in [other, whole] {
        let path = format!("{TOKENS}/{hidden}");
        assert_eq!(ask(&path).got().await.prefactor(404), "not_found");
        let act = Ask::post(&service, &format!("{path}/suspend")).by(bound.as_str().unwrap());
        assert_eq!(act.got().await.prefactor(404), "not_found");
        assert_eq!(world.details(&hidden).await["status"], "active");
    }
}

#[actix_web::test]
async fn keys_are_not_tokens_here() {
    let instance = Instance::start().await;
    let service = serve!(instance.app);
    let world = World::new(&service, &instance);
    let owner = world.service_account(&json!({"name": "Deployer"})).await;
    let path = format!(
        "/{}/auth/service-accounts/{}/keys",
        instance.account,
        owner["id"].as_str().unwrap()
    );
    let key = world.made_natively(&path, &json!({})).await;
    let page = world.get(TOKENS).await_ok().await;
    assert_eq!(page["pagination"]["item_count"], 2);
    let id = reference(
        RefType::ApiToken,
        key["id"].as_str().unwrap().parse().unwrap(),
        instance.account,
    );
    let got = world.get(&format!("{TOKENS}/{id}")).got().await;
    assert_eq!(got.prefactor(404), "not_found");
    for action in ["suspend", "revoke", "delete"] {
        assert_eq!(
            world.act(&id, action).got().await.prefactor(404),
            "not_found"
        );
    }
}
