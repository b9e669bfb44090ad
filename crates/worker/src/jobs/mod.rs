//! What the jobs do, one file each.

pub(crate) mod confirm_email;
pub(crate) mod confirmation_reminder;
pub(crate) mod expire_tokens;
pub(crate) mod maintain_signing_keys;
pub(crate) mod purge;
