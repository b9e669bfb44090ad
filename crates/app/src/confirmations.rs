//! What the holder of a mailed link may do: look, confirm, say "not mine".

use crate::App;
use crate::actor::{Actor, Call, Origin};
use crate::change::Decided;
use crate::error::{Error, Result};
use crate::keyring::{Link, LinkPurpose};
use symbolon_domain::change::Target;
use symbolon_domain::confirmation::{self, Confirmation};
use symbolon_domain::{Code, ConfirmationId, Language, Timestamp};

/// What the page behind the link shows.
#[derive(Debug, Clone)]
pub struct ConfirmationPage {
    pub service_account: String,
    pub account: String,
    pub email: String,
    pub language: Language,
    pub expires_at: Timestamp,
}

impl App {
    /// Changes nothing: mail scanners follow links too.
    pub async fn look_at_confirmation(&self, link: &str) -> Result<ConfirmationPage> {
        let (link, confirmation) = self.confirmation_of(link).await?;
        confirmation.ensure_open(link.generation, self.now())?;
        let page = self.confirmation_page(&confirmation).await?;
        page.ok_or(Error::from(Code::LinkExpired))
    }

    pub async fn confirm_contact(&self, link: &str, origin: Origin) -> Result<ConfirmationPage> {
        self.decide_confirmation(link, origin, true).await
    }

    pub async fn disown_contact(&self, link: &str, origin: Origin) -> Result<ConfirmationPage> {
        self.decide_confirmation(link, origin, false).await
    }

    /// The language that a link's page speaks when its refusal must be explained.
    pub async fn language_of_link(&self, link: &str) -> Option<Language> {
        self.confirmation_of(link)
            .await
            .ok()
            .map(|(_, confirmation)| confirmation.language)
    }

    async fn decide_confirmation(
        &self,
        link: &str,
        origin: Origin,
        confirms: bool,
    ) -> Result<ConfirmationPage> {
        let (link, confirmation) = self.confirmation_of(link).await?;
        let actor = Actor::link_holder();
        let (id, generation) = (confirmation.id, link.generation);
        self.run(
            &Call::new(&actor, origin),
            Target::Confirmation(id),
            move |view, tools| {
                let decide = if confirms {
                    confirmation::confirm
                } else {
                    confirmation::disown
                };
                let (it, changes) = decide(view, &tools.asking, id, generation, tools.mint.dice)?;
                Ok(Decided::new((), changes, it.id))
            },
        )
        .await?;
        let page = self.confirmation_page(&confirmation).await?;
        page.ok_or(Error::from(Code::LinkExpired))
    }

    async fn confirmation_of(&self, link: &str) -> Result<(Link, Confirmation)> {
        let link = self
            .keyring()
            .open_link(LinkPurpose::Confirm, link)
            .ok_or(Error::from(Code::LinkUnknown))?;
        let found = self
            .store()
            .find_confirmation(ConfirmationId(link.id))
            .await?;
        Ok((link, found.ok_or(Error::from(Code::LinkUnknown))?))
    }

    /// `None` when the service account has gone.
    pub(crate) async fn confirmation_page(
        &self,
        of: &Confirmation,
    ) -> Result<Option<ConfirmationPage>> {
        let it = self
            .store()
            .find_service_account(of.account_id, of.service_account_id)
            .await?;
        let account = self.store().find_account(of.account_id).await?;
        let (Some(it), Some(account)) = (it.filter(|it| !it.is_revoked()), account) else {
            return Ok(None);
        };
        Ok(Some(ConfirmationPage {
            service_account: it.name.as_str().to_owned(),
            account: account.name.as_str().to_owned(),
            email: of.email.as_str().to_owned(),
            language: of.language,
            expires_at: of.expires_at,
        }))
    }
}
