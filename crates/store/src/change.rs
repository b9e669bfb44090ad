//! A change is one transaction: lock one aggregate, load a plain view, let a pure decision decide, write
//! what it wants with its events, jobs and feed rows, commit.

use crate::Store;
use crate::backend::tx;
use crate::error::{Error, Result, is_lock_timeout};
use crate::gate::Gates;
use crate::idempotency::{Claim, ClaimRow, Save, Saved};
use crate::rows::*;
use crate::schema::*;
use crate::signals::Signal;
use crate::signing_keys::SigningKeyRow;
use crate::types::{Doc, Ts, Uid};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use diesel_async::RunQueryDsl;
use symbolon_domain::change::{Changes, Instance, Target, View};
use symbolon_domain::{Credential, Refusal, Timestamp};

/// Serialises the feed: held from the feed row to the commit, so that the order of positions is the order
/// in which they become visible.
pub(crate) const FEED_LOCK: i64 = 0x5359_4d42_4645_4544;

/// What a decision answers: its value, what to write, and what a repeat of the request is told.
pub struct Decision<T> {
    pub value: T,
    pub changes: Changes,
    pub save: Option<Save>,
}

/// What became of a change.
pub enum Changed<T> {
    Done {
        value: T,
        /// Of its last row in the feed, where it wrote any.
        position: Option<i64>,
    },
    /// The request was claimed before; nothing was decided or written.
    Replayed(Box<Saved>),
}

/// Where a test may hold a change while its transaction is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangePlace {
    /// All is written but the feed; the feed is not locked yet.
    BeforeFeed,
    /// The feed's rows are written, too; the commit is next.
    BeforeCommit,
}

/// What tests change about changes.
#[derive(Default)]
pub(crate) struct ChangeHooks {
    pub gates: Gates<ChangePlace>,
    /// A fault to be found: rows of the feed become visible in whatever order their transactions commit.
    #[cfg(feature = "testing")]
    pub skips_feed_lock: std::sync::atomic::AtomicBool,
}

impl ChangeHooks {
    #[cfg(feature = "testing")]
    fn locks_feed(&self) -> bool {
        use std::sync::atomic::{AtomicBool, Ordering};
        // Named in full: diesel gives everything a `load` of its own.
        !AtomicBool::load(&self.skips_feed_lock, Ordering::Relaxed)
    }

    #[cfg(not(feature = "testing"))]
    const fn locks_feed(&self) -> bool {
        true
    }
}

impl Store {
    /// Runs `decide` on the aggregate `target` under its lock and writes what it wants, or nothing.
    ///
    /// It runs to its end even when the caller goes away. With a `claim`, a repeat waits for the first (at
    /// most the lock time-out) and is told what that saved.
    ///
    /// # Errors
    /// [`Error::Refused`] with the decision's refusal; [`Error::Unavailable`] when the database is out of
    /// reach or a lock was not had in time; [`Error::ClaimBusy`]; [`Error::Conflict`] for a unique index.
    pub async fn change<T, F>(
        &self,
        target: Target,
        now: Timestamp,
        claim: Option<Claim>,
        decide: F,
    ) -> Result<Changed<T>>
    where
        T: Send + 'static,
        F: FnOnce(&View) -> std::result::Result<Decision<T>, Refusal> + Send + 'static,
    {
        let store = self.clone();
        let run = self
            .runtime
            .spawn(async move { store.run_change(target, now, claim, decide).await });
        run.await
            .map_err(|error| Error::Broken(format!("a change ended early: {error}")))?
    }

