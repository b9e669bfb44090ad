//! The ledger of mails: what was sent to whom, and what the mail server said.

use crate::Store;
use crate::backend::{read, tx};
use crate::error::Result;
use crate::schema::{confirmations, notices};
use crate::types::{Ts, Uid};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use symbolon_domain::{AccountId, ConfirmationId, NoticeId, ServiceAccountId, Timestamp};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoticeState {
    Queued,
    /// A mail server took it.
    Accepted,
    /// To be tried again.
    Deferred,
    /// The address does not exist, says its server.
    Undeliverable,
    /// Refused for our own fault.
    Failed,
    /// Not sent, for the recorded reason.
    Skipped,
}

impl NoticeState {
    pub const ALL: [Self; 6] = [
        Self::Queued,
        Self::Accepted,
        Self::Deferred,
        Self::Undeliverable,
        Self::Failed,
        Self::Skipped,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Accepted => "accepted",
            Self::Deferred => "deferred",
            Self::Undeliverable => "undeliverable",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// A mail about to be sent.
#[derive(Debug, Clone)]
pub struct NewNotice {
    pub id: NoticeId,
    pub account_id: AccountId,
    pub service_account_id: ServiceAccountId,
    pub confirmation_id: ConfirmationId,
    pub kind: &'static str,
    /// One mail of its kind has one entry, however often it is tried.
    pub dedupe_key: String,
    pub recipient: String,
    /// Tells addresses apart after they were erased, and without keeping them.
    pub recipient_hash: Vec<u8>,
    pub message_id: String,
}

#[derive(Debug, Clone)]
pub struct NoticeRow {
    pub id: NoticeId,
    pub service_account_id: Option<ServiceAccountId>,
    pub confirmation_id: Option<ConfirmationId>,
    pub kind: String,
    pub message_id: String,
    pub state: NoticeState,
    pub detail: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub accepted_at: Option<Timestamp>,
}

/// Whether a mail may be sent now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reserved {
    /// Send it, under this entry and Message-ID.
    Send { id: NoticeId, message_id: String },
    /// It is settled already.
    Settled(NoticeState),
    /// The recipient has had enough for now.
    Later(Timestamp),
}

#[derive(Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = notices)]
#[diesel(check_for_backend(diesel::pg::Pg, diesel::sqlite::Sqlite))]
struct Row {
    id: Uid,
    account_id: Uid,
    service_account_id: Option<Uid>,
    confirmation_id: Option<Uid>,
    kind: String,
    dedupe_key: String,
    recipient: Option<String>,
    recipient_hash: Vec<u8>,
    message_id: String,
    state: String,
    detail: Option<String>,
    created_at: Ts,
    updated_at: Ts,
    accepted_at: Option<Ts>,
}

impl Row {
    fn value(self) -> Result<NoticeRow> {
        let state = NoticeState::parse(&self.state).ok_or_else(|| {
            crate::Error::Broken(format!("notices.state of {} does not parse", self.id.0))
        })?;
        Ok(NoticeRow {
            id: NoticeId(self.id.0),
            service_account_id: self.service_account_id.map(|id| ServiceAccountId(id.0)),
            confirmation_id: self.confirmation_id.map(|id| ConfirmationId(id.0)),
            kind: self.kind,
            message_id: self.message_id,
            state,
            detail: self.detail,
            created_at: self.created_at.0,
            updated_at: self.updated_at.0,
            accepted_at: self.accepted_at.map(|at| at.0),
        })
    }
}

impl Store {
    /// Enters a mail into the ledger before it is sent, at most `limit` unconfirmed ones to one recipient
    /// within `window` (superseded ones too, else revoking would make room; counted by the recipient's hash, under a lock, so that two workers cannot both be the last).
    pub async fn reserve_notice(
        &self,
        new: NewNotice,
        limit: i64,
        window: std::time::Duration,
        now: Timestamp,
    ) -> Result<Reserved> {
        let lock = i64::from_be_bytes(std::array::from_fn(|at| {
            new.recipient_hash.get(at).copied().unwrap_or(0)
        }));
        tx!(self, |c, _locked, on_pg| {
            on_pg!(
                diesel::sql_query("SELECT pg_advisory_xact_lock($1)")
                    .bind::<diesel::sql_types::BigInt, _>(lock)
                    .execute(c)
                    .await?
            );
            let _ = lock;
            let known: Option<Row> = notices::table
                .filter(notices::dedupe_key.eq(&new.dedupe_key))
                .select(Row::as_select())
                .first(c)
                .await
                .optional()?;
            if let Some(known) = known {
                let message_id = known.message_id.clone();
                let known = known.value()?;
                return Ok(match known.state {
                    NoticeState::Queued | NoticeState::Deferred | NoticeState::Failed => {
                        Reserved::Send {
                            id: known.id,
                            message_id,
                        }
                    }
                    settled => Reserved::Settled(settled),
                });
            }
            let recent: Vec<Ts> = notices::table
                .filter(notices::recipient_hash.eq(&new.recipient_hash))
                .filter(notices::created_at.gt(Ts(now.minus(window))))
                .filter(
                    notices::confirmation_id.eq_any(
                        confirmations::table
                            .filter(confirmations::state.ne("confirmed"))
                            .select(confirmations::id.nullable()),
                    ),
                )
                .order(notices::created_at.desc())
                .limit(limit)
                .select(notices::created_at)
                .load(c)
                .await?;
            if i64::try_from(recent.len()).unwrap_or(i64::MAX) >= limit {
                let oldest = recent.last().map_or(now, |at| at.0);
                return Ok(Reserved::Later(oldest.plus(window)));
            }
            let reserved = Reserved::Send {
                id: new.id,
                message_id: new.message_id.clone(),
            };
            diesel::insert_into(notices::table)
                .values(Row {
                    id: Uid(new.id.0),
                    account_id: Uid(new.account_id.0),
                    service_account_id: Some(Uid(new.service_account_id.0)),
                    confirmation_id: Some(Uid(new.confirmation_id.0)),
                    kind: new.kind.into(),
                    dedupe_key: new.dedupe_key.clone(),
                    recipient: Some(new.recipient.clone()),
                    recipient_hash: new.recipient_hash.clone(),
                    message_id: new.message_id.clone(),
                    state: NoticeState::Queued.as_str().into(),
                    detail: None,
                    created_at: Ts(now),
                    updated_at: Ts(now),
                    accepted_at: None,
                })
                .execute(c)
                .await?;
            Ok(reserved)
        })
    }

