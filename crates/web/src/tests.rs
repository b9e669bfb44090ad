//! The edge around a small application: what every answer carries, and what the log does not.

use crate::{HotPath, MetricsText, edge, health, origin};
use actix_web::dev::{Service, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, REFERRER_POLICY, USER_AGENT};
use actix_web::middleware::from_fn;
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use actix_web::web::{self, Data};
use actix_web::{App as Server, HttpRequest, HttpResponse};
use std::collections::HashSet;
use std::fmt::Write;
use std::sync::{Arc, LazyLock, Mutex};
use symbolon_app::testing::{self, TestApp};
use symbolon_domain::RequestId;
use tokio::runtime::Runtime;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// The product, opened on a multi-thread runtime: migrations block.
async fn fixture() -> TestApp {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());
    RUNTIME.spawn(testing::app()).await.unwrap()
}

/// Keeps every event's fields as text.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<String>>);

struct Fields<'a>(&'a mut String);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let _ = write!(self.0, "{}={value:?} ", field.name());
    }
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "symbolon::access"
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut lines = self.0.lock().unwrap();
        let _ = write!(lines, "level={} ", event.metadata().level());
        event.record(&mut Fields(&mut lines));
        lines.push('\n');
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

async fn own_policy() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((REFERRER_POLICY, "same-origin"))
        .body("12345")
}

async fn id_of_events(request: HttpRequest) -> String {
    let id = origin(&request).request;
    id.map(|id| id.to_string()).unwrap_or_default()
}

/// Answers with the status that the query asks for; panics at 0.
async fn by_query(request: HttpRequest) -> HttpResponse {
    let status: u16 = request.query_string().parse().unwrap();
    HttpResponse::build(StatusCode::from_u16(status).expect("only 0 is none")).finish()
}

async fn marked(request: HttpRequest) -> HttpResponse {
    HotPath::mark(&request);
    by_query(request).await
}

fn header<'a>(answer: &'a ServiceResponse<impl Sized>, name: &str) -> &'a str {
    let value = answer.headers().get(name);
    value.map_or("", |value| value.to_str().unwrap())
}

macro_rules! serve {
    ($app:expr) => {
        init_service(
            Server::new()
                .app_data(Data::new($app.clone()))
                .app_data(Data::new(MetricsText(Arc::new(|| "up 1\n".to_owned()))))
                .wrap(from_fn(edge))
                .configure(health)
                .route("/links/{link}", web::get().to(own_policy))
                .route("/id", web::get().to(id_of_events))
                .service(
                    web::resource("/hot")
                        .app_data(HotPath)
                        .route(web::get().to(by_query)),
                )
                .route("/marked", web::get().to(marked)),
        )
        .await
    };
}

#[actix_web::test]
async fn the_log_has_templates_and_no_secrets() {
    let fixture = fixture().await;
    let service = serve!(fixture.app);
    let lines = Lines::default();
    let guard = tracing::subscriber::set_default(lines.clone());
    let request = TestRequest::get()
        .uri("/links/canary-path?token=canary-query")
        .insert_header((AUTHORIZATION, "Bearer canary-header"))
        .insert_header((USER_AGENT, format!("agent/{}", "x".repeat(500))))
        .insert_header(("x-request-id", "trace-0001"))
        .peer_addr("203.0.113.9:1".parse().unwrap());
    let answer = call_service(&service, request.to_request()).await;
    assert_eq!(answer.status(), 200);
    call_service(
        &service,
        TestRequest::get().uri("/canary-nowhere").to_request(),
    )
    .await;
    drop(guard);
    let text = lines.0.lock().unwrap().clone();
    assert!(!text.contains("canary"), "{text}");
    let first = text.lines().next().unwrap();
    for part in [
        "method=\"GET\"",
        "route=/links/{link}",
        "status=200",
        "bytes=5",
        "request_id=trace-0001",
        "client=203.0.113.9",
        "user_agent=agent/xxx",
    ] {
        assert!(first.contains(part), "{part} is missing: {first}");
    }
    assert!(first.len() < 450);
    let second = text.lines().nth(1).unwrap();
    assert!(second.contains("route=(unmatched)") && second.contains("status=404"));
    // The UUID that events and some envelopes show is there as well, where the client's own id is none.
    let uuid = first.split("request_uuid=").nth(1).unwrap();
    assert!(uuid[..36].parse::<RequestId>().is_ok(), "{first}");
    assert!(!second.contains("request_uuid"), "{second}");
}

