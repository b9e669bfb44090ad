//! Finding and listing accounts, environments, users and confirmations.

use crate::backend::read;
use crate::error::Result;
use crate::rows::{AccountRow, ConfirmationRow, EnvironmentRow, MemberRow, UserRow};
use crate::schema::*;
use crate::service_accounts::contains_pattern;
use crate::types::Uid;
use crate::{Page, Store};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use symbolon_domain::user::{Member, User};
use symbolon_domain::{
    Account, AccountId, Confirmation, ConfirmationId, Environment, EnvironmentId, UserId,
};

/// Which accounts to list.
#[derive(Debug, Clone, Default)]
pub struct AccountQuery {
    pub q: Option<String>,
}

impl Store {
    pub async fn find_account(&self, id: AccountId) -> Result<Option<Account>> {
        let row: Option<AccountRow> = read!(self, |c| accounts::table
            .find(Uid(id.0))
            .select(AccountRow::as_select())
            .first(c)
            .await
            .optional())?;
        row.map(AccountRow::value).transpose()
    }

    /// Newest first, strictly older than the page's start.
    pub async fn list_accounts(&self, query: &AccountQuery, page: Page) -> Result<Vec<Account>> {
        let rows: Vec<AccountRow> = read!(self, |c| {
            let mut select = accounts::table
                .select(AccountRow::as_select())
                .order(accounts::id.desc())
                .limit(page.limit)
                .into_boxed();
            if let Some(q) = &query.q {
                select = select.filter(accounts::name_key.like(contains_pattern(q)).escape('\\'));
            }
            if let Some(after) = page.after {
                select = select.filter(accounts::id.lt(Uid(after)));
            }
            select.load(c).await
        })?;
        rows.into_iter().map(AccountRow::value).collect()
    }

    pub async fn find_environment(
        &self,
        account: AccountId,
        id: EnvironmentId,
    ) -> Result<Option<Environment>> {
        let row: Option<EnvironmentRow> = read!(self, |c| environments::table
            .find(Uid(id.0))
            .filter(environments::account_id.eq(Uid(account.0)))
            .select(EnvironmentRow::as_select())
            .first(c)
            .await
            .optional())?;
        Ok(row.map(EnvironmentRow::value))
    }

    /// Newest first, strictly older than the page's start.
    pub async fn list_environments(
        &self,
        account: AccountId,
        page: Page,
    ) -> Result<Vec<Environment>> {
        let rows: Vec<EnvironmentRow> = read!(self, |c| {
            let mut select = environments::table
                .filter(environments::account_id.eq(Uid(account.0)))
                .select(EnvironmentRow::as_select())
                .order(environments::id.desc())
                .limit(page.limit)
                .into_boxed();
            if let Some(after) = page.after {
                select = select.filter(environments::id.lt(Uid(after)));
            }
            select.load(c).await
        })?;
        Ok(rows.into_iter().map(EnvironmentRow::value).collect())
    }

    pub async fn find_user(&self, id: UserId) -> Result<Option<User>> {
        let row: Option<UserRow> = read!(self, |c| users::table
            .find(Uid(id.0))
            .select(UserRow::as_select())
            .first(c)
            .await
            .optional())?;
        row.map(UserRow::value).transpose()
    }

    pub async fn list_members(&self, account: AccountId) -> Result<Vec<Member>> {
        let rows: Vec<MemberRow> = read!(self, |c| members::table
            .filter(members::account_id.eq(Uid(account.0)))
            .order(members::user_id)
            .select(MemberRow::as_select())
            .load(c)
            .await)?;
        rows.into_iter().map(MemberRow::value).collect()
    }

    pub async fn find_confirmation(&self, id: ConfirmationId) -> Result<Option<Confirmation>> {
        let row: Option<ConfirmationRow> = read!(self, |c| confirmations::table
            .find(Uid(id.0))
            .select(ConfirmationRow::as_select())
            .first(c)
            .await
            .optional())?;
        row.map(ConfirmationRow::value).transpose()
    }
}

impl Store {
    /// The only account of the instance; `None` where there are several, or none.
    pub async fn sole_account(&self) -> Result<Option<AccountId>> {
        let ids: Vec<Uid> = read!(self, |c| accounts::table
            .select(accounts::id)
            .limit(2)
            .load(c)
            .await)?;
        match ids[..] {
            [one] => Ok(Some(AccountId(one.0))),
            _ => Ok(None),
        }
    }
}
