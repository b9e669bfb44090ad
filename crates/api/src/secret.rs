//! A secret on its way into the one answer that shows it.

use serde::Serialize;
use symbolon_domain::Minted;

/// Written as it is; it prints itself nowhere else.
#[derive(Serialize)]
#[serde(transparent)]
pub struct Secret(String);

impl From<&Minted> for Secret {
    fn from(secret: &Minted) -> Self {
        Self(secret.reveal().to_owned())
    }
}
