//! The set-up link that `bootstrap` prints: the owner's first password.

use crate::App;
use crate::actor::{Actor, Call, Origin};
use crate::bootstrap::setup_url;
use crate::change::{Decided, Outcome};
use crate::error::{Error, Result};
use crate::keyring::{Link, LinkPurpose};
use symbolon_domain::change::Target;
use symbolon_domain::user::User;
use symbolon_domain::{Code, Language, Presented, UserId, bootstrap};

/// What the page behind the link shows.
#[derive(Debug, Clone)]
pub struct SetupPage {
    pub email: String,
    pub language: Language,
}

impl App {
    pub async fn look_at_setup(&self, link: &str) -> Result<SetupPage> {
        let (link, user) = self.user_of(link).await?;
        user.ensure_setup_open(link.generation, self.now())?;
        Ok(page(&user))
    }

    /// # Errors
    /// Field errors on `/password`; [`Error::Unavailable`] when the password pool is full; the link's refusals.
    pub async fn set_first_password(
        &self,
        link: &str,
        password: Presented,
        origin: Origin,
    ) -> Result<SetupPage> {
        let (link, user) = self.user_of(link).await?;
        // Looked at before the costly hash, and again under the lock.
        user.ensure_setup_open(link.generation, self.now())?;
        let mut dice = self.dice();
        let hash = self.0.passwords.hash(password, &mut *dice).await?;
        let actor = Actor::link_holder();
        self.run(
            &Call::new(&actor, origin),
            Target::User(user.id),
            move |view, tools| {
                let (_, changes) = bootstrap::set_first_password(
                    view,
                    link.generation,
                    hash,
                    tools.mint.dice,
                    &tools.asking,
                )?;
                Ok(Decided::new((), changes, Outcome::default()))
            },
        )
        .await?;
        Ok(page(&user))
    }

    async fn user_of(&self, link: &str) -> Result<(Link, User)> {
        let link = self
            .keyring()
            .open_link(LinkPurpose::Setup, link)
            .ok_or(Error::from(Code::LinkUnknown))?;
        let found = self.store().find_user(UserId(link.id)).await?;
        Ok((link, found.ok_or(Error::from(Code::LinkUnknown))?))
    }

    pub(crate) fn setup_url(&self, user: &User) -> Result<String> {
        let link = Link {
            id: user.id.0,
            generation: user.setup_generation,
        };
        let signed =
            self.keyring()
                .sign_link(self.keyring().current_version(), LinkPurpose::Setup, link);
        signed
            .map(|it| setup_url(self.public_url(), &it))
            .ok_or_else(|| Error::broken("no link key"))
    }
}

fn page(user: &User) -> SetupPage {
    SetupPage {
        email: user.email.as_str().to_owned(),
        language: user.language,
    }
}
