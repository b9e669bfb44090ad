//! Typed identifiers: UUID version 7 (RFC 9562), made from the given time and dice.

use crate::{dice::Dice, time::Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A version 7 UUID whose `rand_a` carries the microseconds within the millisecond (RFC 9562 §6.2,
/// method 3), so that ids made by one process sort by their time of making.
pub fn uuid_v7(now: Timestamp, dice: &mut dyn Dice) -> Uuid {
    let micros = now.as_micros().max(0) as u64;
    let mut bytes = [0u8; 16];
    dice.fill(&mut bytes[8..]);
    bytes[..6].copy_from_slice(&(micros / 1000).to_be_bytes()[2..]);
    let fraction = ((micros % 1000) * 4096 / 1000) as u16;
    bytes[6] = 0x70 | (fraction >> 8) as u8;
    bytes[7] = fraction as u8;
    bytes[8] = 0x80 | (bytes[8] & 0x3f);
    Uuid::from_bytes(bytes)
}

/// A text that is no id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a UUID")]
pub struct NotAnId;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            pub fn new(now: Timestamp, dice: &mut dyn Dice) -> Self {
                Self(uuid_v7(now, dice))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = NotAnId;
            /// Accepts the hyphenated and the plain form, as URL paths may carry either; none in braces, and
            /// no URN.
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text.len() {
                    32 | 36 => Uuid::try_parse(text).map(Self).map_err(|_| NotAnId),
                    _ => Err(NotAnId),
                }
            }
        }
    )*};
}

ids! {
    /// A tenant.
    AccountId,
    /// A subdivision of an account.
    EnvironmentId,
    /// A human.
    UserId,
    /// A named machine identity.
    ServiceAccountId,
    /// A token or key.
    CredentialId,
    /// A key that signs tokens; its text is the `kid`.
    SigningKeyId,
    /// One mailed request to confirm a contact.
    ConfirmationId,
    /// An entry of the audit log.
    EventId,
    /// A row of the queue.
    JobId,
    /// An entry of the mail ledger.
    NoticeId,
    /// One HTTP request, as it appears in logs and errors.
    RequestId,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dice::SeededDice;

    #[test]
    fn only_two_forms_are_read() {
        let text = "01a2028f-1275-7368-966b-a987ce02a6cd";
        assert_eq!(text.parse::<AccountId>().unwrap().to_string(), text);
        assert!(text.replace('-', "").parse::<AccountId>().is_ok());
        for bad in [
            format!("{{{text}}}"),
            format!("urn:uuid:{text}"),
            text[1..].to_owned(),
            String::new(),
        ] {
            assert_eq!(bad.parse::<AccountId>(), Err(NotAnId), "{bad}");
        }
    }

    #[test]
    fn ids_are_version_7_and_sort_by_time() {
        let mut dice = SeededDice::new(1);
        let mut last = None;
        for micros in (1_700_000_000_000_000..1_700_000_000_002_000).step_by(7) {
            let id = AccountId::new(Timestamp::from_micros(micros), &mut dice);
            assert_eq!(id.0.get_version_num(), 7);
            assert_eq!(id.0.get_variant(), uuid::Variant::RFC4122);
            assert!(last < Some(id));
            last = Some(id);
        }
    }
}
