//! The Prefactor door's answers as they travel, and what its ids look like. Names of schemas are the
//! contract's.

use super::pfid::Pfid;
use serde::Serialize;
use std::borrow::Cow;
use std::collections::BTreeMap;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

macro_rules! ids {
    ($($name:ident = $schema:literal, $about:literal, $example:literal;)*) => {$(
        #[derive(Debug, Clone, PartialEq, Eq, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl From<Pfid> for $name {
            fn from(pfid: Pfid) -> Self {
                Self(pfid.to_string())
            }
        }

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let schema = ObjectBuilder::new()
                    .schema_type(Type::String)
                    .description(Some($about))
                    .pattern(Some("^[0-7][0-9a-hjkmnp-tv-z]{31}$"))
                    .examples([$example]);
                schema.build().into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                $schema.into()
            }
        }
    )*};
}

ids! {
    AccountRef = "Account_Id", "A valid account ID", "013xrzp12g3nqk8ngskn1wtxgka5b0nf";
    EnvironmentRef = "Environment_Id", "A valid environment ID", "013xrzp12g3nqk8nzxvq7jm2arsfg5h1";
    AdminUserRef = "AdminUser_Id", "A valid admin user ID", "013xrzp12g3nqk8nh0qrc2b1jfanmvb9";
    ApiTokenRef = "ApiToken_Id", "A valid API token ID", "013xrzp12g3nqk8n7f8f9jbg8d18q7tm";
}

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident as $schema:ident { $($variant:ident),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(ToSchema)]
        #[schema(as = $schema, rename_all = "snake_case")]
        #[expect(dead_code, reason = "documents the words that are written")]
        pub enum $name { $($variant),* }
    )*};
}

words! {
    Success as Success { Success }
    Failed as Failed { Error }
    TypeName as ApiToken_Type { ApiToken }
    /// Whether a token has expired is a matter of time, not of status: look at `expires_at`.
    TokenStatus as ApiToken_Status { Active, Suspended, Revoked }
    /// Token scope: 'account' or 'environment'
    TokenScope as ApiToken_Scope { Account, Environment }
    SortField as ApiToken_SortField { InsertedAt, UpdatedAt, ExpiresAt, Status }
    Direction as Direction { Asc, Desc }
}

/// A token without what may be done to it, as in lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ApiToken_Summary)]
pub struct Summary {
    pub account_id: AccountRef,
    /// Null unless a user made it; tokens make tokens too.
    #[schema(required)]
    pub created_by_admin_user_id: Option<AdminUserRef>,
    /// Null: it reaches all of its account.
    #[schema(required)]
    pub environment_id: Option<EnvironmentRef>,
    /// When the token expires
    #[schema(format = "date-time", example = "2024-01-01T00:00:00Z")]
    pub expires_at: String,
    pub id: ApiTokenRef,
    /// When the token was created
    #[schema(format = "date-time", example = "2024-01-01T00:00:00Z")]
    pub inserted_at: String,
    #[schema(required, format = "date-time")]
    pub last_used_at: Option<String>,
    /// Current status of the token
    #[schema(value_type = TokenStatus, example = "active")]
    pub status: &'static str,
    /// Scope of the token
    #[schema(value_type = TokenScope, example = "account")]
    pub token_scope: &'static str,
    /// Type of resource (always 'api_token')
    #[schema(value_type = TypeName, example = "api_token")]
    pub r#type: &'static str,
    /// When the token was last updated
    #[schema(format = "date-time", example = "2024-01-01T00:00:00Z")]
    pub updated_at: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ApiToken_Details)]
pub struct Details {
    #[serde(flatten)]
    pub summary: Summary,
    pub available_actions: Actions,
}

/// Available actions for this token based on its status
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ApiToken_AvailableActions)]
pub struct Actions {
    /// Whether the token can be activated
    pub activate: bool,
    /// Whether the token can be deleted
    pub delete: bool,
    /// Whether the token can be revoked
    pub revoke: bool,
    /// Whether the token can be suspended
    pub suspend: bool,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ApiToken_Success)]
pub struct Shown {
    pub details: Details,
    #[schema(value_type = Success, example = "success")]
    pub status: &'static str,
}

impl Shown {
    pub fn new(details: Details) -> Self {
        Self {
            details,
            status: "success",
        }
    }
}

/// The one answer that holds the token's text.
#[derive(Serialize, ToSchema)]
#[schema(as = ApiToken_Created)]
pub struct Created<'a> {
    pub details: Details,
    #[schema(value_type = Success, example = "success")]
    pub status: &'static str,
    /// The JWT token string (only available on creation). Absent from a repeat that came when it was gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    pub token: Option<&'a str>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiToken_Page)]
pub struct Page {
    pub pagination: Pagination,
    pub sorting: Sorting,
    #[schema(value_type = Success, example = "success")]
    pub status: &'static str,
    pub summaries: Vec<Summary>,
}

/// Items are counted from one, offsets from zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = PaginationOutput)]
pub struct Pagination {
    /// Of all pages.
    pub item_count: u64,
    /// The last item shown; 0 where none is.
    pub item_end: u64,
    /// The first item shown; 0 where none is.
    pub item_start: u64,
    /// Null: nothing follows.
    #[schema(required)]
    pub next_page_offset: Option<u64>,
    pub page_count: u64,
    /// From 1: the page on which the offset lies.
    pub page_index: u64,
    /// The offset that was asked for.
    pub page_offset: u64,
    pub page_size: u32,
    /// Null: this is the first.
    #[schema(required)]
    pub previous_page_offset: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = SortingOutput)]
pub struct Sorting {
    #[schema(value_type = Direction)]
    pub direction: &'static str,
    #[schema(value_type = SortField)]
    pub field: &'static str,
}

/// Whose the presented token is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Ping)]
pub struct Ping {
    pub account_id: AccountRef,
    /// Null for what this door does not count as an API token: an access token.
    #[schema(required)]
    pub api_token_id: Option<ApiTokenRef>,
    #[schema(required)]
    pub environment_id: Option<EnvironmentRef>,
    #[schema(value_type = Success, example = "success")]
    pub status: &'static str,
}

/// An error: `code` is stable; `message` is for people, in the language of `Accept-Language`.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Error {
    Plain(PlainError),
    Validation(ValidationError),
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Error_Plain)]
pub struct PlainError {
    #[schema(value_type = super::error::ErrorCode, example = "bad_request")]
    pub code: &'static str,
    pub message: String,
    #[schema(value_type = Failed, example = "error")]
    pub status: &'static str,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Error_Validation)]
pub struct ValidationError {
    #[schema(value_type = super::error::ValidationCode, example = "validation_errors")]
    pub code: &'static str,
    /// By the name of the field in the request, whether it stood in `details` or beside it.
    pub errors: BTreeMap<String, FieldProblem>,
    pub message: String,
    #[schema(value_type = Failed, example = "error")]
    pub status: &'static str,
}

/// What is wrong with one field.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Error_Field)]
pub struct FieldProblem {
    #[schema(example = "required")]
    pub code: &'static str,
    pub message: String,
    #[schema(value_type = Failed, example = "error")]
    pub status: &'static str,
}
