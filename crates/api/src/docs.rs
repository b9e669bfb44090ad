//! The OpenAPI document, made from the routes as they are mounted, and the page that shows it.

use crate::native::routes;
use crate::native::wire::{FieldProblem, Problem};
use crate::routing::operations;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, LOCATION};
use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, get};
use std::sync::{Arc, LazyLock};
use symbolon_app::App;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    Components, Content, InfoBuilder, ObjectBuilder, OpenApi, Ref, RefOr, Required, Response,
    ResponseBuilder, Schema, Server, Type,
};
use utoipa::{PartialSchema, ToSchema};
use utoipa_actix_web::OpenApiFactory;

const ABOUT: &str = "Machine identities: service accounts, their tokens, and who confirmed them.\n\n\
    Times are RFC 3339 in UTC, ids are UUIDs. A list is a bare array; the header `Link` leads to its next \
    page. Fields that are not documented are refused. Errors are problem documents (RFC 9457) with a stable \
    `code`; all wrong fields come at once.";

/// The whole API, without the address of a server.
pub fn openapi() -> OpenApi {
    static DOCUMENT: LazyLock<OpenApi> = LazyLock::new(build);
    DOCUMENT.clone()
}

fn build() -> OpenApi {
    let mut api = OpenApi::new(
        InfoBuilder::new()
            .title("Symbolon")
            .version(env!("CARGO_PKG_VERSION"))
            .description(Some(ABOUT))
            .build(),
        utoipa::openapi::Paths::new(),
    );
    let mut schemas = vec![
        (Problem::name().into_owned(), Problem::schema()),
        (FieldProblem::name().into_owned(), FieldProblem::schema()),
    ];
    let native = routes::scope();
    native.schemas(&mut schemas);
    api.paths.merge(native.paths());
    api.paths.merge(get_openapi.paths());
    let mut components = Components::new();
    components.schemas.extend(schemas);
    components.add_security_scheme(
        "bearer",
        SecurityScheme::Http(
            HttpBuilder::new()
                .scheme(HttpAuthScheme::Bearer)
                .description(Some(
                    "A token of this service. The scopes name what a route demands.",
                ))
                .build(),
        ),
    );
    for (name, _, description) in ERRORS {
        components
            .responses
            .insert((*name).to_owned(), problem(description));
    }
    api.components = Some(components);
    for (path, item) in &mut api.paths.paths {
        for (method, operation) in operations(item) {
            complete(path, method, operation);
        }
    }
    api
}

/// The errors of all routes: name, status, when.
const ERRORS: &[(&str, &str, &str)] = &[
    (
        "Malformed",
        "400",
        "The request cannot be read: its syntax, or a header.",
    ),
    (
        "Unauthenticated",
        "401",
        "No live token came with the request. Never says why.",
    ),
    (
        "Forbidden",
        "403",
        "The token may not do this; `code` says why.",
    ),
    (
        "NotFound",
        "404",
        "There is nothing here that the token can see.",
    ),
    ("Timeout", "408", "The body took too long to arrive."),
    (
        "Conflict",
        "409",
        "The present state does not allow this; `code` says why.",
    ),
    (
        "Stale",
        "412",
        "It was changed since the version in If-Match.",
    ),
    ("TooLarge", "413", "The body is larger than 64 KiB."),
    ("WrongType", "415", "The body is not application/json."),
    (
        "Invalid",
        "422",
        "Fields are refused; `errors` lists all of them.",
    ),
    ("TooMany", "429", "Wait as long as Retry-After says."),
    ("Broken", "500", "Our mistake; name the request id."),
    (
        "Unavailable",
        "503",
        "Not at the moment; Retry-After says when to try again.",
    ),
];

fn problem(description: &str) -> RefOr<Response> {
    let content = Content::new(Some(Ref::from_schema_name(Problem::name())));
    ResponseBuilder::new()
        .description(description)
        .content("application/problem+json", content)
        .build()
        .into()
}

