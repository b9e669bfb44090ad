//! The changes: what each makes of the model, and how a node is asked for it.

use crate::oracle::{AccountState, Edit, Model, Status, Subject};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::pin::Pin;
use std::time::Duration;
use symbolon_app::{Actor, App, Call, Error, Evidence, OAuthFault, Origin, Wanted};
use symbolon_domain::account::{AccountPatch, ExpiryRequest};
use symbolon_domain::issue::{Grant, NewServiceAccount, NewToken, Rotation};
use symbolon_domain::retire::Because;
use symbolon_domain::{
    AccountStatus, Code, Credential, CredentialKind, Name, ScopeSet, ServiceAccountId, Timestamp,
};

/// Things are named by their place in the model.
#[derive(Debug, Clone, Copy)]
pub enum Change {
    /// A service account with its first token.
    Create {
        account: usize,
        life: Option<Duration>,
    },
    Issue {
        owner: usize,
        kind: CredentialKind,
        life: Option<Duration>,
    },
    /// An access token for a key.
    Exchange {
        key: usize,
    },
    Credential {
        at: usize,
        to: Status,
    },
    ServiceAccount {
        at: usize,
        to: Status,
    },
    Rotate {
        at: usize,
        grace: Duration,
    },
    Account {
        at: usize,
        to: AccountState,
    },
    RevokeAccessToken {
        at: usize,
    },
}

/// What was made.
pub enum Made {
    Owned(ServiceAccountId, usize, Box<Credential>, String),
    Token(usize, Box<Credential>, String),
    AccessToken(usize, String),
}

/// A change on its way; `None` where it makes nothing new.
pub type Performed = Pin<Box<dyn Future<Output = Result<Option<Made>, Error>>>>;

impl Change {
    /// What it makes of what is there, if it is done now.
    pub fn edits(self, model: &Model, now: Timestamp) -> Vec<Edit> {
        match self {
            Self::Create { .. } | Self::Issue { .. } | Self::Exchange { .. } => Vec::new(),
            Self::Credential { at, to } => {
                let mut state = model.credentials[at].state.latest();
                state.status = to;
                vec![Edit::Credential(at, state)]
            }
            Self::ServiceAccount { at, to } => vec![Edit::ServiceAccount(at, to)],
            Self::Account { at, to } => vec![Edit::Account(at, to)],
            // One that has ended by itself is left as it is.
            Self::RevokeAccessToken { at } if model.access_tokens[at].expires_at <= now => {
                Vec::new()
            }
            Self::RevokeAccessToken { at } => vec![Edit::AccessToken(at)],
            Self::Rotate { at, grace } => {
                let old = &model.credentials[at];
                let mut state = old.state.latest();
                let mut edits = Vec::new();
                if grace.is_zero() {
                    // The predecessors that still go on end with it.
                    for (other, it) in model.credentials.iter().enumerate() {
                        let mut state = it.state.latest();
                        let goes_on = state.status != Status::Revoked
                            && state.retires_at.is_some_and(|end| now < end);
                        if other != at && it.family == old.family && goes_on {
                            state.status = Status::Revoked;
                            edits.push(Edit::Credential(other, state));
                        }
                    }
                }
                if grace.is_zero() || old.expires_at.is_some_and(|end| end <= now) {
                    state.status = Status::Revoked;
                } else {
                    let end = now.plus(grace);
                    state.retires_at = Some(old.expires_at.map_or(end, |it| it.min(end)));
                }
                edits.push(Edit::Credential(at, state));
                edits
            }
        }
    }

