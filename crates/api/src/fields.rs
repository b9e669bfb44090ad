//! Reads the fields of a body one by one and collects *all* that is wrong with them, so that a client
//! corrects its request once. Fields that nobody asked for are refused: a mistyped `expires_at` must not
//! make an eternal token.

use crate::body::Json;
use crate::failure::Failure;
use std::net::IpAddr;
use std::time::Duration;
use symbolon_domain::scope::SCOPES_MAX;
use symbolon_domain::time::parse_span;
use symbolon_domain::{
    AllowedNetworks, FieldCode, FieldError, Language, Name, RateLimit, Refusal, Scope, ScopeSet,
    Timestamp, label, limits,
};

/// More errors than anybody reads.
const ERRORS_MAX: usize = 100;

/// What is wrong with one value: errors with pointers relative to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaws(Vec<(String, FieldCode)>);

impl From<FieldCode> for Flaws {
    fn from(code: FieldCode) -> Self {
        Self(vec![(String::new(), code)])
    }
}

pub type Read<T> = Result<T, Flaws>;

/// An object's fields, being read.
#[derive(Debug)]
pub struct Fields {
    base: String,
    left: Vec<(String, Json)>,
    asked: Vec<&'static str>,
    errors: Vec<FieldError>,
    meant: Vec<(String, &'static str)>,
}

impl Fields {
    pub fn of(json: Json) -> Result<Self, Failure> {
        Self::at(String::new(), json).map_err(|error| Refusal::fields(vec![error]).into())
    }

    fn at(base: String, json: Json) -> Result<Self, FieldError> {
        match json {
            Json::Object(left) => Ok(Self {
                base,
                left,
                asked: Vec::new(),
                errors: Vec::new(),
                meant: Vec::new(),
            }),
            _ => Err(FieldError::new(base, wrong("object"))),
        }
    }

    /// A field that has to be there; `None` leaves an error behind.
    pub fn required<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&Json) -> Read<T>,
    ) -> Option<T> {
        match self.take(name) {
            None => self.flaw(name, FieldCode::Required.into()),
            Some(Json::Null) => self.flaw(name, FieldCode::CannotBeNull.into()),
            Some(json) => self.read(name, &json, read),
        }
    }

    /// A field that may be left out, but not null.
    pub fn optional<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&Json) -> Read<T>,
    ) -> Option<T> {
        match self.take(name)? {
            Json::Null => self.flaw(name, FieldCode::CannotBeNull.into()),
            json => self.read(name, &json, read),
        }
    }

    /// A field that may be left out (`None`) or null (`Some(None)`).
    pub fn nullable<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&Json) -> Read<T>,
    ) -> Option<Option<T>> {
        match self.take(name)? {
            Json::Null => Some(None),
            json => self.read(name, &json, read).map(Some),
        }
    }

    /// Whether the field is there, null or not, and was not read yet.
    pub fn has(&self, name: &str) -> bool {
        self.left.iter().any(|(key, _)| key == name)
    }

    /// The fields of an object within, if it is there; hand it back to [`Fields::leave`].
    pub fn enter(&mut self, name: &'static str) -> Option<Self> {
        let json = match self.take(name)? {
            Json::Null => return self.flaw(name, FieldCode::CannotBeNull.into()),
            json => json,
        };
        match Self::at(format!("{}/{name}", self.base), json) {
            Ok(fields) => Some(fields),
            Err(error) => {
                self.errors.push(error);
                None
            }
        }
    }

    pub fn leave(&mut self, mut inner: Self) {
        inner.refuse_unknown();
        self.leave_leniently(inner);
    }

    /// As [`Self::leave`], where a contract says that unknown fields are ignored.
    pub fn leave_leniently(&mut self, mut inner: Self) {
        self.errors.append(&mut inner.errors);
        self.meant.append(&mut inner.meant);
    }

    /// Ends the reading: `value` if nothing was wrong.
    pub fn finish<T>(mut self, value: Option<T>) -> Result<T, Failure> {
        self.refuse_unknown();
        self.finish_leniently(value)
    }

    /// As [`Self::finish`], where a contract says that unknown fields are ignored.
    pub fn finish_leniently<T>(mut self, value: Option<T>) -> Result<T, Failure> {
        match value {
            Some(value) if self.errors.is_empty() => Ok(value),
            _ => {
                self.errors.truncate(ERRORS_MAX);
                Err(Failure {
                    meant: self.meant,
                    ..Refusal::fields(self.errors).into()
                })
            }
        }
    }

    fn take(&mut self, name: &'static str) -> Option<Json> {
        self.asked.push(name);
        let at = self.left.iter().position(|(key, _)| key == name)?;
        Some(self.left.remove(at).1)
    }

    fn read<T>(
        &mut self,
        name: &'static str,
        json: &Json,
        read: impl FnOnce(&Json) -> Read<T>,
    ) -> Option<T> {
        match read(json) {
            Ok(value) => Some(value),
            Err(flaws) => self.flaw(name, flaws),
        }
    }

    fn flaw<T>(&mut self, name: &str, flaws: Flaws) -> Option<T> {
        for (suffix, code) in flaws.0 {
            let pointer = format!("{}/{name}{suffix}", self.base);
            self.errors.push(FieldError::new(pointer, code));
        }
        None
    }

    fn refuse_unknown(&mut self) {
        for (key, _) in std::mem::take(&mut self.left) {
            // RFC 6901 §3.
            let escaped = key.replace('~', "~0").replace('/', "~1");
            let pointer = format!("{}/{escaped}", self.base);
            if let Some(meant) = closest(&key, &self.asked) {
                self.meant.push((pointer.clone(), meant));
            }
            self.errors
                .push(FieldError::new(pointer, FieldCode::Unknown));
        }
    }

    #[cfg(test)]
    pub fn asked(&self) -> &[&'static str] {
        &self.asked
    }
}

