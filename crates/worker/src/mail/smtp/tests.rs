//! Deliveries to a scripted server on loopback: what each reply, silence or hang-up means.

use super::*;
use crate::mail::url::SmtpCredentials;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use symbolon_domain::EmailAddress;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, tcp::OwnedWriteHalf};

const STEP: Duration = Duration::from_millis(300);

/// What the server does when a command begins with `at`; `CONNECT` is the greeting, `.` the end of a mail.
#[derive(Clone, Copy)]
struct Script {
    at: &'static str,
    act: Act,
}

#[derive(Clone, Copy)]
enum Act {
    Say(&'static str),
    Stall,
    HangUp,
}

#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
    mails: Mutex<Vec<String>>,
    commands: Mutex<Vec<String>>,
}

/// Answers `line`; `false` ends the conversation.
async fn answer(
    out: &mut OwnedWriteHalf,
    script: Option<Script>,
    line: &str,
    usual: &'static str,
) -> bool {
    let act = match script {
        Some(script) if line.starts_with(script.at) => script.act,
        _ => Act::Say(usual),
    };
    match act {
        Act::Say(reply) => out
            .write_all(format!("{reply}\r\n").as_bytes())
            .await
            .is_ok(),
        Act::Stall => {
            tokio::time::sleep(Duration::from_secs(60)).await;
            false
        }
        Act::HangUp => false,
    }
}

