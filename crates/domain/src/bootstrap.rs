//! The first account, its owner and a first admin token; and the way back in when they are lost.

use crate::account::{self, AccountPatch, AccountStatus};
use crate::authority::ActorRef;
use crate::change::{Asking, Changes, Instance, View};
use crate::credential::RevokeReason;
use crate::event::{Event, EventKind};
use crate::id::UserId;
use crate::issue::{self, Grant, Issued, Mint, NewToken};
use crate::label::{EmailAddress, Language, Name};
use crate::limits;
use crate::refusal::{Code, Refusal};
use crate::scope::Permission;
use crate::user::{Member, Role, User};
use crate::{Account, account::ExpiryRequest};

/// Which beginning this is.
#[derive(Debug, Clone)]
pub enum Beginning {
    /// A first start by itself: an account without an owner, until somebody claims it.
    Automatic,
    /// Somebody names the first account and its owner. Claims an automatic one that holds no service account.
    First { owner: EmailAddress },
    /// The way back in: a new admin token and set-up link, on an instance already in use.
    Recover { owner: EmailAddress },
}

/// What a beginning made.
#[derive(Debug)]
pub struct Begun {
    pub account: Account,
    pub owner: Option<User>,
    pub token: Issued,
}

pub fn begin(
    view: &View,
    asking: &Asking<'_>,
    name: Name,
    beginning: Beginning,
    mint: &mut Mint<'_>,
) -> Result<(Begun, Changes), Refusal> {
    asking.authority.demand(Permission::Instance)?;
    let instance = view.instance.clone().unwrap_or_default();
    let untouched = instance.automatic_account.is_some() && !instance.in_use;
    let owner_email = match &beginning {
        Beginning::Automatic if instance.bootstrapped_at.is_some() => {
            return Err(Code::AlreadyBootstrapped.into());
        }
        Beginning::First { .. } if instance.bootstrapped_at.is_some() && !untouched => {
            return Err(Code::AlreadyBootstrapped.into());
        }
        Beginning::Automatic => None,
        Beginning::First { owner } | Beginning::Recover { owner } => Some(owner.clone()),
    };
    let recovering = matches!(beginning, Beginning::Recover { .. });
    let found = view
        .account
        .as_ref()
        .filter(|it| untouched || it.name.key() == name.key());
    let mut changes = Changes::default();

    let account = match found {
        Some(found) => {
            let ops = if found.ops_addresses.is_empty() {
                owner_email.clone().map(|it| vec![it])
            } else {
                None
            };
            let mut patch = AccountPatch {
                name: untouched.then_some(name),
                ops_addresses: ops,
                ..AccountPatch::default()
            };
            if recovering {
                // The way back in must not end before a door that somebody has locked.
                let too_short = |max: std::time::Duration| max < limits::BOOTSTRAP_TOKEN_LIFE;
                if found.policy.max_lifetime.is_some_and(too_short) {
                    patch.max_lifetime = Some(None);
                }
                patch.status = Some(AccountStatus::Active);
            }
            let (account, made) = account::update(found, asking, patch, mint.dice)?;
            changes.append(made);
            account
        }
        None => {
            let patch = AccountPatch {
                ops_addresses: owner_email.clone().map(|it| vec![it]),
                ..AccountPatch::default()
            };
            let (account, made) = account::create(asking, name, patch, mint.dice)?;
            changes.append(made);
            account
        }
    };
    // The token that the first start printed for whoever looked has served, if it was not purged yet.
    if untouched
        && let Some(id) = instance.automatic_credential
        && let Ok(printed) = view.credential(id)
    {
        let mut printed = printed.clone();
        if printed.revoke(asking.now, asking.by, RevokeReason::Requested) {
            changes.mark_credential(&printed);
            changes.put_credentials.push(printed);
        }
    }
    let owner =
        owner_email.map(|email| owner_of(view, asking, &account, email, mint, &mut changes));
    let new = NewToken {
        description: Some("bootstrap".into()),
        expiry: ExpiryRequest::At(asking.now.plus(limits::BOOTSTRAP_TOKEN_LIFE)),
        grant: Grant::Only(
            [Permission::Admin.scope(), Permission::Instance.scope()]
                .into_iter()
                .collect(),
        ),
        ..NewToken::default()
    };
    let (token, made) = issue::issue_direct(&account, asking, None, new, mint)?;
    changes.append(made);
    let kind = if recovering {
        EventKind::InstanceRecovered
    } else {
        EventKind::InstanceBootstrapped
    };
    changes.events.push(
        Event::new(asking, kind, account.id, mint.dice).about_credential(token.credential.id),
    );
    let automatic = matches!(beginning, Beginning::Automatic);
    changes.instance = Some(Instance {
        bootstrapped_at: instance.bootstrapped_at.or(Some(asking.now)),
        automatic_account: automatic.then_some(account.id),
        automatic_credential: automatic.then_some(token.credential.id),
        in_use: false,
    });
    Ok((
        Begun {
            account,
            owner,
            token,
        },
        changes,
    ))
}

