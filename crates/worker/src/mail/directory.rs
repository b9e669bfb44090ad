//! Mail as `.eml` files: written beside, synced, then renamed, so that a reader never sees half a mail
//! and an accepted one survives a power cut.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::{Delivery, OutgoingMail};

pub(super) struct Directory {
    path: PathBuf,
}

impl Directory {
    /// Makes the directory, for its owner only, when it is missing.
    pub fn new(path: &Path) -> Result<Self, String> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|error| format!("the directory for mail cannot be made: {error}"))?;
        Ok(Self {
            path: path.to_owned(),
        })
    }

    pub async fn send(&self, mail: OutgoingMail) -> Delivery {
        let path = self.path.clone();
        let written = tokio::task::spawn_blocking(move || write(&path, &mail)).await;
        match written {
            Ok(Ok(())) => Delivery::Accepted("written to a file".to_owned()),
            Ok(Err(error)) => Delivery::Deferred(format!("cannot write the mail's file: {error}")),
            Err(_) => Delivery::Deferred("writing the mail's file was broken off".to_owned()),
        }
    }
}

/// Mails are numbered by how often their Message-ID is already there: a repeated mail is a second file.
fn write(directory: &Path, mail: &OutgoingMail) -> io::Result<()> {
    let legal = |c: char| {
        if c.is_ascii_alphanumeric() || "-_.".contains(c) {
            c
        } else {
            '_'
        }
    };
    let local = mail.message_id.split('@').next().unwrap_or_default();
    let stem: String = local.chars().map(legal).take(100).collect();
    for copy in 1u32.. {
        let name = match copy {
            1 => format!("{stem}.eml"),
            _ => format!("{stem}.{copy}.eml"),
        };
        let (final_path, temporary) = (
            directory.join(&name),
            directory.join(format!(".{name}.tmp")),
        );
        let mut file = match OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)
        {
            Ok(file) => file,
            // Another delivery's, or one left by a crash.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            Err(error) => return Err(error),
        };
        // Whoever holds the temporary name is the only one who may take the final one.
        if final_path.exists() {
            fs::remove_file(&temporary)?;
            continue;
        }
        let result = file
            .write_all(&mail.raw)
            .and_then(|()| file.sync_all())
            .and_then(|()| fs::rename(&temporary, &final_path))
            .and_then(|()| File::open(directory)?.sync_all());
        if result.is_err() {
            // The error that matters is the first one.
            let _ = fs::remove_file(&temporary);
        }
        return result;
    }
    Err(io::Error::other("no free file name"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use symbolon_domain::EmailAddress;

    fn mail(message_id: &str) -> OutgoingMail {
        OutgoingMail {
            to: EmailAddress::parse("ops@example.com").unwrap(),
            message_id: message_id.to_owned(),
            raw: b"Subject: x\r\n\r\nbody\r\n".to_vec(),
        }
    }

    #[tokio::test]
    async fn each_mail_is_a_private_file_and_repeats_are_kept() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("a/mail");
        let directory = Directory::new(&path).unwrap();
        for id in [
            "one@example.com",
            "one@example.com",
            "../evil/two@example.com",
        ] {
            assert!(matches!(
                directory.send(mail(id)).await,
                Delivery::Accepted(_)
            ));
        }
        let mut names: Vec<_> = fs::read_dir(&path)
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                assert_eq!(
                    entry.metadata().unwrap().permissions().mode() & 0o777,
                    0o600
                );
                assert_eq!(fs::read(entry.path()).unwrap(), mail("x@y").raw);
                entry.file_name().into_string().unwrap()
            })
            .collect();
        names.sort();
        assert_eq!(names, [".._evil_two.eml", "one.2.eml", "one.eml"]);
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o700
        );
    }

    #[tokio::test]
    async fn a_directory_that_is_gone_is_no_loss() {
        let home = tempfile::tempdir().unwrap();
        let directory = Directory::new(&home.path().join("mail")).unwrap();
        fs::remove_dir(home.path().join("mail")).unwrap();
        assert!(matches!(
            directory.send(mail("a@b")).await,
            Delivery::Deferred(_)
        ));
    }
}
