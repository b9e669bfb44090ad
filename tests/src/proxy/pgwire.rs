//! PostgreSQL's protocol (version 3) as far as the proxy must read it: where messages end, which
//! of them start a statement, which reply ends one.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Pair, Shared, When};

const SSL_REQUEST: u32 = 80_877_103;
const GSSENC_REQUEST: u32 = 80_877_104;

/// What both directions of one connection know.
#[derive(Default)]
pub struct Dialogue(Mutex<Progress>);

#[derive(Default)]
struct Progress {
    /// The start-up message has passed: typed messages follow.
    started: bool,
    /// A request for encryption waits for its answer of one byte.
    negotiating: bool,
    /// Encrypted: from here on bytes are forwarded unread.
    opaque: bool,
    /// ReadyForQuery messages that the client's messages so far will bring.
    expected: u64,
    /// ReadyForQuery messages that have come.
    seen: u64,
    /// The reply that ends with this ReadyForQuery does not pass, and the connection ends there.
    withheld: Option<u64>,
    /// Replies are read and thrown away.
    discarding: bool,
    /// The breaking statement has passed; the connection ends with its Sync.
    until_sync: bool,
}

/// What to do with one message of the client.
#[derive(Debug, PartialEq)]
enum Step {
    Forward,
    /// Forward this one, then end with nothing more in either direction.
    ForwardAndLeave,
    Break,
}

impl Dialogue {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Client to server.
    pub fn pump_requests(&self, shared: &Shared, pair: &Pair) {
        let mut buffer = Vec::new();
        let mut chunk = [0; 16 * 1024];
        'connection: while let Ok(n @ 1..) = (&pair.client).read(&mut chunk) {
            buffer.extend_from_slice(&chunk[..n]);
            if !shared.may_pass(pair) {
                break;
            }
            loop {
                let (message, step) = {
                    let mut progress = self.progress();
                    let Some(length) = progress.request_length(&buffer) else {
                        break;
                    };
                    let message: Vec<u8> = buffer.drain(..length).collect();
                    let step = progress.request(&message, || shared.count_statement());
                    (message, step)
                };
                if step == Step::Break {
                    pair.close();
                    return;
                }
                if (&pair.server).write_all(&message).is_err() {
                    break 'connection;
                }
                if step == Step::ForwardAndLeave {
                    // The server must be able to read to the end: no reset, and its replies are
                    // taken off its hands by the other direction.
                    let _ = pair.server.shutdown(Shutdown::Write);
                    let _ = pair.client.shutdown(Shutdown::Both);
                    return;
                }
            }
        }
        let _ = pair.server.shutdown(Shutdown::Write);
        let _ = pair.client.shutdown(Shutdown::Read);
    }

    /// Server to client.
    pub fn pump_replies(&self, shared: &Shared, pair: &Pair) {
        let mut buffer = Vec::new();
        let mut chunk = [0; 16 * 1024];
        'connection: while let Ok(n @ 1..) = (&pair.server).read(&mut chunk) {
            buffer.extend_from_slice(&chunk[..n]);
            if !shared.may_pass(pair) {
                break;
            }
            loop {
                let (message, pass, ends) = {
                    let mut progress = self.progress();
                    let Some(length) = progress.reply_length(&buffer) else {
                        break;
                    };
                    let message: Vec<u8> = buffer.drain(..length).collect();
                    let notifies = progress.is_notification(&message);
                    let (pass, ends) = progress.reply(&message);
                    drop(progress);
                    let pass = pass && (!notifies || shared.may_notify());
                    (message, pass, ends)
                };
                if ends {
                    pair.close();
                    return;
                }
                if pass && (&pair.client).write_all(&message).is_err() {
                    break 'connection;
                }
            }
        }
        let _ = pair.client.shutdown(Shutdown::Write);
        let _ = pair.server.shutdown(Shutdown::Read);
    }
}

impl Progress {
    /// The length of the client's message at the start of the buffer, once it is whole.
    fn request_length(&self, buffer: &[u8]) -> Option<usize> {
        if self.opaque {
            return (!buffer.is_empty()).then_some(buffer.len());
        }
        whole(buffer, if self.started { 1 } else { 0 })
    }

