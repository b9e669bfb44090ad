//! The tenant, its policy, and its subdivisions.

use crate::authority::ActorRef;
use crate::change::{Asking, Changes};
use crate::dice::Dice;
use crate::event::{Event, EventKind};
use crate::id::{AccountId, EnvironmentId};
use crate::label::{EmailAddress, Name};
use crate::limits;
use crate::refusal::{FieldCode, FieldError, Refusal};
use crate::scope::{Permission, ScopeSet};
use crate::time::{Timestamp, format_span};
use crate::token_text::TokenPrefix;
use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountStatus {
    Active,
    Suspended,
}

impl AccountStatus {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Active, Self::Suspended]
            .into_iter()
            .find(|status| status.as_str() == text)
    }
}

/// What an account demands of its credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The life of a token whose request names no end.
    pub default_lifetime: Option<Duration>,
    /// The longest life. Refused when exceeded, never clamped; also applied at verify to older tokens.
    pub max_lifetime: Option<Duration>,
    /// Tokens of a service account work only once a contact was ever confirmed.
    pub require_confirmed_contact: bool,
    pub tokens_per_service_account: i32,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            default_lifetime: None,
            max_lifetime: None,
            require_confirmed_contact: false,
            tokens_per_service_account: limits::TOKENS_PER_SERVICE_ACCOUNT,
        }
    }
}

/// What a request says about a token's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ExpiryRequest {
    /// Null or absent: the policy's default, else (at a rotation) the old lifetime again, else none.
    #[default]
    Default,
    At(Timestamp),
    /// Null or absent where every token ends: the policy's default, else after this long, or after the
    /// policy's maximum where that is shorter.
    DefaultOr(Duration),
}

