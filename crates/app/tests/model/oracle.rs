//! What the product has promised: everything that decides about a credential, with all its versions, when
//! each was acknowledged, and which of them a node may still, or already, go by.

use std::time::Duration;
use symbolon_domain::{
    AccountId, CredentialId, CredentialKind, Reason, ServiceAccountId, Timestamp,
};

/// Within this of an acknowledgement it holds at every node that has the database in reach.
pub const BOUND: Duration = Duration::from_millis(1500);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Active,
    Suspended,
    Revoked,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountState {
    pub suspended: bool,
    pub max_lifetime: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CredentialState {
    pub status: Status,
    /// The end of its grace, once it was rotated.
    pub retires_at: Option<Timestamp>,
}

/// When a change was answered, and by which start of a node.
#[derive(Debug, Clone, Copy)]
pub struct Acknowledged {
    pub at: Timestamp,
    /// Its place among all that happened.
    pub order: u64,
    pub by: u64,
}

/// One thing and all that it was; the last may be under way.
pub struct Versions<T>(Vec<(T, Option<Acknowledged>)>);

impl<T: Copy> Versions<T> {
    fn new(value: T) -> Self {
        // Nobody knows a thing from before it was made.
        Self(vec![(value, None)])
    }

    pub fn latest(&self) -> T {
        self.0.last().unwrap().0
    }

    /// What this node may go by.
    fn seen(&self, sight: &Sight) -> impl Iterator<Item = T> {
        let known = |(_, acknowledged): &(T, Option<Acknowledged>)| {
            acknowledged.is_some_and(|it| sight.must_know(&it))
        };
        let floor = self.0.iter().rposition(known).unwrap_or(0);
        self.0[floor..].iter().map(|(value, _)| *value)
    }

    fn acknowledged(&self) -> impl Iterator<Item = Timestamp> {
        self.0.iter().filter_map(|(_, it)| it.map(|it| it.at))
    }
}

/// What is asked of a node, by what it has heard, and when.
pub struct Sight {
    pub now: Timestamp,
    /// The start of the node, and its place among all that happened: it remembers nothing from before.
    pub start: u64,
    pub started: u64,
    /// Whatever was acknowledged before this is known, whoever acknowledged it.
    pub fresh_from: Option<u64>,
    /// When the database was out of its reach.
    pub cuts: Vec<(Timestamp, Option<Timestamp>)>,
    pub max_age: Duration,
}

impl Sight {
    fn must_know(&self, change: &Acknowledged) -> bool {
        change.by == self.start
            || change.order < self.started
            || self.fresh_from.is_some_and(|from| change.order < from)
            || self.now > self.due(change.at)
    }

    /// Until when the node may not know of what was acknowledged then.
    fn due(&self, at: Timestamp) -> Timestamp {
        let mut in_reach_since = at;
        for (from, until) in &self.cuts {
            if *from >= in_reach_since.plus(BOUND) {
                break;
            }
            match until {
                Some(until) => in_reach_since = in_reach_since.max(*until),
                None => return at.plus(self.max_age),
            }
        }
        in_reach_since.plus(BOUND).min(at.plus(self.max_age))
    }
}

pub struct Account {
    pub id: AccountId,
    pub state: Versions<AccountState>,
}

pub struct ServiceAccount {
    pub id: ServiceAccountId,
    pub account: usize,
    pub status: Versions<Status>,
}

pub struct Credential {
    pub id: CredentialId,
    pub kind: CredentialKind,
    pub public_id: String,
    /// Its whole text; of a key, the secret.
    pub secret: String,
    pub owner: usize,
    pub family: CredentialId,
    pub expires_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub state: Versions<CredentialState>,
}

pub struct AccessToken {
    pub text: String,
    pub key: usize,
    pub expires_at: Timestamp,
    pub revoked: Versions<bool>,
}

/// What is presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    Credential(usize),
    AccessToken(usize),
}

/// What a change makes of a thing.
#[derive(Debug, Clone, Copy)]
pub enum Edit {
    Account(usize, AccountState),
    ServiceAccount(usize, Status),
    Credential(usize, CredentialState),
    AccessToken(usize),
}

impl Edit {
    pub fn is_of_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Account(a, _), Self::Account(b, _))
            | (Self::ServiceAccount(a, _), Self::ServiceAccount(b, _))
            | (Self::Credential(a, _), Self::Credential(b, _))
            | (Self::AccessToken(a), Self::AccessToken(b)) => a == b,
            _ => false,
        }
    }
}

#[derive(Default)]
pub struct Model {
    pub accounts: Vec<Account>,
    pub service_accounts: Vec<ServiceAccount>,
    pub credentials: Vec<Credential>,
    pub access_tokens: Vec<AccessToken>,
}

macro_rules! each_version {
    ($model:ident, $edits:ident, |$versions:ident, $value:ident| $then:expr) => {
        for edit in $edits {
            match *edit {
                Edit::Account(at, $value) => {
                    let $versions = &mut $model.accounts[at].state.0;
                    $then
                }
                Edit::ServiceAccount(at, $value) => {
                    let $versions = &mut $model.service_accounts[at].status.0;
                    $then
                }
                Edit::Credential(at, $value) => {
                    let $versions = &mut $model.credentials[at].state.0;
                    $then
                }
                Edit::AccessToken(at) => {
                    let ($versions, $value) = (&mut $model.access_tokens[at].revoked.0, true);
                    $then
                }
            }
        }
    };
}

