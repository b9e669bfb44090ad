//! The mails that ask for a confirmation: whether to send one, what it says, and what became of it.

use crate::App;
use crate::actor::{Actor, Call, Origin};
use crate::change::{Decided, Outcome};
use crate::error::{Error, Result};
use crate::keyring::{Link, LinkPurpose};
use symbolon_domain::change::Target;
use symbolon_domain::confirmation::ConfirmationState;
use symbolon_domain::{
    ConfirmationId, EmailAddress, Language, NoticeId, Timestamp, contact, limits,
};
use symbolon_store::{NewNotice, NoticeState, Reserved};

/// Whether a mail is to be sent.
#[derive(Debug)]
pub enum Prepared {
    Send(Box<ConfirmationMail>),
    /// There is nothing to send, for this reason.
    Skip(&'static str),
    /// The recipient has had enough for now.
    Later(Timestamp),
}

/// All that a confirmation mail says.
pub struct ConfirmationMail {
    pub notice_id: NoticeId,
    pub to: EmailAddress,
    pub language: Language,
    pub service_account: String,
    pub account: String,
    /// Absolute. A secret: whoever has it can confirm.
    pub link: String,
    /// Without angle brackets; the same each time this mail is sent.
    pub message_id: String,
    pub expires_at: Timestamp,
    pub reminder: bool,
}

impl std::fmt::Debug for ConfirmationMail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ConfirmationMail({}, to {:?})", self.notice_id, self.to)
    }
}

impl App {
    /// Enters the mail of this generation into the ledger and says what to send. The same mail keeps its
    /// link and its Message-ID however often it is tried.
    pub async fn prepare_confirmation(
        &self,
        id: ConfirmationId,
        generation: i32,
        reminder: bool,
    ) -> Result<Prepared> {
        let now = self.now();
        let Some(confirmation) = self.store().find_confirmation(id).await? else {
            return Ok(Prepared::Skip("the confirmation is gone"));
        };
        if confirmation.state != ConfirmationState::Pending {
            return Ok(Prepared::Skip("it was answered or superseded"));
        }
        if generation < confirmation.generation {
            return Ok(Prepared::Skip("a newer mail was asked for"));
        }
        if now >= confirmation.expires_at {
            return Ok(Prepared::Skip("its link has expired"));
        }
        let Some(page) = self.confirmation_page(&confirmation).await? else {
            return Ok(Prepared::Skip("the service account is revoked"));
        };
        let link = Link {
            id: id.0,
            generation,
        };
        let Some(signed) =
            self.keyring()
                .sign_link(confirmation.key_version, LinkPurpose::Confirm, link)
        else {
            return Err(Error::broken(format!(
                "the key file lacks version {} of a link",
                confirmation.key_version
            )));
        };
        let kind = if reminder {
            "confirmation_reminder"
        } else {
            "confirmation"
        };
        let notice_id = NoticeId::new(now, &mut *self.dice());
        let new = NewNotice {
            id: notice_id,
            account_id: confirmation.account_id,
            service_account_id: confirmation.service_account_id,
            confirmation_id: id,
            kind,
            dedupe_key: format!("{kind}:{id}:{generation}"),
            recipient: confirmation.email.as_str().to_owned(),
            recipient_hash: self.keyring().address_hash(&confirmation.email),
            message_id: format!("{notice_id}@{}", host_of(self.public_url())),
        };
        let reserved = self
            .store()
            .reserve_notice(new, limits::UNCONFIRMED_A_DAY, limits::RESEND_WINDOW, now)
            .await?;
        let (notice_id, message_id) = match reserved {
            Reserved::Send { id, message_id } => (id, message_id),
            Reserved::Settled(_) => return Ok(Prepared::Skip("it was sent already")),
            Reserved::Later(at) => return Ok(Prepared::Later(at)),
        };
        Ok(Prepared::Send(Box::new(ConfirmationMail {
            notice_id,
            to: confirmation.email,
            language: confirmation.language,
            service_account: page.service_account,
            account: page.account,
            link: format!("{}/confirm/{signed}", self.public_url()),
            message_id,
            expires_at: confirmation.expires_at,
            reminder,
        })))
    }

    /// The one reminder, while the confirmation is still unanswered.
    pub async fn confirmation_reminder(&self, id: ConfirmationId) -> Result<Prepared> {
        match self.store().find_confirmation(id).await? {
            Some(confirmation) => {
                self.prepare_confirmation(id, confirmation.generation, true)
                    .await
            }
            None => Ok(Prepared::Skip("the confirmation is gone")),
        }
    }

    /// The mail server took it.
    pub async fn notice_accepted(&self, id: NoticeId, reply: &str) -> Result<()> {
        self.settle(id, NoticeState::Accepted, reply).await
    }

    /// It will be tried again.
    pub async fn notice_deferred(&self, id: NoticeId, detail: &str) -> Result<()> {
        self.settle(id, NoticeState::Deferred, detail).await
    }

    /// It was refused for our own fault; operators have to look.
    pub async fn notice_failed(&self, id: NoticeId, detail: &str) -> Result<()> {
        self.settle(id, NoticeState::Failed, detail).await
    }

    /// The address does not exist, says its server: the contact is marked too.
    pub async fn notice_undeliverable(&self, id: NoticeId, detail: &str) -> Result<()> {
        let confirmation = self
            .store()
            .find_notice(id)
            .await?
            .and_then(|it| it.confirmation_id);
        if let Some(confirmation) = confirmation {
            let actor = Actor::schedule();
            self.run(
                &Call::new(&actor, Origin::default()),
                Target::Confirmation(confirmation),
                move |view, tools| {
                    let changes =
                        contact::bounced(view, &tools.asking, confirmation, tools.mint.dice)?;
                    Ok(Decided::new((), changes, Outcome::default()))
                },
            )
            .await?;
        }
        self.settle(id, NoticeState::Undeliverable, detail).await
    }

    async fn settle(&self, id: NoticeId, state: NoticeState, detail: &str) -> Result<()> {
        Ok(self
            .store()
            .settle_notice(id, state, detail, self.now())
            .await?)
    }
}

/// The host that Message-IDs are made under.
fn host_of(public_url: &str) -> &str {
    let rest = public_url
        .split_once("://")
        .map_or(public_url, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or(rest);
    let host = authority
        .rsplit_once(':')
        .map_or(authority, |(host, port)| {
            if port.bytes().all(|c| c.is_ascii_digit()) {
                host
            } else {
                authority
            }
        });
    if host.is_empty() || host.starts_with('[') {
        "localhost"
    } else {
        host
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn hosts() {
        for (url, host) in [
            ("https://id.example.com", "id.example.com"),
            ("http://127.0.0.1:8080", "127.0.0.1"),
            ("http://[::1]:80", "localhost"),
            ("https://a.b/c", "a.b"),
        ] {
            assert_eq!(super::host_of(url), host);
        }
    }
}