impl Policy {
    /// The end of a token made now, or why not. With a maximum but no default, the maximum is the default.
    pub fn expiry(
        &self,
        request: ExpiryRequest,
        start: Timestamp,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, FieldError> {
        let error = |code| FieldError::new("/expires_at", code);
        let end = match (request, self.default_lifetime) {
            (ExpiryRequest::At(end), _) => end,
            (_, Some(life)) => start.max(now).plus(life),
            (ExpiryRequest::Default, None) => {
                return Ok(self.max_lifetime.map(|max| now.plus(max)));
            }
            (ExpiryRequest::DefaultOr(life), None) => {
                let end = start.max(now).plus(life);
                self.max_lifetime.map_or(end, |max| end.min(now.plus(max)))
            }
        };
        if end <= now {
            return Err(error(FieldCode::NotInFuture));
        }
        if end <= start {
            return Err(error(FieldCode::BeforeStart));
        }
        match self.max_lifetime {
            Some(max) if end > now.plus(max) => Err(error(FieldCode::BeyondPolicy {
                max: format_span(max),
            })),
            _ => Ok(Some(end)),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub id: AccountId,
    pub name: Name,
    pub status: AccountStatus,
    /// The application scopes that service accounts may have; `None` is all.
    pub scope_ceiling: Option<ScopeSet>,
    /// Who is told where a service account names no contact.
    pub ops_addresses: Vec<EmailAddress>,
    pub token_prefix: TokenPrefix,
    pub policy: Policy,
    pub created_at: Timestamp,
    pub created_by: ActorRef,
    pub updated_at: Timestamp,
    /// Grows with each change; what `ETag` shows.
    pub version: i64,
}

/// A subdivision of an account, for reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    pub id: EnvironmentId,
    pub account_id: AccountId,
    pub name: Name,
    pub created_at: Timestamp,
}

/// What an account is made of, or changed to; `None` leaves as it is.
#[derive(Debug, Clone, Default)]
pub struct AccountPatch {
    pub name: Option<Name>,
    pub status: Option<AccountStatus>,
    pub scope_ceiling: Option<Option<ScopeSet>>,
    pub ops_addresses: Option<Vec<EmailAddress>>,
    pub token_prefix: Option<TokenPrefix>,
    pub default_lifetime: Option<Option<Duration>>,
    pub max_lifetime: Option<Option<Duration>>,
    pub require_confirmed_contact: Option<bool>,
    pub tokens_per_service_account: Option<i32>,
}

pub fn create(
    asking: &Asking<'_>,
    name: Name,
    patch: AccountPatch,
    dice: &mut dyn Dice,
) -> Result<(Account, Changes), Refusal> {
    asking.authority.demand(Permission::Instance)?;
    let mut account = Account {
        id: AccountId::new(asking.now, dice),
        name,
        status: AccountStatus::Active,
        scope_ceiling: None,
        ops_addresses: Vec::new(),
        token_prefix: TokenPrefix::default(),
        policy: Policy::default(),
        created_at: asking.now,
        created_by: asking.by,
        updated_at: asking.now,
        version: 1,
    };
    apply(&mut account, patch)?;
    let mut changes = Changes::default();
    changes.events.push(Event::new(
        asking,
        EventKind::AccountCreated,
        account.id,
        dice,
    ));
    // Whoever answered for the only account there was has to hear of this one.
    changes.mark_account(&account);
    changes.new_accounts.push(account.clone());
    Ok((account, changes))
}

/// An operator may change everything; an account's admin everything but its status and its ceiling.
pub fn update(
    account: &Account,
    asking: &Asking<'_>,
    patch: AccountPatch,
    dice: &mut dyn Dice,
) -> Result<(Account, Changes), Refusal> {
    asking.authority.demand(Permission::Admin)?;
    if patch.status.is_some() || patch.scope_ceiling.is_some() {
        asking.authority.demand(Permission::Instance)?;
    }
    let mut next = account.clone();
    apply(&mut next, patch)?;
    let mut changes = Changes::default();
    if next == *account {
        return Ok((next, changes));
    }
    next.updated_at = asking.now;
    next.version += 1;
    let kind = match (account.status, next.status) {
        (AccountStatus::Active, AccountStatus::Suspended) => EventKind::AccountSuspended,
        (AccountStatus::Suspended, AccountStatus::Active) => EventKind::AccountActivated,
        _ => EventKind::AccountUpdated,
    };
    changes
        .events
        .push(Event::new(asking, kind, account.id, dice));
    changes.mark_account(&next);
    changes.put_accounts.push(next.clone());
    Ok((next, changes))
}

fn apply(account: &mut Account, patch: AccountPatch) -> Result<(), Refusal> {
    macro_rules! set {
        ($($from:ident => $($to:ident).+),* $(,)?) => {$( if let Some(value) = patch.$from { account.$($to).+ = value; } )*};
    }
    set! {
        name => name, status => status, scope_ceiling => scope_ceiling, ops_addresses => ops_addresses, token_prefix => token_prefix,
        default_lifetime => policy.default_lifetime, max_lifetime => policy.max_lifetime,
        require_confirmed_contact => policy.require_confirmed_contact, tokens_per_service_account => policy.tokens_per_service_account,
    }
    let policy = &account.policy;
    let mut errors = Vec::new();
    if !(1..=limits::TOKENS_PER_SERVICE_ACCOUNT_MAX).contains(&policy.tokens_per_service_account) {
        errors.push(FieldError::new(
            "/policy/tokens_per_service_account",
            FieldCode::OutOfRange {
                min: 1,
                max: i64::from(limits::TOKENS_PER_SERVICE_ACCOUNT_MAX),
            },
        ));
    }
    for (pointer, life) in [
        ("/policy/default_lifetime", policy.default_lifetime),
        ("/policy/max_lifetime", policy.max_lifetime),
    ] {
        if life.is_some_and(|life| life.is_zero()) {
            errors.push(FieldError::new(pointer, FieldCode::NotASpan));
        }
    }
    if let (Some(default), Some(max)) = (policy.default_lifetime, policy.max_lifetime)
        && default > max
    {
        errors.push(FieldError::new(
            "/policy/default_lifetime",
            FieldCode::BeyondPolicy {
                max: format_span(max),
            },
        ));
    }
    if account.ops_addresses.len() > limits::OPS_ADDRESSES_MAX {
        errors.push(FieldError::new(
            "/ops_addresses",
            FieldCode::TooMany {
                max: limits::OPS_ADDRESSES_MAX,
            },
        ));
    }
    if account
        .scope_ceiling
        .as_ref()
        .is_some_and(|ceiling| ceiling.management().next().is_some())
    {
        errors.push(FieldError::new(
            "/scope_ceiling",
            FieldCode::NotAllowed {
                allowed: "application scopes".into(),
            },
        ));
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Refusal::fields(errors))
    }
}

pub fn create_environment(
    account: &Account,
    asking: &Asking<'_>,
    name: Name,
    dice: &mut dyn Dice,
) -> Result<(Environment, Changes), Refusal> {
    asking.authority.demand(Permission::Admin)?;
    let environment = Environment {
        id: EnvironmentId::new(asking.now, dice),
        account_id: account.id,
        name,
        created_at: asking.now,
    };
    let mut changes = Changes::default();
    changes.events.push(
        Event::new(asking, EventKind::EnvironmentCreated, account.id, dice)
            .about_environment(environment.id),
    );
    changes.new_environments.push(environment.clone());
    Ok((environment, changes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_every_token_ends_the_default_comes_first_and_the_maximum_is_kept() {
        const DAY: Duration = Duration::from_secs(86_400);
        let now = Timestamp::from_micros(0);
        let life = |default: Option<u32>, max: Option<u32>| {
            let policy = Policy {
                default_lifetime: default.map(|days| days * DAY),
                max_lifetime: max.map(|days| days * DAY),
                ..Policy::default()
            };
            let end = policy.expiry(ExpiryRequest::DefaultOr(365 * DAY), now, now);
            end.unwrap().map(|end| end.since(now))
        };
        assert_eq!(life(None, None), Some(365 * DAY));
        assert_eq!(life(Some(30), None), Some(30 * DAY));
        assert_eq!(life(Some(30), Some(90)), Some(30 * DAY));
        assert_eq!(life(None, Some(90)), Some(90 * DAY));
        assert_eq!(life(None, Some(1000)), Some(365 * DAY));
    }
}