    fn request(&mut self, message: &[u8], count: impl FnOnce() -> Option<When>) -> Step {
        if self.opaque {
            return Step::Forward;
        }
        if !self.started {
            match number(message, 4) {
                Some(SSL_REQUEST | GSSENC_REQUEST) => self.negotiating = true,
                _ => {
                    self.started = true;
                    self.expected = 1;
                }
            }
            return Step::Forward;
        }
        let kind = message[0];
        if matches!(kind, b'Q' | b'S' | b'F') {
            self.expected += 1;
        }
        if self.until_sync {
            return match kind {
                b'S' => Step::ForwardAndLeave,
                _ => Step::Forward,
            };
        }
        if !matches!(kind, b'Q' | b'E') {
            return Step::Forward;
        }
        match count() {
            None => Step::Forward,
            Some(When::Before) => Step::Break,
            Some(When::After) => {
                self.discarding = true;
                self.until_sync = kind == b'E';
                match kind {
                    b'E' => Step::Forward,
                    _ => Step::ForwardAndLeave,
                }
            }
            Some(When::AfterReply) => {
                // A query's own ReadyForQuery is counted already; an execution's comes by its Sync.
                self.withheld = Some(self.expected + u64::from(kind == b'E'));
                Step::Forward
            }
        }
    }

    fn reply_length(&self, buffer: &[u8]) -> Option<usize> {
        if self.opaque {
            return (!buffer.is_empty()).then_some(buffer.len());
        }
        if self.negotiating {
            return (!buffer.is_empty()).then_some(1);
        }
        whole(buffer, 1)
    }

    /// Whether the server's message is a NotificationResponse.
    fn is_notification(&self, message: &[u8]) -> bool {
        !self.opaque && !self.negotiating && message[0] == b'A'
    }

    /// Whether the server's message passes, and whether the connection ends with it.
    fn reply(&mut self, message: &[u8]) -> (bool, bool) {
        if self.opaque {
            return (true, false);
        }
        if self.negotiating {
            self.negotiating = false;
            self.opaque = matches!(message[0], b'S' | b'G');
            return (true, false);
        }
        let held = self.withheld.is_some_and(|number| self.seen + 1 >= number);
        if message[0] == b'Z' {
            self.seen += 1;
        }
        let ends = self.withheld.is_some_and(|number| self.seen >= number);
        (!held && !self.discarding, ends)
    }
}

/// The length of a message whose length field, which counts itself, follows `prefix` bytes.
fn whole(buffer: &[u8], prefix: usize) -> Option<usize> {
    let length = prefix + usize::try_from(number(buffer, prefix)?).ok()?;
    (buffer.len() >= length).then_some(length)
}

