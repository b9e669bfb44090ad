//! `symbolon config`: shows the settings in force. That they are valid was decided by
//! loading them.

use std::io::{self, Write};

use crate::config::Loaded;

/// Prints the settings as TOML; with `check` only that there is nothing wrong.
pub fn run(loaded: &Loaded, check: bool, out: &mut impl Write) -> io::Result<()> {
    match check {
        true => writeln!(out, "the settings are valid"),
        false => out.write_all(loaded.to_toml().as_bytes()),
    }
}
