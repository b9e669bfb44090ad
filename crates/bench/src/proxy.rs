//! Stands between a process and PostgreSQL: counts the statements that pass, and on demand loses every
//! notification. Reads the frames of protocol 3.0; the connection has to be in the clear.

use crate::AnyError;
use std::collections::{BTreeMap, HashMap};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

pub struct Proxy {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    loses_notifications: AtomicBool,
    statements: Mutex<BTreeMap<String, u64>>,
}

const HEADER: usize = 5;

impl Proxy {
    pub fn start(server: SocketAddr) -> Result<Self, AnyError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let of_all = shared.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(server) else {
                    continue;
                };
                let (Ok(client2), Ok(server2)) = (client.try_clone(), server.try_clone()) else {
                    continue;
                };
                let (up, down) = (of_all.clone(), of_all.clone());
                // Either direction ends both.
                std::thread::spawn(move || {
                    let _ = up.to_server(&client, &server);
                    let _ = server.shutdown(Shutdown::Both);
                });
                std::thread::spawn(move || {
                    let _ = down.to_client(&server2, &client2);
                    let _ = client2.shutdown(Shutdown::Both);
                });
            }
        });
        Ok(Self { address, shared })
    }

    pub fn lose_notifications(&self) {
        self.shared
            .loses_notifications
            .store(true, Ordering::SeqCst);
    }

    /// How often each statement was run since the last time.
    pub fn take_statements(&self) -> BTreeMap<String, u64> {
        std::mem::take(&mut *self.shared.lock())
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, u64>> {
        self.statements
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn to_server(&self, mut from: &TcpStream, mut to: &TcpStream) -> std::io::Result<()> {
        // The first message has no kind, only its length.
        let mut length = [0; 4];
        from.read_exact(&mut length)?;
        let mut rest = vec![0; (u32::from_be_bytes(length) as usize).saturating_sub(4)];
        from.read_exact(&mut rest)?;
        to.write_all(&[&length[..], &rest].concat())?;
        let mut prepared: HashMap<Vec<u8>, String> = HashMap::new();
        frames(from, to, |kind, body| {
            let mut parts = body.splitn(3, |it| *it == 0);
            let (first, second) = (
                parts.next().unwrap_or_default(),
                parts.next().unwrap_or_default(),
            );
            match kind {
                b'Q' => self.count(&String::from_utf8_lossy(first)),
                b'P' => {
                    let text = String::from_utf8_lossy(second).into_owned();
                    prepared.insert(first.to_owned(), text);
                }
                b'B' => {
                    if let Some(text) = prepared.get(second) {
                        self.count(text);
                    }
                }
                _ => {}
            }
            true
        })
    }

    fn to_client(&self, from: &TcpStream, to: &TcpStream) -> std::io::Result<()> {
        frames(from, to, |kind, _| {
            kind != b'A' || !self.loses_notifications.load(Ordering::SeqCst)
        })
    }

    fn count(&self, statement: &str) {
        *self.lock().entry(statement.to_owned()).or_default() += 1;
    }
}

/// Passes on what `keep` says yes to.
fn frames(
    mut from: &TcpStream,
    mut to: &TcpStream,
    mut keep: impl FnMut(u8, &[u8]) -> bool,
) -> std::io::Result<()> {
    let (mut pending, mut out) = (Vec::new(), Vec::new());
    let mut chunk = vec![0; 64 * 1024];
    loop {
        let read = from.read(&mut chunk)?;
        if read == 0 {
            return Ok(());
        }
        pending.extend_from_slice(&chunk[..read]);
        let mut at = 0;
        while let Some(frame) = frame(&pending[at..]) {
            if keep(frame[0], &frame[HEADER..]) {
                out.extend_from_slice(frame);
            }
            at += frame.len();
        }
        pending.drain(..at);
        to.write_all(&out)?;
        out.clear();
    }
}

/// The first whole frame: a kind, a length that counts itself, a body.
fn frame(bytes: &[u8]) -> Option<&[u8]> {
    let length: [u8; 4] = bytes.get(1..HEADER)?.try_into().ok()?;
    bytes.get(..1 + u32::from_be_bytes(length) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = (body.len() as u32 + 4).to_be_bytes();
        [&[kind], &length[..], body].concat()
    }

    #[test]
    fn statements_are_counted_and_notifications_lost() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Proxy::start(server.local_addr().unwrap()).unwrap();
        proxy.lose_notifications();
        let mut client = TcpStream::connect(proxy.address).unwrap();
        let (mut server, _) = server.accept().unwrap();
        let mut sent = 8u32.to_be_bytes().to_vec();
        sent.extend([0; 4]);
        sent.extend(message(b'P', b"s1\0SELECT 1\0\0\0"));
        for _ in 0..3 {
            sent.extend(message(b'B', b"\0s1\0\0\0\0\0\0\0"));
        }
        sent.extend(message(b'Q', b"BEGIN\0"));
        client.write_all(&sent).unwrap();
        let mut received = vec![0; sent.len()];
        server.read_exact(&mut received).unwrap();
        assert_eq!(received, sent);
        let counts = proxy.take_statements();
        assert_eq!(counts, [("BEGIN".into(), 1), ("SELECT 1".into(), 3)].into());

        let notification = message(b'A', b"\0\0\0\x01symbolon\0\0");
        let ready = message(b'Z', b"I");
        server
            .write_all(&[notification, ready.clone()].concat())
            .unwrap();
        let mut received = vec![0; ready.len()];
        client.read_exact(&mut received).unwrap();
        assert_eq!(received, ready);
    }
}