fn number(buffer: &[u8], at: usize) -> Option<u32> {
    let bytes = buffer.get(at..at + 4)?;
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::super::TcpProxy;
    use super::*;
    use crate::postgres::{create_database, try_psql};
    use std::net::{SocketAddr, TcpListener, TcpStream};
    use std::sync::mpsc::{Receiver, channel};
    use std::time::Duration;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap();
        [&[kind], &length.to_be_bytes()[..], body].concat()
    }

    fn start_up() -> Vec<u8> {
        [&9_u32.to_be_bytes()[..], &196_608_u32.to_be_bytes(), b"\0"].concat()
    }

    fn read_message(stream: &mut TcpStream) -> std::io::Result<(u8, Vec<u8>)> {
        let mut head = [0; 5];
        stream.read_exact(&mut head)?;
        let mut body = vec![0; usize::try_from(number(&head, 1).unwrap()).unwrap() - 4];
        stream.read_exact(&mut body)?;
        Ok((head[0], body))
    }

    /// Answers as PostgreSQL would, refuses TLS, and tells which typed messages it received.
    fn fake_server() -> (SocketAddr, Receiver<char>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, received) = channel();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut head = [0; 8];
                stream.read_exact(&mut head).unwrap();
                if number(&head, 4) == Some(SSL_REQUEST) {
                    stream.write_all(b"N").unwrap();
                    stream.read_exact(&mut head).unwrap();
                }
                stream.read_exact(&mut [0]).unwrap();
                stream.write_all(&message(b'Z', b"I")).unwrap();
                while let Ok((kind, _)) = read_message(&mut stream) {
                    sender.send(char::from(kind)).unwrap();
                    let reply = match kind {
                        b'Q' => [message(b'C', b"Q\0"), message(b'Z', b"I")].concat(),
                        b'E' => message(b'C', b"E\0"),
                        b'S' => message(b'Z', b"I"),
                        b'N' => message(b'A', b"channel\0"),
                        _ => continue,
                    };
                    let _ = stream.write_all(&reply);
                }
                let _ = sender.send('.');
            }
        });
        (address, received)
    }

    struct Client(TcpStream);

    impl Client {
        fn start(proxy: &TcpProxy) -> Self {
            let mut stream = TcpStream::connect(("127.0.0.1", proxy.port())).unwrap();
            let timeout = Some(Duration::from_secs(5));
            stream.set_read_timeout(timeout).unwrap();
            let request = [8_u32.to_be_bytes(), SSL_REQUEST.to_be_bytes()].concat();
            stream.write_all(&request).unwrap();
            stream.read_exact(&mut [0]).unwrap();
            stream.write_all(&start_up()).unwrap();
            let mut client = Self(stream);
            assert_eq!(client.replies(1), "Z");
            client
        }

        fn send(&mut self, kinds: &str) {
            let messages = kinds.bytes().map(|kind| message(kind, b"\0\0"));
            let bytes: Vec<u8> = messages.flatten().collect();
            let _ = self.0.write_all(&bytes);
        }

        /// The kinds of the next `n` replies; fewer where the connection ends.
        fn replies(&mut self, n: usize) -> String {
            let replies = (0..n).map_while(|_| read_message(&mut self.0).ok());
            replies.map(|(kind, _)| char::from(kind)).collect()
        }
    }

    fn received(server: &Receiver<char>) -> String {
        let next = || server.recv_timeout(Duration::from_secs(5)).unwrap();
        std::iter::repeat_with(next)
            .take_while(|kind| *kind != '.')
            .collect()
    }

    #[test]
    fn a_connection_breaks_before_after_and_after_the_reply() {
        // The break's kind, what the client gets after two whole statements, what the server got.
        for (when, replies, sent) in [
            (When::Before, "CZCZ", "QPBESPB"),
            (When::After, "CZCZ", "QPBESPBES"),
            (When::AfterReply, "CZCZ", "QPBESPBES"),
        ] {
            let (address, server) = fake_server();
            let proxy = TcpProxy::postgres(address);
            proxy.cut_after_messages(3, when);
            let mut client = Client::start(&proxy);
            client.send("QPBES");
            assert_eq!(client.replies(4), replies, "{when:?}");
            client.send("PBES");
            assert_eq!(client.replies(9), "", "{when:?}");
            assert_eq!(received(&server), sent, "{when:?}");
            assert_eq!((proxy.statements(), proxy.fired()), (3, 1), "{when:?}");
            let mut client = Client::start(&proxy);
            client.send("Q");
            assert_eq!(client.replies(2), "CZ", "{when:?}: only once");
        }
    }

    #[test]
    fn replies_of_earlier_pipelined_statements_still_pass() {
        let (address, server) = fake_server();
        let proxy = TcpProxy::postgres(address);
        proxy.cut_after_messages(3, When::AfterReply);
        let mut client = Client::start(&proxy);
        client.send("BESBESBES");
        assert_eq!(client.replies(9), "CZCZ");
        assert_eq!(received(&server), "BESBESBES");
    }

    #[test]
    fn a_simple_query_breaks_too() {
        for (when, sent) in [
            (When::Before, ""),
            (When::After, "Q"),
            (When::AfterReply, "Q"),
        ] {
            let (address, server) = fake_server();
            let proxy = TcpProxy::postgres(address);
            proxy.cut_after_messages(1, when);
            let mut client = Client::start(&proxy);
            client.send("Q");
            assert_eq!(client.replies(2), "", "{when:?}");
            assert_eq!(received(&server), sent, "{when:?}");
        }
    }

    #[test]
    fn notifications_are_lost_and_nothing_else() {
        let (address, _server) = fake_server();
        let proxy = TcpProxy::postgres(address);
        let mut client = Client::start(&proxy);
        client.send("NQ");
        assert_eq!(client.replies(3), "ACZ");
        proxy.lose_notifications();
        client.send("NQN");
        client.send("BES");
        assert_eq!(client.replies(4), "CZCZ");
        assert_eq!(proxy.lost(), 2);
    }

    #[test]
    fn a_real_server_keeps_what_was_committed_before_the_break() {
        let Some(database) = create_database() else {
            return;
        };
        database.psql("CREATE TABLE t (a text)");
        let address = SocketAddr::from(([127, 0, 0, 1], database.port()));
        let proxy = TcpProxy::postgres(address);
        let url = format!("{}?sslmode=disable", database.url_through(proxy.port()));
        for when in [When::Before, When::After, When::AfterReply] {
            proxy.cut_after_messages(1, when);
            let sql = format!("INSERT INTO t VALUES ('{when:?}')");
            try_psql(&url, &sql).unwrap_err();
        }
        crate::eventually("both rows are there", Duration::from_secs(5), || {
            let rows = database.psql("SELECT a FROM t ORDER BY a");
            (rows == "After\nAfterReply").then_some(())
        });
        assert_eq!(proxy.statements(), 3);
        // Through TLS nothing can be counted, and everything passes.
        let url = url.replace("disable", "require");
        assert_eq!(try_psql(&url, "SELECT 1").unwrap(), "1");
        assert_eq!(proxy.statements(), 3);
    }
}
