//! Places where a test holds what comes by, to try what else may happen meanwhile. Without the feature
//! `testing` nothing is ever held, and passing by costs nothing.

#[cfg(feature = "testing")]
pub use armed::{Gates, Held};
#[cfg(not(feature = "testing"))]
pub use open::Gates;

#[cfg(not(feature = "testing"))]
mod open {
    /// Gates that are always open.
    pub struct Gates<P>(std::marker::PhantomData<P>);

    impl<P> Default for Gates<P> {
        fn default() -> Self {
            Self(std::marker::PhantomData)
        }
    }

    impl<P> Gates<P> {
        /// Nobody is held here.
        #[inline]
        pub async fn pass(&self, _: P) {}
    }
}

#[cfg(feature = "testing")]
mod armed {
    use std::sync::{Mutex, PoisonError};
    use tokio::sync::oneshot;

    /// The gates that are closed, by their place.
    pub struct Gates<P>(Mutex<Vec<Gate<P>>>);

    struct Gate<P> {
        place: P,
        arrived: oneshot::Sender<()>,
        opened: oneshot::Receiver<()>,
    }

    impl<P> Default for Gates<P> {
        fn default() -> Self {
            Self(Mutex::default())
        }
    }

    impl<P: PartialEq> Gates<P> {
        /// Closes the gate at this place for whoever comes by next, and nobody after.
        pub fn close(&self, place: P) -> Held {
            let (arrived, has_arrived) = oneshot::channel();
            let (open, opened) = oneshot::channel();
            let mut gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            gates.push(Gate {
                place,
                arrived,
                opened,
            });
            Held {
                arrived: has_arrived,
                _open: open,
            }
        }

        /// Waits where the gate at this place is closed.
        pub async fn pass(&self, place: P) {
            let gate = {
                let mut gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                gates.retain(|it| !it.arrived.is_closed());
                let at = gates.iter().position(|it| it.place == place);
                at.map(|at| gates.remove(at))
            };
            if let Some(gate) = gate
                && gate.arrived.send(()).is_ok()
            {
                let _ = gate.opened.await;
            }
        }
    }

    /// A closed gate, and who waits at it. Dropped, it is open.
    pub struct Held {
        arrived: oneshot::Receiver<()>,
        _open: oneshot::Sender<()>,
    }

    impl Held {
        /// Returns once somebody waits at the gate.
        pub async fn arrived(&mut self) {
            if (&mut self.arrived).await.is_err() {
                // Whoever could come is gone.
                std::future::pending::<()>().await;
            }
        }
    }
}