#[actix_web::test]
async fn hot_routes_log_at_debug_unless_they_fail() {
    let fixture = fixture().await;
    let service = serve!(fixture.app);
    let lines = Lines::default();
    let guard = tracing::subscriber::set_default(lines.clone());
    for path in ["/hot", "/marked"] {
        for (status, level) in [
            (200, "DEBUG"),
            (429, "DEBUG"),
            (503, "DEBUG"),
            (500, "INFO"),
            (0, "INFO"),
        ] {
            let request = TestRequest::get()
                .uri(&format!("{path}?{status}"))
                .to_request();
            let answered = service.call(request).await;
            let status = answered.map_or(500, |answer| answer.status().as_u16());
            let text = lines.0.lock().unwrap().clone();
            let last = text.lines().last().unwrap();
            for part in [
                format!("level={level} "),
                format!("status={status} "),
                format!("route={path} "),
            ] {
                assert!(last.contains(&part), "{part} is missing: {last}");
            }
        }
    }
    let request = TestRequest::get().uri("/healthz").to_request();
    call_service(&service, request).await;
    drop(guard);
    let text = lines.0.lock().unwrap().clone();
    assert!(
        text.lines().last().unwrap().starts_with("level=INFO "),
        "{text}"
    );
}

#[actix_web::test]
async fn answers_carry_the_headers_that_their_handlers_left_out() {
    let fixture = fixture().await;
    let service = serve!(fixture.app);
    let answer = call_service(&service, TestRequest::get().uri("/links/x").to_request()).await;
    assert_eq!(header(&answer, "x-content-type-options"), "nosniff");
    assert_eq!(header(&answer, "cache-control"), "no-store");
    assert_eq!(header(&answer, "referrer-policy"), "same-origin");
    let is_https = fixture.app.public_url().starts_with("https://");
    let has_hsts = !header(&answer, "strict-transport-security").is_empty();
    assert_eq!(has_hsts, is_https);
}

#[actix_web::test]
async fn events_keep_the_clients_id_only_when_it_is_a_uuid() {
    let fixture = fixture().await;
    let service = serve!(fixture.app);
    let ask = async |sent: &str| {
        let request = TestRequest::get()
            .uri("/id")
            .insert_header(("x-request-id", sent));
        let answer = call_service(&service, request.to_request()).await;
        let shown = header(&answer, "x-request-id").to_owned();
        (
            shown,
            String::from_utf8(read_body(answer).await.to_vec()).unwrap(),
        )
    };
    let uuid = "0198a7c2-aaaa-7bbb-8ccc-123456789abc";
    assert_eq!(ask(uuid).await, (uuid.to_owned(), uuid.to_owned()));
    let (shown, kept) = ask("trace-0001").await;
    assert_eq!(shown, "trace-0001");
    assert_eq!(kept.len(), 36);
    let (shown, kept) = ask("short").await;
    assert_eq!(shown, kept);
}

/// The clock stands still here, and each thread draws by itself.
#[actix_web::test]
async fn ids_of_requests_differ_within_a_microsecond() {
    let fixture = fixture().await;
    let draw = || -> Vec<RequestId> { (0..20_000).map(|_| fixture.app.new_request_id()).collect() };
    let ids: Vec<_> = std::thread::scope(|scope| {
        let threads = [scope.spawn(draw), scope.spawn(draw)];
        threads
            .into_iter()
            .flat_map(|it| it.join().unwrap())
            .collect()
    });
    assert!(ids.iter().all(|id| id.0.get_version_num() == 7));
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
}

#[actix_web::test]
async fn readiness_ends_with_the_stop_and_life_does_not() {
    let fixture = fixture().await;
    let service = serve!(fixture.app);
    let get = async |path: &str| {
        let answer = call_service(&service, TestRequest::get().uri(path).to_request()).await;
        let status = answer.status().as_u16();
        (
            status,
            String::from_utf8(read_body(answer).await.to_vec()).unwrap(),
        )
    };
    assert_eq!(get("/healthz").await.0, 200);
    let (status, text) = get("/metrics").await;
    assert!(status == 200 && text.starts_with("up 1\n"), "{text}");
    assert_eq!(get("/readyz").await.0, 503, "the feed was never read");
    fixture.app.poll_feed().await.unwrap();
    let (status, text) = get("/readyz").await;
    assert_eq!(status, 200, "{text}");
    assert!(text.contains("\"status\":\"ready\""));
    fixture.app.begin_stop();
    let (status, text) = get("/readyz").await;
    assert_eq!(status, 503);
    assert!(text.contains("\"not_ready\""));
    assert_eq!(get("/healthz").await.0, 200);
}