/// The user with this address, with a fresh set-up link, as an owner of the account.
fn owner_of(
    view: &View,
    asking: &Asking<'_>,
    account: &Account,
    email: EmailAddress,
    mint: &mut Mint<'_>,
    changes: &mut Changes,
) -> User {
    let now = asking.now;
    let setup_expires_at = Some(now.plus(limits::SETUP_LINK_LIFE));
    let user = match &view.user {
        Some(known) => {
            let mut user = known.clone();
            user.setup_generation += 1;
            user.setup_expires_at = setup_expires_at;
            user.updated_at = now;
            user.version += 1;
            changes.put_users.push(user.clone());
            user
        }
        None => {
            let user = User {
                id: UserId::new(now, mint.dice),
                email,
                password_hash: None,
                language: Language::default(),
                setup_generation: 1,
                setup_expires_at,
                created_at: now,
                updated_at: now,
                version: 1,
            };
            changes.new_users.push(user.clone());
            changes.events.push(
                Event::new(asking, EventKind::UserCreated, account.id, mint.dice)
                    .with("user_id", user.id.to_string()),
            );
            user
        }
    };
    changes.new_members.push(Member {
        account_id: account.id,
        user_id: user.id,
        role: Role::Owner,
    });
    user
}

/// The holder of the set-up link chooses a password (already hashed). Single use.
pub fn set_first_password(
    view: &View,
    generation: i32,
    password_hash: String,
    dice: &mut dyn crate::dice::Dice,
    asking: &Asking<'_>,
) -> Result<(User, Changes), Refusal> {
    let mut user = view.user.clone().ok_or(Refusal::new(Code::LinkUnknown))?;
    user.ensure_setup_open(generation, asking.now)?;
    user.password_hash = Some(password_hash);
    user.setup_expires_at = None;
    user.updated_at = asking.now;
    user.version += 1;
    let mut changes = Changes::default();
    if let Some(account) = &view.account {
        let by = Asking {
            by: ActorRef::User(user.id),
            ..*asking
        };
        changes.events.push(
            Event::new(&by, EventKind::UserPasswordSet, account.id, dice)
                .with("user_id", user.id.to_string()),
        );
    }
    changes.put_users.push(user.clone());
    Ok((user, changes))
}

impl User {
    /// Whether a set-up link of this generation may still be used, or why not.
    pub fn ensure_setup_open(&self, generation: i32, now: crate::Timestamp) -> Result<(), Refusal> {
        if generation < 1 || generation > self.setup_generation {
            return Err(Code::LinkUnknown.into());
        }
        match self.setup_expires_at {
            _ if generation < self.setup_generation => Err(Code::LinkExpired.into()),
            None => Err(Code::LinkUsed.into()),
            Some(end) if now >= end => Err(Code::LinkExpired.into()),
            Some(_) => Ok(()),
        }
    }
}
