//! `symbolon notices`: the ledger of mails, without their addresses.

use serde_json::json;
use symbolon_domain::ServiceAccountId;

use super::table;
use crate::assemble;
use crate::cli::{Limit, Output};
use crate::config::Settings;

pub async fn run(
    settings: &Settings,
    of: Option<ServiceAccountId>,
    limit: &Limit,
    output: &Output,
) -> Result<(), Box<dyn std::error::Error>> {
    let rows = assemble::existing_store(settings)
        .await?
        .list_notices(of, i64::from(limit.limit))
        .await?;
    if output.json {
        let list: Vec<_> = rows
            .iter()
            .map(|it| {
                json!({
                    "id": it.id, "kind": it.kind, "state": it.state.as_str(), "service_account_id": it.service_account_id,
                    "message_id": it.message_id, "detail": it.detail, "created_at": it.created_at,
                    "updated_at": it.updated_at, "accepted_at": it.accepted_at,
                })
            })
            .collect();
        table::print_json(&list.into());
        return Ok(());
    }
    let of_row = |it: &symbolon_store::NoticeRow| {
        vec![
            it.created_at.to_string(),
            it.kind.clone(),
            it.state.as_str().to_owned(),
            it.service_account_id
                .map(|id| id.to_string())
                .unwrap_or_default(),
            it.detail.clone().unwrap_or_default(),
        ]
    };
    let rows: Vec<_> = rows.iter().map(of_row).collect();
    table::print(
        &["created", "kind", "state", "service account", "detail"],
        &rows,
    );
    Ok(())
}
