//! What the commands do, a file each.

pub mod backup;
pub mod bootstrap;
pub mod config;
pub mod doctor;
pub mod jobs;
pub mod keys;
pub mod migrate;
pub mod notices;
pub mod openapi;
mod table;
