//! Finding and listing service accounts.

use crate::backend::read;
use crate::error::Result;
use crate::rows::ServiceAccountRow;
use crate::schema::service_accounts;
use crate::types::Uid;
use crate::{Page, Store};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use symbolon_domain::label::fold;
use symbolon_domain::{AccountId, EnvironmentId, ServiceAccount, ServiceAccountId};

/// Which service accounts to list.
#[derive(Debug, Clone, Default)]
pub struct ServiceAccountQuery {
    pub include_revoked: bool,
    /// Part of the name, case ignored.
    pub q: Option<String>,
    pub status: Option<&'static str>,
    pub environment: Option<EnvironmentId>,
}

/// A `LIKE` pattern for names that contain `q`, whatever characters it holds.
pub(crate) fn contains_pattern(q: &str) -> String {
    let mut pattern = String::from("%");
    for c in fold(q).chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

impl Store {
    pub async fn find_service_account(
        &self,
        account: AccountId,
        id: ServiceAccountId,
    ) -> Result<Option<ServiceAccount>> {
        let row: Option<ServiceAccountRow> = read!(self, |c| service_accounts::table
            .find(Uid(id.0))
            .filter(service_accounts::account_id.eq(Uid(account.0)))
            .select(ServiceAccountRow::as_select())
            .first(c)
            .await
            .optional())?;
        row.map(ServiceAccountRow::value).transpose()
    }

    /// Newest first, strictly older than the page's start.
    pub async fn list_service_accounts(
        &self,
        account: AccountId,
        query: &ServiceAccountQuery,
        page: Page,
    ) -> Result<Vec<ServiceAccount>> {
        let rows: Vec<ServiceAccountRow> = read!(self, |c| {
            let mut select = service_accounts::table
                .filter(service_accounts::account_id.eq(Uid(account.0)))
                .select(ServiceAccountRow::as_select())
                .order(service_accounts::id.desc())
                .limit(page.limit)
                .into_boxed();
            if let Some(status) = query.status {
                select = select.filter(service_accounts::status.eq(status));
            } else if !query.include_revoked {
                select = select.filter(service_accounts::status.ne("revoked"));
            }
            if let Some(id) = query.environment {
                select = select.filter(service_accounts::environment_id.eq(Uid(id.0)));
            }
            if let Some(q) = &query.q {
                select = select.filter(
                    service_accounts::name_key
                        .like(contains_pattern(q))
                        .escape('\\'),
                );
            }
            if let Some(after) = page.after {
                select = select.filter(service_accounts::id.lt(Uid(after)));
            }
            select.load(c).await
        })?;
        rows.into_iter().map(ServiceAccountRow::value).collect()
    }
}
