//! A real SMTP server for tests (RFC 5321 with AUTH, PIPELINING, 8BITMIME, SMTPUTF8): one thread
//! per connection, each accepted message a file, misbehaviour on demand by a control file.
//!
//! The control file is read again at each command; absent or empty, all is accepted. Its lines:
//! ```text
//! rcpt ADDRESS|* CODE TEXT    refuse this recipient, as `rcpt x@y.test 550 5.1.1 no such user`
//! mail ADDRESS|* CODE TEXT    refuse this sender
//! data ADDRESS|* CODE TEXT    refuse the message, after its last line, if a recipient matches
//! auth CODE TEXT              refuse the credentials
//! greet-stall MS              wait before the greeting
//! stall VERB MS               wait before the answer to this command
//! stall kept MS               wait before the answer to a message that has been kept
//! drop VERB                   close the connection instead of answering this command
//! after-data-hang             keep the message, and never answer (the sender cannot know)
//! ```

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// What all connections share.
pub struct Sink {
    dir: PathBuf,
    control: PathBuf,
    last: AtomicU64,
}

impl Sink {
    /// Messages go to `dir` as `000001.eml` and so on, after those that are there already.
    pub fn new(dir: &Path, control: &Path) -> std::io::Result<Self> {
        fs::create_dir_all(dir)?;
        let number = |entry: fs::DirEntry| {
            let name = entry.file_name();
            name.to_str()?.strip_suffix(".eml")?.parse().ok()
        };
        let last = fs::read_dir(dir)?.flatten().filter_map(number).max();
        Ok(Self {
            dir: dir.to_owned(),
            control: control.to_owned(),
            last: AtomicU64::new(last.unwrap_or(0)),
        })
    }

    /// Accepts connections until the process ends.
    pub fn serve(&self, listener: &TcpListener) {
        std::thread::scope(|scope| {
            for stream in listener.incoming().flatten() {
                scope.spawn(move || {
                    // A client that goes away mid-dialogue is the client's business.
                    let _ = Session::new(self, stream).and_then(|mut session| session.run());
                });
            }
        });
    }

    fn control(&self) -> Control {
        Control(fs::read_to_string(&self.control).unwrap_or_default())
    }

    /// Written aside and renamed: who lists the directory sees whole messages only.
    fn keep(&self, from: &str, to: &[String], message: &[u8]) -> std::io::Result<()> {
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let partial = self.dir.join(format!("{number:06}.partial"));
        let mut file = fs::File::create(&partial)?;
        // The file system's clock says when.
        let at = file.metadata()?.modified()?;
        let at = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        for to in to {
            write!(file, "X-Envelope-To: {to}\r\n")?;
        }
        write!(file, "X-Envelope-From: {from}\r\n")?;
        write!(file, "X-Received-At-Ms: {}\r\n", at.as_millis())?;
        file.write_all(message)?;
        fs::rename(partial, self.dir.join(format!("{number:06}.eml")))
    }
}

/// The control file's text at one moment.
struct Control(String);

impl Control {
    fn lines(&self) -> impl Iterator<Item = Vec<&str>> {
        self.0.lines().map(|line| line.split_whitespace().collect())
    }

    /// The reply with which `verb` is refused for `address`.
    fn refusal(&self, verb: &str, address: &str) -> Option<String> {
        self.lines().find_map(|words| match words[..] {
            [v, who, ref reply @ ..]
                if v == verb && !reply.is_empty() && (who == "*" || same(who, address)) =>
            {
                Some(reply.join(" "))
            }
            _ => None,
        })
    }

    fn auth_refusal(&self) -> Option<String> {
        self.lines().find_map(|words| match words[..] {
            ["auth", code] => Some(format!("{code} 5.7.8 credentials refused")),
            ["auth", ref reply @ ..] if !reply.is_empty() => Some(reply.join(" ")),
            _ => None,
        })
    }

    /// How long `words` (as `stall rcpt`) says to wait.
    fn wait(&self, words: &[&str]) -> Duration {
        let found = self.lines().find_map(|line| {
            let ms = line.strip_prefix(words)?.first()?;
            ms.parse().ok()
        });
        Duration::from_millis(found.unwrap_or(0))
    }

    fn has(&self, words: &[&str]) -> bool {
        self.lines().any(|line| line == words)
    }
}

fn same(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b)
}

/// Whether the dialogue goes on.
#[derive(PartialEq)]
enum Next {
    Continue,
    Close,
}

struct Session<'a> {
    sink: &'a Sink,
    input: BufReader<TcpStream>,
    output: TcpStream,
    /// The sender of the transaction that is open.
    from: Option<String>,
    to: Vec<String>,
}

