//! A TCP proxy on the loopback that can cut, refuse and stall, and for PostgreSQL can break a
//! connection at an exact statement: before it, after it, or when its answer is on the way.

mod pgwire;

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use pgwire::Dialogue;

/// Where a connection breaks relative to the n-th statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// The server never sees the statement.
    Before,
    /// The server has received the statement (with its Sync) and runs it; no answer will pass.
    After,
    /// The server has run the statement and said so; the client does not learn it.
    AfterReply,
}

/// Everything is closed when the value is dropped.
pub struct TcpProxy {
    shared: Arc<Shared>,
    port: u16,
    accept: Option<JoinHandle<()>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Open,
    Stalled,
    Cut,
    Ended,
}

struct Shared {
    upstream: SocketAddr,
    postgres: bool,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    mode: Mode,
    listening: bool,
    connections: HashMap<u64, Pair>,
    /// Nothing passes any more on the connections up to this number.
    forsaken: u64,
    statements: u64,
    /// Statements still to pass, the breaking one included.
    cut: Option<(u64, When)>,
    fired: u64,
    deaf: bool,
    /// Notifications that did not pass.
    lost: u64,
}

/// The two sides of one connection.
struct Pair {
    id: u64,
    client: TcpStream,
    server: TcpStream,
}

impl Pair {
    fn try_clone(&self) -> std::io::Result<Self> {
        Ok(Self {
            id: self.id,
            client: self.client.try_clone()?,
            server: self.server.try_clone()?,
        })
    }

    fn close(&self) {
        let _ = self.client.shutdown(Shutdown::Both);
        let _ = self.server.shutdown(Shutdown::Both);
    }
}

impl TcpProxy {
    /// Forwards bytes, whatever they mean.
    pub fn start(upstream: SocketAddr) -> Self {
        Self::start_as(upstream, false)
    }

    /// Forwards PostgreSQL and counts statements. A connection that switches to TLS is forwarded
    /// uncounted: use `sslmode=disable`.
    pub fn postgres(upstream: SocketAddr) -> Self {
        Self::start_as(upstream, true)
    }