/// Adds what every route of its kind has: the errors, the headers, the ids in its path.
fn complete(path: &str, method: &str, operation: &mut Operation) {
    // The first paragraph of a handler's comment, as one line.
    operation.summary = operation.summary.take().map(|text| text.replace('\n', " "));
    for (status, response) in &mut operation.responses.responses {
        if let RefOr::T(response) = response
            && response.description.is_empty()
        {
            response.description = match status.as_str() {
                "201" => "Made.",
                "202" => "Noted; it happens soon.",
                _ => "As it is now.",
            }
            .to_owned();
        }
    }
    if operation.security.is_none() {
        return;
    }
    let (writes, in_account) = (method != "GET", path.contains('{'));
    let reads_body = matches!(method, "POST" | "PATCH");
    for (name, status, _) in ERRORS {
        let happens = match *status {
            "404" => in_account,
            "408" | "413" | "415" => reads_body,
            "409" => writes,
            "412" => method == "PATCH",
            "422" => method != "DELETE",
            _ => true,
        };
        if happens {
            let response = RefOr::Ref(Ref::from_response_name(*name));
            operation
                .responses
                .responses
                .insert((*status).to_owned(), response);
        }
    }
    let parameters = operation.parameters.get_or_insert_default();
    let named: Vec<_> = path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .collect();
    for (at, name) in named.into_iter().enumerate() {
        let id = text(Some("uuid"));
        parameters.retain(|it| !matches!(it, RefOr::T(it) if it.name == name));
        parameters.insert(at, parameter(name, ParameterIn::Path, "", id).into());
    }
    match method {
        "POST" => parameters.push(
            parameter(
                "Idempotency-Key",
                ParameterIn::Header,
                "1 to 200 visible ASCII characters. A repeat with the same key and body is not done again; its \
                 answer carries Idempotency-Replayed: true.",
                text(None),
            )
            .into(),
        ),
        "PATCH" => parameters.push(
            parameter("If-Match", ParameterIn::Header, "The ETag last seen; 412 if it is stale.", text(None)).into(),
        ),
        _ => {}
    }
}

fn text(format: Option<&str>) -> Schema {
    let format = format.map(|name| utoipa::openapi::SchemaFormat::Custom(name.to_owned()));
    Schema::Object(
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(format)
            .build(),
    )
}

fn parameter(name: &str, place: ParameterIn, description: &str, schema: Schema) -> Parameter {
    let required = if matches!(place, ParameterIn::Path) {
        Required::True
    } else {
        Required::False
    };
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(required)
        .description((!description.is_empty()).then_some(description))
        .schema(Some(schema))
        .build()
}

/// This document.
#[utoipa::path(
    tag = "documentation",
    responses((status = 200, description = "OpenAPI 3.1", content_type = "application/json")),
)]
#[get("/openapi.json")]
pub async fn get_openapi(app: Data<App>) -> HttpResponse {
    let mut document = openapi();
    document.servers = Some(vec![Server::new(app.public_url())]);
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-cache"))
        .json(document)
}

/// Relative, so that it holds behind a proxy that adds a path.
#[get("/docs")]
pub async fn to_docs() -> HttpResponse {
    HttpResponse::Found()
        .insert_header((LOCATION, "docs/"))
        .finish()
}

/// The documentation page's files, all of them our own: nothing is fetched from another host.
#[get("/docs/{file:.*}")]
pub async fn get_docs(file: Path<String>) -> HttpResponse {
    static CONFIG: LazyLock<Arc<utoipa_swagger_ui::Config<'static>>> = LazyLock::new(|| {
        let config = utoipa_swagger_ui::Config::from("../openapi.json")
            .persist_authorization(false)
            .validator_url("none");
        Arc::new(config)
    });
    match utoipa_swagger_ui::serve(&file, Arc::clone(&CONFIG)) {
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
        _ => HttpResponse::NotFound()
            .content_type("text/plain; charset=utf-8")
            .body("No such file.\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn document() {
        let document = openapi().to_pretty_json().unwrap();
        insta::assert_snapshot!(document);
    }
}