    async fn run_change<T, F>(
        &self,
        target: Target,
        now: Timestamp,
        claim: Option<Claim>,
        decide: F,
    ) -> Result<Changed<T>>
    where
        T: Send + 'static,
        F: FnOnce(&View) -> std::result::Result<Decision<T>, Refusal> + Send + 'static,
    {
        let mut raised = (false, false);
        let outcome: Result<Changed<T>> = tx!(self, |c, locked, on_pg| {
            if let Some(claim) = &claim {
                let row = ClaimRow::new(claim);
                // A key whose time is over is as good as new.
                diesel::delete(
                    idempotency::table
                        .find((&row.actor, &row.door, &row.operation, &row.key))
                        .filter(idempotency::expires_at.le(Ts(now))),
                )
                .execute(c)
                .await?;
                let claimed = diesel::insert_into(idempotency::table)
                    .values(&row)
                    .on_conflict_do_nothing()
                    .execute(c)
                    .await
                    .map_err(|error| {
                        if is_lock_timeout(&error) {
                            Error::ClaimBusy
                        } else {
                            error.into()
                        }
                    })?;
                if claimed == 0 {
                    let saved = idempotency::table
                        .find((&row.actor, &row.door, &row.operation, &row.key))
                        .select(ClaimRow::as_select())
                        .first::<ClaimRow>(c)
                        .await
                        .optional()?
                        .ok_or(Error::ClaimBusy)?;
                    return Ok(Changed::Replayed(Box::new(saved.saved(claim))));
                }
            }

            let mut view = View::default();
            macro_rules! load_account {
                ($id:expr, $how:ident) => {
                    let row = locked!(
                        accounts::table
                            .find(Uid($id.0))
                            .select(AccountRow::as_select()),
                        $how
                    )
                    .first::<AccountRow>(c)
                    .await
                    .optional()?;
                    view.account = row.map(AccountRow::value).transpose()?;
                };
            }
            macro_rules! load_environment {
                ($account:expr, $id:expr) => {
                    if let Some(id) = $id {
                        view.environment = environments::table
                            .find(Uid(id.0))
                            .filter(environments::account_id.eq(Uid($account.0)))
                            .select(EnvironmentRow::as_select())
                            .first::<EnvironmentRow>(c)
                            .await
                            .optional()?
                            .map(EnvironmentRow::value);
                    }
                };
            }
            macro_rules! load_service_account {
                ($account:expr, $id:expr) => {
                    let query = service_accounts::table
                        .find(Uid($id.0))
                        .filter(service_accounts::account_id.eq(Uid($account.0)))
                        .select(ServiceAccountRow::as_select());
                    let row = locked!(query, update)
                        .first::<ServiceAccountRow>(c)
                        .await
                        .optional()?;
                    view.service_account = row.map(ServiceAccountRow::value).transpose()?;
                };
            }
            macro_rules! load_confirmations {
                ($filter:expr) => {
                    view.confirmations = confirmations::table
                        .filter($filter)
                        .order(confirmations::id)
                        .select(ConfirmationRow::as_select())
                        .load::<ConfirmationRow>(c)
                        .await?
                        .into_iter()
                        .map(ConfirmationRow::value)
                        .collect::<Result<_>>()?;
                };
            }
            match target {
                Target::Within {
                    account,
                    environment,
                    name,
                } => {
                    load_account!(account, share);
                    load_environment!(account, environment);
                    if let Some(key) = name {
                        view.name_taken = service_accounts::table
                            .filter(service_accounts::account_id.eq(Uid(account.0)))
                            .filter(service_accounts::name_key.eq(key))
                            // Written out, so that the partial index serves.
                            .filter(sql::<Bool>("status <> 'revoked'"))
                            .select(service_accounts::id)
                            .first::<Uid>(c)
                            .await
                            .optional()?
                            .is_some();
                    }
                }
                Target::Account(account) => {
                    load_account!(account, update);
                }
                Target::ServiceAccount {
                    account,
                    id,
                    credential,
                    environment,
                    description,
                } => {
                    load_account!(account, share);
                    load_environment!(account, environment);
                    load_service_account!(account, id);
                    if view.service_account.is_some() {
                        let limit = view
                            .account
                            .as_ref()
                            .map_or(0, |it| it.policy.tokens_per_service_account);
                        let live =
                            sql::<Bool>("(status <> 'revoked' AND (ends_at IS NULL OR ends_at > ")
                                .bind::<crate::types::sql::Ts, _>(Ts(now))
                                .sql("))");
                        let most = i64::from(limit) * 2 + 2;
                        view.credentials = credentials::table
                            .filter(credentials::service_account_id.eq(Uid(id.0)))
                            .filter(
                                credentials::is_primary
                                    .eq(true)
                                    .or(credentials::id
                                        .nullable()
                                        .eq(credential.map(|id| Uid(id.0))))
                                    .or(live),
                            )
                            // Those that count against the limit before those on their way out.
                            .order((
                                credentials::is_primary.desc(),
                                sql::<Bool>("(retires_at IS NOT NULL)"),
                                credentials::id.desc(),
                            ))
                            .limit(most)
                            .select(CredentialRow::as_select())
                            .load::<CredentialRow>(c)
                            .await?
                            .into_iter()
                            .map(CredentialRow::value)
                            .collect::<Result<_>>()?;
                        if let Some(named) = credential
                            && !view.credentials.iter().any(|it| it.id == named)
                        {
                            let row = credentials::table
                                .find(Uid(named.0))
                                .filter(credentials::service_account_id.eq(Uid(id.0)))
                                .select(CredentialRow::as_select())
                                .first::<CredentialRow>(c)
                                .await
                                .optional()?;
                            view.credentials
                                .extend(row.map(CredentialRow::value).transpose()?);
                        }
                        let is_rotated = |it: &&Credential| match credential {
                            Some(named) => it.id == named,
                            None => it.is_primary,
                        };
                        let family = view.credentials.iter().find(is_rotated);
                        if let Some(family) = family.map(|it| Uid(it.family_id.0))
                            && i64::try_from(view.credentials.len()).unwrap_or(i64::MAX) >= most
                        {
                            // A crowd may have pushed out the predecessors that a rotation has to end.
                            let retiring = credentials::table
                                .filter(credentials::service_account_id.eq(Uid(id.0)))
                                .filter(credentials::family_id.eq(family))
                                .filter(credentials::retires_at.gt(Ts(now)))
                                .select(CredentialRow::as_select())
                                .load::<CredentialRow>(c)
                                .await?;
                            for row in retiring {
                                if !view.credentials.iter().any(|it| it.id.0 == row.id.0) {
                                    view.credentials.push(row.value()?);
                                }
                            }
                        }
                        if let Some(wanted) = description {
                            view.description_taken = credentials::table
                                .filter(credentials::service_account_id.eq(Uid(id.0)))
                                .filter(credentials::description.eq(wanted))
                                .filter(credentials::status.ne("revoked"))
                                .select(credentials::id)
                                .first::<Uid>(c)
                                .await
                                .optional()?
                                .is_some();
                        }
                        load_confirmations!(
                            confirmations::service_account_id
                                .eq(Uid(id.0))
                                .and(confirmations::state.eq_any(["pending", "disowned"]))
                        );
                    }
                }
                Target::Credential { account, id } => {
                    load_account!(account, share);
                    let query = credentials::table
                        .find(Uid(id.0))
                        .filter(credentials::account_id.eq(Uid(account.0)))
                        .filter(credentials::service_account_id.is_null())
                        .select(CredentialRow::as_select());
                    let row = locked!(query, update)
                        .first::<CredentialRow>(c)
                        .await
                        .optional()?;
                    if let Some(row) = row {
                        // The rest of its line of rotations, which a rotation may have to end.
                        let family = row.family_id;
                        view.credentials.push(row.value()?);
                        let retiring = credentials::table
                            .filter(credentials::account_id.eq(Uid(account.0)))
                            .filter(credentials::service_account_id.is_null())
                            .filter(
                                credentials::family_id
                                    .eq(family)
                                    .and(credentials::id.ne(Uid(id.0))),
                            )
                            .filter(credentials::retires_at.gt(Ts(now)))
                            .select(CredentialRow::as_select())
                            .load::<CredentialRow>(c)
                            .await?;
                        for row in retiring {
                            view.credentials.push(row.value()?);
                        }
                    }
                }
                Target::Confirmation(id) => {
                    let found = confirmations::table
                        .find(Uid(id.0))
                        .select((confirmations::account_id, confirmations::service_account_id))
                        .first::<(Uid, Uid)>(c)
                        .await
                        .optional()?;
                    if let Some((account, service_account)) = found {
                        load_account!(account, share);
                        load_service_account!(account, service_account);
                        load_confirmations!(
                            confirmations::service_account_id.eq(service_account).and(
                                confirmations::state
                                    .eq("pending")
                                    .or(confirmations::id.eq(Uid(id.0)))
                            )
                        );
                    }
                }
                Target::User(id) => {
                    let query = users::table.find(Uid(id.0)).select(UserRow::as_select());
                    let row = locked!(query, update)
                        .first::<UserRow>(c)
                        .await
                        .optional()?;
                    view.user = row.map(UserRow::value).transpose()?;
                    let home = members::table
                        .filter(members::user_id.eq(Uid(id.0)))
                        .order(members::account_id)
                        .select(members::account_id)
                        .first::<Uid>(c)
                        .await
                        .optional()?;
                    if let Some(account) = home {
                        load_account!(account, share);
                    }
                }
                Target::SigningKeys => {
                    let query = signing_keys::table
                        .order(signing_keys::id)
                        .select(SigningKeyRow::as_select());
                    let rows = locked!(query, update).load::<SigningKeyRow>(c).await?;
                    view.signing_keys = rows
                        .into_iter()
                        .map(SigningKeyRow::value)
                        .collect::<Result<_>>()?;
                }
                Target::Instance { account, email } => {
                    let query = instance::table.find(1).select((
                        instance::bootstrapped_at,
                        instance::automatic_account,
                        instance::automatic_credential,
                    ));
                    let (at, automatic, credential) = locked!(query, update)
                        .first::<(Option<Ts>, Option<Uid>, Option<Uid>)>(c)
                        .await?;
                    let wanted = match automatic {
                        Some(id) => Some(id),
                        None => accounts::table
                            .filter(accounts::name_key.eq(account))
                            .order(accounts::id)
                            .select(accounts::id)
                            .first::<Uid>(c)
                            .await
                            .optional()?,
                    };
                    if let Some(id) = wanted {
                        load_account!(id, update);
                    }
                    if let Some(id) = credential {
                        let row = credentials::table
                            .find(id)
                            .select(CredentialRow::as_select())
                            .first::<CredentialRow>(c)
                            .await
                            .optional()?;
                        view.credentials
                            .extend(row.map(CredentialRow::value).transpose()?);
                    }
                    let row = users::table
                        .filter(users::email_key.eq(email))
                        .select(UserRow::as_select())
                        .first::<UserRow>(c)
                        .await
                        .optional()?;
                    view.user = row.map(UserRow::value).transpose()?;
                    let has_service_accounts = service_accounts::table
                        .select(service_accounts::id)
                        .first::<Uid>(c)
                        .await
                        .optional()?
                        .is_some();
                    view.instance = Some(Instance {
                        bootstrapped_at: at.map(|at| at.0),
                        automatic_account: automatic.map(|id| symbolon_domain::AccountId(id.0)),
                        automatic_credential: credential
                            .map(|id| symbolon_domain::CredentialId(id.0)),
                        in_use: has_service_accounts,
                    });
                }
            }

            // A decision that panics must not leave the transaction open.
            let decided = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| decide(&view)));
            let Decision {
                value,
                changes,
                save,
            } = decided.map_err(|_| Error::Broken("a decision panicked".into()))??;

            macro_rules! insert_all {
                ($table:ident, $row:ty, $list:expr) => {
                    for it in $list {
                        diesel::insert_into($table::table)
                            .values(<$row>::from(it))
                            .execute(c)
                            .await?;
                    }
                };
            }
            macro_rules! put_all {
                ($table:ident, $row:ty, $list:expr) => {
                    for it in $list {
                        let row = <$row>::from(it);
                        let (id, version) = (row.id, row.version);
                        let written = diesel::update(
                            $table::table.find(id).filter($table::version.lt(version)),
                        )
                        .set(row)
                        .execute(c)
                        .await?;
                        if written != 1 {
                            return Err(Error::Broken(format!(
                                "{} {} changed under its lock",
                                stringify!($table),
                                id.0
                            )));
                        }
                    }
                };
            }
            insert_all!(accounts, AccountRow, &changes.new_accounts);
            put_all!(accounts, AccountRow, &changes.put_accounts);
            insert_all!(environments, EnvironmentRow, &changes.new_environments);
            insert_all!(users, UserRow, &changes.new_users);
            put_all!(users, UserRow, &changes.put_users);
            for it in &changes.new_members {
                diesel::insert_into(members::table)
                    .values(MemberRow::from(it))
                    .on_conflict_do_nothing()
                    .execute(c)
                    .await?;
            }
            insert_all!(
                service_accounts,
                ServiceAccountRow,
                &changes.new_service_accounts
            );
            put_all!(
                service_accounts,
                ServiceAccountRow,
                &changes.put_service_accounts
            );
            for it in &changes.put_credentials {
                let change = CredentialChange::from(CredentialRow::from(it));
                let version = change.version;
                let written = diesel::update(
                    credentials::table
                        .find(Uid(it.id.0))
                        .filter(credentials::version.lt(version)),
                )
                .set(change)
                .execute(c)
                .await?;
                if written != 1 {
                    return Err(Error::Broken(format!(
                        "credential {} changed under its lock",
                        it.id
                    )));
                }
            }
            // What of a secret is kept dies with its credential: a key's, and what waits to be fetched again.
            let ended: Vec<Uid> = changes
                .put_credentials
                .iter()
                .filter(|it| it.is_revoked())
                .map(|it| Uid(it.id.0))
                .collect();
            if !ended.is_empty() {
                diesel::update(credentials::table.filter(credentials::id.eq_any(ended.clone())))
                    .set(credentials::sealed_secret.eq(None::<Vec<u8>>))
                    .execute(c)
                    .await?;
                diesel::update(
                    idempotency::table
                        .filter(idempotency::credential_id.eq_any(ended))
                        .filter(sql::<Bool>("sealed_secret IS NOT NULL")),
                )
                .set((
                    idempotency::sealed_secret.eq(None::<Vec<u8>>),
                    idempotency::secret_until.eq(None::<Ts>),
                ))
                .execute(c)
                .await?;
            }
            insert_all!(credentials, CredentialRow, &changes.new_credentials);
            for id in changes.numbered() {
                diesel::insert_into(numbers::table)
                    .values(numbers::id.eq(Uid(id)))
                    .execute(c)
                    .await?;
            }
            insert_all!(confirmations, ConfirmationRow, &changes.new_confirmations);
            put_all!(confirmations, ConfirmationRow, &changes.put_confirmations);
            put_all!(signing_keys, SigningKeyRow, &changes.put_signing_keys);
            insert_all!(signing_keys, SigningKeyRow, &changes.new_signing_keys);
            for it in &changes.revoked_access_tokens {
                diesel::insert_into(revoked_access_tokens::table)
                    .values((
                        revoked_access_tokens::id.eq(Uid(it.id)),
                        revoked_access_tokens::expires_at.eq(Ts(it.expires_at)),
                    ))
                    .on_conflict_do_nothing()
                    .execute(c)
                    .await?;
            }
            insert_all!(events, EventRow, &changes.events);
            for it in &changes.jobs {
                diesel::insert_into(jobs::table)
                    .values(crate::jobs::new_row(it, now))
                    .execute(c)
                    .await?;
            }
            if let Some(it) = &changes.instance {
                diesel::update(instance::table.find(1))
                    .set((
                        instance::bootstrapped_at.eq(it.bootstrapped_at.map(Ts)),
                        instance::automatic_account.eq(it.automatic_account.map(|id| Uid(id.0))),
                        instance::automatic_credential
                            .eq(it.automatic_credential.map(|id| Uid(id.0))),
                    ))
                    .execute(c)
                    .await?;
            }
            if let (Some(claim), Some(save)) = (&claim, save) {
                let row = ClaimRow::new(claim);
                let secret = save.secret;
                diesel::update(idempotency::table.find((
                    row.actor,
                    row.door,
                    row.operation,
                    row.key,
                )))
                .set((
                    idempotency::outcome.eq(Doc(save.outcome)),
                    idempotency::credential_id
                        .eq(secret.as_ref().map(|it| Uid(it.credential_id.0))),
                    idempotency::key_version.eq(secret.as_ref().map(|it| it.sealed.key_version)),
                    idempotency::secret_until.eq(secret.as_ref().map(|it| Ts(it.until))),
                    idempotency::sealed_secret.eq(secret.map(|it| it.sealed.bytes)),
                ))
                .execute(c)
                .await?;
            }
            let mut position = None;
            self.hooks.gates.pass(ChangePlace::BeforeFeed).await;
            // Last of all, and nothing is locked after it.
            if !changes.feed.is_empty() {
                on_pg!(if self.hooks.locks_feed() {
                    diesel::sql_query("SELECT pg_advisory_xact_lock($1)")
                        .bind::<diesel::sql_types::BigInt, _>(FEED_LOCK)
                        .execute(c)
                        .await?;
                });
                for mark in &changes.feed {
                    let seq: i64 = diesel::insert_into(feed::table)
                        .values((
                            feed::kind.eq(mark.kind.as_str()),
                            feed::id.eq(Uid(mark.id)),
                            feed::version.eq(mark.version),
                            feed::at.eq(Ts(now)),
                        ))
                        .returning(feed::seq)
                        .get_result(c)
                        .await?;
                    position = Some(seq);
                }
            }
            self.hooks.gates.pass(ChangePlace::BeforeCommit).await;
            raised = (!changes.feed.is_empty(), !changes.jobs.is_empty());
            Ok(Changed::Done { value, position })
        });
        let outcome = outcome?;
        if raised.0 {
            self.signals.raise(Signal::Feed);
        }
        if raised.1 {
            self.signals.raise(Signal::Jobs);
        }
        Ok(outcome)
    }
}
