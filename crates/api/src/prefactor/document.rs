//! What the Prefactor door's OpenAPI document says beside its routes.

use super::DOOR;
use super::wire::{ApiTokenRef, Error};
use crate::docs::{Draft, ErrorAnswer, Route, text};
use utoipa::PartialSchema;
use utoipa::openapi::{OpenApi, RefOr};

const ABOUT: &str = "API tokens in the dialect of Prefactor: its clients work with another base URL.\n\n\
    Times are RFC 3339 in UTC, ids are PFIDs of 32 characters. Fields and query parameters that are not \
    documented are ignored. All wrong fields come at once, in `errors`.";

pub fn document() -> OpenApi {
    let ids = match ApiTokenRef::schema() {
        RefOr::T(schema) => schema,
        RefOr::Ref(_) => text(None),
    };
    Draft::of(&DOOR, "Symbolon: the Prefactor door", ABOUT)
        .ids(ids)
        .finish::<Error>("application/json", ERRORS, |_, _| {})
}

/// `ping` alone names nothing but the token that asks.
fn names_something(route: &Route) -> bool {
    !route.path.ends_with("/ping")
}

const ERRORS: &[ErrorAnswer] = &[
    ErrorAnswer {
        name: "BadRequest",
        status: "400",
        description: "The request cannot be read (bad_request), or its path names something of another type \
            (unexpected_ref_type).",
        at: Route::any,
    },
    ErrorAnswer {
        name: "NotAuthenticated",
        status: "401",
        description: "No token came with the request (not_authenticated), or none that is good \
            (bad_authtoken). Never says why.",
        at: Route::any,
    },
    ErrorAnswer {
        name: "NotPermitted",
        status: "403",
        description: "The token may not do this (not_permitted).",
        at: Route::any,
    },
    ErrorAnswer {
        name: "NotFound",
        status: "404",
        description: "There is nothing here that the token can see (not_found).",
        at: names_something,
    },
    ErrorAnswer {
        name: "Timeout",
        status: "408",
        description: "The body took too long to arrive (bad_request).",
        at: Route::reads_body,
    },
    ErrorAnswer {
        name: "InvalidAction",
        status: "409",
        description: "The token's status does not allow this (invalid_action), or the same request is still \
            at work (conflict).",
        at: Route::writes,
    },
    ErrorAnswer {
        name: "TooLarge",
        status: "413",
        description: "The body is larger than 64 KiB (bad_request).",
        at: Route::reads_body,
    },
    ErrorAnswer {
        name: "WrongType",
        status: "415",
        description: "The body is not application/json (bad_request).",
        at: Route::reads_body,
    },
    ErrorAnswer {
        name: "ValidationErrors",
        status: "422",
        description: "Fields are refused (validation_errors), each one in `errors`; or the idempotency key \
            was used for another request (conflict).",
        at: names_something,
    },
    ErrorAnswer {
        name: "RateLimited",
        status: "429",
        description: "Wait as long as Retry-After says (rate_limited).",
        at: Route::any,
    },
    ErrorAnswer {
        name: "Unexpected",
        status: "500",
        description: "Our mistake (unexpected); name the X-Request-Id.",
        at: Route::any,
    },
    ErrorAnswer {
        name: "Unavailable",
        status: "503",
        description: "Not at the moment (unavailable); Retry-After says when to try again.",
        at: Route::any,
    },
];
