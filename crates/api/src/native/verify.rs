//! Asking about other people's tokens: whether this one is good, for this, now.

use super::answer::Answer;
use super::requests;
use super::wire::{Verification, verification};
use crate::body::Body;
use crate::caller::TokensVerify;
use crate::data_plane::Applicant;
use crate::failure::Failure;
use crate::fields::{self, Fields, Read};
use actix_web::http::header::{CONTENT_TYPE, HeaderValue};
use actix_web::web::Bytes;
use actix_web::{HttpResponse, post};
use serde::de::{Deserialize, Deserializer, Error as _, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::str::FromStr;
use symbolon_app::{Ask, Evidence};
use symbolon_domain::limits::RATE_LIMIT_MAX;
use symbolon_domain::scope::SCOPES_MAX;
use symbolon_domain::verdict::Presentation;
use symbolon_domain::{EnvironmentId, FieldCode, Scope};

/// The longest text that may be asked about, in characters: more than any credential has.
const TOKEN_MAX: usize = 8192;
/// The longest audience, in bytes.
pub const AUDIENCE_MAX: usize = 2000;
/// What one use may count for: no rate limit is larger.
pub const COST_MAX: u32 = RATE_LIMIT_MAX;
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Says whether a token is good: for these scopes, from this address, in this environment, for this audience.
///
/// It may be of any kind: opaque, a JWT, an access token, or a key as `keyId:secret`. What lies outside the
/// caller's reach is `unknown`, like what does not exist. Each question counts as a use. With
/// `Cache-Control: no-cache` the answer comes from the database, not from memory.
#[utoipa::path(
    tag = "verification",
    request_body = requests::Question,
    responses((status = 200, body = Verification, description = "The verdict; a refused token is 200 too.")),
    security(("bearer" = ["symbolon:tokens:verify"])),
)]
#[post("/public/tokens/verify")]
pub async fn verify_token(applicant: Applicant<TokensVerify>) -> Answer {
    let (asking, raw) = applicant.admit().await?;
    let question = match Question::quick(&raw) {
        Some(question) => question,
        None => Question::explained(&raw)?,
    };
    let ask = Ask {
        evidence: Evidence::of_text(&question.token),
        presentation_of_key: Presentation::Basic,
        scopes: &question.scopes,
        client_ip: question.client_ip,
        environment: question.environment,
        audience: question.audience.as_deref(),
        cost: question.cost,
        fresh: asking.wants_fresh(),
    };
    let verified = asking.app().verify(&asking.asker, &ask).await?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, JSON))
        .body(verification(&verified, &question.scopes)))
}

/// What is asked.
#[derive(PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Question<'a> {
    #[serde(borrow, deserialize_with = "token")]
    token: Cow<'a, str>,
    #[serde(default, deserialize_with = "scopes")]
    scopes: Vec<Scope>,
    #[serde(default, deserialize_with = "parsed")]
    client_ip: Option<IpAddr>,
    #[serde(default, deserialize_with = "parsed")]
    environment: Option<EnvironmentId>,
    #[serde(borrow, default, deserialize_with = "audience")]
    audience: Option<Cow<'a, str>>,
    #[serde(default = "once", deserialize_with = "cost")]
    cost: NonZeroU32,
}

/// Without the token.
impl fmt::Debug for Question<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Question")
            .field("scopes", &self.scopes)
            .field("client_ip", &self.client_ip)
            .field("environment", &self.environment)
            .field("audience", &self.audience)
            .field("cost", &self.cost)
            .finish_non_exhaustive()
    }
}

impl<'a> Question<'a> {
    /// Reads a body that is as it should be, without a copy. `None`: [`Question::explained`] knows more.
    fn quick(raw: &'a [u8]) -> Option<Self> {
        // A sequence of the fields' values would do otherwise.
        let is_object = raw.trim_ascii_start().first() == Some(&b'{');
        is_object
            .then(|| serde_json::from_slice(raw).ok())
            .flatten()
    }
}