impl<'a> Session<'a> {
    fn new(sink: &'a Sink, stream: TcpStream) -> std::io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self {
            sink,
            output: stream.try_clone()?,
            input: BufReader::new(stream),
            from: None,
            to: Vec::new(),
        })
    }

    fn run(&mut self) -> std::io::Result<()> {
        std::thread::sleep(self.sink.control().wait(&["greet-stall"]));
        self.reply("220 sink.test ESMTP")?;
        while let Some(line) = self.line()? {
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            let (verb, argument) = line.split_once(' ').unwrap_or((&line, ""));
            let verb = verb.to_ascii_lowercase();
            let control = self.sink.control();
            if verb != "data" {
                std::thread::sleep(control.wait(&["stall", &verb]));
                if control.has(&["drop", &verb]) {
                    return Ok(());
                }
            }
            if self.command(&verb, argument.trim(), &control)? == Next::Close {
                return Ok(());
            }
        }
        Ok(())
    }

    fn command(&mut self, verb: &str, argument: &str, control: &Control) -> std::io::Result<Next> {
        match verb {
            "ehlo" => {
                self.reset();
                self.reply(
                    "250-sink.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n\
                     250-ENHANCEDSTATUSCODES\r\n250 AUTH PLAIN LOGIN",
                )?;
            }
            "helo" => {
                self.reset();
                self.reply("250 sink.test")?;
            }
            "auth" => return self.auth(argument),
            "mail" => self.mail(argument, control)?,
            "rcpt" => self.rcpt(argument, control)?,
            "data" => return self.data(control),
            "rset" => {
                self.reset();
                self.reply("250 2.0.0 reset")?;
            }
            "noop" => self.reply("250 2.0.0 still here")?,
            "quit" => {
                self.reply("221 2.0.0 bye")?;
                return Ok(Next::Close);
            }
            _ => self.reply("500 5.5.2 unknown command")?,
        }
        Ok(Next::Continue)
    }

    fn reset(&mut self) {
        self.from = None;
        self.to.clear();
    }

    fn mail(&mut self, argument: &str, control: &Control) -> std::io::Result<()> {
        match path(argument, "from:") {
            _ if self.from.is_some() => self.reply("503 5.5.1 a transaction is open"),
            None => self.reply("501 5.5.4 MAIL FROM:<address>"),
            Some(from) => match control.refusal("mail", &from) {
                Some(refusal) => self.reply(&refusal),
                None => {
                    self.from = Some(from);
                    self.reply("250 2.1.0 sender accepted")
                }
            },
        }
    }

    fn rcpt(&mut self, argument: &str, control: &Control) -> std::io::Result<()> {
        match path(argument, "to:") {
            _ if self.from.is_none() => self.reply("503 5.5.1 MAIL first"),
            None => self.reply("501 5.5.4 RCPT TO:<address>"),
            Some(to) => match control.refusal("rcpt", &to) {
                Some(refusal) => self.reply(&refusal),
                None => {
                    self.to.push(to);
                    self.reply("250 2.1.5 recipient accepted")
                }
            },
        }
    }

    /// `drop data` and `stall data` act after the message, where their loss hurts.
    fn data(&mut self, before: &Control) -> std::io::Result<Next> {
        let Some(from) = self.from.clone().filter(|_| !self.to.is_empty()) else {
            self.reply("503 5.5.1 RCPT first")?;
            return Ok(Next::Continue);
        };
        self.reply("354 end with a lone dot")?;
        let mut message = Vec::new();
        loop {
            let Some(line) = self.line()? else {
                return Ok(Next::Close);
            };
            if line == b".\r\n" || line == b".\n" {
                break;
            }
            message.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
        }
        std::thread::sleep(before.wait(&["stall", "data"]));
        let control = self.sink.control();
        if control.has(&["drop", "data"]) {
            return Ok(Next::Close);
        }
        let refusal = self.to.iter().find_map(|to| control.refusal("data", to));
        if let Some(refusal) = refusal {
            self.reset();
            self.reply(&refusal)?;
            return Ok(Next::Continue);
        }
        self.sink.keep(&from, &self.to, &message)?;
        std::thread::sleep(self.sink.control().wait(&["stall", "kept"]));
        self.reset();
        if control.has(&["after-data-hang"]) {
            while self.sink.control().has(&["after-data-hang"]) {
                std::thread::sleep(Duration::from_millis(50));
            }
            return Ok(Next::Close);
        }
        self.reply("250 2.0.0 message accepted")?;
        Ok(Next::Continue)
    }

    fn auth(&mut self, argument: &str) -> std::io::Result<Next> {
        let (mechanism, initial) = argument.split_once(' ').unwrap_or((argument, ""));
        // The user name is not checked; what must be right is the dialogue.
        let challenges: &[&str] = match mechanism.to_ascii_lowercase().as_str() {
            "plain" if initial.is_empty() => &[""],
            "plain" => &[],
            "login" if initial.is_empty() => &["Username:", "Password:"],
            "login" => &["Password:"],
            _ => {
                self.reply("504 5.5.4 unknown mechanism")?;
                return Ok(Next::Continue);
            }
        };
        let mut answers = Vec::from_iter((!initial.is_empty()).then(|| initial.to_owned()));
        for challenge in challenges {
            self.reply(&format!("334 {}", STANDARD.encode(challenge)))?;
            match self.line()? {
                None => return Ok(Next::Close),
                Some(line) => answers.push(String::from_utf8_lossy(&line).trim().to_owned()),
            }
        }
        let readable = answers.iter().all(|answer| STANDARD.decode(answer).is_ok());
        match self.sink.control().auth_refusal() {
            Some(refusal) => self.reply(&refusal)?,
            None if !readable => self.reply("501 5.5.2 no base64")?,
            None => self.reply("235 2.7.0 authenticated")?,
        }
        Ok(Next::Continue)
    }

    /// A line with its end; `None` where the client has closed.
    fn line(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        self.input.read_until(b'\n', &mut line)?;
        Ok(line.ends_with(b"\n").then_some(line))
    }

    fn reply(&mut self, text: &str) -> std::io::Result<()> {
        self.output.write_all(format!("{text}\r\n").as_bytes())
    }
}

