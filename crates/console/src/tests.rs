use super::*;
use actix_web::body::to_bytes;
use actix_web::http::header::{self, HeaderMap};
use actix_web::http::{Method, StatusCode};
use actix_web::test::{TestRequest, init_service, try_call_service};
use actix_web::web::Data;
use actix_web::{App as Server, HttpResponse};
use instance::Instance;
use symbolon_app::App;

mod instance;

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    async fn of(response: HttpResponse) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        let body = to_bytes(response.into_body())
            .await
            .expect("a body in memory");
        Self {
            status,
            headers,
            body: String::from_utf8(body.to_vec()).expect("text"),
        }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The page's heading, which tells the pages apart.
    fn heading(&self) -> &str {
        let start = self.body.find("<h1>").expect("a heading") + 4;
        let end = self.body.find("</h1>").expect("its end");
        &self.body[start..end]
    }
}

async fn ask(app: &Data<App>, request: TestRequest) -> Answer {
    ask_of(app, mount, request).await
}

async fn ask_of(app: &Data<App>, routes: fn(&mut ServiceConfig), request: TestRequest) -> Answer {
    let server = init_service(Server::new().app_data(app.clone()).configure(routes)).await;
    match try_call_service(&server, request.to_request()).await {
        Ok(response) => Answer::of(response.into_parts().1).await,
        Err(error) => Answer::of(error.error_response()).await,
    }
}

fn get(path: &str) -> TestRequest {
    TestRequest::get().uri(path)
}

fn post(path: &str, form: &'static str) -> TestRequest {
    TestRequest::post()
        .uri(path)
        .insert_header((header::CONTENT_TYPE, "application/x-www-form-urlencoded"))
        .set_payload(form)
}

fn arabic(request: TestRequest) -> TestRequest {
    request.insert_header((header::ACCEPT_LANGUAGE, "ar"))
}

const BUTTON: &str = "action=confirm";

#[actix_web::test]
async fn looking_changes_nothing_and_the_button_confirms_once() {
    let it = Instance::new().await;
    let path = it.confirmation_path("bot <b>", "en").await;
    for request in [
        get(&path),
        get(&path),
        TestRequest::default().method(Method::HEAD).uri(&path),
    ] {
        let answer = ask(&it.app, request).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.heading(), "Is this service account yours?");
        assert!(answer.body.contains("bot &#60;b&#62;"), "{}", answer.body);
        assert!(answer.body.contains("ops@example.org"));
    }
    let answer = ask(&it.app, post(&path, BUTTON)).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.heading(), "Thank you, it is confirmed");
    assert!(answer.body.contains("bot &#60;b&#62;"));
    for request in [
        get(&path),
        post(&path, BUTTON),
        post(&path, "action=disown"),
    ] {
        let answer = ask(&it.app, request).await;
        assert_eq!(answer.status, StatusCode::GONE);
        assert_eq!(answer.heading(), "This link was used already");
    }
}

#[actix_web::test]
async fn what_is_not_mine_is_noted_once() {
    let it = Instance::new().await;
    let path = it.confirmation_path("bot", "en").await;
    let answer = ask(&it.app, post(&path, "action=disown")).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.heading(), "Thank you for telling us");
    assert_eq!(
        ask(&it.app, post(&path, BUTTON)).await.status,
        StatusCode::GONE
    );
}

#[actix_web::test]
async fn links_run_out_and_strange_ones_are_unknown() {
    let it = Instance::new().await;
    let path = it.confirmation_path("bot", "en").await;
    for strange in [
        format!("{path}x"),
        path[..path.len() - 1].to_owned(),
        "/confirm/x".into(),
        "/confirm/%00%FF".into(),
        "/setup/x".into(),
    ] {
        for request in [get(&strange), post(&strange, BUTTON)] {
            let answer = ask(&it.app, request).await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{strange}");
            assert_eq!(answer.heading(), "We do not know this link");
        }
    }
    it.clock.advance(symbolon_domain::limits::CONFIRMATION_LIFE);
    for request in [get(&path), post(&path, BUTTON)] {
        let answer = ask(&it.app, request).await;
        assert_eq!(answer.status, StatusCode::GONE);
        assert_eq!(answer.heading(), "This link is no longer valid");
    }
}

