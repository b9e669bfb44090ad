//! HTTP/1.1 over a kept-alive socket, with as little between the caller and the system as there can be:
//! requests are bytes made beforehand, answers are looked at where they were received.

use crate::AnyError;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

pub const PATIENCE: Duration = Duration::from_secs(30);
const BUFFER: usize = 16 * 1024;

/// What stands before and after the token in a request.
#[derive(Clone)]
pub struct Template {
    before: Vec<u8>,
    after: Vec<u8>,
}

/// Stands for the token in the text of a [`Template`].
pub const TOKEN: &str = "{token}";

impl Template {
    /// A request whose head or body holds [`TOKEN`] once. `token_length` is that of all tokens.
    pub fn new(head: &str, body: Option<&str>, token_length: usize) -> Self {
        let mut text = format!("{head}\r\n");
        if let Some(body) = body {
            let length = body.replace(TOKEN, "").len() + token_length;
            text.push_str("Content-Type: application/json\r\n");
            text.push_str(&format!("Content-Length: {length}\r\n\r\n{body}"));
        } else {
            text.push_str("\r\n");
        }
        let (before, after) = text.split_once(TOKEN).unwrap_or((&text, ""));
        Self {
            before: before.into(),
            after: after.into(),
        }
    }

    pub fn write(&self, token: &str, to: &mut Vec<u8>) {
        to.clear();
        to.extend_from_slice(&self.before);
        to.extend_from_slice(token.as_bytes());
        to.extend_from_slice(&self.after);
    }
}

/// The head's lines, without the empty one that ends it.
pub fn head(method: &str, path: &str, headers: &[(&str, &str)]) -> String {
    let mut head = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: gateway/1.0\r\nAccept: */*"
    );
    for (name, value) in headers {
        head.push_str(&format!("\r\n{name}: {value}"));
    }
    head
}

pub struct Answer<'a> {
    pub status: u16,
    /// All of it.
    pub bytes: &'a [u8],
    /// Where the body begins.
    pub body_at: usize,
}

impl Answer<'_> {
    pub fn body(&self) -> &[u8] {
        &self.bytes[self.body_at..]
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.bytes).into_owned()
    }
}

pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
    /// Of the last answer: its whole length, and where its body began. The next one is as a rule alike.
    last: (usize, usize),
}

impl Connection {
    pub fn open(to: SocketAddr) -> Result<Self, AnyError> {
        let stream = TcpStream::connect(to)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self {
            stream,
            buffer: vec![0; BUFFER],
            filled: 0,
            last: (0, 0),
        })
    }

    pub fn send(&mut self, request: &[u8]) -> Result<(), AnyError> {
        Ok(self.stream.write_all(request)?)
    }

    pub fn ask(&mut self, request: &[u8]) -> Result<Answer<'_>, AnyError> {
        self.send(request)?;
        self.receive()
    }

    pub fn receive(&mut self) -> Result<Answer<'_>, AnyError> {
        while !self.read()? {}
        self.answer()
    }

    /// What is there does not block; a whole answer, once it is.
    pub fn received(&mut self) -> Result<Option<Answer<'_>>, AnyError> {
        match self.read() {
            Ok(true) => self.answer().map(Some),
            Ok(false) => Ok(None),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    pub fn never_block(&self) -> std::io::Result<()> {
        self.stream.set_nonblocking(true)
    }

    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Reads once; whether a whole answer is there.
    fn read(&mut self) -> std::io::Result<bool> {
        if self.filled == self.buffer.len() {
            self.buffer.resize(2 * self.filled, 0);
        }
        match self.stream.read(&mut self.buffer[self.filled..])? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            read => self.filled += read,
        }
        let whole =
            complete(&self.buffer[..self.filled], self.last).map_err(std::io::Error::other)?;
        self.last = whole.unwrap_or(self.last);
        Ok(whole.is_some())
    }

    fn answer(&mut self) -> Result<Answer<'_>, AnyError> {
        let ((length, body_at), filled) = (self.last, std::mem::take(&mut self.filled));
        if length != filled {
            return Err("more was received than one answer".into());
        }
        let bytes = &self.buffer[..length];
        let status = std::str::from_utf8(&bytes[9..12])?.parse()?;
        Ok(Answer {
            status,
            bytes,
            body_at,
        })
    }
}

/// The length of a whole answer, and where its body begins.
fn complete(received: &[u8], last: (usize, usize)) -> Result<Option<(usize, usize)>, String> {
    const END: &[u8] = b"\r\n\r\n";
    // As long as the one before, and its head ends at the same place: its lengths are the same too.
    if received.len() == last.0 && received[..last.1].ends_with(END) {
        return Ok(Some(last));
    }
    let Some(end) = received.windows(4).position(|it| it == END) else {
        return Ok(None);
    };
    let body_at = end + END.len();
    let head = std::str::from_utf8(&received[..end]).map_err(|e| e.to_string())?;
    let announced = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_length = name.eq_ignore_ascii_case("content-length");
        is_length.then(|| value.trim().parse::<usize>())
    });
    let length = match announced {
        Some(length) => body_at + length.map_err(|e| e.to_string())?,
        None if head.starts_with("HTTP/1.1 204") => body_at,
        None => return Err("an answer without Content-Length".into()),
    };
    Ok((received.len() >= length).then_some((length, body_at)))
}

/// One request on a connection of its own.
pub fn once(to: SocketAddr, head: &str, body: Option<&str>) -> Result<(u16, String), AnyError> {
    let mut request = Vec::new();
    Template::new(head, body, 0).write("", &mut request);
    let mut connection = Connection::open(to)?;
    let answer = connection.ask(&request)?;
    let body = String::from_utf8_lossy(answer.body()).into_owned();
    Ok((answer.status, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_counts_its_tokens_length() {
        let template = Template::new(&head("POST", "/x", &[]), Some(r#"{"token":"{token}"}"#), 3);
        let mut request = Vec::new();
        template.write("abc", &mut request);
        let text = String::from_utf8(request).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert_eq!(body, r#"{"token":"abc"}"#);
        assert!(
            head.contains(&format!("Content-Length: {}", body.len())),
            "{head}"
        );
    }

    #[test]
    fn an_answer_ends_where_its_length_says() {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
        let whole = Some((answer.len(), answer.len() - 2));
        assert_eq!(complete(answer, (0, 0)).unwrap(), whole);
        assert_eq!(
            complete(answer, (answer.len(), answer.len() - 2)).unwrap(),
            whole
        );
        for cut in [3, answer.len() - 3, answer.len() - 1] {
            assert_eq!(complete(&answer[..cut], (0, 0)).unwrap(), None);
        }
        assert!(complete(b"HTTP/1.1 200 OK\r\n\r\n", (0, 0)).is_err());
        let empty = b"HTTP/1.1 204 No Content\r\n\r\n";
        let whole = Some((empty.len(), empty.len()));
        assert_eq!(complete(empty, (0, 0)).unwrap(), whole);
    }
}
