//! PFIDs, this dialect's ids, as a bijection with ours: 32 characters of Crockford's base 32 that hold the
//! id's milliseconds (48 bits in 10 characters), the account's partition (30 bits in 6) and 80 bits (16):
//! what type of thing it is (6), and what a UUID of version 7 has beside its time (12 + 62).

use sha2::{Digest, Sha256};
use std::fmt::{self, Display, Write};
use std::str::FromStr;
use symbolon_domain::AccountId;
use uuid::Uuid;

/// Crockford's, in lower case: no i, l, o, u.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

const TIME_DIGITS: u32 = 10;
const PARTITION_DIGITS: u32 = 6;
const REST_DIGITS: u32 = 16;
const LENGTH: usize = (TIME_DIGITS + PARTITION_DIGITS + REST_DIGITS) as usize;

const TIME_BITS: u32 = 48;
const PARTITION_BITS: u32 = 30;
const RAND_A_BITS: u32 = 12;
const RAND_B_BITS: u32 = 62;

/// What an account's ids have in common, so that another account's are known without a look-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partition(u32);

impl Partition {
    /// The first 30 bits of SHA-256 over the account's id.
    pub fn of(account: AccountId) -> Self {
        let [a, b, c, d, ..] = Sha256::digest(account.0.as_bytes()).0;
        Self(u32::from_be_bytes([a, b, c, d]) >> (u32::BITS - PARTITION_BITS))
    }
}

/// What an id names. The numbers stand in ids: never to be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefType {
    ApiToken = 1,
    Account = 2,
    Environment = 3,
    AdminUser = 4,
}

impl RefType {
    const ALL: [Self; 4] = [
        Self::ApiToken,
        Self::Account,
        Self::Environment,
        Self::AdminUser,
    ];
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pfid {
    /// Milliseconds since 1970, 48 bits.
    time: u64,
    pub partition: Partition,
    /// 80 bits: type, `rand_a`, `rand_b`.
    rest: u128,
}

impl Pfid {
    /// `id` is a UUID of version 7, as all of ours are.
    pub fn of(ref_type: RefType, id: Uuid, partition: Partition) -> Self {
        let bits = id.as_u128();
        let rand_a = low(bits >> 64, RAND_A_BITS);
        let rand_b = low(bits, RAND_B_BITS);
        Self {
            time: (bits >> 80) as u64,
            partition,
            rest: (((ref_type as u128) << RAND_A_BITS | rand_a) << RAND_B_BITS) | rand_b,
        }
    }

    /// The id within; what it is the id of is for [`Self::ref_type`] to say.
    pub fn id(self) -> Uuid {
        let rand_a = low(self.rest >> RAND_B_BITS, RAND_A_BITS);
        let rand_b = low(self.rest, RAND_B_BITS);
        let (version, variant) = (7, 0b10);
        Uuid::from_u128(
            u128::from(self.time) << 80
                | version << 76
                | rand_a << 64
                | variant << RAND_B_BITS
                | rand_b,
        )
    }

    /// `None` for a type that this door does not know.
    pub fn ref_type(self) -> Option<RefType> {
        let tag = self.rest >> (RAND_A_BITS + RAND_B_BITS);
        RefType::ALL.into_iter().find(|it| *it as u128 == tag)
    }
}

fn low(bits: u128, count: u32) -> u128 {
    bits & ((1 << count) - 1)
}

impl Display for Pfid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = |value: u128, count: u32| {
            (0..count).rev().try_for_each(|at| {
                let digit = low(value >> (5 * at), 5);
                f.write_char(char::from(ALPHABET[digit as usize]))
            })
        };
        digits(self.time.into(), TIME_DIGITS)?;
        digits(self.partition.0.into(), PARTITION_DIGITS)?;
        digits(self.rest, REST_DIGITS)
    }
}

/// A text that is no PFID.
#[derive(Debug, PartialEq, Eq)]
pub struct NotAPfid;

impl FromStr for Pfid {
    type Err = NotAPfid;

