//! What the native door's OpenAPI document says beside its routes.

use super::DOOR;
use super::wire::Problem;
use crate::docs::{self, Draft, ErrorAnswer, Route, parameter, text};
use crate::oauth;
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::{OpenApi, RefOr};

const ABOUT: &str = "Machine identities: service accounts, their tokens, and who confirmed them.\n\n\
    Times are RFC 3339 in UTC, ids are UUIDs. A list is a bare array; the header `Link` leads to its next \
    page. Fields that are not documented are refused. Errors are problem documents (RFC 9457) with a stable \
    `code`; all wrong fields come at once.";

pub fn document() -> OpenApi {
    Draft::of(&DOOR, "Symbolon", ABOUT)
        .service(&docs::get_openapi)
        .service(&oauth::AT_NATIVE.scope())
        .service(&oauth::WELL_KNOWN.scope())
        .ids(text(Some("uuid")))
        .finish::<Problem>("application/problem+json", ERRORS, complete)
}

fn complete(route: &Route, operation: &mut Operation) {
    let parameters = operation.parameters.get_or_insert_default();
    for parameter in parameters {
        // The one id that is no UUID.
        if let RefOr::T(key) = parameter
            && key.name == "key_id"
        {
            key.schema = Some(text(None).into());
        }
    }
    if ASKING.iter().any(|path| route.path == *path) {
        // Nothing is made that a repeat could make twice.
        let parameters = operation.parameters.get_or_insert_default();
        parameters.retain(|it| !matches!(it, RefOr::T(it) if it.name == "Idempotency-Key"));
    }
    if route.path == "/v1/authorize" {
        // No body is read, and a wrong query is 400.
        for status in ["408", "413", "415", "422"] {
            operation.responses.responses.remove(status);
        }
    }
    if route.method == "PATCH" {
        let about = "The ETag last seen; 412 if it is stale.";
        let header = parameter("If-Match", ParameterIn::Header, about, text(None));
        operation
            .parameters
            .get_or_insert_default()
            .push(header.into());
    }
}

/// Routes that change nothing, whatever their method.
const ASKING: [&str; 2] = ["/v1/public/tokens/verify", "/v1/authorize"];

fn changes(route: &Route) -> bool {
    route.writes() && !ASKING.iter().any(|path| route.path == *path)
}

const ERRORS: &[ErrorAnswer] = &[
    ErrorAnswer {
        name: "Malformed",
        status: "400",
        description: "The request cannot be read: its syntax, or a header.",
        at: Route::any,
    },
    ErrorAnswer {
        name: "Unauthenticated",
        status: "401",
        description: "No live token came with the request. Never says why.",
        at: Route::any,
    },
    ErrorAnswer {
        name: "Forbidden",
        status: "403",
        description: "The token may not do this; `code` says why.",
        at: Route::any,
    },
    ErrorAnswer {
        name: "NotFound",
        status: "404",
        description: "There is nothing here that the token can see.",
        at: Route::names,
    },
    ErrorAnswer {
        name: "Timeout",
        status: "408",
        description: "The body took too long to arrive.",
        at: Route::reads_body,
    },
    ErrorAnswer {
        name: "Conflict",
        status: "409",
        description: "The present state does not allow this; `code` says why.",
        at: changes,
    },
    ErrorAnswer {
        name: "Stale",
        status: "412",
        description: "It was changed since the version in If-Match.",
        at: |route| route.method == "PATCH",
    },
    ErrorAnswer {
        name: "TooLarge",
        status: "413",
        description: "The body is larger than 64 KiB.",
        at: Route::reads_body,
    },
    ErrorAnswer {
        name: "WrongType",
        status: "415",
        description: "The body is not application/json.",
        at: Route::reads_body,
    },
    ErrorAnswer {
        name: "Invalid",
        status: "422",
        description: "Fields are refused; `errors` lists all of them.",
        at: Route::any,
    },
    ErrorAnswer {
        name: "TooMany",
        status: "429",
        description: "Wait as long as Retry-After says.",
        at: Route::any,
    },
    ErrorAnswer {
        name: "Broken",
        status: "500",
        description: "Our mistake; name the request id.",
        at: Route::any,
    },
    ErrorAnswer {
        name: "Unavailable",
        status: "503",
        description: "Not at the moment; Retry-After says when to try again.",
        at: Route::any,
    },
];
