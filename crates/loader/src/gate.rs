//! Who may call a source now: a bound on calls in all and for each source, a queue with a limit, and turns that go round
//! between owners.
//!
//! An owner is whoever asked: one request, or a load of many. Of each owner the oldest waiter is looked at whose source has
//! room; then it is the next owner's turn. So a load of a thousand requests holds up a plain question by one call.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;

/// How many calls at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GateOptions {
    /// In all.
    pub concurrent: usize,
    /// Of one source.
    pub per_source: usize,
    /// How many may wait.
    pub max_queued: usize,
}

impl Default for GateOptions {
    fn default() -> Self {
        Self { concurrent: 16, per_source: 4, max_queued: 1_024 }
    }
}

/// A look at a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GateSeen {
    /// Calls under way.
    pub running: usize,
    /// Jobs that wait.
    pub queued: usize,
    /// The bounds.
    pub options: GateOptions,
}

/// Too many wait already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct QueueFull {
    pub(crate) queued: usize,
}

/// When it is worth another try after [`QueueFull`].
pub(crate) const TRY_AGAIN: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Gate(Mutex<State>);

#[derive(Debug)]
struct State {
    options: GateOptions,
    running: usize,
    by_source: HashMap<Arc<str>, usize>,
    owners: VecDeque<Owner>,
    queued: usize,
    numbers: u64,
}

/// Those of one owner who wait, the oldest first. Never empty.
#[derive(Debug)]
struct Owner {
    name: Arc<str>,
    waiting: VecDeque<Waiter>,
}

#[derive(Debug)]
struct Waiter {
    number: u64,
    source: Arc<str>,
    send: oneshot::Sender<Permit>,
}

/// The right to call a source; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    gate: Arc<Gate>,
    source: Arc<str>,
}

/// A place in the queue; given up when it is dropped.
#[derive(Debug)]
pub(crate) struct Ticket {
    gate: Arc<Gate>,
    number: u64,
    receive: oneshot::Receiver<Permit>,
}

impl Gate {
    pub(crate) fn new(options: GateOptions) -> Self {
        Self(Mutex::new(State {
            options,
            running: 0,
            by_source: HashMap::new(),
            owners: VecDeque::new(),
            queued: 0,
            numbers: 0,
        }))
    }

    /// Other bounds from now on; calls under way go on.
    pub(crate) fn set_options(self: &Arc<Self>, options: GateOptions) {
        let granted = {
            let mut state = self.0.lock();
            state.options = options;
            state.grant(self)
        };
        hand_over(granted);
    }

    pub(crate) fn look(&self) -> GateSeen {
        let state = self.0.lock();
        GateSeen { running: state.running, queued: state.queued, options: state.options }
    }

    /// A place in the queue for a call of `source`.
    pub(crate) fn enter(self: &Arc<Self>, owner: &Arc<str>, source: &Arc<str>) -> Result<Ticket, QueueFull> {
        let (send, receive) = oneshot::channel();
        let (granted, number) = {
            let mut state = self.0.lock();
            state.numbers += 1;
            let number = state.numbers;
            state.push(owner, Waiter { number, source: Arc::clone(source), send });
            let granted = state.grant(self);
            // Only who really has to wait counts.
            if state.queued > state.options.max_queued {
                state.remove(number);
                let queued = state.queued;
                drop(state);
                hand_over(granted);
                return Err(QueueFull { queued });
            }
            (granted, number)
        };
        hand_over(granted);
        Ok(Ticket { gate: Arc::clone(self), number, receive })
    }

    fn leave(self: &Arc<Self>, source: &Arc<str>) {
        let granted = {
            let mut state = self.0.lock();
            state.running -= 1;
            if let Some(running) = state.by_source.get_mut(source) {
                *running -= 1;
                if *running == 0 {
                    state.by_source.remove(source);
                }
            }
            state.grant(self)
        };
        hand_over(granted);
    }
}

impl State {
    fn push(&mut self, owner: &Arc<str>, waiter: Waiter) {
        self.queued += 1;
        match self.owners.iter_mut().find(|known| known.name == *owner) {
            Some(known) => known.waiting.push_back(waiter),
            None => self.owners.push_back(Owner { name: Arc::clone(owner), waiting: VecDeque::from([waiter]) }),
        }
    }

    fn remove(&mut self, number: u64) {
        for owner in &mut self.owners {
            if let Some(at) = owner.waiting.iter().position(|waiter| waiter.number == number) {
                owner.waiting.remove(at);
                self.queued -= 1;
                break;
            }
        }
        self.owners.retain(|owner| !owner.waiting.is_empty());
    }