impl Question<'static> {
    /// Reads the same, and tells all that is wrong.
    fn explained(raw: &[u8]) -> Result<Self, Failure> {
        let mut fields = Body::parse(Bytes::copy_from_slice(raw))?.required()?;
        let question = Self::read(&mut fields);
        fields.finish(question)
    }

    fn read(fields: &mut Fields) -> Option<Self> {
        let token = fields.required("token", |json| bounded(fields::text(json)?, TOKEN_MAX));
        let scopes = fields.optional("scopes", fields::list(SCOPES_MAX, fields::scope));
        let client_ip = fields.nullable("client_ip", fields::address).flatten();
        let environment = fields.nullable("environment", fields::id).flatten();
        let audience = fields.nullable("audience", |json| {
            let text = fields::text(json)?;
            if text.len() > AUDIENCE_MAX {
                return Err(FieldCode::TooLong { max: AUDIENCE_MAX }.into());
            }
            Ok(text.to_owned())
        });
        let cost = fields.optional("cost", |json| {
            let cost = fields::integer(json)?;
            Ok(u32::try_from(cost)
                .ok()
                .and_then(legal_cost)
                .ok_or_else(cost_range)?)
        });
        Some(Self {
            token: token?.into(),
            scopes: scopes.unwrap_or_default(),
            client_ip,
            environment,
            audience: audience.flatten().map(Cow::Owned),
            cost: cost.unwrap_or_else(once),
        })
    }
}

fn bounded(text: &str, max: usize) -> Read<String> {
    if !fits(text, max) {
        return Err(FieldCode::TooLong { max }.into());
    }
    Ok(text.to_owned())
}

/// Whether a text has at most so many characters, which are seldom counted.
fn fits(text: &str, max: usize) -> bool {
    text.len() <= max || text.chars().count() <= max
}

fn once() -> NonZeroU32 {
    NonZeroU32::MIN
}

pub fn legal_cost(cost: u32) -> Option<NonZeroU32> {
    NonZeroU32::new(cost).filter(|it| it.get() <= COST_MAX)
}

pub fn cost_range() -> FieldCode {
    FieldCode::OutOfRange {
        min: 1,
        max: COST_MAX.into(),
    }
}

/// A text as it stands in the body, unless escapes in it have to be resolved.
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrowed;
        impl<'de> Visitor<'de> for Borrowed {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Borrowed)
    }
}

fn token<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Cow<'a, str>, D::Error> {
    let text = Text::deserialize(deserializer)?.0;
    if fits(&text, TOKEN_MAX) {
        Ok(text)
    } else {
        Err(D::Error::custom("too long"))
    }
}

fn audience<'de: 'a, 'a, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Cow<'a, str>>, D::Error> {
    let text = Option::<Text<'a>>::deserialize(deserializer)?.map(|it| it.0);
    if text.as_ref().is_none_or(|text| text.len() <= AUDIENCE_MAX) {
        Ok(text)
    } else {
        Err(D::Error::custom("too long"))
    }
}

fn parsed<'de, T: FromStr, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    let text = Option::<Text<'de>>::deserialize(deserializer)?;
    let value = text.map(|text| text.0.parse());
    value
        .transpose()
        .map_err(|_| D::Error::custom("no such value"))
}

fn scopes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Scope>, D::Error> {
    struct Scopes;
    impl<'de> Visitor<'de> for Scopes {
        type Value = Vec<Scope>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("scopes")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<Scope>, A::Error> {
            let mut scopes = Vec::new();
            while let Some(Text(text)) = items.next_element()? {
                if scopes.len() == SCOPES_MAX {
                    return Err(A::Error::custom("too many"));
                }
                scopes.push(text.parse().map_err(A::Error::custom)?);
            }
            Ok(scopes)
        }
    }
    deserializer.deserialize_seq(Scopes)
}

