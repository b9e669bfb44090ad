//! The feed: what became less allowed, or more, in the order in which it became visible.

use crate::Store;
use crate::backend::read;
use crate::error::Result;
use crate::schema::feed;
use crate::types::Uid;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use symbolon_domain::change::{FeedKind, FeedMark};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeedRow {
    pub seq: i64,
    /// `None` for a kind that this release does not know.
    pub mark: Option<FeedMark>,
}

type Columns = (i64, String, Uid, i64);

fn of_row((seq, kind, id, version): Columns) -> FeedRow {
    FeedRow {
        seq,
        mark: FeedKind::parse(&kind).map(|kind| FeedMark {
            kind,
            id: id.0,
            version,
        }),
    }
}

impl Store {
    /// The rows from this position on, itself included, oldest first.
    pub async fn feed_from(&self, seq: i64, limit: i64) -> Result<Vec<FeedRow>> {
        let rows: Vec<Columns> = read!(vital self, |c| feed::table
            .filter(feed::seq.ge(seq))
            .order(feed::seq)
            .limit(limit)
            .select((feed::seq, feed::kind, feed::id, feed::version))
            .load(c)
            .await)?;
        Ok(rows.into_iter().map(of_row).collect())
    }

    /// The newest row, which the purge never deletes; `None` where nothing was ever written.
    pub async fn feed_end(&self) -> Result<Option<FeedRow>> {
        let row: Option<Columns> = read!(vital self, |c| feed::table
            .order(feed::seq.desc())
            .select((feed::seq, feed::kind, feed::id, feed::version))
            .first(c)
            .await
            .optional())?;
        Ok(row.map(of_row))
    }
}
