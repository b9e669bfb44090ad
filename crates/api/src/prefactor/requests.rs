//! How bodies and queries are read, and what bodies look like in the document.

use super::pfid::Pfid;
use super::wire::{AccountRef, EnvironmentRef, Sorting, TokenScope};
use crate::body::{Body, Json};
use crate::failure::Failure;
use crate::fields::{self, Fields, Read, future};
use crate::idempotency;
use crate::query::{Query, one_of};
use actix_web::HttpRequest;
use symbolon_app::TokenSort;
use symbolon_domain::limits::IDEMPOTENCY_KEY_MAX;
use symbolon_domain::{FieldCode, Refusal, Timestamp};
use utoipa::openapi::{OneOfBuilder, Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

const PAGE_SIZE: u32 = 20;
const PAGE_SIZE_MAX: u32 = 100;
/// The largest integer that every JSON reader keeps (RFC 8259 §6).
const OFFSET_MAX: u64 = (1 << 53) - 1;

/// Field names in `sorting`, and what they sort by.
const SORTS: [(&str, TokenSort); 4] = [
    ("inserted_at", TokenSort::CreatedAt),
    ("updated_at", TokenSort::UpdatedAt),
    ("expires_at", TokenSort::ExpiresAt),
    ("status", TokenSort::Status),
];

/// A token as asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewApiToken {
    pub account: Option<Pfid>,
    pub scope: Scope,
    pub expires_at: Option<Timestamp>,
    pub idempotency_key: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    Account,
    /// Without an id: the caller's own.
    Environment(Option<Pfid>),
}

impl NewApiToken {
    /// The fields stand in `details`, or beside `idempotency_key`. `is_bound` says whether the caller has an
    /// environment of its own, which is then the default.
    pub fn read(body: &Body, is_bound: bool, now: Timestamp) -> Result<Self, Failure> {
        let mut root = body.required()?;
        let idempotency_key = root.nullable("idempotency_key", key).flatten();
        let read = if root.has("details") {
            let mut details = root.enter("details");
            let read = details
                .as_mut()
                .and_then(|details| Self::read_details(details, is_bound, now));
            if let Some(details) = details {
                root.leave_leniently(details);
            }
            read
        } else {
            Self::read_details(&mut root, is_bound, now)
        };
        root.finish_leniently(read.map(|read| Self {
            idempotency_key,
            ..read
        }))
    }

    fn read_details(fields: &mut Fields, is_bound: bool, now: Timestamp) -> Option<Self> {
        let scope = fields.required("token_scope", |json| {
            let words = ["account", "environment"];
            Ok(one_of(&words)(fields::text(json)?)?)
        });
        let account = fields.nullable("account_id", pfid);
        let environment = match scope {
            Some("account") => {
                fields.nullable("environment_id", nothing_but_null);
                None
            }
            Some(_) if !is_bound => fields.required("environment_id", pfid),
            _ => fields.nullable("environment_id", pfid).flatten(),
        };
        fields.nullable("agent_id", nothing_but_null);
        fields.nullable("agent_deployment_id", nothing_but_null);
        let expires_at = fields.nullable("expires_at", future(now));
        Some(Self {
            account: account.flatten(),
            scope: match scope? {
                "account" => Scope::Account,
                _ => Scope::Environment(environment),
            },
            expires_at: expires_at.flatten(),
            idempotency_key: None,
        })
    }
}

/// The key in the body of an action, which may be left out whole.
pub fn action(body: &Body) -> Result<Option<String>, Failure> {
    let mut fields = body.optional()?;
    let key = fields.nullable("idempotency_key", key).flatten();
    fields.finish_leniently(Some(key))
}

/// The key that a request names in its body, its header, or both alike.
pub fn agreed_key(
    request: &HttpRequest,
    in_body: Option<String>,
) -> Result<Option<String>, Failure> {
    match (idempotency::key(request)?, in_body) {
        (Some(header), Some(body)) if header != body => {
            let code = FieldCode::NotAllowed { allowed: header };
            Err(Refusal::field("/idempotency_key", code).into())
        }
        (header, body) => Ok(body.or(header)),
    }
}

/// As in the header: 1 to 200 visible ASCII characters.
fn key(json: &Json) -> Read<String> {
    let text = fields::text(json)?;
    if text.is_empty() {
        return Err(FieldCode::TooShort { min: 1 }.into());
    }
    if !text.bytes().all(|c| c.is_ascii_graphic()) {
        return Err(FieldCode::IllegalCharacters.into());
    }
    if text.len() > IDEMPOTENCY_KEY_MAX {
        let max = IDEMPOTENCY_KEY_MAX;
        return Err(FieldCode::TooLong { max }.into());
    }
    Ok(text.to_owned())
}

/// Whose it is and what it names is looked at once the account at hand is known.
fn pfid(json: &Json) -> Read<Pfid> {
    Ok(reference(fields::text(json)?)?)
}

fn reference(text: &str) -> Result<Pfid, FieldCode> {
    text.parse().map_err(|_| FieldCode::NotAnId)
}