    fn start_as(upstream: SocketAddr, postgres: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("the loopback has free ports");
        let address = listener.local_addr().expect("a listener has an address");
        let shared = Arc::new(Shared {
            upstream,
            postgres,
            state: Mutex::new(State {
                mode: Mode::Open,
                listening: true,
                connections: HashMap::new(),
                forsaken: 0,
                statements: 0,
                cut: None,
                fired: 0,
                deaf: false,
                lost: 0,
            }),
            changed: Condvar::new(),
        });
        let accept = std::thread::spawn({
            let shared = shared.clone();
            move || accept_loop(&shared, listener, address)
        });
        Self {
            shared,
            port: address.port(),
            accept: Some(accept),
        }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Closes all connections and refuses new ones, until [`TcpProxy::restore`].
    pub fn cut(&self) {
        self.shared.set_mode(Mode::Cut);
        let mut state = self.shared.state();
        while state.listening {
            state = self.shared.wait(state);
        }
        drop(state);
        // What was accepted just before the listener closed.
        self.drop_connections();
    }

    /// Connections stay open and new ones are accepted, but nothing passes until
    /// [`TcpProxy::restore`]; what came meanwhile passes then.
    pub fn stall(&self) {
        self.shared.set_mode(Mode::Stalled);
    }

    /// Connections stay open, and nothing ever passes on them again; new ones work. As after a failover
    /// whose old address answers nobody.
    pub fn forsake(&self) {
        let mut state = self.shared.state();
        state.forsaken = state.connections.keys().copied().max().unwrap_or(0);
        drop(state);
        self.restore();
    }

    pub fn restore(&self) {
        self.shared.set_mode(Mode::Open);
        let mut state = self.shared.state();
        while !state.listening {
            state = self.shared.wait(state);
        }
    }

    /// Closes all connections; new ones are accepted.
    pub fn drop_connections(&self) {
        self.shared.state().drop_connections();
    }

    /// Breaks the connection that carries the n-th statement from now (1 = the next), counted
    /// over all connections. Once; connections made afterwards work.
    pub fn cut_after_messages(&self, n: u64, when: When) {
        assert!(self.shared.postgres, "only a PostgreSQL proxy can count");
        assert!(n > 0, "statements are counted from 1");
        self.shared.state().cut = Some((n, when));
    }

    /// How many connections [`TcpProxy::cut_after_messages`] has broken.
    pub fn fired(&self) -> u64 {
        self.shared.state().fired
    }

    /// From now on no notification (`NOTIFY`) reaches a client; everything else does.
    pub fn lose_notifications(&self) {
        assert!(self.shared.postgres, "only a PostgreSQL proxy knows them");
        self.shared.state().deaf = true;
    }

    /// How many notifications did not pass.
    pub fn lost(&self) -> u64 {
        self.shared.state().lost
    }

    /// Statements sent so far, over all connections: simple queries, and executions of prepared
    /// statements (so BEGIN and COMMIT count).
    pub fn statements(&self) -> u64 {
        self.shared.state().statements
    }

    pub fn connections(&self) -> usize {
        self.shared.state().connections.len()
    }
}

impl Drop for TcpProxy {
    fn drop(&mut self) {
        self.shared.set_mode(Mode::Ended);
        if let Some(accept) = self.accept.take() {
            let _ = accept.join();
        }
        self.drop_connections();
    }
}

impl State {
    fn drop_connections(&mut self) {
        for (_, pair) in self.connections.drain() {
            pair.close();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed
            .wait(state)
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn set_mode(&self, mode: Mode) {
        let mut state = self.state();
        state.mode = mode;
        if matches!(mode, Mode::Cut | Mode::Ended) {
            state.drop_connections();
        }
        self.changed.notify_all();
    }

    /// Holds the caller while its connection is stalled; false once that has no future.
    fn may_pass(&self, pair: &Pair) -> bool {
        let mut state = self.state();
        while state.mode == Mode::Stalled || (state.mode == Mode::Open && pair.id <= state.forsaken)
        {
            state = self.wait(state);
        }
        state.mode == Mode::Open
    }

    /// Counts a statement; says where the connection is to break if this is the chosen one.
    fn count_statement(&self) -> Option<When> {
        let mut state = self.state();
        state.statements += 1;
        let (left, when) = state.cut?;
        state.cut = (left > 1).then_some((left - 1, when));
        (left == 1).then(|| {
            state.fired += 1;
            when
        })
    }

    /// Whether a notification passes.
    fn may_notify(&self) -> bool {
        let mut state = self.state();
        state.lost += u64::from(state.deaf);
        !state.deaf
    }

    fn listening(&self, listening: bool) {
        let mut state = self.state();
        if state.listening != listening {
            state.listening = listening;
            self.changed.notify_all();
        }
    }
}

/// Polls, because a blocked accept could not be interrupted, and only a closed listener refuses.
fn accept_loop(shared: &Arc<Shared>, listener: TcpListener, address: SocketAddr) {
    let mut listener = Some(listener);
    let mut next = 0;
    loop {
        let mode = shared.state().mode;
        match mode {
            Mode::Ended => return,
            Mode::Cut => listener = None,
            _ if listener.is_none() => listener = TcpListener::bind(address).ok(),
            _ => {}
        }
        shared.listening(listener.is_some());
        let accepted = listener.as_ref().map(|listener| {
            listener.set_nonblocking(true)?;
            listener.accept()
        });
        match accepted {
            Some(Ok((client, _))) => {
                next += 1;
                // Where the upstream is down, the client sees its connection closed.
                let _ = open(shared, next, client);
            }
            Some(Err(e)) if e.kind() != ErrorKind::WouldBlock => listener = None,
            _ => std::thread::sleep(Duration::from_millis(2)),
        }
    }
}

fn open(shared: &Arc<Shared>, id: u64, client: TcpStream) -> std::io::Result<()> {
    let server = TcpStream::connect_timeout(&shared.upstream, Duration::from_secs(5))?;
    client.set_nonblocking(false)?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let pair = Pair { id, client, server };
    let (up, down) = (pair.try_clone()?, pair.try_clone()?);
    shared.state().connections.insert(id, pair);
    let dialogue = shared.postgres.then(Dialogue::default).map(Arc::new);
    let up_thread = std::thread::spawn({
        let (shared, dialogue) = (shared.clone(), dialogue.clone());
        move || match dialogue {
            Some(dialogue) => dialogue.pump_requests(&shared, &up),
            None => pump(&shared, &up, &up.client, &up.server),
        }
    });
    let shared = shared.clone();
    std::thread::spawn(move || {
        match dialogue {
            Some(dialogue) => dialogue.pump_replies(&shared, &down),
            None => pump(&shared, &down, &down.server, &down.client),
        }
        let _ = up_thread.join();
        shared.state().connections.remove(&id);
    });
    Ok(())
}

/// Forwards one direction until its end, and passes the end on.
fn pump(shared: &Shared, pair: &Pair, mut from: &TcpStream, mut to: &TcpStream) {
    let mut chunk = [0; 16 * 1024];
    while let Ok(n @ 1..) = from.read(&mut chunk) {
        if !shared.may_pass(pair) || to.write_all(&chunk[..n]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
    let _ = from.shutdown(Shutdown::Read);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    fn echo() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || {
                    let mut input = &stream;
                    let mut output = &stream;
                    let _ = std::io::copy(&mut input, &mut output);
                });
            }
        });
        address
    }

