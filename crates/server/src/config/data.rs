//! `[data]` and `[keys]`: what lies in the file system.

use std::path::{Path, PathBuf};

use super::reader::{Parsed, Reader};

#[derive(Debug, Clone, PartialEq)]
pub struct Data {
    pub dir: PathBuf,
}

impl Data {
    pub(super) fn read(reader: &mut Reader) -> Self {
        Self {
            dir: reader.text("data.dir", path),
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Keys {
    /// The key file, without which the database cannot be used.
    pub file: PathBuf,
}

impl Keys {
    pub(super) fn read(reader: &mut Reader, data_dir: &Path) -> Self {
        let file = reader.optional("keys.file", path);
        Self {
            file: file.unwrap_or_else(|| {
                let path = data_dir.join("keys");
                reader.derived("keys.file", path.display().to_string(), "data.dir");
                path
            }),
        }
    }
}

fn path(text: &str) -> Parsed<PathBuf> {
    match text {
        "" => Err("a path".to_owned()),
        text => Ok(text.into()),
    }
}
