//! What the Unleash door's OpenAPI document says beside its routes.

use super::DOOR;
use super::wire::ApiError;
use crate::docs::{Draft, ErrorAnswer, Route};
use utoipa::openapi::OpenApi;

const ABOUT: &str = "Service accounts and their tokens on the wire of Unleash.\n\n\
    Times are RFC 3339 in UTC, ids are integers that only grow; in paths they are texts. Fields and query \
    parameters that are not documented are ignored. Every error is `{id, name, message, details}`, and its \
    `id` is in the access log.";

pub fn document() -> OpenApi {
    Draft::of(&DOOR, "Symbolon: Unleash service accounts", ABOUT).finish::<ApiError>(
        "application/json",
        ERRORS,
        |_, _| {},
    )
}

const ERRORS: &[ErrorAnswer] = &[
    ErrorAnswer {
        name: "badRequestResponse",
        status: "400",
        description: "The request cannot be read, or fields are refused: `details` lists all of them.",
        at: Route::any,
    },
    ErrorAnswer {
        name: "unauthorizedResponse",
        status: "401",
        description: "Authorization information is missing or invalid. Never says why.",
        at: Route::any,
    },
    ErrorAnswer {
        name: "forbiddenResponse",
        status: "403",
        description: "The token is valid, but may not do this, or a limit or the present state denies it.",
        at: Route::any,
    },
    ErrorAnswer {
        name: "notFoundResponse",
        status: "404",
        description: "The requested resource was not found.",
        at: Route::names,
    },
    ErrorAnswer {
        name: "timeoutResponse",
        status: "408",
        description: "The body took too long to arrive.",
        at: Route::reads_body,
    },
    ErrorAnswer {
        name: "conflictResponse",
        status: "409",
        description: "It would conflict with the current state of the resource or with an existing one.",
        at: Route::reads_body,
    },
    ErrorAnswer {
        name: "contentTooLargeResponse",
        status: "413",
        description: "The body is larger than 64 KiB.",
        at: Route::reads_body,
    },
    ErrorAnswer {
        name: "unsupportedMediaTypeResponse",
        status: "415",
        description: "The content type is missing, or is not application/json.",
        at: Route::reads_body,
    },
    ErrorAnswer {
        name: "tooManyRequestsResponse",
        status: "429",
        description: "Wait as long as Retry-After says.",
        at: Route::any,
    },
    ErrorAnswer {
        name: "internalServerErrorResponse",
        status: "500",
        description: "Our mistake; name the id.",
        at: Route::any,
    },
    ErrorAnswer {
        name: "serviceUnavailableResponse",
        status: "503",
        description: "Not at the moment; Retry-After says when to try again.",
        at: Route::any,
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// The names and the required fields on which generated clients depend (contract §2.1, §2.2).
    #[test]
    fn operations_and_schemas_have_unleashs_names() {
        let document: Value = serde_json::to_value(&*DOOR.document).unwrap();
        let schema = |name: &str| &document["components"]["schemas"][name];
        for (name, required) in [
            ("serviceAccountSchema", json!(["id"])),
            ("serviceAccountsSchema", json!(["serviceAccounts"])),
            ("roleSchema", json!(["id", "type", "name"])),
            (
                "patSchema",
                json!(["id", "createdAt", "description", "expiresAt"]),
            ),
            ("patsSchema", json!(["pats"])),
            ("createPatSchema", json!(["description", "expiresAt"])),
            (
                "createServiceAccountSchema",
                json!(["name", "username", "rootRole"]),
            ),
            ("updateServiceAccountSchema", Value::Null),
        ] {
            assert_eq!(schema(name)["type"], "object", "{name}");
            assert_eq!(schema(name)["required"], required, "{name}");
        }
        let base = DOOR.prefix;
        for (path, method, id) in [
            ("", "get", "getServiceAccounts"),
            ("", "post", "createServiceAccount"),
            ("/{id}", "put", "updateServiceAccount"),
            ("/{id}", "delete", "deleteServiceAccount"),
            ("/{id}/permissions", "get", "getServiceAccountPermissions"),
            ("/{id}/token", "get", "getServiceAccountTokens"),
            ("/{id}/token", "post", "createServiceAccountToken"),
            (
                "/{id}/token/{tokenId}",
                "delete",
                "deleteServiceAccountToken",
            ),
        ] {
            let operation = &document["paths"][format!("{base}{path}")][method];
            assert_eq!(operation["operationId"], id);
        }
    }
}
