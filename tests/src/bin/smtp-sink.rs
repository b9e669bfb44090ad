//! The SMTP server of the tests as a program of its own, so that a test can take it away.
//!
//! `smtp-sink --bind 127.0.0.1:0 --dir DIR --control FILE`; the first line on standard output is
//! the address. What it does with messages and the control file: `symbolon_tests::smtp_server`.

use std::net::TcpListener;
use std::path::Path;
use std::process::ExitCode;

use symbolon_tests::smtp_server::Sink;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let option = |name: &str| {
        let at = args.iter().position(|arg| arg == name)?;
        args.get(at + 1)
    };
    let (Some(dir), Some(control)) = (option("--dir"), option("--control")) else {
        eprintln!("smtp-sink [--bind ADDRESS:PORT] --dir DIR --control FILE");
        return ExitCode::from(2);
    };
    let bind = option("--bind").map_or("127.0.0.1:0", String::as_str);
    let started = TcpListener::bind(bind).and_then(|listener| {
        let sink = Sink::new(Path::new(dir), Path::new(control))?;
        println!("{}", listener.local_addr()?);
        Ok((sink, listener))
    });
    match started {
        Ok((sink, listener)) => {
            sink.serve(&listener);
            ExitCode::SUCCESS
        }
        Err(e) => {
            eprintln!("smtp-sink: {bind}: {e}");
            ExitCode::FAILURE
        }
    }
}