async fn serve(script: Option<Script>) -> (u16, Arc<Seen>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Arc::new(Seen::default());
    let shared = seen.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let seen = shared.clone();
            tokio::spawn(async move {
                seen.connections.fetch_add(1, Ordering::SeqCst);
                let at_once = seen.at_once.fetch_add(1, Ordering::SeqCst) + 1;
                seen.most_at_once.fetch_max(at_once, Ordering::SeqCst);
                converse(stream, script, &seen).await;
                seen.at_once.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
    (port, seen)
}

async fn converse(stream: TcpStream, script: Option<Script>, seen: &Seen) {
    let (read, mut out) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    if !answer(&mut out, script, "CONNECT", "220 scripted").await {
        return;
    }
    while let Ok(Some(line)) = lines.next_line().await {
        seen.commands.lock().unwrap().push(line.clone());
        let usual = match line.split(' ').next().unwrap() {
            "EHLO" => "250-scripted\r\n250-AUTH PLAIN LOGIN\r\n250 8BITMIME",
            "AUTH" => "235 2.7.0 welcome",
            "DATA" => "354 go on",
            "QUIT" => "221 bye",
            _ => "250 2.0.0 fine",
        };
        if !answer(&mut out, script, &line, usual).await {
            return;
        }
        let refused = script.is_some_and(|script| script.at == "DATA");
        if line == "DATA" && !refused {
            let mut mail = String::new();
            while let Ok(Some(line)) = lines.next_line().await {
                if line == "." {
                    break;
                }
                mail.push_str(line.strip_prefix('.').unwrap_or(&line));
                mail.push_str("\r\n");
            }
            seen.mails.lock().unwrap().push(mail);
            if !answer(
                &mut out,
                script,
                ".",
                "250 2.0.0 queued as 1 for <ops@example.com>",
            )
            .await
            {
                return;
            }
        }
    }
}

fn smtp(port: u16, credentials: bool, concurrency: usize) -> Smtp {
    let server = SmtpServer {
        host: "127.0.0.1".to_owned(),
        port,
        tls: SmtpTls::None,
        credentials: credentials.then(|| SmtpCredentials {
            user: "us3r".to_owned(),
            password: "s3cret".to_owned(),
        }),
    };
    Smtp::new(server, STEP, concurrency).unwrap()
}

fn mail() -> OutgoingMail {
    OutgoingMail {
        to: EmailAddress::parse("ops@example.com").unwrap(),
        message_id: "1@example.com".to_owned(),
        raw: b"Subject: x\r\n\r\nfirst\r\n.dotted\r\n".to_vec(),
    }
}

async fn deliver(script: Option<Script>, credentials: bool) -> Delivery {
    let (port, _) = serve(script).await;
    let from = "symbolon@example.org".parse().unwrap();
    smtp(port, credentials, 2).send(&from, &mail()).await
}

async fn delivery(at: &'static str, act: Act) -> Delivery {
    deliver(Some(Script { at, act }), true).await
}

#[tokio::test]
async fn accepted_only_by_the_reply_to_the_message() {
    let (port, seen) = serve(None).await;
    let from = "symbolon@example.org".parse().unwrap();
    let delivery = smtp(port, true, 2).send(&from, &mail()).await;
    assert_eq!(
        delivery,
        Delivery::Accepted("250 2.0.0 queued as 1 for [address]".to_owned())
    );
    assert_eq!(
        *seen.mails.lock().unwrap(),
        ["Subject: x\r\n\r\nfirst\r\n.dotted\r\n\r\n"]
    );
    let commands = seen.commands.lock().unwrap();
    assert!(
        commands.contains(&"MAIL FROM:<symbolon@example.org>".to_owned()),
        "{commands:?}"
    );
    assert!(
        commands.contains(&"RCPT TO:<ops@example.com>".to_owned()),
        "{commands:?}"
    );
}

#[tokio::test]
async fn permanent_replies_to_the_recipient() {
    for reply in [
        "550 5.1.1 <ops@example.com>: no such user",
        "550-5.1.10 no\r\n550 5.1.10 such user",
        "550 5.2.1 disabled",
        "550 unknown",
        "551 not here",
        "553 what name is this",
    ] {
        match delivery("RCPT", Act::Say(reply)).await {
            Delivery::Undeliverable(text) => {
                assert!(
                    text.starts_with("RCPT: 55") && !text.contains("ops@"),
                    "{text}"
                );
            }
            other => panic!("{reply}: {other:?}"),
        }
    }
    for (reply, general) in [
        (
            "550 5.1.8 <symbolon@example.org>: sender's domain not found",
            true,
        ),
        ("530 5.7.0 authenticate first", true),
        ("550 5.7.1 relaying denied", false),
        ("554 5.7.1 denied", false),
        ("554 no", false),
    ] {
        match delivery("RCPT", Act::Say(reply)).await {
            Delivery::Refused { general: found, .. } => assert_eq!(found, general, "{reply}"),
            other => panic!("{reply}: {other:?}"),
        }
    }
    for reply in ["552 5.2.2 mailbox full", "552 full"] {
        assert!(
            matches!(
                delivery("RCPT", Act::Say(reply)).await,
                Delivery::Deferred(_)
            ),
            "{reply}"
        );
    }
}

#[tokio::test]
async fn permanent_replies_to_us() {
    for (at, reply) in [
        ("AUTH", "535 5.7.8 wrong password"),
        ("MAIL", "550 5.1.1 who are you"),
        ("MAIL", "550 no"),
        ("DATA", "554 5.6.0 no"),
        (
            ".",
            "554 5.7.1 this looks like spam: https://example.com/confirm/S3CRET",
        ),
        (".", "550 5.1.1 too late for that"),
    ] {
        match delivery(at, Act::Say(reply)).await {
            Delivery::Refused {
                reply: text,
                general: true,
            } => {
                assert!(
                    !text.contains("S3CRET") && text.contains(&reply[..3]),
                    "{text}"
                );
            }
            other => panic!("{at} {reply}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn no_mechanism_in_common_is_ours_to_repair() {
    let plain = Script {
        at: "EHLO",
        act: Act::Say("250 scripted"),
    };
    assert!(matches!(
        deliver(Some(plain), true).await,
        Delivery::Refused { general: true, .. }
    ));
    assert!(matches!(
        deliver(Some(plain), false).await,
        Delivery::Accepted(_)
    ));
}

#[tokio::test]
async fn what_may_pass_is_deferred() {
    for (at, act) in [
        ("CONNECT", Act::Say("554 5.3.2 closed")),
        ("CONNECT", Act::Say("421 too busy")),
        ("CONNECT", Act::Say("this is not SMTP")),
        ("CONNECT", Act::HangUp),
        ("CONNECT", Act::Stall),
        ("EHLO", Act::Stall),
        ("AUTH", Act::Say("454 4.7.0 later")),
        ("MAIL", Act::Say("451 4.3.0 later")),
        ("RCPT", Act::Say("451 4.7.1 greylisted")),
        ("RCPT", Act::Say("450 4.1.1 later")),
        ("RCPT", Act::Stall),
        ("RCPT", Act::HangUp),
        ("DATA", Act::Say("421 shutting down")),
        (".", Act::Say("452 4.3.1 full")),
        (".", Act::HangUp),
        (".", Act::Stall),
    ] {
        let started = Instant::now();
        let result = delivery(at, act).await;
        assert!(matches!(result, Delivery::Deferred(_)), "{at}: {result:?}");
        assert!(
            started.elapsed() < STEP * 5,
            "{at}: {:?}",
            started.elapsed()
        );
    }
}

#[tokio::test]
async fn a_closed_port_is_deferred() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let from = "symbolon@example.org".parse().unwrap();
    let delivery = smtp(port, false, 1).send(&from, &mail()).await;
    assert!(matches!(delivery, Delivery::Deferred(_)), "{delivery:?}");
}

#[tokio::test]
async fn nothing_is_said_to_a_server_without_starttls() {
    let (port, seen) = serve(None).await;
    let server = SmtpServer {
        host: "127.0.0.1".to_owned(),
        port,
        tls: SmtpTls::Required,
        credentials: Some(SmtpCredentials {
            user: "us3r".to_owned(),
            password: "s3cret".to_owned(),
        }),
    };
    let smtp = Smtp::new(server, STEP, 1).unwrap();
    let from = "symbolon@example.org".parse().unwrap();
    let delivery = smtp.send(&from, &mail()).await;
    assert!(matches!(delivery, Delivery::Deferred(_)), "{delivery:?}");
    let commands = seen.commands.lock().unwrap();
    assert!(
        commands
            .iter()
            .all(|line| line.starts_with("EHLO") || line == "QUIT"),
        "{commands:?}"
    );
}

#[tokio::test]
async fn connections_are_capped_and_used_again() {
    let (port, seen) = serve(None).await;
    let smtp = Arc::new(smtp(port, false, 3));
    let from: Address = "symbolon@example.org".parse().unwrap();
    let deliveries = (0..60).map(|_| {
        let (smtp, from) = (smtp.clone(), from.clone());
        tokio::spawn(async move { smtp.send(&from, &mail()).await })
    });
    for delivery in futures_util::future::join_all(deliveries).await {
        assert!(matches!(delivery.unwrap(), Delivery::Accepted(_)));
    }
    assert_eq!(seen.mails.lock().unwrap().len(), 60);
    assert_eq!(seen.most_at_once.load(Ordering::SeqCst), 3);
    assert!(
        seen.connections.load(Ordering::SeqCst) <= 6,
        "{:?}",
        seen.connections
    );
}

#[tokio::test]
async fn a_connection_that_died_while_idle_is_replaced() {
    let (port, seen) = serve(Some(Script {
        at: "NOOP",
        act: Act::HangUp,
    }))
    .await;
    let smtp = smtp(port, false, 1);
    let from = "symbolon@example.org".parse().unwrap();
    for _ in 0..3 {
        assert!(matches!(
            smtp.send(&from, &mail()).await,
            Delivery::Accepted(_)
        ));
    }
    assert_eq!(seen.connections.load(Ordering::SeqCst), 3);
}

#[test]
fn enhanced_codes_are_read_strictly() {
    assert_eq!(enhanced_status("5.1.1 no such user"), Some([5, 1, 1]));
    assert_eq!(enhanced_status("5.1.10\nx"), Some([5, 1, 10]));
    for text in [
        "",
        "no 5.1.1",
        "5.1",
        "5.1.1.1",
        "55.1.1",
        "5.1.x",
        "127.0.0.1 x",
        "5.1.1234",
    ] {
        assert_eq!(enhanced_status(text), None, "{text}");
    }
}