    /// Asks this node for it, as an operator.
    pub fn perform(self, model: &Model, app: &App) -> Performed {
        let app = app.clone();
        let operator = Actor::operator_cli();
        let expiry = |life: Option<Duration>| {
            life.map_or(ExpiryRequest::Default, |life| {
                ExpiryRequest::At(app.now().plus(life))
            })
        };
        let owned = |owner: usize| {
            let owner = &model.service_accounts[owner];
            (model.accounts[owner.account].id, owner.id)
        };
        match self {
            Self::Create { account, life } => {
                let (at, account) = (account, model.accounts[account].id);
                let new = NewServiceAccount {
                    basic_auth_enabled: true,
                    expiry: expiry(life),
                    scopes: scopes(),
                    ..NewServiceAccount::named(Name::parse("holder").unwrap())
                };
                Box::pin(async move {
                    let call = Call::new(&operator, Origin::default());
                    let made = app.create_service_account(&call, account, new).await?;
                    let secret = made.secret.unwrap().reveal().to_owned();
                    let primary = Box::new(made.record.primary.unwrap());
                    Ok(Some(Made::Owned(made.record.it.id, at, primary, secret)))
                })
            }
            Self::Issue { owner, kind, life } => {
                let (account, id) = owned(owner);
                let new = NewToken {
                    kind,
                    expiry: expiry(life),
                    grant: Grant::Only(scopes()),
                    ..NewToken::default()
                };
                Box::pin(async move {
                    let call = Call::new(&operator, Origin::default());
                    let made = app.issue_token(&call, account, id, new).await?;
                    let secret = made.secret.unwrap().reveal().to_owned();
                    Ok(Some(Made::Token(owner, Box::new(made.record.it), secret)))
                })
            }
            Self::Rotate { at, grace } => {
                let owner = model.credentials[at].owner;
                let (account, owner_id) = owned(owner);
                let id = model.credentials[at].id;
                let rotation = Rotation {
                    grace,
                    ..Rotation::default()
                };
                Box::pin(async move {
                    let call = Call::new(&operator, Origin::default());
                    let made = app
                        .rotate_token(&call, account, owner_id, id, rotation)
                        .await?;
                    let secret = made.secret.unwrap().reveal().to_owned();
                    Ok(Some(Made::Token(owner, Box::new(made.record.it), secret)))
                })
            }
            Self::Exchange { key } => {
                let it = &model.credentials[key];
                let (key_id, secret) = (it.public_id.clone(), it.secret.clone());
                Box::pin(async move {
                    let client = Evidence::Basic {
                        key_id: &key_id,
                        secret: &secret,
                    };
                    let wanted = Wanted::default();
                    match app.exchange_client_credentials(client, wanted).await {
                        Ok(issued) => {
                            let text = issued.token.reveal().to_owned();
                            Ok(Some(Made::AccessToken(key, text)))
                        }
                        Err(OAuthFault::Failed(error)) => Err(error),
                        // Not good any more.
                        Err(_) => Err(Code::Unauthenticated.into()),
                    }
                })
            }
            Self::Credential { at, to } => {
                let it = &model.credentials[at];
                let ((account, owner), id) = (owned(it.owner), it.id);
                Box::pin(async move {
                    let call = Call::new(&operator, Origin::default());
                    let because = Because::default();
                    match to {
                        Status::Active => {
                            app.activate_token(&call, account, owner, id, because).await
                        }
                        Status::Suspended => {
                            app.suspend_token(&call, account, owner, id, because).await
                        }
                        Status::Revoked => {
                            app.revoke_token(&call, account, owner, id, because).await
                        }
                    }
                    .map(|_| None)
                })
            }
            Self::ServiceAccount { at, to } => {
                let (account, id) = owned(at);
                Box::pin(async move {
                    let call = Call::new(&operator, Origin::default());
                    let because = Because::default();
                    match to {
                        Status::Active => app
                            .activate_service_account(&call, account, id, because)
                            .await
                            .map(|_| None),
                        Status::Suspended => app
                            .suspend_service_account(&call, account, id, because)
                            .await
                            .map(|_| None),
                        Status::Revoked => app
                            .revoke_service_account(&call, account, id, because)
                            .await
                            .map(|_| None),
                    }
                })
            }
            Self::Account { at, to } => {
                let id = model.accounts[at].id;
                let status = if to.suspended {
                    AccountStatus::Suspended
                } else {
                    AccountStatus::Active
                };
                let patch = AccountPatch {
                    status: Some(status),
                    max_lifetime: Some(to.max_lifetime),
                    ..AccountPatch::default()
                };
                Box::pin(async move {
                    let call = Call::new(&operator, Origin::default());
                    let updated = app.update_account(&call, id, patch, None).await;
                    updated.map(|_| None)
                })
            }
            Self::RevokeAccessToken { at } => {
                let text = model.access_tokens[at].text.clone();
                Box::pin(async move {
                    let token = Evidence::Bearer(&text);
                    app.revoke_presented(&operator, Origin::default(), token)
                        .await
                        .map(|()| None)
                })
            }
        }
    }
}

impl Model {
    /// Whatever was made can be presented from now on.
    pub fn add(&mut self, made: Made) -> Subject {
        match made {
            Made::Owned(id, account, primary, secret) => {
                let owner = self.add_service_account(id, account);
                self.add_credential(&primary, owner, secret)
            }
            Made::Token(owner, it, secret) => self.add_credential(&it, owner, secret),
            Made::AccessToken(key, text) => {
                let expires_at = end_in(&text);
                self.add_access_token(text, key, expires_at)
            }
        }
    }
}

fn scopes() -> ScopeSet {
    ScopeSet::parse("invoices:read").unwrap()
}

/// The `exp` of a JWT.
fn end_in(text: &str) -> Timestamp {
    let claims = text.split('.').nth(1).unwrap();
    let claims = URL_SAFE_NO_PAD.decode(claims).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
    Timestamp::from_micros(claims["exp"].as_i64().unwrap() * 1_000_000)
}
