//! Client authentication beside the assertion, and the form that carries both.

use super::*;

async fn a_client_that_shows_itself_has_to_be_the_key(instance: Instance) {
    let service = serve!(instance.app);
    let owner = made(&instance, &service, "Gateway", false).await;
    let (one, other) = (
        key(&instance, &service, &owner).await,
        key(&instance, &service, &owner).await,
    );
    let endpoint = ENDPOINTS[1];
    let assertion = Assertion::by(&one, &instance, endpoint).text();
    let ask = |more: &str| asking(&service, endpoint, &assertion, more);
    // RFC 6749 §2.3.1 encodes both halves, a colon within them too.
    let encoded = basic(&one.id, &one.secret.replace('_', "%5F"));
    for header in [one.basic(), encoded] {
        let got = ask("").with("authorization", &header).got().await;
        assert_eq!(got.status, 200, "{header} {}", got.text);
    }
    let posted = |key: &Key| format!("&client_id={}&client_secret={}", key.id, key.secret);
    assert_eq!(ask(&posted(&one)).got().await.status, 200);
    let named = format!("&client_id={}", one.id);
    assert_eq!(ask(&named).got().await.status, 200);
    let both = ask(&named).with("authorization", &one.basic());
    assert_eq!(both.got().await.status, 200);
    let astray = ask(&format!("&client_id={}", other.id)).with("authorization", &one.basic());
    assert_eq!(astray.got().await.oauth(401), "invalid_client");
    let from_a_page = ask("")
        .with("authorization", &one.basic())
        .with("origin", "https://evil.example");
    assert_eq!(from_a_page.got().await.oauth(400), "invalid_request");
    assert_eq!(ask("&client_id=&client_secret=").got().await.status, 200);

    for header in [
        other.basic(),
        basic(&one.id, &other.secret),
        basic(&other.id, &one.secret),
        basic(&owner, &one.secret),
        basic("nobody", "nothing"),
        format!("Bearer {}", one.secret),
        format!("Bearer {}", instance.operator),
        "Basic".to_owned(),
        "Basic ?".to_owned(),
        one.secret.clone(),
    ] {
        let got = ask("").with("authorization", &header).got().await;
        assert_eq!(got.oauth(401), "invalid_client", "{header}");
    }
    for more in [
        posted(&other),
        format!("&client_id={}&client_secret=wrong", one.id),
        format!("&client_id={owner}&client_secret={}", one.secret),
    ] {
        assert_eq!(
            ask(&more).got().await.oauth(401),
            "invalid_client",
            "{more}"
        );
    }
    for name in [other.id.as_str(), &owner, "nobody", "%00"] {
        let got = ask(&format!("&client_id={name}")).got().await;
        assert_eq!(got.oauth(400), "invalid_grant", "{name}");
    }
    for (header, more) in [
        (Some(one.basic()), posted(&one)),
        (None, format!("&client_secret={}", one.secret)),
        (None, format!("{named}{named}")),
        (None, format!("{}&client_secret=x", posted(&one))),
    ] {
        let ask = ask(&more);
        let ask = match &header {
            Some(header) => ask.with("authorization", header),
            None => ask,
        };
        assert_eq!(
            ask.got().await.oauth(400),
            "invalid_request",
            "{header:?} {more}"
        );
    }
    let twice = ask("")
        .with("authorization", &one.basic())
        .with("authorization", &one.basic());
    assert_eq!(twice.got().await.oauth(400), "invalid_request");
    // A good client makes no bad assertion better.
    let bad = Assertion::by(&one, &instance, ENDPOINTS[0]).text();
    let ask = asking(&service, endpoint, &bad, "").with("authorization", &one.basic());
    assert_eq!(ask.got().await.oauth(400), "invalid_grant");
}

