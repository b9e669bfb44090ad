//! The rules of Symbolon, pure: no I/O, no clock, no dice of its own.
//!
//! Whoever calls brings the time ([`Timestamp`]), the randomness ([`Dice`]) and plain values loaded from
//! a store; decisions answer with [`Changes`] to write, or with a [`Refusal`] and its stable code.

pub mod account;
pub mod authority;
pub mod bootstrap;
pub mod change;
pub mod confirmation;
pub mod contact;
pub mod credential;
pub mod dice;
pub mod event;
pub mod id;
pub mod issue;
pub mod job;
pub mod label;
pub mod limits;
pub mod network;
pub mod rate;
pub mod refusal;
pub mod retire;
pub mod root_role;
pub mod scope;
pub mod secret;
pub mod service_account;
pub mod signing;
pub mod time;
pub mod token_text;
pub mod user;
pub mod verdict;

pub use account::{Account, AccountStatus, Environment, Policy};
pub use authority::{ActorRef, Authority, Reach};
pub use change::Changes;
pub use confirmation::{Confirmation, ConfirmationState};
pub use credential::{Credential, CredentialKind, CredentialStatus, Owner, RevokeReason};
pub use dice::Dice;
pub use event::Event;
pub use id::*;
pub use job::{Job, NewJob};
pub use label::{EmailAddress, Language, Name, Username};
pub use network::AllowedNetworks;
pub use rate::RateLimit;
pub use refusal::{Code, FieldCode, FieldError, Refusal};
pub use root_role::RootRole;
pub use scope::{Permission, Scope, ScopeSet};
pub use secret::{Digest, Minted, Presented};
pub use service_account::{ContactState, ServiceAccount, ServiceAccountStatus};
pub use time::{Clock, Timestamp};
pub use token_text::PublicId;
pub use verdict::{Facts, Question, Reason, verdict};
