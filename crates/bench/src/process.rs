//! The release binary as a process of its own: started on a database that is there, watched for the
//! processor time it takes, stopped.

use crate::AnyError;
use crate::http::{head, once};
use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);

pub struct Process {
    child: Child,
    pub address: SocketAddr,
}

fn free() -> Result<SocketAddr, AnyError> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

impl Process {
    /// `symbolon api` on this database; what it logs goes to a file in `directory`.
    pub fn start(
        database: &str,
        key_file: &Path,
        directory: &Path,
        settings: &[(&str, &str)],
    ) -> Result<Self, AnyError> {
        let binary = std::env::var("SYMBOLON_BIN").map_err(|_| "SYMBOLON_BIN names no binary")?;
        let (address, admin) = (free()?, free()?);
        let log = directory.join(format!("{}.log", address.port()));
        let child = Command::new(binary)
            .arg("api")
            .env("SYMBOLON__DATABASE__URL", database)
            .env("SYMBOLON__KEYS__FILE", key_file)
            .env("SYMBOLON__DATA__DIR", directory)
            .env("SYMBOLON__HTTP__BIND", address.to_string())
            .env("SYMBOLON__HTTP__ADMIN_BIND", admin.to_string())
            .env("SYMBOLON__HTTP__PUBLIC_URL", crate::instance::PUBLIC_URL)
            .envs(settings.iter().copied())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .spawn()?;
        let mut process = Self { child, address };
        let begun = Instant::now();
        let ready = head("GET", "/readyz", &[]);
        while !once(address, &ready, None).is_ok_and(|(status, _)| status == 200) {
            if process.child.try_wait()?.is_some() || begun.elapsed() > PATIENCE {
                let log = std::fs::read_to_string(&log).unwrap_or_default();
                return Err(format!("symbolon is not ready:\n{log}").into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(process)
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The processor time of each of its threads so far, as the scheduler counts it.
    pub fn cpu(&self) -> Result<Cpu, AnyError> {
        let mut threads = HashMap::new();
        for task in std::fs::read_dir(format!("/proc/{}/task", self.id()))? {
            let task = task?;
            // A thread may end in between.
            let Ok(text) = std::fs::read_to_string(task.path().join("sched")) else {
                continue;
            };
            let millis = text
                .lines()
                .find_map(|line| line.strip_prefix("se.sum_exec_runtime"))
                .and_then(|rest| rest.split(':').nth(1)?.trim().parse::<f64>().ok())
                .ok_or("the system does not tell the processor time of a thread")?;
            threads.insert(task.file_name(), millis * 1e3);
        }
        Ok(Cpu(threads))
    }

    /// Resident memory in bytes.
    pub fn resident(&self) -> Result<u64, AnyError> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id()))?;
        let line = status.lines().find_map(|it| it.strip_prefix("VmRSS:"));
        let kib = line.ok_or("no VmRSS")?.trim().trim_end_matches("kB").trim();
        Ok(kib.parse::<u64>()? * 1024)
    }
}

/// µs of processor time, by thread.
pub struct Cpu(HashMap<OsString, f64>);

impl Cpu {
    /// What was taken since. Of a thread that has ended since, what it took is lost: it is one of the pool for
    /// blocking work, which no request here uses.
    pub fn since(&self, before: &Self) -> f64 {
        let before = |thread| before.0.get(thread).copied().unwrap_or(0.0);
        let taken = self.0.iter();
        taken.map(|(thread, now)| now - before(thread)).sum()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself: then there is nobody left to tell.
        let _ = Command::new("kill")
            .args(["-TERM", &self.id().to_string()])
            .status();
        let _ = self.child.wait();
    }
}