#[actix_web::test]
async fn forms_are_read_as_the_rfc_says() {
    let instance = Instance::start().await;
    let service = serve!(instance.app);
    let owner = made(&instance, &service, "Gateway", false).await;
    let key = key(&instance, &service, &owner).await;
    let endpoint = ENDPOINTS[0];
    let assertion = Assertion::by(&key, &instance, endpoint).text();
    let grant = format!("grant_type={JWT_BEARER}");
    let sent = format!("assertion={assertion}");
    let encoded = format!("grant_type={}&{sent}", JWT_BEARER.replace(':', "%3A"));
    for body in [
        format!("{grant}&{sent}"),
        format!("{sent}&{grant}"),
        encoded,
        format!("{grant}&{sent}&unknown=1&unknown=2&Scope=no"),
        format!("{grant}&scope=&{sent}&scope=&resource=&&client_id"),
        format!("{grant}&{sent}&scope=symbolon:admin"),
    ] {
        let got = form(&service, endpoint, body.clone()).got().await;
        assert_eq!(got.status, 200, "{body} {}", got.text);
        assert_eq!(got.header("cache-control"), "no-store");
        assert_eq!(got.header("pragma"), "no-cache");
    }
    for (body, error) in [
        (String::new(), "invalid_request"),
        (grant.clone(), "invalid_request"),
        (sent.clone(), "invalid_request"),
        (format!("grant_type=&{sent}"), "invalid_request"),
        (format!("{grant}&assertion="), "invalid_request"),
        (format!("{grant}&{grant}&{sent}"), "invalid_request"),
        (format!("{grant}&{sent}&{sent}"), "invalid_request"),
        (format!("{grant}&{sent}&scope=a&scope=b"), "invalid_request"),
        (format!("GRANT_TYPE={JWT_BEARER}&{sent}"), "invalid_request"),
        (
            format!("grant_type=password&{sent}"),
            "unsupported_grant_type",
        ),
        (
            format!("grant_type=refresh_token&{sent}"),
            "unsupported_grant_type",
        ),
        (
            format!("grant_type={JWT_BEARER}+&{sent}"),
            "unsupported_grant_type",
        ),
        (format!("{grant}&assertion=%00"), "invalid_grant"),
        (format!("{grant}&assertion=%FF%FE"), "invalid_grant"),
        (format!("{grant}&{sent}&scope=%D9%A7"), "invalid_scope"),
        (
            format!("{grant}&{sent}&scope=symbolon:instance:*"),
            "invalid_scope",
        ),
        (
            format!("{grant}&{sent}&scope=symbolon:nothing"),
            "invalid_scope",
        ),
        (format!("{grant}&{sent}&scope=*"), "invalid_scope"),
        (format!("{grant}&{sent}&resource=api"), "invalid_target"),
        (
            format!("{grant}&{sent}&resource=https://a/%23b"),
            "invalid_target",
        ),
        (
            format!("{grant}&{sent}{}", "&resource=urn:a:b".repeat(11)),
            "invalid_target",
        ),
    ] {
        let got = form(&service, endpoint, body.clone()).got().await;
        assert_eq!(got.oauth(400), error, "{body}");
    }
    let raw = Ask::post(&service, endpoint)
        .body("application/x-www-form-urlencoded", &b"grant_type=\xff"[..]);
    assert_eq!(raw.got().await.oauth(400), "invalid_request");
    for kind in [
        "application/json",
        "text/plain",
        "multipart/form-data; boundary=x",
        "",
    ] {
        let ask = Ask::post(&service, endpoint).body(kind, format!("{grant}&{sent}"));
        assert_eq!(ask.got().await.oauth(400), "invalid_request", "{kind}");
    }
    let kind = "application/x-www-form-urlencoded; charset=UTF-8";
    let ask = Ask::post(&service, endpoint).body(kind, format!("{grant}&{sent}"));
    assert_eq!(ask.got().await.status, 200);
    // What stands in the query is not read.
    let query = format!("{endpoint}?{grant}&{sent}");
    let got = form(&service, &query, String::new()).got().await;
    assert_eq!(got.oauth(400), "invalid_request");
    let query = format!("{endpoint}?scope=*&assertion=x");
    let got = form(&service, &query, format!("{grant}&{sent}"))
        .got()
        .await;
    assert_eq!(got.status, 200);
    // English, whatever the reader's language.
    let ask = form(&service, endpoint, String::new()).with("accept-language", "ar");
    let got = ask.got().await;
    assert_eq!(got.header("content-language"), "en");
}

on_both!(a_client_that_shows_itself_has_to_be_the_key);