fn nothing_but_null(_: &Json) -> Read<()> {
    let allowed = "null".to_owned();
    Err(FieldCode::NotAllowed { allowed }.into())
}

/// The account in the query of a request that reads or acts on one token.
pub fn named_account(request: &HttpRequest) -> Result<Option<Pfid>, Failure> {
    let mut query = Query::of(request)?;
    let account = account_parameter(&mut query);
    query.finish_leniently()?;
    Ok(account)
}

fn account_parameter(query: &mut Query) -> Option<Pfid> {
    query.optional("account_id", reference)
}

/// A stretch of a list as asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    pub account: Option<Pfid>,
    pub sort: TokenSort,
    pub descending: bool,
    pub offset: u64,
    pub page_size: u32,
}

impl Stretch {
    pub fn read(request: &HttpRequest) -> Result<Self, Failure> {
        let mut query = Query::of(request)?;
        let account = account_parameter(&mut query);
        let newer = query.optional("sorting", |text| match text.strip_prefix('-') {
            Some(field) => Ok((sort(field)?, true)),
            None => Ok((sort(text)?, false)),
        });
        let field = query.optional("sorting[field]", sort);
        let direction = query.optional("sorting[direction]", |text| {
            Ok(one_of(&["asc", "desc"])(text)? == "desc")
        });
        let older = (field.is_some() || direction.is_some()).then(|| {
            let field = field.unwrap_or(TokenSort::CreatedAt);
            (field, direction.unwrap_or(false))
        });
        let (sort, descending) = newer.or(older).unwrap_or((TokenSort::CreatedAt, true));
        let offset = query.optional("pagination[offset]", |text| number(text, 0, OFFSET_MAX));
        let page_size = query.optional("pagination[page_size]", |text| {
            number(text, 1, PAGE_SIZE_MAX.into())
        });
        query.finish_leniently()?;
        Ok(Self {
            account,
            sort,
            descending,
            offset: offset.unwrap_or(0),
            page_size: page_size.map_or(PAGE_SIZE, |size| size as u32),
        })
    }

    /// As answers show it.
    pub fn sorting(&self) -> Sorting {
        let named = SORTS.iter().find(|(_, sort)| *sort == self.sort);
        let (field, _) = named.expect("every sort has a name");
        Sorting {
            direction: if self.descending { "desc" } else { "asc" },
            field,
        }
    }
}

fn sort(text: &str) -> Result<TokenSort, FieldCode> {
    let found = SORTS.iter().find(|(name, _)| *name == text);
    let (_, sort) = found.ok_or_else(|| FieldCode::NotAllowed {
        allowed: SORTS.map(|(name, _)| name).join(", "),
    })?;
    Ok(*sort)
}

fn number(text: &str, min: u64, max: u64) -> Result<u64, FieldCode> {
    let number = text.parse::<u64>().ok();
    number
        .filter(|number| (min..=max).contains(number))
        .ok_or(FieldCode::OutOfRange {
            min: min as i64,
            max: max as i64,
        })
}

#[derive(ToSchema)]
#[schema(as = ApiToken_DetailsForCreate)]
#[expect(dead_code, reason = "described to clients, never built")]
pub struct DetailsForCreate {
    /// Null or absent: the caller's account.
    account_id: Option<AccountRef>,
    /// Goes with the scope 'environment', and only with it.
    environment_id: Option<EnvironmentRef>,
    /// In the future; null or absent: the policy's default lifetime, else 365 days at most.
    #[schema(format = "date-time")]
    expires_at: Option<String>,
    token_scope: TokenScope,
}

#[derive(ToSchema)]
#[schema(as = ApiToken_ForCreate)]
#[expect(dead_code, reason = "described to clients, never built")]
pub struct Wrapped {
    details: DetailsForCreate,
    /// Instead of the header `Idempotency-Key`.
    #[schema(min_length = 1, max_length = 200)]
    idempotency_key: Option<String>,
}

/// The body of create: wrapped, or flat with `idempotency_key` among the other fields.
pub struct CreateBody;

impl PartialSchema for CreateBody {
    fn schema() -> RefOr<Schema> {
        let schema = OneOfBuilder::new()
            .item(Ref::from_schema_name(Wrapped::name()))
            .item(Ref::from_schema_name(DetailsForCreate::name()))
            .description(Some(
                "The fields in `details`, or flat with `idempotency_key` among them.",
            ));
        RefOr::T(Schema::OneOf(schema.build()))
    }
}

impl ToSchema for CreateBody {
    fn name() -> std::borrow::Cow<'static, str> {
        "ApiToken_CreateBody".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((Wrapped::name().into(), Wrapped::schema()));
        Wrapped::schemas(schemas);
    }
}

#[derive(ToSchema)]
#[schema(as = ApiToken_Action)]
#[expect(dead_code, reason = "described to clients, never built")]
pub struct Action {
    /// Instead of the header `Idempotency-Key`.
    #[schema(min_length = 1, max_length = 200)]
    idempotency_key: Option<String>,
}
