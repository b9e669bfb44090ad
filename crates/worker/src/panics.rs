//! Where a handler panicked: its message may hold anything, its location is ours to write down.

use std::cell::RefCell;
use std::sync::Once;

thread_local! {
    static LATEST: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Puts a hook before the one that is there, once a process.
pub(crate) fn note_locations() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            LATEST.set(info.location().map(ToString::to_string));
            previous(info);
        }));
    });
}

/// The location of this thread's latest panic; asked right after it was caught, on the same thread.
pub(crate) fn latest_location() -> String {
    LATEST
        .take()
        .unwrap_or_else(|| "an unknown place".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caught_panic_has_a_place_and_no_message() {
        note_locations();
        let caught = std::panic::catch_unwind(|| panic!("s3cret"));
        assert!(caught.is_err());
        let location = latest_location();
        assert!(location.contains("panics.rs:"), "{location}");
        assert!(!location.contains("s3cret"));
        assert_eq!(latest_location(), "an unknown place");
    }
}
