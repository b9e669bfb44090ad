//! The data directory: made for its owner only, and held by one `serve` at a time.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// Makes the directory, readable by its owner only, where it is not there yet.
pub fn prepare(path: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Makes the database's file, readable by its owner only, before SQLite would make it for everybody.
/// Its journals take over the mode.
pub fn prepare_database(path: &Path) -> io::Result<()> {
    if let Some(directory) = path.parent().filter(|it| !it.as_os_str().is_empty()) {
        prepare(directory)?;
    }
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

/// Proof that no other `serve` uses this directory; ends with the value, or with the process.
#[derive(Debug)]
pub struct Hold {
    _file: File,
}

#[derive(Debug, thiserror::Error)]
pub enum HoldError {
    #[error("another symbolon serves from {0}; one at a time")]
    Taken(PathBuf),
    #[error("{0} cannot be locked: {1}")]
    Io(PathBuf, io::Error),
}

/// Takes the directory for this process alone.
pub fn hold(directory: &Path) -> Result<Hold, HoldError> {
    let path = directory.join("lock");
    let failed = |error| HoldError::Io(path.clone(), error);
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Hold { _file: file }),
        Err(TryLockError::WouldBlock) => Err(HoldError::Taken(directory.to_owned())),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_private_and_held_once() {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("a/b");
        prepare(&directory).unwrap();
        prepare(&directory).unwrap();
        let held = hold(&directory).unwrap();
        assert!(matches!(hold(&directory), Err(HoldError::Taken(_))));
        drop(held);
        hold(&directory).unwrap();
        let database = directory.join("x/symbolon.db");
        prepare_database(&database).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode(&directory), 0o700);
            assert_eq!(mode(&database), 0o600);
        }
    }
}
