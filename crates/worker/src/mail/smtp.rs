//! Delivery over SMTP, command by command: only so is it known which command a reply answers, and each
//! can have its own time-out. lettre brings the connection, TLS and the commands.

use std::collections::VecDeque;
use std::error::Error as _;
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lettre::Address;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::Response;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use super::url::{SmtpServer, SmtpTls};
use super::{Delivery, OutgoingMail};
use crate::job::masked;

/// Servers close idle connections after minutes; we do before.
const IDLE_LONGEST: Duration = Duration::from_secs(20);
/// A courtesy to a server that may not be listening any more.
const QUIT_LONGEST: Duration = Duration::from_secs(1);
/// Servers limit the mails of one connection.
const MAILS_PER_CONNECTION: u32 = 50;

pub(super) struct Smtp {
    server: SmtpServer,
    tls: Option<TlsParameters>,
    credentials: Option<Credentials>,
    hello: ClientId,
    timeout: Duration,
    slots: Semaphore,
    idle: Mutex<VecDeque<Connection>>,
}

struct Connection {
    smtp: AsyncSmtpConnection,
    mails: u32,
    idle_since: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Connect,
    Tls,
    Auth,
    Mail,
    Rcpt,
    Data,
    Message,
}

impl Step {
    const fn name(self) -> &'static str {
        match self {
            Self::Connect => "connecting",
            Self::Tls => "STARTTLS",
            Self::Auth => "AUTH",
            Self::Mail => "MAIL",
            Self::Rcpt => "RCPT",
            Self::Data => "DATA",
            Self::Message => "the message",
        }
    }
}

/// Where and how a delivery failed.
#[derive(Debug)]
struct Failure {
    step: Step,
    kind: Kind,
    /// Masked.
    text: String,
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    /// A 5xx reply, with its enhanced status code (RFC 3463) when it has one.
    Permanent {
        code: u16,
        enhanced: Option<[u16; 3]>,
    },
    /// A 4xx reply.
    Transient,
    /// The server cannot do what the settings demand (no AUTH mechanism in common, no STARTTLS).
    Unsuitable,
    /// Refused, dropped, timed out, not understood.
    Network,
}

impl Smtp {
    pub fn new(server: SmtpServer, timeout: Duration, concurrency: usize) -> Result<Self, String> {
        let tls = match server.tls {
            SmtpTls::None => None,
            SmtpTls::Required | SmtpTls::Implicit => Some(
                TlsParameters::new(server.host.clone())
                    .map_err(|error| format!("TLS for mail cannot be set up: {error}"))?,
            ),
        };
        let credentials = server
            .credentials
            .as_ref()
            .map(|it| Credentials::new(it.user.clone(), it.password.clone()));
        Ok(Self {
            server,
            tls,
            credentials,
            hello: ClientId::default(),
            timeout,
            slots: Semaphore::new(concurrency.max(1)),
            idle: Mutex::default(),
        })
    }

    /// Whether the server lets us in; sends nothing. The error is masked.
    pub async fn probe(&self) -> Result<(), String> {
        let connection = self.connection().await;
        let connection = connection.map_err(|it| format!("{}: {}", it.step.name(), it.text))?;
        self.keep(connection).await;
        Ok(())
    }

    pub async fn send(&self, from: &Address, mail: &OutgoingMail) -> Delivery {
        let Ok(to) = mail.to.as_str().parse::<Address>() else {
            return Delivery::Undeliverable("not an address that SMTP can carry".to_owned());
        };
        let Ok(_slot) = self.slots.acquire().await else {
            return Delivery::Deferred("stopping".to_owned());
        };
        let mut connection = match self.connection().await {
            Ok(connection) => connection,
            Err(failure) => return failure.meaning(),
        };
        match self
            .transaction(&mut connection.smtp, from, to, &mail.raw)
            .await
        {
            Ok(reply) => {
                connection.mails += 1;
                self.keep(connection).await;
                Delivery::Accepted(reply_text(&reply))
            }
            Err(failure) => {
                if failure.kind != Kind::Network {
                    quit(&mut connection.smtp).await;
                }
                failure.meaning()
            }
        }
    }

    async fn transaction(
        &self,
        smtp: &mut AsyncSmtpConnection,
        from: &Address,
        to: Address,
        raw: &[u8],
    ) -> Result<Response, Failure> {
        let mail = Mail::new(Some(from.clone()), vec![]);
        self.step(Step::Mail, smtp.command(mail)).await?;
        self.step(Step::Rcpt, smtp.command(Rcpt::new(to, vec![])))
            .await?;
        self.step(Step::Data, smtp.command(Data)).await?;
        self.step(Step::Message, smtp.message(raw)).await
    }

