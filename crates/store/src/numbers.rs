//! The growing numbers that stand for service accounts and credentials where a dialect wants integers.
//! A later one is always higher, and none is ever used again.

use crate::Store;
use crate::backend::{read, tx};
use crate::error::Result;
use crate::schema::numbers;
use crate::types::Uid;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use std::collections::HashMap;
use uuid::Uuid;

impl Store {
    /// The numbers of these, which have one since they were made. What a process of the release before
    /// made without is given one now.
    pub async fn numbers(&self, of: &[Uuid]) -> Result<HashMap<Uuid, i64>> {
        let mut found = HashMap::with_capacity(of.len());
        for chunk in of.chunks(500) {
            let ids: Vec<Uid> = chunk.iter().copied().map(Uid).collect();
            let rows: Vec<(Uid, i64)> = read!(self, |c| numbers::table
                .filter(numbers::id.eq_any(ids))
                .select((numbers::id, numbers::number))
                .load(c)
                .await)?;
            found.extend(rows.into_iter().map(|(id, number)| (id.0, number)));
        }
        let mut missing: Vec<Uuid> = of
            .iter()
            .copied()
            .filter(|id| !found.contains_key(id))
            .collect();
        missing.sort_unstable();
        for id in missing {
            let number: i64 = tx!(self, |c, _locked, _on_pg| {
                diesel::insert_into(numbers::table)
                    .values(numbers::id.eq(Uid(id)))
                    .on_conflict_do_nothing()
                    .execute(c)
                    .await?;
                Ok(numbers::table
                    .filter(numbers::id.eq(Uid(id)))
                    .select(numbers::number)
                    .first(c)
                    .await?)
            })?;
            found.insert(id, number);
        }
        Ok(found)
    }

    /// What this number stands for.
    pub async fn id_of_number(&self, number: i64) -> Result<Option<Uuid>> {
        let id: Option<Uid> = read!(self, |c| numbers::table
            .find(number)
            .select(numbers::id)
            .first(c)
            .await
            .optional())?;
        Ok(id.map(|id| id.0))
    }
}
