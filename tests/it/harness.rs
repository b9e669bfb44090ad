//! The harness's own programs, driven as the other tests drive them.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use symbolon_tests::process::Home;
use symbolon_tests::smtp::SmtpSink;

fn send(sink: &SmtpSink, recipient: &str) -> String {
    let mut stream = BufReader::new(TcpStream::connect(sink.address()).unwrap());
    let dialogue = format!(
        "EHLO me\r\nMAIL FROM:<s@a.test>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n\
         Subject: hello\r\n\r\nhttps://a.test/x\r\n.\r\nQUIT\r\n"
    );
    stream.get_mut().write_all(dialogue.as_bytes()).unwrap();
    let mut replies = Vec::new();
    while stream.read_until(b'\n', &mut replies).unwrap() > 0 {}
    String::from_utf8(replies).unwrap()
}

#[test]
fn the_sink_outlives_its_process() {
    let mut sink = SmtpSink::start();
    let address = sink.address();
    assert_eq!(sink.url(), format!("smtp://{address}?tls=none"));
    assert!(send(&sink, "one@b.test").contains("221 2.0.0"));
    sink.set("rcpt two@b.test 550 5.1.1 no such user\n");
    assert!(send(&sink, "two@b.test").contains("\r\n550 5.1.1 no such user\r\n"));
    sink.stop();
    assert!(TcpStream::connect(address).is_err());
    sink.start_again();
    assert_eq!(sink.address(), address);
    sink.set("");
    send(&sink, "two@b.test");
    let mails = sink.wait_for(2, Duration::from_secs(5));
    assert_eq!(mails.len(), 2);
    assert_eq!(mails[0].to, ["one@b.test"]);
    assert_eq!(mails[1].to, ["two@b.test"]);
    assert_eq!(mails[1].header("subject"), "hello");
    assert_eq!(mails[1].links(), ["https://a.test/x"]);
}

#[test]
fn the_binary_runs_in_a_home_of_its_own() {
    let home = Home::new();
    let output = home.run(&["--version"], &[]);
    assert!(output.status.success());
    let version = String::from_utf8(output.stdout).unwrap();
    assert!(version.starts_with("symbolon "), "{version}");

    let mut process = home.spawn(&["--no-such-option"], &[]);
    let status = process.wait_exit(Duration::from_secs(10));
    assert!(!status.success());
    assert!(process.log_text().contains("--no-such-option"));
    assert_eq!(process.stdout_text(), "");
}