fn cost<'de, D: Deserializer<'de>>(deserializer: D) -> Result<NonZeroU32, D::Error> {
    let cost = u32::deserialize(deserializer)?;
    legal_cost(cost).ok_or_else(|| D::Error::custom("out of range"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::native::described;
    use proptest::prelude::*;
    use symbolon_domain::FieldError;

    #[test]
    fn what_is_read_is_what_is_described() {
        described::<requests::Question>(|fields| drop(Question::read(fields)));
    }

    /// Both readers come to the same.
    fn read(text: &str) -> Result<(), String> {
        let (quick, explained) = (
            Question::quick(text.as_bytes()),
            Question::explained(text.as_bytes()),
        );
        match (quick, explained) {
            (Some(quick), Ok(explained)) => {
                assert_eq!(quick, explained, "{text}");
                Ok(())
            }
            (None, Err(failure)) => {
                let fields = failure.error.refusal().map(|it| it.fields.as_slice());
                let show =
                    |error: &FieldError| format!("{} {}", error.pointer, error.code.as_str());
                let errors: Vec<_> = fields.unwrap_or_default().iter().map(show).collect();
                Err(if errors.is_empty() {
                    failure.code().as_str().to_owned()
                } else {
                    errors.join(", ")
                })
            }
            (quick, explained) => panic!("{text}: quick {quick:?}, explained {explained:?}"),
        }
    }

    #[test]
    fn bodies_are_read_strictly() {
        let long = |n| format!(r#"{{"token": "{}"}}"#, "é".repeat(n));
        let scopes = |n: usize| {
            format!(
                r#"{{"token": "t", "scopes": [{}]}}"#,
                vec![r#""a:b""#; n].join(",")
            )
        };
        for good in [
            r#"{"token": ""}"#,
            " \n{\"token\": \"a\\u0062c\", \"scopes\": [], \"cost\": 1000000} ",
            r#"{"token": "t", "scopes": ["a:*", "\u0061"], "client_ip": null, "environment": null, "audience": null}"#,
            r#"{"token": "t", "client_ip": "2001:db8::1", "audience": "https://api.example", "cost": 1}"#,
            r#"{"\u0074oken": "t", "environment": "0198a7c2-0000-7000-8000-000000000000"}"#,
            &long(TOKEN_MAX),
            &scopes(SCOPES_MAX),
        ] {
            assert_eq!(read(good), Ok(()), "{good}");
        }
        for (bad, why) in [
            ("", "malformed_body"),
            ("{", "malformed_body"),
            (r#"{"token": "t"} x"#, "malformed_body"),
            (r#"{"token": "t", "token": "t"}"#, "malformed_body"),
            (r#"{"token": "\ud800"}"#, "malformed_body"),
            (r#"["t", [], null, null, null, 1]"#, " wrong_type"),
            ("null", " wrong_type"),
            ("{}", "/token required"),
            (r#"{"token": null}"#, "/token cannot_be_null"),
            (
                r#"{"token": 1, "scopes": "a"}"#,
                "/token wrong_type, /scopes wrong_type",
            ),
            (
                r#"{"token": "t", "scopes": null}"#,
                "/scopes cannot_be_null",
            ),
            (
                r#"{"token": "t", "scopes": ["A", 1, "a"]}"#,
                "/scopes/0 not_a_scope, /scopes/1 wrong_type",
            ),
            (
                r#"{"token": "t", "client_ip": "10.0.0.0/8"}"#,
                "/client_ip not_an_address",
            ),
            (
                r#"{"token": "t", "client_ip": "[::1]:80"}"#,
                "/client_ip not_an_address",
            ),
            (
                r#"{"token": "t", "environment": "test"}"#,
                "/environment not_an_id",
            ),
            (
                r#"{"token": "t", "audience": ["a"]}"#,
                "/audience wrong_type",
            ),
            (r#"{"token": "t", "cost": 0}"#, "/cost out_of_range"),
            (r#"{"token": "t", "cost": -1}"#, "/cost out_of_range"),
            (r#"{"token": "t", "cost": 1000001}"#, "/cost out_of_range"),
            (
                r#"{"token": "t", "cost": 4294967297}"#,
                "/cost out_of_range",
            ),
            (r#"{"token": "t", "cost": 1.0}"#, "/cost wrong_type"),
            (r#"{"token": "t", "cost": "1"}"#, "/cost wrong_type"),
            (r#"{"token": "t", "cost": null}"#, "/cost cannot_be_null"),
            (
                r#"{"token": "t", "clientIp": "::1"}"#,
                "/clientIp unknown_field",
            ),
            (&long(TOKEN_MAX + 1), "/token too_long"),
            (&scopes(SCOPES_MAX + 1), "/scopes too_many"),
        ] {
            assert_eq!(read(bad), Err(why.to_owned()), "{bad}");
        }
    }

    fn value() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("null".to_owned()),
            any::<bool>().prop_map(|it| it.to_string()),
            any::<i64>().prop_map(|it| it.to_string()),
            (0u32..3_000_000).prop_map(|it| it.to_string()),
            any::<f64>().prop_map(|it| it.to_string()),
            "[a-z]{1,4}(:[a-z*]{1,3}){0,4}".prop_map(|it| format!("\"{it}\"")),
            "[ -~é\\\\u{1f511}]{0,12}".prop_map(|it| serde_json::to_string(&it).unwrap()),
            any::<IpAddr>().prop_map(|it| format!("\"{it}\"")),
            any::<u128>().prop_map(|it| format!("\"{}\"", uuid::Uuid::from_u128(it))),
            Just(r#""\u0061:b""#.to_owned()),
        ];
        leaf.prop_recursive(2, 8, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4)
                    .prop_map(|it| format!("[{}]", it.join(", "))),
                proptest::collection::vec(inner, 0..2).prop_map(|it| {
                    let fields = it.iter().map(|it| format!("\"token\": {it}"));
                    format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
                }),
            ]
        })
    }

    /// Mostly the right fields with mostly the right values.
    fn body() -> impl Strategy<Value = String> {
        let text = || "[ -~]{0,8}".prop_map(|it| serde_json::to_string(&it).unwrap());
        let scopes = proptest::collection::vec("\"[a-z]{1,3}(:[a-z]{1,3}){0,3}\"", 0..4)
            .prop_map(|it| format!("[{}]", it.join(",")));
        let mostly = |name: &'static str, right: BoxedStrategy<String>| {
            prop_oneof![8 => right, 1 => value()].prop_map(move |it| format!("\"{name}\": {it}"))
        };
        let field = prop_oneof![
            mostly("scopes", scopes.boxed()),
            mostly(
                "client_ip",
                any::<IpAddr>().prop_map(|it| format!("\"{it}\"")).boxed()
            ),
            mostly(
                "environment",
                Just("\"0198a7c200007000800000000000000a\"".to_owned()).boxed()
            ),
            mostly("audience", text().boxed()),
            mostly("cost", (1u32..1000).prop_map(|it| it.to_string()).boxed()),
            "[a-z_]{1,6}"
                .prop_flat_map(|name| value().prop_map(move |it| format!("\"{name}\": {it}"))),
        ];
        let token = proptest::option::weighted(0.95, mostly("token", text().boxed()));
        let tail = prop_oneof![20 => Just(""), 1 => Just("}"), 1 => Just(","), 1 => Just("\t")];
        (token, proptest::collection::vec(field, 0..5), tail).prop_map(|(token, fields, tail)| {
            let fields: Vec<_> = token.into_iter().chain(fields).collect();
            format!("{{{}}}{tail}", fields.join(", "))
        })
    }

    proptest! {
        #[test]
        fn both_readers_accept_the_same(text in body()) {
            let _ = read(&text);
        }

        #[test]
        fn both_readers_refuse_the_same(text in value()) {
            let _ = read(&text);
        }
    }

    #[test]
    fn a_good_body_is_read_without_a_copy() {
        let raw = br#"{"token": "sym_abc", "audience": "https://api.example"}"#;
        let question = Question::quick(raw).unwrap();
        assert!(matches!(question.token, Cow::Borrowed(_)));
        assert!(matches!(question.audience, Some(Cow::Borrowed(_))));
    }
}
