//! Query parameters: read like fields, all errors at once, unknown ones refused. And keyset pages:
//! the cursor in the query, the `Link` to the next page in the answer.

use crate::failure::Failure;
use crate::fields::closest;
use actix_web::HttpRequest;
use actix_web::web::Query as Decoded;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use symbolon_app::PageRequest;
use symbolon_domain::{Code, FieldCode, FieldError, Refusal, Timestamp};
use uuid::Uuid;

/// The longest page that may be asked for, and the page where only a cursor is given.
pub const PAGE_MAX: u32 = 200;
/// What a list without `limit` and `cursor` shows at most: the whole of nearly every account.
pub const WHOLE_MAX: u32 = 1000;
const SEARCH_MAX: usize = 200;

/// A request's query parameters, being read.
#[derive(Debug)]
pub struct Query {
    left: Vec<(String, String)>,
    asked: Vec<&'static str>,
    errors: Vec<FieldError>,
    meant: Vec<(String, &'static str)>,
}

impl Query {
    pub fn of(request: &HttpRequest) -> Result<Self, Failure> {
        Self::parse(request.query_string())
    }

    fn parse(text: &str) -> Result<Self, Failure> {
        let left = Decoded::<Vec<(String, String)>>::from_query(text)
            .map_err(|_| Code::MalformedRequest)?
            .into_inner();
        Ok(Self {
            left,
            asked: Vec::new(),
            errors: Vec::new(),
            meant: Vec::new(),
        })
    }

    /// A parameter that may be left out. Given twice, it is refused: the client cannot mean both.
    pub fn optional<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&str) -> Result<T, FieldCode>,
    ) -> Option<T> {
        self.asked.push(name);
        let mut values = Vec::new();
        self.left.retain_mut(|(key, value)| {
            let mine = key == name;
            if mine {
                values.push(std::mem::take(value));
            }
            !mine
        });
        let result = match values.as_slice() {
            [] => return None,
            [value] => read(value),
            _ => Err(FieldCode::TooMany { max: 1 }),
        };
        match result {
            Ok(value) => Some(value),
            Err(code) => {
                self.errors.push(FieldError::new(format!("?{name}"), code));
                None
            }
        }
    }

    /// All values of a parameter that may be repeated, in their order.
    pub fn repeated<T>(
        &mut self,
        name: &'static str,
        read: impl Fn(&str) -> Result<T, FieldCode>,
    ) -> Vec<T> {
        self.asked.push(name);
        let (mine, left) = std::mem::take(&mut self.left)
            .into_iter()
            .partition(|(key, _)| key == name);
        self.left = left;
        let mine: Vec<(String, String)> = mine;
        let values: Result<Vec<T>, FieldCode> = mine.iter().map(|(_, value)| read(value)).collect();
        values.unwrap_or_else(|code| {
            self.errors.push(FieldError::new(format!("?{name}"), code));
            Vec::new()
        })
    }

    /// `limit` and `cursor` of a list.
    pub fn page<I>(&mut self, wrap: fn(Uuid) -> I) -> PageRequest<I> {
        let limit = self.optional("limit", |text| {
            let (min, max) = (1, i64::from(PAGE_MAX));
            let limit = text.parse::<u32>().ok();
            limit
                .filter(|limit| (1..=PAGE_MAX).contains(limit))
                .ok_or(FieldCode::OutOfRange { min, max })
        });
        let after = self.optional("cursor", |text| read_cursor(text).ok_or(FieldCode::NotAnId));
        let limit = limit.unwrap_or(if after.is_some() { PAGE_MAX } else { WHOLE_MAX });
        PageRequest {
            after: after.map(wrap),
            limit,
        }
    }

    /// Refuses a parameter for a reason that only all of its values show.
    pub fn refuse(&mut self, name: &str, code: FieldCode) {
        self.errors.push(FieldError::new(format!("?{name}"), code));
    }

    pub fn finish(mut self) -> Result<(), Failure> {
        for (key, _) in std::mem::take(&mut self.left) {
            let pointer = format!("?{key}");
            if let Some(meant) = closest(&key, &self.asked) {
                self.meant.push((pointer.clone(), meant));
            }
            self.errors
                .push(FieldError::new(pointer, FieldCode::Unknown));
        }
        self.finish_leniently()
    }

    /// As [`Self::finish`], where a contract says that unknown parameters are ignored.
    pub fn finish_leniently(self) -> Result<(), Failure> {
        if self.errors.is_empty() {
            return Ok(());
        }
        Err(Failure {
            meant: self.meant,
            ..Refusal::fields(self.errors).into()
        })
    }
}