    /// An idle connection that still answers, or a new one.
    async fn connection(&self) -> Result<Connection, Failure> {
        loop {
            let Some(mut connection) = self.idle().pop_back() else {
                break;
            };
            let fresh = connection.idle_since.elapsed() < IDLE_LONGEST;
            if fresh
                && tokio::time::timeout(self.timeout, connection.smtp.test_connected())
                    .await
                    .unwrap_or(false)
            {
                return Ok(connection);
            }
            if fresh {
                continue;
            }
            quit(&mut connection.smtp).await;
        }
        Ok(Connection {
            smtp: self.connect().await?,
            mails: 0,
            idle_since: Instant::now(),
        })
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Failure> {
        let server = (self.server.host.as_str(), self.server.port);
        let mut smtp = if self.server.tls == SmtpTls::Implicit {
            let tls = self.tls.clone();
            let connecting =
                AsyncSmtpConnection::connect_tokio1(server, None, &self.hello, tls, None);
            self.step(Step::Connect, connecting).await?
        } else {
            let stream = async {
                let stream = TcpStream::connect(server).await?;
                // Without it each mail waits for a delayed acknowledgement.
                stream.set_nodelay(true)?;
                Ok::<_, std::io::Error>(stream)
            };
            let stream = match tokio::time::timeout(self.timeout, stream).await {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => return Err(Failure::network(Step::Connect, &error.to_string())),
                Err(_) => return Err(Failure::network(Step::Connect, "timed out")),
            };
            let greeting =
                AsyncSmtpConnection::connect_with_transport(Box::new(stream), &self.hello);
            self.step(Step::Connect, greeting).await?
        };
        if let (SmtpTls::Required, Some(tls)) = (self.server.tls, &self.tls) {
            self.step(Step::Tls, smtp.starttls(tls.clone(), &self.hello))
                .await?;
        }
        if let Some(credentials) = &self.credentials {
            self.step(Step::Auth, smtp.auth(DEFAULT_MECHANISMS, credentials))
                .await?;
        }
        Ok(smtp)
    }

    async fn keep(&self, mut connection: Connection) {
        if connection.mails >= MAILS_PER_CONNECTION {
            quit(&mut connection.smtp).await;
            return;
        }
        connection.idle_since = Instant::now();
        // Never more than deliveries at the same time: each took one out or made one.
        self.idle().push_back(connection);
    }

    fn idle(&self) -> MutexGuard<'_, VecDeque<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn step<T>(
        &self,
        step: Step,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Failure> {
        match tokio::time::timeout(self.timeout, work).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(Failure::new(step, &error)),
            Err(_) => Err(Failure::network(step, "timed out")),
        }
    }
}

async fn quit(smtp: &mut AsyncSmtpConnection) {
    // Nothing depends on the reply.
    let _ = tokio::time::timeout(QUIT_LONGEST, smtp.quit()).await;
}

fn reply_text(reply: &Response) -> String {
    masked(&format!(
        "{} {}",
        reply.code(),
        reply.message().collect::<Vec<_>>().join(" ")
    ))
}

impl Failure {
    fn network(step: Step, text: &str) -> Self {
        Self {
            step,
            kind: Kind::Network,
            text: masked(text),
        }
    }

    fn new(step: Step, error: &Error) -> Self {
        let message = error.source().map(ToString::to_string).unwrap_or_default();
        let code: Option<u16> = error
            .status()
            .and_then(|code| code.to_string().parse().ok());
        let kind = match code {
            Some(code) if error.is_permanent() => Kind::Permanent {
                code,
                enhanced: enhanced_status(&message),
            },
            Some(_) => Kind::Transient,
            None if error.is_client() => Kind::Unsuitable,
            None => Kind::Network,
        };
        let mut text = String::new();
        match code {
            Some(code) => write!(text, "{code} {message}"),
            None => write!(text, "{error}"),
        }
        .expect("a String takes all that is written");
        Self {
            step,
            kind,
            text: masked(&text),
        }
    }

    /// What a failure means for the recipient and for us.
    fn meaning(self) -> Delivery {
        let reply = format!("{}: {}", self.step.name(), self.text);
        let general = |general| Delivery::Refused {
            reply: reply.clone(),
            general,
        };
        match (self.step, self.kind) {
            (_, Kind::Transient | Kind::Network) => Delivery::Deferred(reply),
            // Refused before anything was said about this mail, or not equipped: the operator repairs
            // it, the mails wait.
            (Step::Connect | Step::Tls, _) => Delivery::Deferred(reply),
            (Step::Rcpt, Kind::Permanent { code, enhanced }) => match (enhanced, code) {
                // Our own address is what is wrong, told when the recipient is named.
                (Some([5, 1, 7 | 8]), _) | (_, 530 | 535) => general(true),
                (Some([5, 1, _] | [5, 2, 1]), _) | (None, 550 | 551 | 553) => {
                    Delivery::Undeliverable(reply)
                }
                // A full mailbox is emptied some day.
                (Some([5, 2, 2]), _) | (None, 552) => Delivery::Deferred(reply),
                // Not allowed to send there: says nothing about the recipient, nor about other mails.
                _ => general(false),
            },
            (_, Kind::Permanent { .. } | Kind::Unsuitable) => general(true),
        }
    }
}

/// The enhanced status code at the beginning of a reply's text: `5.1.1 …`.
fn enhanced_status(text: &str) -> Option<[u16; 3]> {
    let mut parts = text.split_whitespace().next()?.split('.');
    let mut part = |longest: usize| {
        let part = parts.next()?;
        let legal = (1..=longest).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        legal.then(|| part.parse().ok()).flatten()
    };
    let status = [part(1)?, part(3)?, part(3)?];
    parts.next().is_none().then_some(status)
}

#[cfg(test)]
mod tests;
