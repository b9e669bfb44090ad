//! How mail leaves: one [`Mailer`] over SMTP, a directory of `.eml` files, or a list in memory, and what
//! came of a delivery.

mod breaker;
mod directory;
mod memory;
mod render;
mod smtp;
mod url;

use std::time::Duration;

use lettre::message::Mailbox;
use symbolon_domain::EmailAddress;

pub(crate) use breaker::Breaker;
pub use memory::{MemoryMail, SentMail};
pub(crate) use render::confirmation;
pub use url::{MailUrl, SmtpCredentials, SmtpServer, SmtpTls};

/// How mail leaves, and in whose name.
#[derive(Debug, Clone)]
pub struct MailSettings {
    pub url: MailUrl,
    /// An address, or a name with the address in angle brackets.
    pub from: String,
    /// For each step of a delivery: connecting, and each command until its reply.
    pub timeout: Duration,
    /// Deliveries under way at the same time.
    pub concurrency: usize,
}

/// A finished mail. Not printable: it carries a link that is a secret.
pub(crate) struct OutgoingMail {
    pub to: EmailAddress,
    /// `local@domain`, without angle brackets.
    pub message_id: String,
    /// Headers and body as they cross the wire, before dot stuffing.
    pub raw: Vec<u8>,
}

/// What came of a delivery. The texts are replies with addresses and links blotted out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// Taken over by the server.
    Accepted(String),
    /// The recipient cannot be reached, says the server for good.
    Undeliverable(String),
    /// Refused for good for a reason on our side; `general` when it will hit every mail alike.
    Refused { reply: String, general: bool },
    /// It may work later.
    Deferred(String),
}

impl Delivery {
    /// The name that metrics use.
    pub(crate) const fn result(&self) -> &'static str {
        match self {
            Self::Accepted(_) => "accepted",
            Self::Undeliverable(_) => "undeliverable",
            Self::Refused { .. } => "refused",
            Self::Deferred(_) => "deferred",
        }
    }
}

/// Delivers mail the way the settings say.
pub(crate) struct Mailer {
    from: Mailbox,
    way: Way,
}

enum Way {
    Smtp(Box<smtp::Smtp>),
    Directory(directory::Directory),
    Memory(MemoryMail),
}

impl Mailer {
    /// Fails with a text for operators when the sender is no address, the directory cannot be made or
    /// no TLS roots are found. Opens no connection.
    pub fn new(settings: &MailSettings) -> Result<Self, String> {
        let from = settings
            .from
            .parse()
            .map_err(|_| "mail.from is not a mail address".to_owned())?;
        let way = match &settings.url {
            MailUrl::Smtp(server) => Way::Smtp(Box::new(smtp::Smtp::new(
                server.clone(),
                settings.timeout,
                settings.concurrency,
            )?)),
            MailUrl::Directory(path) => Way::Directory(directory::Directory::new(path)?),
            MailUrl::Memory => Way::Memory(MemoryMail::default()),
        };
        Ok(Self { from, way })
    }

    pub fn from(&self) -> &Mailbox {
        &self.from
    }

    /// The mails of a memory mailer.
    pub fn memory(&self) -> Option<&MemoryMail> {
        match &self.way {
            Way::Memory(memory) => Some(memory),
            _ => None,
        }
    }

    /// Whether mail could leave now; sends none.
    pub async fn probe(&self) -> Result<String, String> {
        match &self.way {
            Way::Smtp(smtp) => smtp
                .probe()
                .await
                .map(|()| "the server lets us in".to_owned()),
            Way::Directory(_) => Ok("written to a directory".to_owned()),
            Way::Memory(_) => Ok("kept in memory; nothing is sent".to_owned()),
        }
    }

    pub async fn send(&self, mail: OutgoingMail) -> Delivery {
        let delivery = match &self.way {
            Way::Smtp(smtp) => smtp.send(&self.from.email, &mail).await,
            Way::Directory(directory) => directory.send(mail).await,
            Way::Memory(memory) => memory.send(mail),
        };
        metrics::counter!("symbolon_mail_sent_total", "result" => delivery.result()).increment(1);
        delivery
    }
}
