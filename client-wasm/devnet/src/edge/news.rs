//! That something has happened, for those who wait for it.

use futures::channel::oneshot;
use std::cell::{Cell, RefCell};

#[derive(Default)]
pub struct News {
    count: Cell<u64>,
    waiting: RefCell<Vec<oneshot::Sender<()>>>,
}

impl News {
    /// To be taken before a look at the network, and handed to [`News::after`].
    pub fn count(&self) -> u64 {
        self.count.get()
    }

    /// Returns once there was news after `count`.
    pub async fn after(&self, count: u64) {
        while self.count.get() == count {
            let (told, news) = oneshot::channel();
            let mut waiting = self.waiting.borrow_mut();
            // Those who gave up waiting.
            waiting.retain(|other| !other.is_canceled());
            waiting.push(told);
            drop(waiting);
            // The sender is dropped only with what it would tell of.
            let _ = news.await;
        }
    }

    pub fn tell(&self) {
        self.count.set(self.count.get().wrapping_add(1));
        for told in self.waiting.take() {
            // Nobody waits any more when this fails.
            let _ = told.send(());
        }
    }
}