    fn connect(proxy: &TcpProxy) -> std::io::Result<TcpStream> {
        let stream = TcpStream::connect(("127.0.0.1", proxy.port()))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        Ok(stream)
    }

    fn ask(stream: &mut TcpStream, text: &str) -> std::io::Result<String> {
        stream.write_all(text.as_bytes())?;
        let mut answer = vec![0; text.len()];
        stream.read_exact(&mut answer)?;
        Ok(String::from_utf8(answer).unwrap())
    }

    #[test]
    fn it_forwards_cuts_refuses_and_restores() {
        let proxy = TcpProxy::start(echo());
        let mut stream = connect(&proxy).unwrap();
        assert_eq!(ask(&mut stream, "hello").unwrap(), "hello");
        assert_eq!(proxy.connections(), 1);
        proxy.cut();
        assert!(ask(&mut stream, "hello").is_err());
        let refused = connect(&proxy).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        proxy.restore();
        let mut stream = connect(&proxy).unwrap();
        assert_eq!(ask(&mut stream, "again").unwrap(), "again");
        proxy.drop_connections();
        assert!(ask(&mut stream, "hello").is_err());
        assert!(ask(&mut connect(&proxy).unwrap(), "new").is_ok());
    }

    #[test]
    fn a_stalled_connection_goes_on_where_it_was() {
        let proxy = TcpProxy::start(echo());
        let mut stream = connect(&proxy).unwrap();
        ask(&mut stream, "before").unwrap();
        proxy.stall();
        let start = Instant::now();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(150));
                proxy.restore();
            });
            assert_eq!(ask(&mut stream, "late").unwrap(), "late");
        });
        assert!(start.elapsed() >= Duration::from_millis(150));
    }

    #[test]
    fn a_forsaken_connection_stays_silent_and_new_ones_work() {
        let proxy = TcpProxy::start(echo());
        let mut stream = connect(&proxy).unwrap();
        ask(&mut stream, "before").unwrap();
        proxy.stall();
        proxy.forsake();
        let silence = Some(Duration::from_millis(150));
        stream.set_read_timeout(silence).unwrap();
        assert!(ask(&mut stream, "lost").is_err());
        assert_eq!(ask(&mut connect(&proxy).unwrap(), "new").unwrap(), "new");
    }

    #[test]
    fn an_upstream_that_is_down_closes_the_connection() {
        let port = crate::process::free_port();
        let proxy = TcpProxy::start(SocketAddr::from(([127, 0, 0, 1], port)));
        assert!(ask(&mut connect(&proxy).unwrap(), "x").is_err());
    }
}
