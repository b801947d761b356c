//! Waiting for a future on a thread that has nothing else to do.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for a future by parking the thread.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    // On a thread of a runtime a future of the runtime's own may be told to yield to it. There is nothing to yield to.
    let mut future = pin!(tokio::task::unconstrained(future));
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_waits_until_it_is_woken() {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let waiter = thread::spawn(|| block_on(receiver));
        sender.send(7).unwrap();
        assert_eq!(waiter.join().unwrap(), Ok(7));
    }

    #[tokio::test]
    async fn a_thread_of_a_runtime_waits_as_often_as_it_likes() {
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        (0..1_000).for_each(|number| sender.send(number).unwrap());
        // More often than a task may go on without yielding.
        (0..1_000).for_each(|number| assert_eq!(block_on(receiver.recv()), Some(number)));
    }
}
