//! The first account, its owner and a first admin token.

use crate::App;
use crate::actor::{Actor, Call, Origin};
use crate::change::{Decided, Outcome, Ran};
use crate::error::{Error, Result};
use symbolon_domain::bootstrap::{self, Beginning};
use symbolon_domain::change::Target;
use symbolon_domain::{AccountId, EmailAddress, Minted, Name, UserId};

/// How this instance is begun.
#[derive(Debug, Clone)]
pub enum Start {
    /// By a first start, for whoever stands before it.
    Automatic,
    /// By somebody who names the owner.
    Owned { owner: EmailAddress },
    /// Again, by somebody who has lost every way in.
    Recovered { owner: EmailAddress },
}

/// What was made. The token and the link are shown once.
#[derive(Debug)]
pub struct Bootstrapped {
    pub account_id: AccountId,
    pub user_id: Option<UserId>,
    pub token: Minted,
    pub setup_url: Option<String>,
}

pub(crate) fn setup_url(public_url: &str, link: &str) -> String {
    format!("{public_url}/setup/{link}")
}

impl App {
    /// # Errors
    /// `already_bootstrapped` on an instance in use, unless recovering.
    pub async fn bootstrap(&self, name: Name, start: Start) -> Result<Bootstrapped> {
        let (beginning, email) = match start {
            Start::Automatic => (Beginning::Automatic, String::new()),
            Start::Owned { owner } => (
                Beginning::First {
                    owner: owner.clone(),
                },
                owner.key(),
            ),
            Start::Recovered { owner } => (
                Beginning::Recover {
                    owner: owner.clone(),
                },
                owner.key(),
            ),
        };
        let actor = Actor::operator_cli();
        let target = Target::Instance {
            account: name.key(),
            email,
        };
        let ran = self
            .run(
                &Call::new(&actor, Origin::default()),
                target,
                move |view, tools| {
                    let (begun, changes) =
                        bootstrap::begin(view, &tools.asking, name, beginning, &mut tools.mint)?;
                    Ok(Decided::new(begun, changes, Outcome::default()))
                },
            )
            .await?;
        let Ran::Done { value: begun, .. } = ran else {
            return Err(Error::broken("a bootstrap is never replayed"));
        };
        Ok(Bootstrapped {
            account_id: begun.account.id,
            user_id: begun.owner.as_ref().map(|it| it.id),
            setup_url: begun
                .owner
                .as_ref()
                .map(|it| self.setup_url(it))
                .transpose()?,
            token: begun.token.secret,
        })
    }

    /// Whether anybody has begun here.
    pub async fn is_bootstrapped(&self) -> Result<bool> {
        Ok(self.store().instance().await?.bootstrapped_at.is_some())
    }
}
