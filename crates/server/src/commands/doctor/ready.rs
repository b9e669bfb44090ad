//! Asks a running instance whether it is ready: what a container's health check calls, in
//! an image that holds no other program. Needs no settings and no TLS.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use crate::config::UrlParts;

/// For each step: resolve and connect, send, receive.
const TIMEOUT: Duration = Duration::from_secs(3);

#[derive(Debug, thiserror::Error)]
pub enum NotReady {
    #[error("not a URL of the form http://HOST[:PORT]/PATH")]
    Url,
    #[error("no answer: {0}")]
    Unreachable(#[from] io::Error),
    #[error("not ready: {0:?}")]
    Answer(String),
}

/// Succeeds when `GET url` answers 200.
pub fn ask_ready(url: &str) -> Result<(), NotReady> {
    let parts = UrlParts::parse(url)
        .filter(|url| url.scheme == "http" && !url.host.is_empty() && url.user_info.is_none())
        .ok_or(NotReady::Url)?;
    let mut stream = connect(parts.host, parts.port.unwrap_or(80))?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let path = if parts.path.is_empty() {
        "/"
    } else {
        parts.path
    };
    let query = parts
        .query
        .map(|query| format!("?{query}"))
        .unwrap_or_default();
    let host = match parts.host.contains(':') {
        true => format!("[{}]", parts.host),
        false => parts.host.to_owned(),
    };
    let request =
        format!("GET {path}{query} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let status = first_line(&mut stream)?;
    match status.split(' ').nth(1) {
        Some("200") if status.starts_with("HTTP/1.") => Ok(()),
        _ => Err(NotReady::Answer(status)),
    }
}

fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, TIMEOUT) {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// The status line; no more than 256 bytes are looked at.
fn first_line(stream: &mut TcpStream) -> io::Result<String> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 64];
    while !bytes.contains(&b'\n') && bytes.len() < 256 {
        match stream.read(&mut chunk)? {
            0 => break,
            n => bytes.extend_from_slice(&chunk[..n]),
        }
    }
    let text = String::from_utf8_lossy(&bytes);
    Ok(text
        .lines()
        .next()
        .unwrap_or_default()
        .trim_end()
        .to_owned())
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// Answers one request with `answer`, in pieces; gives the URL and the request's first
    /// line.
    fn served(answer: &'static str) -> (Result<(), NotReady>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/readyz?x=1", listener.local_addr().unwrap());
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let first = lines.next().unwrap().unwrap();
            while !lines.next().unwrap().unwrap().is_empty() {}
            for piece in answer.as_bytes().chunks(7) {
                // The client hangs up once it has read the status line.
                if stream.write_all(piece).is_err() {
                    break;
                }
            }
            first
        });
        (ask_ready(&url), server.join().unwrap())
    }

    #[test]
    fn ready_means_200() {
        let (result, request) = served("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        assert_eq!(request, "GET /readyz?x=1 HTTP/1.1");
        assert!(result.is_ok(), "{result:?}");
    }

    #[test]
    fn anything_else_is_not_ready() {
        for answer in [
            "HTTP/1.1 503 Service Unavailable\r\n\r\n",
            "HTTP/1.1 2000 OK\r\n\r\n",
            "SSH-2.0 200 x\r\n",
            "",
        ] {
            let (result, _) = served(answer);
            let Err(NotReady::Answer(line)) = result else {
                panic!("{answer:?}: {result:?}");
            };
            assert_eq!(line, answer.lines().next().unwrap_or_default());
        }
    }

    #[test]
    fn an_instance_that_is_not_there_is_not_ready() {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let result = ask_ready(&format!("http://127.0.0.1:{port}/readyz"));
        assert!(
            matches!(result, Err(NotReady::Unreachable(_))),
            "{result:?}"
        );
        for url in ["https://h/", "h:80", "http:///x"] {
            assert!(matches!(ask_ready(url), Err(NotReady::Url)), "{url}");
        }
    }
}
