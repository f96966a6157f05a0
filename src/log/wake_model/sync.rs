//! What `super::super::sync` names, under the model: tokio's own watch, with a point before each
//! step at which the model may go on with another thread.

use std::convert::Infallible;

use shuttle::sync::atomic::{AtomicBool, Ordering};

pub(super) use shuttle::sync::{Condvar, Mutex, MutexGuard};

/// Another thread may go on here.
pub(super) fn point() {
    AtomicBool::new(false).load(Ordering::SeqCst);
}

pub(super) async fn spawn_blocking<T>(work: impl FnOnce() -> T) -> Result<T, Infallible> {
    point();
    Ok(work())
}

/// `lock` is held around what takes the lock of tokio's own: the model sees who waits for it.
pub(super) mod watch {
    use std::sync::Arc;

    use shuttle::sync::RwLock;
    use tokio::sync::watch;
    use tokio::sync::watch::error::RecvError;

    use super::point;

    #[derive(Debug)]
    pub(in super::super) struct Sender<T> {
        inner: watch::Sender<T>,
        lock: Arc<RwLock<()>>,
    }

    #[derive(Debug, Clone)]
    pub(in super::super) struct Receiver<T> {
        inner: watch::Receiver<T>,
        lock: Arc<RwLock<()>>,
    }

    pub(in super::super) fn channel<T>(first: T) -> (Sender<T>, Receiver<T>) {
        let sender = Sender::new(first);
        let receiver = sender.subscribe();
        (sender, receiver)
    }

    impl<T> Sender<T> {
        pub(in super::super) fn new(first: T) -> Self {
            Self { inner: watch::Sender::new(first), lock: Arc::default() }
        }

        pub(in super::super) fn subscribe(&self) -> Receiver<T> {
            point();
            Receiver { inner: self.inner.subscribe(), lock: Arc::clone(&self.lock) }
        }

        pub(in super::super) fn receiver_count(&self) -> usize {
            point();
            self.inner.receiver_count()
        }

        pub(in super::super) fn send_if_modified(&self, modify: impl FnOnce(&mut T) -> bool) {
            let _held = self.lock.write().unwrap();
            self.inner.send_if_modified(modify);
        }

        pub(in super::super) fn borrow(&self) -> Box<T>
        where
            T: Copy,
        {
            let _held = self.lock.read().unwrap();
            Box::new(*self.inner.borrow())
        }
    }

    impl<T> Clone for Sender<T> {
        fn clone(&self) -> Self {
            Self { inner: self.inner.clone(), lock: Arc::clone(&self.lock) }
        }
    }

    impl<T> Receiver<T> {
        pub(in super::super) fn mark_unchanged(&mut self) {
            point();
            self.inner.mark_unchanged();
        }

        pub(in super::super) async fn changed(&mut self) -> Result<(), RecvError> {
            point();
            self.inner.changed().await
        }

        pub(in super::super) async fn wait_for(
            &mut self,
            is_it: impl FnMut(&T) -> bool,
        ) -> Result<(), RecvError> {
            point();
            self.inner.wait_for(is_it).await.map(drop)
        }

        pub(in super::super) fn borrow(&self) -> Box<T>
        where
            T: Copy,
        {
            let _held = self.lock.read().unwrap();
            Box::new(*self.inner.borrow())
        }
    }
}