/// `FROM:<a@b> SIZE=1` → `a@b`.
fn path(argument: &str, keyword: &str) -> Option<String> {
    let (start, rest) = argument.split_at_checked(keyword.len())?;
    if !start.eq_ignore_ascii_case(keyword) {
        return None;
    }
    let (address, _) = rest.trim_start().strip_prefix('<')?.split_once('>')?;
    Some(address.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::Mail;
    use std::time::Instant;

    /// A sink in this process, and a client that speaks the protocol by hand.
    struct Dialogue {
        home: tempfile::TempDir,
        port: u16,
        stream: BufReader<TcpStream>,
    }

    impl Dialogue {
        fn start(control: &str) -> Self {
            let home = tempfile::tempdir().unwrap();
            fs::write(home.path().join("control"), control).unwrap();
            let sink = Sink::new(&home.path().join("mail"), &home.path().join("control")).unwrap();
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = listener.local_addr().unwrap().port();
            std::thread::spawn(move || sink.serve(&listener));
            let stream = BufReader::new(TcpStream::connect(("127.0.0.1", port)).unwrap());
            Self { home, port, stream }
        }

        fn control(&self, text: &str) {
            fs::write(self.home.path().join("control"), text).unwrap();
        }

        fn reply(&mut self) -> String {
            let mut line = String::new();
            self.stream.read_line(&mut line).unwrap();
            line.trim_end().to_owned()
        }

        fn send(&mut self, text: &str) -> String {
            self.stream.get_mut().write_all(text.as_bytes()).unwrap();
            self.reply()
        }

        fn mails(&self) -> Vec<Mail> {
            let dir = fs::read_dir(self.home.path().join("mail")).unwrap();
            let mut paths: Vec<_> = dir.map(|entry| entry.unwrap().path()).collect();
            paths.sort();
            let read = |path| Mail::parse(&fs::read(path).unwrap());
            paths.into_iter().map(read).collect()
        }
    }

    const MESSAGE: &str = "Subject: x\r\n\r\n..a dot\r\nend\r\n.\r\n";

    #[test]
    fn a_pipelined_message_is_kept_as_it_was_sent() {
        let mut smtp = Dialogue::start("");
        assert_eq!(smtp.reply(), "220 sink.test ESMTP");
        assert!(smtp.send("HELO me\r\n").starts_with("250"));
        let batch =
            "MAIL FROM:<> BODY=8BITMIME\r\nRCPT TO:<a@b.test>\r\nrcpt to:<c@d.test>\r\nDATA\r\n";
        let replies = [smtp.send(batch), smtp.reply(), smtp.reply(), smtp.reply()];
        assert!(replies[..3].iter().all(|reply| reply.starts_with("250")));
        assert!(replies[3].starts_with("354"));
        assert!(smtp.send(MESSAGE).starts_with("250"));
        assert!(smtp.send("QUIT\r\n").starts_with("221"));
        assert_eq!(smtp.reply(), "", "closed");
        let mails = smtp.mails();
        assert_eq!(mails.len(), 1);
        assert_eq!(mails[0].to, ["a@b.test", "c@d.test"]);
        assert_eq!(mails[0].from, "");
        assert_eq!(mails[0].raw, b"Subject: x\r\n\r\n.a dot\r\nend\r\n");
        assert!(mails[0].received_at_ms > 1_600_000_000_000);
    }

    #[test]
    fn refusals_follow_the_control_file_as_it_changes() {
        let mut smtp = Dialogue::start("rcpt no@b.test 550 5.1.1 no such user\n");
        smtp.reply();
        assert!(smtp.send("DATA\r\n").starts_with("503"));
        assert!(smtp.send("MAIL FROM:<s@b.test>\r\n").starts_with("250"));
        assert_eq!(
            smtp.send("RCPT TO:<NO@b.test>\r\n"),
            "550 5.1.1 no such user"
        );
        assert!(smtp.send("DATA\r\n").starts_with("503"), "no recipient");
        smtp.control("rcpt * 451 4.3.0 later\n");
        assert_eq!(smtp.send("RCPT TO:<a@b.test>\r\n"), "451 4.3.0 later");
        smtp.control("data * 550 5.7.1 refused\n");
        assert!(smtp.send("RCPT TO:<a@b.test>\r\n").starts_with("250"));
        assert!(smtp.send("DATA\r\n").starts_with("354"));
        assert_eq!(smtp.send(MESSAGE), "550 5.7.1 refused");
        assert!(smtp.mails().is_empty());
        smtp.control("mail * 550 5.7.1 not you\n");
        assert_eq!(smtp.send("MAIL FROM:<s@b.test>\r\n"), "550 5.7.1 not you");
        assert!(smtp.send("NOOP\r\n").starts_with("250"));
        assert!(smtp.send("VRFY x\r\n").starts_with("500"));
    }

    #[test]
    fn credentials_are_taken_in_both_mechanisms_or_refused() {
        let mut smtp = Dialogue::start("");
        smtp.reply();
        assert!(smtp.send("AUTH PLAIN AGEAYg==\r\n").starts_with("235"));
        assert_eq!(smtp.send("AUTH PLAIN\r\n"), "334");
        assert!(smtp.send("AGEAYg==\r\n").starts_with("235"));
        assert_eq!(smtp.send("AUTH LOGIN\r\n"), "334 VXNlcm5hbWU6");
        assert_eq!(smtp.send("YQ==\r\n"), "334 UGFzc3dvcmQ6");
        assert!(smtp.send("Yg==\r\n").starts_with("235"));
        assert!(smtp.send("AUTH PLAIN ???\r\n").starts_with("501"));
        assert!(smtp.send("AUTH CRAM-MD5\r\n").starts_with("504"));
        smtp.control("auth 535\n");
        assert!(smtp.send("AUTH PLAIN AGEAYg==\r\n").starts_with("535"));
    }

    #[test]
    fn it_stalls_drops_and_hangs_on_demand() {
        let mut smtp = Dialogue::start("greet-stall 100\nstall rcpt 150\ndrop data\n");
        let start = Instant::now();
        smtp.reply();
        assert!(start.elapsed() >= Duration::from_millis(90));
        smtp.send("MAIL FROM:<s@b.test>\r\n");
        let start = Instant::now();
        smtp.send("RCPT TO:<a@b.test>\r\n");
        assert!(start.elapsed() >= Duration::from_millis(150));
        smtp.send("DATA\r\n");
        assert_eq!(smtp.send(MESSAGE), "", "closed without an answer");
        assert!(smtp.mails().is_empty());

        smtp.control("after-data-hang\n");
        smtp.stream = BufReader::new(TcpStream::connect(("127.0.0.1", smtp.port)).unwrap());
        smtp.reply();
        smtp.send("MAIL FROM:<s@b.test>\r\n");
        smtp.send("RCPT TO:<a@b.test>\r\n");
        smtp.send("DATA\r\n");
        let stream = smtp.stream.get_mut();
        stream.write_all(MESSAGE.as_bytes()).unwrap();
        let timeout = Some(Duration::from_millis(200));
        stream.set_read_timeout(timeout).unwrap();
        assert!(smtp.stream.read_line(&mut String::new()).is_err());
        assert_eq!(smtp.mails().len(), 1, "kept, though never acknowledged");
    }
}
