//! What people read: message catalogues in English and Arabic, and dates.
//! Knows nothing of the rest of the product; callers bring ids and arguments.

mod catalogue;
mod date;
mod lang;

pub use catalogue::{Arg, message};
pub use date::date;
pub use lang::Lang;
