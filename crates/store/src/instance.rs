//! The instance's own facts: the check values of the key file, and whether it was set up.

use crate::Store;
use crate::backend::{read, tx};
use crate::error::Result;
use crate::schema::*;
use crate::types::{Ts, Uid};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use symbolon_domain::Timestamp;
use symbolon_domain::change::Instance;

impl Store {
    /// The check value of each version of the key file that this database was written with.
    pub async fn key_checks(&self) -> Result<Vec<(i32, Vec<u8>)>> {
        Ok(read!(self, |c| key_checks::table
            .order(key_checks::version)
            .select((key_checks::version, key_checks::check_value))
            .load::<(i32, Vec<u8>)>(c)
            .await)?)
    }

    /// Records check values; those that are there already stay as they are.
    pub async fn add_key_checks(&self, checks: &[(i32, Vec<u8>)], now: Timestamp) -> Result<()> {
        tx!(self, |c, _locked, _on_pg| {
            for (version, check_value) in checks {
                diesel::insert_into(key_checks::table)
                    .values((
                        key_checks::version.eq(version),
                        key_checks::check_value.eq(check_value),
                        key_checks::created_at.eq(Ts(now)),
                    ))
                    .on_conflict_do_nothing()
                    .execute(c)
                    .await?;
            }
            Ok(())
        })
    }

    pub async fn instance(&self) -> Result<Instance> {
        let (at, account, credential) = read!(self, |c| instance::table
            .find(1)
            .select((
                instance::bootstrapped_at,
                instance::automatic_account,
                instance::automatic_credential
            ))
            .first::<(Option<Ts>, Option<Uid>, Option<Uid>)>(c)
            .await)?;
        Ok(Instance {
            bootstrapped_at: at.map(|at| at.0),
            automatic_account: account.map(|id| symbolon_domain::AccountId(id.0)),
            automatic_credential: credential.map(|id| symbolon_domain::CredentialId(id.0)),
            in_use: false,
        })
    }
}