impl Model {
    /// From now on some may go by this, and nobody has to.
    pub fn begin(&mut self, edits: &[Edit]) {
        each_version!(self, edits, |versions, value| versions.push((value, None)));
    }

    pub fn acknowledge(&mut self, edits: &[Edit], by: Acknowledged) {
        each_version!(self, edits, |versions, _value| {
            versions.last_mut().unwrap().1 = Some(by);
        });
    }

    /// It was refused: nothing has come of it.
    pub fn withdraw(&mut self, edits: &[Edit]) {
        each_version!(self, edits, |versions, _value| {
            versions.pop();
        });
    }

    pub fn add_account(&mut self, id: AccountId) {
        let state = Versions::new(AccountState {
            suspended: false,
            max_lifetime: None,
        });
        self.accounts.push(Account { id, state });
    }

    pub fn add_service_account(&mut self, id: ServiceAccountId, account: usize) -> usize {
        self.service_accounts.push(ServiceAccount {
            id,
            account,
            status: Versions::new(Status::Active),
        });
        self.service_accounts.len() - 1
    }

    pub fn add_credential(
        &mut self,
        it: &symbolon_domain::Credential,
        owner: usize,
        secret: String,
    ) -> Subject {
        self.credentials.push(Credential {
            id: it.id,
            kind: it.kind,
            public_id: it.public_id.clone(),
            secret,
            owner,
            family: it.family_id,
            expires_at: it.expires_at,
            created_at: it.created_at,
            state: Versions::new(CredentialState {
                status: Status::Active,
                retires_at: None,
            }),
        });
        Subject::Credential(self.credentials.len() - 1)
    }

    pub fn add_access_token(&mut self, text: String, key: usize, expires_at: Timestamp) -> Subject {
        self.access_tokens.push(AccessToken {
            text,
            key,
            expires_at,
            revoked: Versions::new(false),
        });
        Subject::AccessToken(self.access_tokens.len() - 1)
    }

    /// The credential that is presented, or that speaks through what is.
    pub fn credential_of(&self, subject: Subject) -> usize {
        match subject {
            Subject::Credential(at) => at,
            Subject::AccessToken(at) => self.access_tokens[at].key,
        }
    }

    pub fn account_of(&self, credential: usize) -> usize {
        self.service_accounts[self.credentials[credential].owner].account
    }

    /// Every verdict that a node may give about this; `None` is a yes.
    pub fn possible(&self, subject: Subject, sight: &Sight) -> Vec<Option<Reason>> {
        let credential = &self.credentials[self.credential_of(subject)];
        let owner = &self.service_accounts[credential.owner];
        let account = &self.accounts[owner.account];
        let token = match subject {
            Subject::Credential(_) => None,
            Subject::AccessToken(at) => Some(&self.access_tokens[at]),
        };
        let revoked: Vec<bool> = token
            .map(|it| it.revoked.seen(sight).collect())
            .unwrap_or(vec![false]);
        let mut possible = Vec::new();
        for own in credential.state.seen(sight) {
            for owners in owner.status.seen(sight) {
                for accounts in account.state.seen(sight) {
                    for revoked in &revoked {
                        let policy = accounts
                            .max_lifetime
                            .map(|max| credential.created_at.plus(max));
                        let token_ends = token.map(|it| it.expires_at);
                        let ends = [credential.expires_at, own.retires_at, policy, token_ends];
                        let ended = ends.into_iter().flatten().any(|end| end <= sight.now);
                        let statuses = [own.status, owners];
                        let verdict = if *revoked || statuses.contains(&Status::Revoked) {
                            Some(Reason::Revoked)
                        } else if accounts.suspended || statuses.contains(&Status::Suspended) {
                            Some(Reason::Suspended)
                        } else if ended {
                            Some(Reason::Expired)
                        } else {
                            None
                        };
                        if !possible.contains(&verdict) {
                            possible.push(verdict);
                        }
                    }
                }
            }
        }
        possible
    }

    /// Instants at which the verdict about this may turn, or has to have turned.
    pub fn boundaries(&self, subject: Subject) -> Vec<Timestamp> {
        let credential = &self.credentials[self.credential_of(subject)];
        let owner = &self.service_accounts[credential.owner];
        let account = &self.accounts[owner.account];
        let max = account.state.latest().max_lifetime;
        let mut found: Vec<Timestamp> = credential.expires_at.into_iter().collect();
        found.extend(credential.state.latest().retires_at);
        found.extend(max.map(|max| credential.created_at.plus(max)));
        let acknowledged = credential.state.acknowledged();
        let acknowledged = acknowledged.chain(owner.status.acknowledged());
        found.extend(acknowledged.map(|at| at.plus(BOUND)));
        if let Subject::AccessToken(at) = subject {
            found.push(self.access_tokens[at].expires_at);
        }
        found
    }
}
