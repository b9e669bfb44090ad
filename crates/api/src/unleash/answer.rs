//! What the Unleash door's handlers share: numbers in paths, and answers with their headers.

use crate::caller::{Allowed, Demand};
use crate::failure::Failure;
use crate::idempotency::REPLAYED;
use actix_web::HttpResponse;
use actix_web::http::header::LOCATION;
use serde::Serialize;
use symbolon_domain::Code;

pub type Answer = Result<HttpResponse, Failure>;

/// An id in the path: a positive integer. Anything else names nothing.
pub fn number<P: Demand>(caller: &Allowed<P>, name: &str) -> Result<i64, Failure> {
    let text = caller.request.match_info().get(name).unwrap_or("");
    positive(text).ok_or(Code::NotFound.into())
}

fn positive(text: &str) -> Option<i64> {
    let digits = text.bytes().all(|c| c.is_ascii_digit());
    text.parse().ok().filter(|number| digits && *number > 0)
}

/// Something new, below `path` of our public address.
pub fn created<P: Demand>(
    caller: &Allowed<P>,
    path: &str,
    replayed: bool,
    body: &impl Serialize,
) -> Answer {
    let mut answer = HttpResponse::Created();
    let prefix = super::DOOR.prefix;
    let location = format!("{}{prefix}/{path}", caller.app.public_url());
    answer.insert_header((LOCATION, location));
    if replayed {
        answer.insert_header((REPLAYED, "true"));
    }
    Ok(answer.json(body))
}

pub fn shown(body: &impl Serialize) -> Answer {
    Ok(HttpResponse::Ok().json(body))
}

/// 200 and not a word.
pub fn deleted() -> Answer {
    Ok(HttpResponse::Ok().finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_positive_integers_are_numbers() {
        assert_eq!(positive("7"), Some(7));
        assert_eq!(positive("9223372036854775807"), Some(i64::MAX));
        for bad in [
            "",
            "0",
            "-1",
            "+1",
            "1.0",
            "1e3",
            "0x1",
            " 1",
            "٧",
            "seven",
            "9223372036854775808",
            "0198a7c2-0000-7000-8000-000000000000",
        ] {
            assert_eq!(positive(bad), None, "{bad}");
        }
    }
}
