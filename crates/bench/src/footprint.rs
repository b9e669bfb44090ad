//! The time from start to readiness on an existing embedded database, and the memory of an idle process.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::AnyError;

const STARTS: usize = 7;
/// Until caches and pools have settled.
const IDLE: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(20);

pub fn run() -> Result<(), AnyError> {
    let binary = std::env::var("SYMBOLON_BIN").map_err(|_| "SYMBOLON_BIN names no binary")?;
    let directory = std::env::temp_dir().join(format!("symbolon_bench_{}", std::process::id()));
    std::fs::create_dir_all(&directory)?;
    let measured = measure(&binary, &directory);
    // What is left lies in the temporary directory.
    let _ = std::fs::remove_dir_all(&directory);
    measured
}

fn measure(binary: &str, directory: &Path) -> Result<(), AnyError> {
    // The first start makes the database; it is not counted.
    stop(start(binary, directory)?.0)?;
    let mut times = Vec::new();
    for _ in 0..STARTS {
        let (child, took) = start(binary, directory)?;
        times.push(took);
        stop(child)?;
    }
    times.sort();
    println!(
        "start to /readyz on an existing embedded database: {:?} (median of {STARTS}; {:?} to {:?})",
        times[STARTS / 2],
        times[0],
        times[STARTS - 1]
    );
    let (child, _) = start(binary, directory)?;
    std::thread::sleep(IDLE);
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()))?;
    stop(child)?;
    let resident = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .ok_or("no VmRSS")?;
    let kib: f64 = resident.trim().trim_end_matches("kB").trim().parse()?;
    println!("idle memory: {:.1} MB resident", kib / 1024.0);
    Ok(())
}

fn start(binary: &str, directory: &Path) -> Result<(Child, Duration), AnyError> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let begun = Instant::now();
    let mut child = Command::new(binary)
        .arg("serve")
        .env("SYMBOLON__DATA__DIR", directory)
        .env("SYMBOLON__HTTP__BIND", format!("127.0.0.1:{port}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    while begun.elapsed() < PATIENCE {
        if ready(port).unwrap_or(false) {
            return Ok((child, begun.elapsed()));
        }
        if child.try_wait()?.is_some() {
            return Err("symbolon ended before it was ready".into());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill()?;
    child.wait()?;
    Err("symbolon was not ready in time".into())
}

fn ready(port: u16) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.starts_with("HTTP/1.1 200"))
}

fn stop(mut child: Child) -> Result<(), AnyError> {
    Command::new("kill")
        .arg("-TERM")
        .arg(child.id().to_string())
        .status()?;
    child.wait()?;
    Ok(())
}