/// The known name that `typed` was probably meant to be.
pub fn closest(typed: &str, known: &[&'static str]) -> Option<&'static str> {
    if typed.len() > 64 {
        return None;
    }
    let plain = |name: &str| name.to_ascii_lowercase().replace(['-', '_', ' '], "");
    let typed = plain(typed);
    let nearest = known
        .iter()
        .map(|name| (distance(&typed, &plain(name)), *name))
        .min()?;
    (nearest.0 <= (nearest.1.len() / 3).min(3)).then_some(nearest.1)
}

/// Levenshtein's distance, in characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

fn wrong(wanted: &str) -> FieldCode {
    FieldCode::WrongType {
        wanted: wanted.to_owned(),
    }
}

pub fn text(json: &Json) -> Read<&str> {
    match json {
        Json::String(text) => Ok(text),
        _ => Err(wrong("string").into()),
    }
}

pub fn boolean(json: &Json) -> Read<bool> {
    match json {
        Json::Bool(value) => Ok(*value),
        _ => Err(wrong("boolean").into()),
    }
}

/// An integer within what the column holds; finer bounds are the domain's.
pub fn integer(json: &Json) -> Read<i32> {
    let Json::Integer(value) = json else {
        return Err(wrong("integer").into());
    };
    i32::try_from(*value).map_err(|_| {
        let (min, max) = (i32::MIN.into(), i32::MAX.into());
        FieldCode::OutOfRange { min, max }.into()
    })
}

pub fn name(json: &Json) -> Read<Name> {
    Ok(Name::parse(text(json)?)?)
}

pub fn description(json: &Json) -> Read<Option<String>> {
    Ok(label::parse_description(text(json)?)?)
}

pub fn email(json: &Json) -> Read<label::EmailAddress> {
    Ok(label::EmailAddress::parse(text(json)?)?)
}

pub fn language(json: &Json) -> Read<Language> {
    let allowed = || Language::ALL.map(Language::as_str).join(", ");
    Ok(Language::parse(text(json)?).ok_or_else(|| FieldCode::NotAllowed { allowed: allowed() })?)
}

pub fn id<I: std::str::FromStr>(json: &Json) -> Read<I> {
    Ok(text(json)?.parse().map_err(|_| FieldCode::NotAnId)?)
}

/// Free text of at most `max` characters, without control characters but line breaks and tabs.
/// Empty means none.
pub fn note(max: usize) -> impl Fn(&Json) -> Read<Option<String>> {
    move |json| {
        let text = text(json)?.trim();
        if text.chars().count() > max {
            return Err(FieldCode::TooLong { max }.into());
        }
        Ok(label::parse_description(text)?)
    }
}

/// An RFC 3339 time with any offset.
pub fn time(json: &Json) -> Read<Timestamp> {
    Ok(Timestamp::parse(text(json)?).ok_or(FieldCode::NotATime)?)
}

/// A time that lies ahead of `now`.
pub fn future(now: Timestamp) -> impl Fn(&Json) -> Read<Timestamp> {
    move |json| match time(json)? {
        time if time > now => Ok(time),
        _ => Err(FieldCode::NotInFuture.into()),
    }
}

pub fn span(json: &Json) -> Read<Duration> {
    Ok(parse_span(text(json)?).ok_or(FieldCode::NotASpan)?)
}

pub fn scope(json: &Json) -> Read<Scope> {
    Ok(text(json)?.parse().map_err(|_| FieldCode::NotAScope)?)
}

pub fn scopes(json: &Json) -> Read<ScopeSet> {
    list(SCOPES_MAX, scope)(json).map(|scopes| scopes.into_iter().collect())
}

/// An IPv4 or IPv6 address, bare.
pub fn address(json: &Json) -> Read<IpAddr> {
    Ok(text(json)?.parse().map_err(|_| FieldCode::NotAnAddress)?)
}

/// Networks in CIDR notation, or addresses; each wrong one is named by its place.
pub fn networks(json: &Json) -> Read<AllowedNetworks> {
    let one = |json: &Json| -> Read<String> {
        let text = text(json)?;
        AllowedNetworks::parse_all(&[text]).map_err(|(_, code)| code)?;
        Ok(text.to_owned())
    };
    let texts = list(limits::NETWORKS_MAX, one)(json)?;
    Ok(AllowedNetworks::parse_all(&texts).map_err(|(_, code)| code)?)
}

/// `{"limit": 100, "period": "60s"}`.
pub fn rate_limit(json: &Json) -> Read<RateLimit> {
    let mut fields = Fields::at(String::new(), json.clone()).map_err(|error| error.code)?;
    // Each part by itself, so that both can be wrong at once.
    let limit = fields.required("limit", |json| {
        let Json::Integer(limit) = json else {
            return Err(wrong("integer").into());
        };
        RateLimit::new(*limit, Duration::from_secs(1)).map_err(|(_, code)| code)?;
        Ok(*limit)
    });
    let period = fields.required("period", |json| {
        let period = span(json)?;
        RateLimit::new(1, period).map_err(|(_, code)| code)?;
        Ok(period)
    });
    let read = limit
        .zip(period)
        .and_then(|(limit, period)| RateLimit::new(limit, period).ok());
    fields.refuse_unknown();
    match read {
        Some(read) if fields.errors.is_empty() => Ok(read),
        _ => {
            let flaws = fields.errors.into_iter();
            Err(Flaws(flaws.map(|it| (it.pointer, it.code)).collect()))
        }
    }
}

/// An array of at most `max` items; each wrong one is named by its place.
pub fn list<T>(max: usize, read: impl Fn(&Json) -> Read<T>) -> impl Fn(&Json) -> Read<Vec<T>> {
    move |json| {
        let Json::Array(items) = json else {
            return Err(wrong("array").into());
        };
        if items.len() > max {
            return Err(FieldCode::TooMany { max }.into());
        }
        let (mut values, mut flaws) = (Vec::with_capacity(items.len()), Vec::new());
        for (at, item) in items.iter().enumerate() {
            match read(item) {
                Ok(value) => values.push(value),
                Err(Flaws(inner)) => flaws.extend(
                    inner
                        .into_iter()
                        .map(|(suffix, code)| (format!("/{at}{suffix}"), code)),
                ),
            }
        }
        if flaws.is_empty() {
            Ok(values)
        } else {
            Err(Flaws(flaws))
        }
    }
}

/// Compares the fields that `read` asks a body for with those that its schema names, and the required.
#[cfg(test)]
pub fn described<T: utoipa::PartialSchema>(read: impl Fn(&mut Fields)) {
    use utoipa::openapi::{RefOr, Schema};

    let mut empty = Fields::of(Json::Object(Vec::new())).expect("an object");
    read(&mut empty);
    let mut asked = empty.asked().to_vec();
    asked.sort_unstable();
    let failure = empty.finish(Some(())).err();
    let mut required: Vec<_> = failure
        .iter()
        .flat_map(|failure| &failure.error.refusal().expect("a refusal").fields)
        .map(|error| error.pointer.trim_start_matches('/').to_owned())
        .collect();
    required.sort_unstable();

    let RefOr::T(Schema::Object(object)) = T::schema() else {
        panic!("an object's schema")
    };
    let mut names: Vec<_> = object.properties.keys().map(String::as_str).collect();
    names.sort_unstable();
    let mut demanded = object.required.clone();
    demanded.sort_unstable();
    assert_eq!((asked, required), (names, demanded));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Fields {
        Fields::of(serde_json::from_str(text).unwrap()).unwrap()
    }

    fn errors(failure: &Failure) -> Vec<String> {
        let refusal = failure.error.refusal().unwrap();
        let show = |error: &FieldError| format!("{} {}", error.pointer, error.code.as_str());
        refusal.fields.iter().map(show).collect()
    }

    #[test]
    fn all_errors_come_at_once_with_pointers() {
        let now = Timestamp::parse("2026-01-01T00:00:00Z").unwrap();
        let mut body = fields(
            r#"{"name": " ", "expires_at": "2026-01-01T01:00:00+02:00", "expire_at": null, "scopes": ["a:b", 1, "A"],
                "email": null, "flag": 1, "policy": {"life": "90", "a/b~": 1}, "when": "tomorrow"}"#,
        );
        let name = body.required("name", name);
        assert!(body.required("missing", boolean).is_none());
        body.nullable("expires_at", future(now));
        body.optional("scopes", scopes);
        body.optional("email", email);
        body.optional("flag", boolean);
        body.optional("when", time);
        let mut policy = body.enter("policy").unwrap();
        policy.optional("life", span);
        body.leave(policy);
        let failure = body.finish(name.map(drop)).unwrap_err();
        assert_eq!(
            errors(&failure),
            [
                "/name too_short",
                "/missing required",
                "/expires_at not_in_future",
                "/scopes/1 wrong_type",
                "/scopes/2 not_a_scope",
                "/email cannot_be_null",
                "/flag wrong_type",
                "/when not_a_time",
                "/policy/life not_a_span",
                "/policy/a~1b~0 unknown_field",
                "/expire_at unknown_field",
            ]
        );
        assert_eq!(failure.meant, [("/expire_at".to_owned(), "expires_at")]);
    }

    #[test]
    fn null_absent_and_present_differ() {
        let mut body = fields(r#"{"a": null, "b": "x"}"#);
        assert_eq!(
            body.nullable("a", |j| text(j).map(str::to_owned)),
            Some(None)
        );
        assert_eq!(body.nullable("c", boolean), None);
        assert_eq!(
            body.nullable("b", |j| text(j).map(str::to_owned)),
            Some(Some("x".into()))
        );
        assert!(body.finish(Some(())).is_ok());
        assert!(Fields::of(Json::Array(vec![])).is_err());
    }

    #[test]
    fn unknown_fields_are_ignored_only_leniently() {
        let read = |text: &str| {
            let mut body = fields(text);
            let flag = body.required("flag", boolean);
            (body, flag)
        };
        let (body, flag) = read(r#"{"flag": true, "imageUrl": 1}"#);
        assert!(body.finish_leniently(flag).unwrap());
        let (body, flag) = read(r#"{"flag": 1, "imageUrl": 1}"#);
        let failure = body.finish_leniently(flag).unwrap_err();
        assert_eq!(errors(&failure), ["/flag wrong_type"]);
    }

    #[test]
    fn limits_name_what_is_wrong_within_them() {
        let mut body = fields(
            r#"{"a": ["10.0.0.0/8", "10.0.0.1/8", 7], "b": {"limit": 0, "period": "0", "burst": 1},
                "c": {"limit": "5"}, "d": [], "e": {"limit": 5, "period": "1.5s"}, "f": {"limit": 5, "period": "25h"},
                "g": "100/min"}"#,
        );
        body.optional("a", networks);
        body.optional("b", rate_limit);
        body.optional("c", rate_limit);
        assert!(body.optional("d", networks).unwrap().is_empty());
        body.optional("e", rate_limit);
        body.optional("f", rate_limit);
        body.optional("g", rate_limit);
        let failure = body.finish(Some(())).unwrap_err();
        let wanted = [
            "/a/1 not_a_network",
            "/a/2 wrong_type",
            "/b/limit out_of_range",
            "/b/period out_of_range",
            "/b/burst unknown_field",
            "/c/limit wrong_type",
            "/c/period required",
            "/e/period not_a_span",
            "/f/period out_of_range",
            "/g wrong_type",
        ];
        assert_eq!(errors(&failure), wanted);
        let limit = rate_limit(&serde_json::from_str(r#"{"limit": 5, "period": "1m"}"#).unwrap());
        assert_eq!(limit.unwrap().period(), Duration::from_secs(60));
    }

    #[test]
    fn names_that_are_close_are_guessed() {
        let known = ["name", "expires_at", "contact_email"];
        assert_eq!(closest("expiresAt", &known), Some("expires_at"));
        assert_eq!(closest("expire_at", &known), Some("expires_at"));
        assert_eq!(closest("nmae", &known), None);
        assert_eq!(closest("Name", &known), Some("name"));
        assert_eq!(closest("e-mail", &known), None);
        assert_eq!(closest("colour", &known), None);
    }

    #[test]
    fn a_flood_of_errors_is_cut() {
        let keys: Vec<_> = (0..500).map(|n| format!("\"k{n}\": 1")).collect();
        let body = fields(&format!("{{{}}}", keys.join(",")));
        assert_eq!(errors(&body.finish(Some(())).unwrap_err()).len(), 100);
    }
}