    /// Takes only what [`Display`] writes: one id has one text.
    fn from_str(text: &str) -> Result<Self, NotAPfid> {
        let bytes: &[u8; LENGTH] = text.as_bytes().try_into().map_err(|_| NotAPfid)?;
        let number = |digits: &[u8]| {
            digits.iter().try_fold(0u128, |number, byte| {
                let digit = ALPHABET.iter().position(|it| it == byte)?;
                Some(number << 5 | digit as u128)
            })
        };
        let (time, rest) = bytes.split_at(TIME_DIGITS as usize);
        let (partition, rest) = rest.split_at(PARTITION_DIGITS as usize);
        let read = || Some((number(time)?, number(partition)?, number(rest)?));
        let (time, partition, rest) = read().ok_or(NotAPfid)?;
        // Ten digits hold two bits more than the time has.
        if time >> TIME_BITS != 0 {
            return Err(NotAPfid);
        }
        Ok(Self {
            time: time as u64,
            partition: Partition(partition as u32),
            rest,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use symbolon_domain::Timestamp;
    use symbolon_domain::dice::SeededDice;
    use symbolon_domain::id::uuid_v7;

    /// The ids that the contract's text shows.
    const EXAMPLES: [&str; 4] = [
        "013xrzp12g3nqk8ngskn1wtxgka5b0nf",
        "013xrzp12g3nqk8nzxvq7jm2arsfg5h1",
        "013xrzp12g3nqk8nh0qrc2b1jfanmvb9",
        "013xrzp12g3nqk8n7f8f9jbg8d18q7tm",
    ];

    #[test]
    fn the_examples_of_the_contract_decode() {
        for text in EXAMPLES {
            let pfid: Pfid = text.parse().unwrap();
            assert_eq!(pfid.time, 1_234_567_890_000);
            assert_eq!(pfid.partition, Partition(123_456_789));
            assert_eq!(pfid.to_string(), text);
        }
    }

    #[test]
    fn a_known_id_has_a_known_text() {
        let account = AccountId("0198a7c2-5d3e-7abc-8def-0123456789ab".parse().unwrap());
        let partition = Partition::of(account);
        let shown = |it| Pfid::of(it, account.0, partition).to_string();
        insta::assert_snapshot!(RefType::ALL.map(shown).join("\n"), @r"
        01k2kw4q9yycjprk0tqgvvr14d2pf2db
        01k2kw4q9yycjprk1aqgvvr14d2pf2db
        01k2kw4q9yycjprk1tqgvvr14d2pf2db
        01k2kw4q9yycjprk2aqgvvr14d2pf2db
        ");
    }

    #[test]
    fn what_is_not_written_so_is_none() {
        let good = EXAMPLES[0];
        let long = format!("{good}0");
        for bad in [
            "",
            &good[1..],
            &long,
            &good.to_uppercase(),
            &good.replace("xr", "il"),
            &good.replace("xr", "ou"),
            &good.replace("xr", "x-"),
            &good.replacen('0', "8", 1),
            // As many bytes, not as many characters.
            &good.replace("xr", "é"),
            "0198a7c2-5d3e-7abc-8def-0123456789ab",
            "0198a7c25d3e7abc8def0123456789ab\n",
        ] {
            assert_eq!(bad.parse::<Pfid>(), Err(NotAPfid), "{bad}");
        }
    }

    fn ids() -> impl Strategy<Value = Uuid> {
        let made = |(micros, seed): (i64, u64)| {
            uuid_v7(Timestamp::from_micros(micros), &mut SeededDice::new(seed))
        };
        (0..253_402_300_799_999_999i64, any::<u64>()).prop_map(made)
    }

    proptest! {
        /// Nothing is lost on the way to the text and back, and whoever has the text has the type.
        #[test]
        fn ids_come_back(id in ids(), account in ids(), which in 0usize..4) {
            let (ref_type, partition) = (RefType::ALL[which], Partition::of(AccountId(account)));
            let pfid = Pfid::of(ref_type, id, partition);
            let text = pfid.to_string();
            prop_assert_eq!(text.len(), LENGTH);
            prop_assert!(text.starts_with(|first| ('0'..='7').contains(&first)));
            let back: Pfid = text.parse().unwrap();
            prop_assert_eq!(back, pfid);
            prop_assert_eq!(back.id(), id);
            prop_assert_eq!(back.ref_type(), Some(ref_type));
            prop_assert_eq!(back.partition, partition);
        }

        /// The other way round: each text of a known type is that of exactly one id.
        #[test]
        fn texts_come_back(first in "[0-7]", text in "[0-9a-hjkmnp-tv-z]{31}") {
            let text = format!("{first}{text}");
            let pfid: Pfid = text.parse().unwrap();
            prop_assert_eq!(pfid.to_string(), text);
            prop_assert_eq!(pfid.id().get_version_num(), 7);
            prop_assert_eq!(pfid.id().get_variant(), uuid::Variant::RFC4122);
            if let Some(ref_type) = pfid.ref_type() {
                prop_assert_eq!(Pfid::of(ref_type, pfid.id(), pfid.partition), pfid);
            }
        }

        #[test]
        fn garbage_is_refused(text in "\\PC{0,40}") {
            let shape = text.len() == LENGTH && text.bytes().all(|c| ALPHABET.contains(&c));
            let fits = shape && text.as_bytes()[0] < b'8';
            prop_assert_eq!(text.parse::<Pfid>().is_ok(), fits);
        }

        /// Ids sort by their time, as ours do.
        #[test]
        fn later_ids_sort_later(a in ids(), b in ids(), account in ids()) {
            let partition = Partition::of(AccountId(account));
            let text = |id| Pfid::of(RefType::ApiToken, id, partition).to_string();
            prop_assert_eq!(a.cmp(&b), text(a).cmp(&text(b)));
        }
    }
}
