//! Accounts, their environments, and the people who belong to them.

use super::{actor_text, bad, parse_actor, time, ts};
use crate::error::Result;
use crate::schema::{accounts, environments, members, users};
use crate::types::{Doc, Ts, Uid};
use diesel::prelude::*;
use std::time::Duration;
use symbolon_domain::token_text::TokenPrefix;
use symbolon_domain::user::{Member, Role, User};
use symbolon_domain::{
    Account, AccountId, AccountStatus, EmailAddress, Environment, EnvironmentId, Language, Name,
    Policy, ScopeSet, UserId,
};

fn micros(span: Option<Duration>) -> Option<i64> {
    span.map(|span| i64::try_from(span.as_micros()).unwrap_or(i64::MAX))
}

fn span(micros: Option<i64>) -> Option<Duration> {
    micros.map(|it| Duration::from_micros(u64::try_from(it).unwrap_or(0)))
}

#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = accounts, treat_none_as_null = true)]
#[diesel(check_for_backend(diesel::pg::Pg, diesel::sqlite::Sqlite))]
pub(crate) struct AccountRow {
    pub id: Uid,
    pub name: String,
    pub name_key: String,
    pub status: String,
    pub scope_ceiling: Option<String>,
    pub ops_addresses: Doc,
    pub token_prefix: String,
    pub default_lifetime_us: Option<i64>,
    pub max_lifetime_us: Option<i64>,
    pub require_confirmed_contact: bool,
    pub tokens_per_service_account: i32,
    pub created_at: Ts,
    pub created_by: String,
    pub updated_at: Ts,
    pub version: i64,
}

impl From<&Account> for AccountRow {
    fn from(it: &Account) -> Self {
        let addresses = it
            .ops_addresses
            .iter()
            .map(EmailAddress::as_str)
            .collect::<Vec<_>>();
        Self {
            id: Uid(it.id.0),
            name: it.name.as_str().into(),
            name_key: it.name.key(),
            status: it.status.as_str().into(),
            scope_ceiling: it.scope_ceiling.as_ref().map(ToString::to_string),
            ops_addresses: Doc(addresses.into()),
            token_prefix: it.token_prefix.as_str().into(),
            default_lifetime_us: micros(it.policy.default_lifetime),
            max_lifetime_us: micros(it.policy.max_lifetime),
            require_confirmed_contact: it.policy.require_confirmed_contact,
            tokens_per_service_account: it.policy.tokens_per_service_account,
            created_at: Ts(it.created_at),
            created_by: actor_text(it.created_by),
            updated_at: Ts(it.updated_at),
            version: it.version,
        }
    }
}

impl AccountRow {
    pub fn value(self) -> Result<Account> {
        let id = self.id;
        let bad = |column| bad("accounts", column, id);
        Ok(Account {
            id: AccountId(id.0),
            name: Name::trusted(self.name),
            status: AccountStatus::parse(&self.status).ok_or_else(|| bad("status"))?,
            scope_ceiling: self
                .scope_ceiling
                .map(|text| ScopeSet::parse(&text))
                .transpose()
                .map_err(|_| bad("scope_ceiling"))?,
            ops_addresses: serde_json::from_value(self.ops_addresses.0)
                .map_err(|_| bad("ops_addresses"))?,
            token_prefix: TokenPrefix::parse(&self.token_prefix)
                .ok_or_else(|| bad("token_prefix"))?,
            policy: Policy {
                default_lifetime: span(self.default_lifetime_us),
                max_lifetime: span(self.max_lifetime_us),
                require_confirmed_contact: self.require_confirmed_contact,
                tokens_per_service_account: self.tokens_per_service_account,
            },
            created_at: self.created_at.0,
            created_by: parse_actor(&self.created_by).ok_or_else(|| bad("created_by"))?,
            updated_at: self.updated_at.0,
            version: self.version,
        })
    }
}

#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = environments)]
#[diesel(check_for_backend(diesel::pg::Pg, diesel::sqlite::Sqlite))]
pub(crate) struct EnvironmentRow {
    pub id: Uid,
    pub account_id: Uid,
    pub name: String,
    pub name_key: String,
    pub created_at: Ts,
}

impl From<&Environment> for EnvironmentRow {
    fn from(it: &Environment) -> Self {
        Self {
            id: Uid(it.id.0),
            account_id: Uid(it.account_id.0),
            name: it.name.as_str().into(),
            name_key: it.name.key(),
            created_at: Ts(it.created_at),
        }
    }
}

impl EnvironmentRow {
    pub fn value(self) -> Environment {
        Environment {
            id: EnvironmentId(self.id.0),
            account_id: AccountId(self.account_id.0),
            name: Name::trusted(self.name),
            created_at: self.created_at.0,
        }
    }
}

#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = users, treat_none_as_null = true)]
#[diesel(check_for_backend(diesel::pg::Pg, diesel::sqlite::Sqlite))]
pub(crate) struct UserRow {
    pub id: Uid,
    pub email: String,
    pub email_key: String,
    pub password_hash: Option<String>,
    pub language: String,
    pub setup_generation: i32,
    pub setup_expires_at: Option<Ts>,
    pub created_at: Ts,
    pub updated_at: Ts,
    pub version: i64,
}

impl From<&User> for UserRow {
    fn from(it: &User) -> Self {
        Self {
            id: Uid(it.id.0),
            email: it.email.as_str().into(),
            email_key: it.email.key(),
            password_hash: it.password_hash.clone(),
            language: it.language.as_str().into(),
            setup_generation: it.setup_generation,
            setup_expires_at: ts(it.setup_expires_at),
            created_at: Ts(it.created_at),
            updated_at: Ts(it.updated_at),
            version: it.version,
        }
    }
}

impl UserRow {
    pub fn value(self) -> Result<User> {
        Ok(User {
            id: UserId(self.id.0),
            email: EmailAddress::trusted(self.email),
            password_hash: self.password_hash,
            language: Language::parse(&self.language)
                .ok_or_else(|| bad("users", "language", self.id))?,
            setup_generation: self.setup_generation,
            setup_expires_at: time(self.setup_expires_at),
            created_at: self.created_at.0,
            updated_at: self.updated_at.0,
            version: self.version,
        })
    }
}

#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = members)]
#[diesel(check_for_backend(diesel::pg::Pg, diesel::sqlite::Sqlite))]
pub(crate) struct MemberRow {
    pub account_id: Uid,
    pub user_id: Uid,
    pub role: String,
}

impl From<&Member> for MemberRow {
    fn from(it: &Member) -> Self {
        Self {
            account_id: Uid(it.account_id.0),
            user_id: Uid(it.user_id.0),
            role: it.role.as_str().into(),
        }
    }
}

impl MemberRow {
    pub fn value(self) -> Result<Member> {
        Ok(Member {
            account_id: AccountId(self.account_id.0),
            user_id: UserId(self.user_id.0),
            role: Role::parse(&self.role).ok_or_else(|| bad("members", "role", self.user_id))?,
        })
    }
}