pub fn boolean(text: &str) -> Result<bool, FieldCode> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(FieldCode::NotAllowed {
            allowed: "true, false".to_owned(),
        }),
    }
}

pub fn id<I: std::str::FromStr>(text: &str) -> Result<I, FieldCode> {
    text.parse().map_err(|_| FieldCode::NotAnId)
}

pub fn time(text: &str) -> Result<Timestamp, FieldCode> {
    Timestamp::parse(text).ok_or(FieldCode::NotATime)
}

/// Something to search for; white space alone is nothing.
pub fn search(text: &str) -> Result<Option<String>, FieldCode> {
    let text = text.trim();
    if text.chars().count() > SEARCH_MAX {
        return Err(FieldCode::TooLong { max: SEARCH_MAX });
    }
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

/// One of a list of words.
pub fn one_of<'a>(
    allowed: &'a [&'static str],
) -> impl Fn(&str) -> Result<&'static str, FieldCode> + 'a {
    move |text| {
        let found = allowed.iter().copied().find(|word| *word == text);
        found.ok_or_else(|| FieldCode::NotAllowed {
            allowed: allowed.join(", "),
        })
    }
}

fn read_cursor(text: &str) -> Option<Uuid> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
    Uuid::from_slice(&bytes).ok()
}

fn write_cursor(id: Uuid) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(id.as_bytes())
}

/// The value of `Link` for the page after this one: the same query, with its cursor replaced.
/// `public_url` comes from the settings, never from the request's `Host`.
pub fn next_link(public_url: &str, request: &HttpRequest, next: Uuid) -> String {
    let mut pairs: Vec<&str> = request
        .query_string()
        .split('&')
        .filter(|pair| !pair.is_empty() && pair.split('=').next() != Some("cursor"))
        .collect();
    let cursor = format!("cursor={}", write_cursor(next));
    pairs.push(&cursor);
    let (path, query) = (request.path(), pairs.join("&"));
    format!("<{public_url}{path}?{query}>; rel=\"next\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn errors(failure: &Failure) -> Vec<String> {
        let refusal = failure.error.refusal().unwrap();
        let show = |error: &FieldError| format!("{} {}", error.pointer, error.code.as_str());
        refusal.fields.iter().map(show).collect()
    }

    #[test]
    fn all_bad_parameters_are_named() {
        let mut query =
            Query::parse("limit=0&cursor=!&include_revoked=yes&id=7&q=a&q=b&includeRevoked=1")
                .unwrap();
        query.page(|id| id);
        query.optional("include_revoked", boolean);
        query.optional("id", id::<Uuid>);
        query.optional("q", search);
        let failure = query.finish().unwrap_err();
        assert_eq!(
            errors(&failure),
            [
                "?limit out_of_range",
                "?cursor not_an_id",
                "?include_revoked not_allowed",
                "?id not_an_id",
                "?q too_many",
                "?includeRevoked unknown_field"
            ]
        );
        assert_eq!(
            failure.meant,
            [("?includeRevoked".to_owned(), "include_revoked")]
        );
    }

    #[test]
    fn pages_have_their_sizes() {
        let page = |text: &str| {
            let mut query = Query::parse(text).unwrap();
            let page = query.page(|id| id);
            query.finish().unwrap();
            (page.after, page.limit)
        };
        let id = Uuid::from_u128(42);
        let cursor = write_cursor(id);
        assert_eq!(page(""), (None, WHOLE_MAX));
        assert_eq!(page("limit=200"), (None, 200));
        assert_eq!(page(&format!("cursor={cursor}")), (Some(id), PAGE_MAX));
        assert_eq!(page(&format!("cursor={cursor}&limit=3")), (Some(id), 3));
    }

    #[test]
    fn the_link_keeps_the_query_and_replaces_the_cursor() {
        let request = TestRequest::with_uri("/v1/x?q=a%26b&cursor=old&limit=2").to_http_request();
        let id = Uuid::from_u128(42);
        let link = next_link("https://id.example", &request, id);
        assert_eq!(
            link,
            "<https://id.example/v1/x?q=a%26b&limit=2&cursor=AAAAAAAAAAAAAAAAAAAAKg>; rel=\"next\""
        );
        let again = read_cursor("AAAAAAAAAAAAAAAAAAAAKg");
        assert_eq!(again, Some(id));
    }
}
