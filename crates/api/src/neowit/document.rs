//! What the Neowit door's OpenAPI document says beside its routes.

use super::DOOR;
use super::place::ORG_ID;
use super::wire::Error;
use crate::docs::{Draft, ErrorAnswer, Route, parameter, text};
use crate::oauth;
use utoipa::openapi::OpenApi;
use utoipa::openapi::path::{Operation, ParameterIn};

const ABOUT: &str = "Service accounts and their keys, as the Neowit REST API has them.\n\n\
    Times are whole seconds since 1970, ids are opaque texts. A key authenticates by Basic (its id and its \
    secret, while the service account has `enableBasicAuth`), or is exchanged for an access token by an \
    assertion that is signed with it (RFC 7523). Unknown fields and query parameters are ignored.";

pub fn document() -> OpenApi {
    Draft::of(&DOOR, "Symbolon: the Neowit API", ABOUT)
        .service(&oauth::AT_NEOWIT.scope())
        .finish::<Error>("application/json", ERRORS, add_organisation)
}

fn add_organisation(_: &Route, operation: &mut Operation) {
    let about = "Pin to organization.Organization.id";
    let query = parameter(ORG_ID, ParameterIn::Query, about, text(None));
    operation
        .parameters
        .get_or_insert_default()
        .push(query.into());
}

const ERRORS: &[ErrorAnswer] = &[
    ErrorAnswer {
        name: "BadRequest",
        status: "400",
        description: "The request or its fields are not what they must be; `validations` names them.",
        at: Route::any,
    },
    ErrorAnswer {
        name: "Unauthorized",
        status: "401",
        description: "No live credential came with the request. Never says why.",
        at: Route::any,
    },
    ErrorAnswer {
        name: "Forbidden",
        status: "403",
        description: "The credential may not do this, or not in this way.",
        at: Route::any,
    },
    ErrorAnswer {
        name: "NotFound",
        status: "404",
        description: "There is nothing here that the credential can see; the organisation included.",
        at: Route::any,
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
        description: "It exists already, there are too many, or the present state does not allow this.",
        at: Route::writes,
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
        name: "TooMany",
        status: "429",
        description: "Wait as long as Retry-After says.",
        at: Route::any,
    },
    ErrorAnswer {
        name: "Broken",
        status: "500",
        description: "Our mistake; name the traceID.",
        at: Route::any,
    },
    ErrorAnswer {
        name: "Unavailable",
        status: "503",
        description: "Not at the moment; Retry-After says when to try again.",
        at: Route::any,
    },
];
