//! Why not: every refusal has a stable code; prose is made elsewhere, in the reader's language.

use serde::{Deserialize, Serialize};
use std::time::Duration;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal),* $(,)?) => {
        /// The stable machine codes of all refusals and errors.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[$doc])* $name),* }

        impl Code {
            pub const ALL: &[Self] = &[$(Self::$name),*];
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
        }
    };
}

codes! {
    /// The body is not what its syntax promises (JSON).
    MalformedBody = "malformed_body",
    /// A header, path segment or query parameter is not what it must be.
    MalformedRequest = "malformed_request",
    /// Fields of the body or query are refused; `errors` lists them all.
    ValidationFailed = "validation_failed",
    /// No live credential came with the request. Never says why.
    Unauthenticated = "unauthenticated",
    PermissionMissing = "permission_missing",
    /// The credential may not be used from this address, or in this way.
    NotAllowedHere = "not_allowed_here",
    /// A change authenticated by Basic came from a web page: browsers send Basic by themselves.
    CrossOriginBasic = "cross_origin_basic",
    /// The account demands a confirmed contact, and this service account has none.
    ContactUnconfirmed = "contact_unconfirmed",
    RateLimited = "rate_limited",
    /// The instance has more than one account, and the request names none.
    AccountRequired = "account_required",
    /// Nobody makes a credential stronger than their own.
    MintExceedsAuthority = "mint_exceeds_authority",
    /// A scope lies outside the service account's, or the account's ceiling.
    ScopeExceeded = "scope_exceeded",
    /// The result would reach beyond the asker's environment.
    ReachExceeded = "reach_exceeded",
    NotFound = "not_found",
    MethodNotAllowed = "method_not_allowed",
    PayloadTooLarge = "payload_too_large",
    UnsupportedMediaType = "unsupported_media_type",
    RequestTimeout = "request_timeout",
    AccountSuspended = "account_suspended",
    ServiceAccountSuspended = "service_account_suspended",
    ServiceAccountRevoked = "service_account_revoked",
    TokenSuspended = "token_suspended",
    TokenRevoked = "token_revoked",
    /// The thing is not in a state that this action leaves from.
    InvalidAction = "invalid_action",
    RotationInProgress = "rotation_in_progress",
    TokenLimitReached = "token_limit_reached",
    /// There is no contact to confirm, or it is confirmed already.
    NothingToConfirm = "nothing_to_confirm",
    ResendLimited = "resend_limited",
    NameTaken = "name_taken",
    UsernameTaken = "username_taken",
    /// Another token of the same owner has this description.
    DescriptionTaken = "description_taken",
    AlreadyBootstrapped = "already_bootstrapped",
    /// `If-Match` names an older version.
    VersionMismatch = "version_mismatch",
    IdempotencyInProgress = "idempotency_in_progress",
    IdempotencyKeyReused = "idempotency_key_reused",
    LinkUnknown = "link_unknown",
    LinkUsed = "link_used",
    LinkExpired = "link_expired",
    Unavailable = "unavailable",
    Internal = "internal",
}

/// A refusal: a code, the facts its prose needs, and how long to wait where waiting helps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub code: Code,
    pub args: Vec<(&'static str, String)>,
    pub fields: Vec<FieldError>,
    pub retry_after: Option<Duration>,
}

impl Refusal {
    pub fn new(code: Code) -> Self {
        Self {
            code,
            args: Vec::new(),
            fields: Vec::new(),
            retry_after: None,
        }
    }

    pub fn with<const N: usize>(code: Code, args: [(&'static str, String); N]) -> Self {
        Self {
            args: args.into(),
            ..Self::new(code)
        }
    }

    pub fn fields(fields: Vec<FieldError>) -> Self {
        Self {
            fields,
            ..Self::new(Code::ValidationFailed)
        }
    }

    pub fn field(pointer: impl Into<String>, code: FieldCode) -> Self {
        Self::fields(vec![FieldError::new(pointer, code)])
    }

    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }
}

impl From<Code> for Refusal {
    fn from(code: Code) -> Self {
        Self::new(code)
    }
}

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// JSON pointer (RFC 6901) into the body, or the query parameter's name after `?`.
    pub pointer: String,
    pub code: FieldCode,
}

impl FieldError {
    pub fn new(pointer: impl Into<String>, code: FieldCode) -> Self {
        Self {
            pointer: pointer.into(),
            code,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FieldCode {
    Required,
    Unknown,
    /// The JSON type is wrong; names the wanted one.
    WrongType {
        wanted: String,
    },
    TooShort {
        min: usize,
    },
    TooLong {
        max: usize,
    },
    TooMany {
        max: usize,
    },
    OutOfRange {
        min: i64,
        max: i64,
    },
    IllegalCharacters,
    NotAnEmail,
    NotATime,
    NotInFuture,
    NotASpan,
    NotAnId,
    /// Names something of another type than is wanted here.
    UnexpectedRefType,
    NotAScope,
    NotAPrefix,
    NotANetwork,
    NotAnAddress,
    /// One of a list.
    NotAllowed {
        allowed: String,
    },
    /// Names something that does not exist in the account.
    NotFound,
    /// The account's policy allows at most this long.
    BeyondPolicy {
        max: String,
    },
    /// Nobody is given longer than this, whatever the policy.
    BeyondLimit {
        max: String,
    },
    /// Ends before it begins.
    BeforeStart,
    CannotBeNull,
    /// The address's reader said that it is not theirs.
    Disowned,
}

impl FieldCode {
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Unknown => "unknown_field",
            Self::WrongType { .. } => "wrong_type",
            Self::TooShort { .. } => "too_short",
            Self::TooLong { .. } => "too_long",
            Self::TooMany { .. } => "too_many",
            Self::OutOfRange { .. } => "out_of_range",
            Self::IllegalCharacters => "illegal_characters",
            Self::NotAnEmail => "not_an_email",
            Self::NotATime => "not_a_time",
            Self::NotInFuture => "not_in_future",
            Self::NotASpan => "not_a_span",
            Self::NotAnId => "not_an_id",
            Self::UnexpectedRefType => "unexpected_ref_type",
            Self::NotAScope => "not_a_scope",
            Self::NotAPrefix => "not_a_prefix",
            Self::NotANetwork => "not_a_network",
            Self::NotAnAddress => "not_an_address",
            Self::NotAllowed { .. } => "not_allowed",
            Self::NotFound => "not_found",
            Self::BeyondPolicy { .. } => "beyond_policy",
            Self::BeyondLimit { .. } => "beyond_limit",
            Self::BeforeStart => "before_start",
            Self::CannotBeNull => "cannot_be_null",
            Self::Disowned => "disowned",
        }
    }

    /// The facts that the prose of this code names.
    pub fn args(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::WrongType { wanted } => vec![("wanted", wanted.clone())],
            Self::TooShort { min } => vec![("min", min.to_string())],
            Self::TooLong { max } | Self::TooMany { max } => vec![("max", max.to_string())],
            Self::OutOfRange { min, max } => {
                vec![("min", min.to_string()), ("max", max.to_string())]
            }
            Self::NotAllowed { allowed } => vec![("allowed", allowed.clone())],
            Self::BeyondPolicy { max } | Self::BeyondLimit { max } => vec![("max", max.clone())],
            _ => Vec::new(),
        }
    }
}
