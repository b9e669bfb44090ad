//! The feed: what became less allowed, or more, in the order in which it became visible.

use crate::Store;
use crate::backend::read;
use crate::error::{Error, Result};
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

impl Store {
    /// The rows after a position, oldest first.
    pub async fn feed_after(&self, seq: i64, limit: i64) -> Result<Vec<FeedRow>> {
        let rows: Vec<(i64, String, Uid, i64)> = read!(self, |c| feed::table
            .filter(feed::seq.gt(seq))
            .order(feed::seq)
            .limit(limit)
            .select((feed::seq, feed::kind, feed::id, feed::version))
            .load(c)
            .await)?;
        let of_row = |(seq, kind, id, version): (i64, String, Uid, i64)| FeedRow {
            seq,
            mark: FeedKind::parse(&kind).map(|kind| FeedMark {
                kind,
                id: id.0,
                version,
            }),
        };
        Ok(rows.into_iter().map(of_row).collect())
    }

    /// The oldest and the newest position kept; `None` while the feed is empty.
    pub async fn feed_bounds(&self) -> Result<Option<(i64, i64)>> {
        use diesel::dsl::{max, min};
        let (first, last): (Option<i64>, Option<i64>) = read!(self, |c| feed::table
            .select((min(feed::seq), max(feed::seq)))
            .first(c)
            .await)
        .map_err(Error::from)?;
        Ok(first.zip(last))
    }
}
