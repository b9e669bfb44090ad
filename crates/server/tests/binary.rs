//! The binary as a process: what goes to which stream, and its exit codes.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Output};

fn symbolon(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_symbolon"))
        .args(arguments)
        .env_clear()
        .envs(variables.iter().copied())
        .output()
        .expect("the binary can be started")
}

#[test]
fn config_prints_toml_and_where_each_value_came_from() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("symbolon.toml");
    std::fs::write(&file, "[jobs]\nlease = \"7s\"\n").unwrap();
    let file = file.to_str().unwrap();
    let url = ("SYMBOLON__REDIS__URL", "redis://u:hunter2@r:6379");
    let by_argument = symbolon(&["--config", file, "config"], &[url]);
    let by_variable = symbolon(&["config"], &[url, ("SYMBOLON_CONFIG", file)]);
    assert_eq!(by_argument, by_variable);
    assert!(by_argument.status.success());
    let text = String::from_utf8(by_argument.stdout).unwrap();
    assert!(text.parse::<toml::Table>().is_ok(), "{text}");
    assert!(
        text.contains(&format!("lease = \"7s\" # {file}\n")),
        "{text}"
    );
    let masked = "url = \"redis://***@r:6379\" # SYMBOLON__REDIS__URL\n";
    assert!(text.contains(masked) && !text.contains("hunter2"), "{text}");
    assert!(by_argument.stderr.is_empty());
}

#[test]
fn mistaken_settings_end_any_command_with_code_2() {
    for command in [&["config", "--check"][..], &["serve"], &[]] {
        let output = symbolon(command, &[("SYMBOLON__HTTP__BIND", "here")]);
        assert_eq!(output.status.code(), Some(2), "{command:?}");
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(
            text.starts_with("symbolon: one setting is wrong:\n  http.bind"),
            "{text}"
        );
        assert!(output.stdout.is_empty());
    }
    assert!(symbolon(&["config", "--check"], &[]).status.success());
}

#[test]
fn the_health_check_needs_no_settings() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/readyz", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        for status in ["200 OK", "503 Service Unavailable"] {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let received = stream.read(&mut request).unwrap();
            assert!(request[..received].starts_with(b"GET /readyz HTTP/1.1\r\n"));
            write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").unwrap();
        }
    });
    let ask = || {
        symbolon(
            &["doctor", "--ready-url", &url],
            &[("SYMBOLON__X", "unknown")],
        )
    };
    assert!(ask().status.success());
    assert_eq!(ask().status.code(), Some(1));
    server.join().unwrap();
    assert_eq!(ask().status.code(), Some(1));
}
