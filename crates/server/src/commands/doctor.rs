//! `symbolon doctor`: whether an instance can work.

mod checks;
mod ready;

pub use self::checks::run;
pub use self::ready::ask_ready;