#[actix_web::test]
async fn the_language_is_the_contact_s_unless_the_browser_names_one_of_ours() {
    let it = Instance::new().await;
    let path = it.confirmation_path("bot", "ar").await;
    for (header, lang, dir) in [
        (None, "ar", "rtl"),
        (Some("de, fr;q=0.5"), "ar", "rtl"),
        (Some("en-GB, de"), "en", "ltr"),
    ] {
        let mut request = get(&path);
        if let Some(header) = header {
            request = request.insert_header((header::ACCEPT_LANGUAGE, header));
        }
        let answer = ask(&it.app, request).await;
        let html = format!("<html lang=\"{lang}\" dir=\"{dir}\">");
        assert!(answer.body.contains(&html), "{header:?}: {}", answer.body);
        assert_eq!(answer.header("content-language"), Some(lang));
        assert_eq!(answer.header("vary"), Some("Accept-Language"));
    }
    // A stranger's link is nobody's: the browser's language, else English.
    let answer = ask(&it.app, arabic(get("/confirm/x"))).await;
    assert_eq!(answer.heading(), "لا نعرف هذا الرابط");
}

#[actix_web::test]
async fn every_page_carries_its_headers() {
    let it = Instance::new().await;
    let path = it.confirmation_path("bot", "en").await;
    for request in [
        get("/"),
        get(&path),
        get("/confirm/x"),
        post(&path, "action=nothing"),
        TestRequest::delete().uri(&path),
    ] {
        let answer = ask(&it.app, request).await;
        for (name, value) in [
            ("content-type", "text/html; charset=utf-8"),
            ("cache-control", "no-store"),
            ("referrer-policy", "no-referrer"),
            ("x-content-type-options", "nosniff"),
            ("x-robots-tag", "noindex"),
            (
                "content-security-policy",
                "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
            ),
        ] {
            assert_eq!(
                answer.header(name),
                Some(value),
                "{name} of {}",
                answer.heading()
            );
        }
        assert!(
            !answer.body.contains(path.trim_start_matches("/confirm/")),
            "the link is a secret"
        );
    }
}

#[actix_web::test]
async fn forms_that_no_page_of_ours_sends_are_refused_and_change_nothing() {
    let it = Instance::new().await;
    let path = it.confirmation_path("bot", "en").await;
    let huge: &'static str = format!("action=confirm&x={}", "y".repeat(8 * 1024)).leak();
    let cases = [
        (post(&path, ""), StatusCode::BAD_REQUEST),
        (post(&path, "action=other"), StatusCode::BAD_REQUEST),
        (
            post(&path, "").set_payload(&b"action=confirm&x=\xff"[..]),
            StatusCode::BAD_REQUEST,
        ),
        (
            TestRequest::post().uri(&path).set_payload(BUTTON),
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ),
        (
            post(&path, BUTTON).insert_header((header::CONTENT_TYPE, "text/plain")),
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ),
        (post(&path, huge), StatusCode::PAYLOAD_TOO_LARGE),
        (
            post(&path, BUTTON).insert_header(("Sec-Fetch-Site", "cross-site")),
            StatusCode::FORBIDDEN,
        ),
        (
            post(&path, BUTTON).insert_header((header::ORIGIN, "https://evil.example")),
            StatusCode::FORBIDDEN,
        ),
    ];
    for (request, status) in cases {
        let answer = ask(&it.app, request).await;
        assert_eq!(answer.status, status, "{}", answer.heading());
    }
    let answer = ask(
        &it.app,
        post(&path, BUTTON).insert_header((
            header::CONTENT_TYPE,
            "application/x-www-form-urlencoded; charset=utf-8",
        )),
    )
    .await;
    assert_eq!(answer.status, StatusCode::OK, "none of them used the link");
}

#[actix_web::test]
async fn other_methods_learn_which_are_allowed() {
    let it = Instance::new().await;
    for (path, allow) in [
        ("/", "GET, HEAD"),
        ("/assets/console.css", "GET, HEAD"),
        ("/confirm/x", "GET, HEAD, POST"),
        ("/setup/x", "GET, HEAD, POST"),
    ] {
        let answer = ask(&it.app, TestRequest::put().uri(path)).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
        assert_eq!(answer.header("allow"), Some(allow), "{path}");
    }
}

