//! A load in the background.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::event::{Event, LoadEvent, Seen};
use crate::journal::Journal;
use crate::options::LoadOptions;
use crate::request::{LoadRequest, Outcome};

/// How a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// It is being worked on.
    Running,
    /// All of its requests are done with.
    Finished,
    /// It was cancelled before that.
    Cancelled,
}

impl JobState {
    /// The stable name, in snake case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A load in the background: what it is about, how it stands, and what has happened.
#[derive(Debug)]
pub struct Job {
    /// Its id.
    pub id: Arc<str>,
    /// When it began.
    pub began_at: SystemTime,
    /// What it was asked for.
    pub requests: Vec<LoadRequest>,
    /// How it is run.
    pub options: LoadOptions,
    /// Places of the requests, by their names.
    places: HashMap<String, usize>,
    began: Instant,
    journal: Journal,
    state: Mutex<State>,
    over: watch::Sender<bool>,
}

#[derive(Debug)]
struct State {
    state: JobState,
    ended: Option<Instant>,
    steps: Vec<Step>,
    /// A guess, and when it was made.
    time_left: Option<(Duration, Instant)>,
    task: Option<AbortHandle>,
}

impl State {
    /// The longest guess that there is: of the whole, or of a request that is under way.
    fn time_left(&self) -> Option<Duration> {
        let of_whole = self.time_left.map(|(guess, at)| guess.saturating_sub(at.elapsed()));
        let under_way = self.steps.iter().filter(|step| step.outcome.is_none());
        under_way.filter_map(|step| step.seen?.time_left).chain(of_whole).max()
    }
}

/// How one request of a job stands.
#[derive(Debug, Clone, Default)]
pub struct Step {
    /// Whether a worker has taken it.
    pub started: bool,
    /// How far it has come, as far as that was told.
    pub seen: Option<Seen>,
    /// What came of it; the rows themselves are in the cache.
    pub outcome: Option<Arc<Outcome>>,
}

/// A look at a job.
#[derive(Debug, Clone)]
pub struct JobSeen {
    /// How it stands.
    pub state: JobState,
    /// How long it has taken so far, or took.
    pub elapsed: Duration,
    /// Until all is done, once there is a basis for a guess.
    pub time_left: Option<Duration>,
    /// One for each request, in their order.
    pub steps: Vec<Step>,
}

impl JobSeen {
    /// Requests that are done with.
    pub fn done(&self) -> usize {
        self.steps.iter().filter(|step| step.outcome.is_some()).count()
    }

    /// Requests that failed.
    pub fn failed(&self) -> usize {
        self.steps.iter().filter_map(|step| step.outcome.as_ref()).filter(|outcome| outcome.result.is_err()).count()
    }
}

impl Job {
    pub(crate) fn new(id: Arc<str>, requests: Vec<LoadRequest>, options: LoadOptions) -> Self {
        let places = requests.iter().enumerate().map(|(at, request)| (request.name.clone(), at)).collect();
        let steps = vec![Step::default(); requests.len()];
        // A request has four events at least, and more if it is slow.
        let places_of_events = 8 * requests.len();
        let state = State { state: JobState::Running, ended: None, steps, time_left: None, task: None };
        Self {
            id,
            began_at: SystemTime::now(),
            requests,
            options,
            places,
            began: Instant::now(),
            journal: Journal::of(places_of_events),
            state: Mutex::new(state),
            over: watch::Sender::new(false),
        }
    }

    /// A look at it.
    pub fn look(&self) -> JobSeen {
        let state = self.state.lock();
        let until = state.ended.unwrap_or_else(Instant::now);
        JobSeen {
            state: state.state,
            elapsed: until - self.began,
            time_left: state.time_left().filter(|_| state.state == JobState::Running),
            steps: state.steps.clone(),
        }
    }

    /// Stops it; what nobody else waits for is not loaded. Says whether it was still under way.
    pub fn cancel(&self) -> bool {
        let task = {
            let mut state = self.state.lock();
            if state.state != JobState::Running {
                return false;
            }
            (state.state, state.ended) = (JobState::Cancelled, Some(Instant::now()));
            state.task.take()
        };
        if let Some(task) = task {
            task.abort();
        }
        let failed = self.look().failed();
        self.journal.write(LoadEvent { at: self.began.elapsed(), event: Event::Ended { failed, cancelled: true } });
        self.end();
        true
    }

    /// How it stands.
    pub fn state(&self) -> JobState {
        self.state.lock().state
    }

    /// Ends it whose work has ended without saying so.
    pub(crate) fn end_without_a_word(&self) {
        let failed = self.look().failed();
        self.note(LoadEvent { at: self.began.elapsed(), event: Event::Ended { failed, cancelled: false } });
    }

    /// Waits until it is over, well or not.
    pub async fn wait(&self) {
        // The sender is this job's, so it is not gone.
        let _ = self.over.subscribe().wait_for(|over| *over).await;
    }

    /// Events after number `after`, with their numbers, which begin at 1; at most `most`, and empty only when nothing will
    /// follow. The flag says that some before them are not kept any more.
    pub async fn events_after(&self, after: u64, most: usize) -> (Vec<(u64, Arc<LoadEvent>)>, bool) {
        self.journal.wait(after).await;
        let page = self.journal.after(after, most);
        (page.events, page.has_gap)
    }

    /// When it was over, as long ago as that.
    pub(crate) fn over_for(&self) -> Option<Duration> {
        self.state.lock().ended.map(|ended| ended.elapsed())
    }

    pub(crate) fn is_running(&self) -> bool {
        self.state.lock().state == JobState::Running
    }

    pub(crate) fn set_task(&self, task: AbortHandle) {
        let mut state = self.state.lock();
        // It may have been cancelled, or be over, by now.
        match state.state {
            JobState::Running => state.task = Some(task),
            JobState::Cancelled => task.abort(),
            JobState::Finished => {}
        }
    }

    /// Notes what happened.
    pub(crate) fn note(&self, event: LoadEvent) {
        let ends = matches!(event.event, Event::Ended { .. });
        {
            let mut state = self.state.lock();
            if state.state == JobState::Cancelled {
                return;
            }
            self.apply(&mut state, &event.event);
        }
        self.journal.write(event);
        if ends {
            self.end();
        }
    }

    fn apply(&self, state: &mut State, event: &Event) {
        let place = |name: &str| self.places.get(name).copied();
        match event {
            Event::Started { name } => {
                if let Some(at) = place(name) {
                    state.steps[at].started = true;
                }
            }
            Event::Progress { name, seen } => {
                if let Some(at) = place(name) {
                    state.steps[at].seen = Some(*seen);
                }
            }
            Event::Finished { outcome, time_left, .. } => {
                if let Some(at) = place(&outcome.name) {
                    state.steps[at].outcome = Some(Arc::clone(outcome));
                }
                state.time_left = time_left.map(|guess| (guess, Instant::now()));
            }
            Event::Ended { .. } => {
                (state.state, state.ended, state.task) = (JobState::Finished, Some(Instant::now()), None)
            }
            Event::Began { .. } | Event::Queued { .. } | Event::Retrying { .. } => {}
        }
    }

    fn end(&self) {
        self.journal.close();
        self.over.send_replace(true);
    }
}
