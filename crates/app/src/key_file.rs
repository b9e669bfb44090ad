//! The key file: versioned master keys, one a line, apart from the database.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use symbolon_domain::{Dice, Timestamp};
use zeroize::Zeroizing;

const HEADER: &str = "# Symbolon key file. Whoever has this file and the database can read what the database\n\
# seals; whoever loses it must re-issue every token. Back it up, apart from the database.\n\
# One line a version: symbolon-key <version> <made at> <32 bytes, base64url>\n";

/// Master keys by version; the newest seals.
pub struct KeyFile(BTreeMap<i32, Zeroizing<[u8; 32]>>);

#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    #[error("there is no key file at {0}")]
    Missing(String),
    #[error("the key file {0} cannot be read: {1}")]
    Unreadable(String, std::io::Error),
    #[error("the key file {0} is readable by others; make it 0600")]
    TooOpen(String),
    #[error("line {1} of the key file {0} is not `symbolon-key <version> <time> <key>`")]
    Malformed(String, usize),
    #[error("the key file {0} cannot be written: {1}")]
    Unwritable(String, std::io::Error),
}

impl KeyFile {
    /// A file with one fresh key, version 1.
    pub fn generate(dice: &mut dyn Dice) -> Self {
        let mut key = Zeroizing::new([0u8; 32]);
        dice.fill(&mut *key);
        Self(BTreeMap::from([(1, key)]))
    }

    pub(crate) fn keys(&self) -> &BTreeMap<i32, Zeroizing<[u8; 32]>> {
        &self.0
    }

    /// # Errors
    /// When it is missing, unreadable, readable by others, or not a key file. Never repeats its text.
    pub fn read(path: &Path) -> Result<Self, KeyFileError> {
        let name = path.display().to_string();
        let text = match std::fs::read_to_string(path) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(KeyFileError::Missing(name));
            }
            Err(error) => return Err(KeyFileError::Unreadable(name, error)),
        };
        // A file mounted by an orchestrator is often readable by its group, which is the service's own.
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(path)
                .map(|it| it.permissions().mode())
                .unwrap_or(0);
            if mode & 0o007 != 0 {
                return Err(KeyFileError::TooOpen(name));
            }
        }
        Self::parse(&text).map_err(|line| KeyFileError::Malformed(name, line))
    }

    fn parse(text: &str) -> Result<Self, usize> {
        use base64::Engine;
        let mut keys = BTreeMap::new();
        let mut lines = 0;
        for (at, line) in text.lines().enumerate() {
            lines = at + 1;
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let parts: Vec<&str> = line.split_ascii_whitespace().collect();
            let ["symbolon-key", version, _made_at, key] = parts[..] else {
                return Err(lines);
            };
            let version: i32 = version.parse().ok().filter(|it| *it > 0).ok_or(lines)?;
            let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD
                .decode(key)
                .map_err(|_| lines)?;
            let key: [u8; 32] = Zeroizing::new(bytes)
                .as_slice()
                .try_into()
                .map_err(|_| lines)?;
            if keys.insert(version, Zeroizing::new(key)).is_some() {
                return Err(lines);
            }
        }
        if keys.is_empty() {
            Err(lines.max(1))
        } else {
            Ok(Self(keys))
        }
    }

    /// Writes a new file, mode 0600, and makes sure that it is on the disk. Never overwrites one.
    pub fn create(&self, path: &Path, now: Timestamp) -> Result<(), KeyFileError> {
        use base64::Engine;
        let failed = |error| KeyFileError::Unwritable(path.display().to_string(), error);
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path).map_err(failed)?;
        let mut text = Zeroizing::new(String::from(HEADER));
        for (version, key) in &self.0 {
            let key =
                Zeroizing::new(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(**key));
            text.push_str(&format!("symbolon-key {version} {now} {}\n", *key));
        }
        file.write_all(text.as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(failed)?;
        if let Some(directory) = path.parent().filter(|it| !it.as_os_str().is_empty()) {
            std::fs::File::open(directory)
                .and_then(|it| it.sync_all())
                .map_err(failed)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use symbolon_domain::dice::SeededDice;

    #[test]
    fn files_round_trip_and_are_never_overwritten() {
        let directory = std::env::temp_dir().join(format!("symbolon_keys_{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let path = directory.join("keys");
        let _ = std::fs::remove_file(&path);
        let file = KeyFile::generate(&mut SeededDice::new(5));
        file.create(&path, Timestamp::from_micros(0)).unwrap();
        let read = KeyFile::read(&path).unwrap();
        assert_eq!(*read.0[&1], *file.0[&1]);
        assert!(matches!(
            file.create(&path, Timestamp::from_micros(0)),
            Err(KeyFileError::Unwritable(..))
        ));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(
                std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
                0o600
            );
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
            assert!(matches!(
                KeyFile::read(&path),
                Err(KeyFileError::TooOpen(_))
            ));
        }
        std::fs::remove_dir_all(&directory).unwrap();
        assert!(matches!(
            KeyFile::read(&path),
            Err(KeyFileError::Missing(_))
        ));
    }

    #[test]
    fn what_is_no_key_file_names_its_line() {
        for (text, line) in [
            ("", 1),
            ("# only\n", 1),
            ("\nsymbolon-key 1 now AAAA\n", 2),
            ("symbolon-key x y z", 1),
            ("hello", 1),
        ] {
            assert_eq!(KeyFile::parse(text).err(), Some(line), "{text}");
        }
    }
}