    /// Gives permits as long as somebody may have one. They are handed over outside the lock: one whose waiter has gone
    /// comes back through [`Gate::leave`].
    fn grant(&mut self, gate: &Arc<Gate>) -> Vec<(oneshot::Sender<Permit>, Permit)> {
        let mut granted = Vec::new();
        let mut passed_over = 0;
        while self.running < self.options.concurrent && passed_over < self.owners.len() {
            let Some(mut owner) = self.owners.pop_front() else { break };
            let (by_source, per_source) = (&self.by_source, self.options.per_source);
            let has_room = |waiter: &Waiter| by_source.get(&waiter.source).is_none_or(|running| *running < per_source);
            match owner.waiting.iter().position(has_room).and_then(|at| owner.waiting.remove(at)) {
                Some(Waiter { source, send, .. }) => {
                    self.queued -= 1;
                    self.running += 1;
                    *self.by_source.entry(Arc::clone(&source)).or_insert(0) += 1;
                    granted.push((send, Permit { gate: Arc::clone(gate), source }));
                    passed_over = 0;
                }
                None => passed_over += 1,
            }
            if !owner.waiting.is_empty() {
                self.owners.push_back(owner);
            }
        }
        granted
    }
}

fn hand_over(granted: Vec<(oneshot::Sender<Permit>, Permit)>) {
    for (send, permit) in granted {
        // Dropped where nobody waits any more, which gives it to the next one.
        let _ = send.send(permit);
    }
}

impl Ticket {
    /// The permit, when it is this one's turn.
    pub(crate) async fn wait(mut self) -> Permit {
        match (&mut self.receive).await {
            Ok(permit) => permit,
            // The gate forgets a waiter only when its ticket is dropped, and then nobody is here.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.gate.0.lock().remove(self.number);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.gate.leave(&self.source);
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;

    use futures_util::FutureExt;

    use super::*;

    fn gate(concurrent: usize, per_source: usize, max_queued: usize) -> Arc<Gate> {
        Arc::new(Gate::new(GateOptions { concurrent, per_source, max_queued }))
    }

    fn enter(gate: &Arc<Gate>, owner: &str, source: &str) -> Result<Ticket, QueueFull> {
        gate.enter(&owner.into(), &source.into())
    }

    /// A waiter, and what the test calls it.
    type Waiting = (&'static str, Pin<Box<dyn Future<Output = Permit>>>);

    /// Which of the waiters have their permits now.
    fn admitted(waiting: &mut Vec<Waiting>) -> Vec<(&'static str, Permit)> {
        let mut done = Vec::new();
        waiting.retain_mut(|(name, ticket)| match ticket.now_or_never() {
            Some(permit) => {
                done.push((*name, permit));
                false
            }
            None => true,
        });
        done
    }

    #[test]
    fn turns_go_round_between_owners() {
        let gate = gate(1, 1, 100);
        let mut waiting: Vec<Waiting> = Vec::new();
        for (name, owner) in [("a1", "a"), ("a2", "a"), ("a3", "a"), ("b1", "b"), ("c1", "c"), ("b2", "b")] {
            waiting.push((name, Box::pin(enter(&gate, owner, "s").unwrap().wait())));
        }
        let mut order = Vec::new();
        while !waiting.is_empty() {
            let done = admitted(&mut waiting);
            assert_eq!(done.len(), 1, "one at a time");
            order.extend(done.iter().map(|(name, _)| *name));
        }
        assert_eq!(order, ["a1", "a2", "b1", "c1", "a3", "b2"]);
        assert_eq!((gate.look().running, gate.look().queued), (0, 0));
    }

    #[test]
    fn a_source_at_its_bound_holds_up_no_other() {
        let gate = gate(3, 1, 100);
        let first = enter(&gate, "a", "slow").unwrap().wait().now_or_never().unwrap();
        assert!(enter(&gate, "a", "slow").unwrap().wait().now_or_never().is_none());
        let mut waits = Box::pin(enter(&gate, "a", "slow").unwrap().wait());
        assert!((&mut waits).now_or_never().is_none());
        let other = enter(&gate, "a", "quick").unwrap().wait().now_or_never();
        assert!(other.is_some());
        drop(first);
        assert!((&mut waits).now_or_never().is_some());
    }

    #[test]
    fn a_full_queue_refuses_and_who_leaves_makes_room() {
        let gate = gate(1, 1, 1);
        let running = enter(&gate, "a", "s").unwrap().wait().now_or_never().unwrap();
        let waits = enter(&gate, "b", "s").unwrap();
        assert_eq!(enter(&gate, "c", "s").unwrap_err(), QueueFull { queued: 1 });
        drop(waits);
        let waits = enter(&gate, "c", "s").unwrap();
        drop(running);
        // Granted but never taken: it comes back.
        drop(waits);
        assert_eq!((gate.look().running, gate.look().queued), (0, 0));
        assert!(enter(&gate, "d", "s").unwrap().wait().now_or_never().is_some());
    }

    #[test]
    fn more_room_is_given_at_once() {
        let gate = gate(1, 4, 10);
        let _one = enter(&gate, "a", "s").unwrap().wait().now_or_never().unwrap();
        let mut two = Box::pin(enter(&gate, "a", "s").unwrap().wait());
        assert!((&mut two).now_or_never().is_none());
        gate.set_options(GateOptions { concurrent: 2, per_source: 4, max_queued: 10 });
        assert!((&mut two).now_or_never().is_some());
    }
}
