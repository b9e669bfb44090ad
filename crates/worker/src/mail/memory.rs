//! Mail kept in memory, for tests: what was sent, and answers to give instead of taking the mail.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Delivery, OutgoingMail};

/// A shared list of mails; clones see the same.
#[derive(Clone, Default)]
pub struct MemoryMail(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    sent: Vec<SentMail>,
    answers: VecDeque<Delivery>,
}

/// A mail that was accepted. Not printable: it carries a link that is a secret.
#[derive(Clone)]
pub struct SentMail {
    pub to: String,
    pub message_id: String,
    /// As it would have crossed the wire.
    pub raw: String,
}

impl MemoryMail {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything accepted so far, oldest first.
    pub fn sent(&self) -> Vec<SentMail> {
        self.state().sent.clone()
    }

    /// Gives `answer` to the next mail that has none yet; mails answered otherwise than
    /// [`Delivery::Accepted`] are not kept.
    pub fn answer_next(&self, answer: Delivery) {
        self.state().answers.push_back(answer);
    }

    pub(super) fn send(&self, mail: OutgoingMail) -> Delivery {
        let mut state = self.state();
        let answer = state
            .answers
            .pop_front()
            .unwrap_or_else(|| Delivery::Accepted("kept in memory".to_owned()));
        if matches!(answer, Delivery::Accepted(_)) {
            state.sent.push(SentMail {
                to: mail.to.as_str().to_owned(),
                message_id: mail.message_id,
                raw: String::from_utf8_lossy(&mail.raw).into_owned(),
            });
        }
        answer
    }
}