    /// Writes what became of a mail. What was accepted stays accepted.
    pub async fn settle_notice(
        &self,
        id: NoticeId,
        state: NoticeState,
        detail: &str,
        now: Timestamp,
    ) -> Result<()> {
        let accepted_at = (state == NoticeState::Accepted).then_some(Ts(now));
        tx!(self, |c, _locked, _on_pg| {
            diesel::update(
                notices::table
                    .find(Uid(id.0))
                    .filter(notices::state.ne("accepted")),
            )
            .set((
                notices::state.eq(state.as_str()),
                notices::detail.eq(detail),
                notices::updated_at.eq(Ts(now)),
                notices::accepted_at.eq(accepted_at),
            ))
            .execute(c)
            .await?;
            Ok(())
        })
    }

    pub async fn find_notice(&self, id: NoticeId) -> Result<Option<NoticeRow>> {
        let row: Option<Row> = read!(self, |c| notices::table
            .find(Uid(id.0))
            .select(Row::as_select())
            .first(c)
            .await
            .optional())?;
        row.map(Row::value).transpose()
    }

    /// Newest first.
    pub async fn list_notices(
        &self,
        of: Option<ServiceAccountId>,
        limit: i64,
    ) -> Result<Vec<NoticeRow>> {
        let rows: Vec<Row> = read!(self, |c| {
            let mut select = notices::table
                .select(Row::as_select())
                .order(notices::id.desc())
                .limit(limit)
                .into_boxed();
            if let Some(id) = of {
                select = select.filter(notices::service_account_id.eq(Uid(id.0)));
            }
            select.load(c).await
        })?;
        rows.into_iter().map(Row::value).collect()
    }
}
