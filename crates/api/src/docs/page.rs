//! Where the documents are served, and the page that shows those of the open doors.

use crate::door::{DOORS, Door, Doors};
use actix_web::http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, LOCATION};
use actix_web::web::{Data, Path, ServiceConfig};
use actix_web::{HttpResponse, get};
use std::sync::{Arc, LazyLock};
use symbolon_app::App;
use utoipa::openapi::Server;
use utoipa_swagger_ui::{Config, Url};

/// What there is to show.
struct Shown {
    doors: Vec<&'static Door>,
    page: Arc<Config<'static>>,
}

/// Mounts `/openapi.json`, `/openapi/<door>.json` and `/docs`.
pub fn mount(cfg: &mut ServiceConfig, doors: Doors) {
    // Relative, so that they hold behind a proxy that adds a path.
    static URLS: LazyLock<Vec<String>> = LazyLock::new(|| {
        let url = |door: &&Door| format!("../openapi/{}.json", door.name);
        DOORS.iter().map(url).collect()
    });
    let doors: Vec<_> = doors.open().collect();
    let urls = DOORS.iter().zip(URLS.iter());
    let open = urls.filter(|(door, _)| doors.iter().any(|it| it.name == door.name));
    let page = Config::new(open.map(|(door, url)| Url::new(door.name, url)))
        .persist_authorization(false)
        .validator_url("none");
    cfg.app_data(Data::new(Shown {
        doors,
        page: Arc::new(page),
    }))
    .service(get_openapi)
    .service(get_door_openapi)
    .service(to_docs)
    .service(get_docs);
}

/// This document.
#[utoipa::path(
    tag = "documentation",
    responses((status = 200, description = "OpenAPI 3.1", content_type = "application/json")),
)]
#[get("/openapi.json")]
pub async fn get_openapi(app: Data<App>) -> HttpResponse {
    show(&app, &crate::native::DOOR)
}

#[get("/openapi/{door}.json")]
async fn get_door_openapi(app: Data<App>, shown: Data<Shown>, name: Path<String>) -> HttpResponse {
    match shown.doors.iter().find(|door| door.name == name.as_str()) {
        Some(door) => show(&app, door),
        None => nothing(),
    }
}

fn show(app: &App, door: &Door) -> HttpResponse {
    let mut document = door.document.clone();
    document.servers = Some(vec![Server::new(app.public_url())]);
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-cache"))
        .json(document)
}

/// Relative, so that it holds behind a proxy that adds a path.
#[get("/docs")]
async fn to_docs() -> HttpResponse {
    HttpResponse::Found()
        .insert_header((LOCATION, "docs/"))
        .finish()
}

/// The documentation page's files, all of them our own: nothing is fetched from another host.
#[get("/docs/{file:.*}")]
async fn get_docs(shown: Data<Shown>, file: Path<String>) -> HttpResponse {
    match utoipa_swagger_ui::serve(&file, Arc::clone(&shown.page)) {
        Ok(Some(file)) => {
            let mut answer = HttpResponse::Ok();
            if file.gzpipped {
                answer.insert_header((CONTENT_ENCODING, "gzip"));
            }
            answer
                .content_type(file.content_type)
                .insert_header((CACHE_CONTROL, "public, max-age=3600"))
                .insert_header((
                    CONTENT_SECURITY_POLICY,
                    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                     frame-ancestors 'none'; base-uri 'none'",
                ))
                .body(file.bytes.into_owned())
        }
        _ => nothing(),
    }
}

fn nothing() -> HttpResponse {
    HttpResponse::NotFound()
        .content_type("text/plain; charset=utf-8")
        .body("No such file.\n")
}