#[actix_web::test]
async fn the_owner_sets_the_first_password_once() {
    let it = Instance::new().await;
    let path = it.setup_path().await;
    let answer = ask(&it.app, get(&path)).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.heading(), "Choose your password");
    for (form, wrong) in [
        ("", "Give at least 12 characters."),
        (
            "password=elevenchars&repeat=elevenchars",
            "Give at least 12 characters.",
        ),
        (
            "password=a+long+password&repeat=a+long+passwort",
            "The two passwords are not the same.",
        ),
    ] {
        let answer = ask(&it.app, post(&path, form)).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{form}");
        assert!(answer.body.contains(wrong), "{form}: {}", answer.body);
        assert!(!answer.body.contains("elevenchars") && !answer.body.contains("a long"));
    }
    let form = "password=a+long+password&repeat=a+long+password";
    let answer = ask(&it.app, post(&path, form)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert_eq!(answer.heading(), "Your password is set");
    for request in [get(&path), post(&path, form)] {
        let answer = ask(&it.app, request).await;
        assert_eq!(answer.status, StatusCode::GONE);
        assert!(answer.body.contains("The password was set with it before."));
    }
}

#[actix_web::test]
async fn the_root_says_what_this_is() {
    let it = Instance::new().await;
    let answer = ask(&it.app, get("/")).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.body.contains(env!("CARGO_PKG_VERSION")));
    assert!(answer.body.contains("href=\"/docs\"") && answer.body.contains("href=\"/healthz\""));
}

#[actix_web::test]
async fn the_stylesheet_is_kept_by_its_fingerprint() {
    let it = Instance::new().await;
    let href = assets::stylesheet_href();
    let answer = ask(&it.app, get(&href)).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(
        answer.header("content-type"),
        Some("text/css; charset=utf-8")
    );
    assert_eq!(
        answer.header("cache-control"),
        Some("public, max-age=31536000, immutable")
    );
    assert!(!answer.body.contains("url(") && !answer.body.contains("@import"));
    let tag = answer.header("etag").expect("a tag").to_owned();
    for known in [
        tag.clone(),
        format!("W/{tag}"),
        format!("\"x\", {tag}"),
        "*".into(),
    ] {
        let again = ask(
            &it.app,
            get(&href).insert_header((header::IF_NONE_MATCH, known)),
        )
        .await;
        assert_eq!(again.status, StatusCode::NOT_MODIFIED);
        assert!(again.body.is_empty());
        assert_eq!(again.header("etag"), Some(tag.as_str()));
    }
    let other = ask(
        &it.app,
        get(&href).insert_header((header::IF_NONE_MATCH, "\"x\"")),
    )
    .await;
    assert_eq!(other.status, StatusCode::OK);
    // An address with another fingerprint is not ours to promise anything about.
    for path in ["/assets/console.css", "/assets/console.css?v=0"] {
        let answer = ask(&it.app, get(path)).await;
        assert_eq!(answer.header("cache-control"), Some("no-cache"));
    }
}

#[actix_web::test]
async fn our_own_failures_are_kind_and_keep_their_causes() {
    let it = Instance::new().await;
    let request = get("/confirm/x").app_data(it.app.clone()).to_http_request();
    let cause = || "SELECT secret".to_owned();
    let answer = |error: symbolon_app::Error| {
        let request = request.clone();
        async move {
            let response = failure::page(&request, failure::Purpose::Confirmation, &error);
            Answer::of(response).await
        }
    };
    let away = answer(symbolon_app::Error::Unavailable { cause: cause() }).await;
    assert_eq!(away.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(away.header("retry-after"), Some("10"));
    assert_eq!(away.heading(), "Not available at the moment");
    let broken = answer(symbolon_app::Error::Broken { cause: cause() }).await;
    assert_eq!(broken.status, StatusCode::INTERNAL_SERVER_ERROR);
    let id = RequestTag::of(&request).shown;
    assert!(
        broken
            .body
            .contains(&format!("<code dir=\"ltr\">{id}</code>")),
        "{}",
        broken.body
    );
    assert!(!away.body.contains("SELECT") && !broken.body.contains("SELECT"));
    let hasty = symbolon_domain::Refusal::new(symbolon_domain::Code::RateLimited)
        .retry_after(std::time::Duration::from_millis(2500));
    let hasty = answer(hasty.into()).await;
    assert_eq!(hasty.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(hasty.header("retry-after"), Some("3"));
}

#[actix_web::test]
async fn a_panic_is_a_page_too() {
    let it = Instance::new().await;
    async fn fall() -> actix_web::HttpResponse {
        panic!("on purpose")
    }
    let routes = |cfg: &mut ServiceConfig| {
        cfg.service(guarded(web::resource("/fall").to(fall)));
    };
    let request = get("/fall").insert_header(("X-Request-Id", "my-request-1"));
    let answer = ask_of(&it.app, routes, request).await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(answer.heading(), "Something went wrong here");
    assert!(answer.body.contains("my-request-1"));
    assert!(!answer.body.contains("on purpose"));
}
