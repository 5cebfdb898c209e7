//! One thread, one runtime, one of everything: a worker shares only a pointer (the plan, in) and a
//! channel (samples, out).

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use rustc_hash::FxHashMap;
use tokio::{
    sync::{Notify, mpsc},
    time::{Instant, MissedTickBehavior},
};

use super::{
    accept::Listeners,
    access_log::Log,
    breaker::Breakers,
    budget::Budget,
    buffer::Buffers,
    date::{Date, Dates},
    h1::{RequestHead, ResponseHead},
    headers::hex_digits,
    hedges::Hedges,
    pool::{Pool, Round},
    story::Story,
    streams::Streams,
    timer::{TICK, Wheel},
    trace::Tracer,
};
use crate::{
    clock,
    measure::{EndpointGauge, Recorder, Sample},
    model::{
        Moment, Rejection, Share, SplitKey, Stage,
        number::{micros, millis, real},
    },
    plan::{Plan, Reader, Rotation},
};

/// How often a worker hands its sample over.
const SAMPLE_EVERY: Duration = Duration::from_millis(50);
/// How long an answer of a canary that has lost its traffic is still waited for, where stable can
/// give one.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often a worker looks for stages that are over.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// Everything a worker owns.
#[derive(Debug)]
pub(crate) struct Worker {
    number: u16,
    workers: u16,
    started: Instant,
    started_at: Moment,
    id_prefix: [u8; 16],
    reader: RefCell<Reader>,
    held: RefCell<Rc<Held>>,
    samples: mpsc::Sender<Box<Sample>>,
    next_id: Cell<u64>,
    turns: Cell<u64>,
    dates: Dates,
    is_draining: Cell<bool>,
    silence: Cell<Duration>,
    drains: Notify,
    busy: Cell<(Instant, Duration)>,
    heads: RefCell<Vec<Heads>>,
    /// Read and write buffers.
    pub(crate) buffers: Buffers,
    /// The timer wheel.
    pub(crate) wheel: Rc<Wheel>,
    /// Counters.
    pub(crate) recorder: RefCell<Recorder>,
    /// Connections to endpoints.
    pub(crate) pool: RefCell<Pool>,
    /// Retries that may still be made.
    pub(crate) budget: RefCell<Budget>,
    /// Second attempts beside the first that may be made, and when.
    pub(crate) hedges: RefCell<Hedges>,
    /// Where the next request of a split falls.
    pub(crate) rotation: RefCell<Rotation>,
    /// Chance.
    pub(crate) random: RefCell<fastrand::Rng>,
    /// How much upstreams have to do that have a limit.
    pub(crate) breakers: Breakers,
    rejections: RefCell<FxHashMap<Rejection, u64>>,
    /// Bytes of bodies that are held.
    pub(crate) held_bytes: Cell<u64>,
    /// Made once a second.
    endpoints: RefCell<Arc<[EndpointGauge]>>,
    /// Streams that live long.
    pub(crate) streams: Streams,
    /// The access log.
    pub(crate) log: Option<Log>,
    /// Spans.
    pub(crate) tracer: Option<Tracer>,
    /// Stories that were told.
    pub(crate) stories: RefCell<Vec<Rc<Story>>>,
}

/// A plan in the hands of one worker: its requests share it by a count that no other thread
/// touches (I6).
#[derive(Debug)]
pub(crate) struct Held(Arc<Plan>);

impl std::ops::Deref for Held {
    type Target = Plan;

    fn deref(&self) -> &Plan {
        &self.0
    }
}

/// Room for the heads of one exchange, used again and again.
pub(crate) type Heads = Box<(RequestHead, ResponseHead)>;

impl Worker {
    pub(crate) fn new(
        (number, workers): (u16, u16),
        mut reader: Reader,
        samples: mpsc::Sender<Box<Sample>>,
        (log, tracer): (Option<Log>, Option<Tracer>),
    ) -> Rc<Self> {
        let held = Rc::new(Held(Arc::clone(reader.current())));
        let mut random = fastrand::Rng::new();
        let started = Instant::now();
        Rc::new(Self {
            number,
            workers,
            started,
            started_at: clock::now(),
            id_prefix: hex_digits(random.u64(..)),
            reader: RefCell::new(reader),
            held: RefCell::new(held),
            samples,
            next_id: Cell::new(random.u64(..)),
            turns: Cell::new(random.u64(..)),
            dates: Dates::new(clock::now()),
            is_draining: Cell::new(false),
            silence: Cell::new(Duration::MAX),
            drains: Notify::new(),
            busy: Cell::new((started, Duration::ZERO)),
            heads: RefCell::default(),
            buffers: Buffers::default(),
            wheel: Wheel::new(),
            recorder: RefCell::new(Recorder::new()),
            pool: RefCell::default(),
            budget: RefCell::default(),
            hedges: RefCell::default(),
            rotation: RefCell::new(Rotation::new(random.u64(..))),
            random: RefCell::new(random),
            breakers: Breakers::default(),
            rejections: RefCell::default(),
            held_bytes: Cell::new(0),
            endpoints: RefCell::default(),
            streams: Streams::default(),
            log,
            tracer,
            stories: RefCell::default(),
        })
    }

    /// The plan in force. A request asks once and keeps what it got (I5); no count that other
    /// threads touch is written unless the plan is new (I6).
    pub(crate) fn plan(&self) -> Rc<Held> {
        let mut reader = self.reader.borrow_mut();
        let current = reader.current();
        let mut held = self.held.borrow_mut();
        if !Arc::ptr_eq(&held.0, current) {
            *held = Rc::new(Held(Arc::clone(current)));
        }
        Rc::clone(&held)
    }

    /// A number for a request: unique in this worker, unlike any other worker's.
    pub(crate) fn next_id(&self) -> u64 {
        let id = self.next_id.get();
        self.next_id.set(id.wrapping_add(1));
        id
    }

    /// This worker's part of a limit that holds for all workers together; never less than 1.
    pub(crate) fn part_of(&self, all: u32) -> u32 {
        let workers = u32::from(self.workers.max(1));
        let is_odd = u32::from(self.number) < all % workers;
        (all / workers + u32::from(is_odd)).max(1)
    }

    /// A number that rises with each choice of an endpoint.
    pub(crate) fn turn(&self) -> u64 {
        let turn = self.turns.get();
        self.turns.set(turn.wrapping_add(1));
        turn
    }

    /// The first half of every request's id from this worker: 16 hexadecimal digits.
    pub(crate) const fn id_prefix(&self) -> &[u8; 16] {
        &self.id_prefix
    }

    /// What time it is: the wall clock when this worker started, and what a steady clock has
    /// counted since.
    pub(crate) fn now(&self) -> Moment {
        self.moment(Instant::now())
    }

    /// Now, as answers tell it.
    pub(crate) fn date(&self) -> Date {
        self.dates.at(self.now())
    }

    /// Room for the heads of one exchange.
    pub(crate) fn heads(&self) -> Heads {
        let kept = self.heads.borrow_mut().pop();
        kept.unwrap_or_else(|| Box::new((RequestHead::new(), ResponseHead::new())))
    }

    /// Gives the room back.
    pub(crate) fn give_heads(&self, heads: Heads) {
        self.heads.borrow_mut().push(heads);
    }

    fn moment(&self, at: Instant) -> Moment {
        self.started_at + at.duration_since(self.started)
    }

    /// Counts something of a client's that was refused or cut off, by its cause.
    pub(crate) fn reject(&self, cause: Rejection) {
        *self.rejections.borrow_mut().entry(cause).or_insert(0) += 1;
    }

    /// Whether new requests on a connection are no longer wanted.
    pub(crate) fn is_draining(&self) -> bool {
        self.is_draining.get()
    }

    /// How long a connection may wait for a request, whatever its listener allows.
    pub(crate) fn silence(&self) -> Duration {
        self.silence.get()
    }

    /// Waits until new requests on a connection are no longer wanted.
    pub(crate) async fn draining(&self) {
        if !self.is_draining() {
            self.drains.notified().await;
        }
    }

    /// From now on connections end after their next answer, and long-lived streams before `until`.
    /// One that waits for a request may do so for `silence`.
    pub(crate) fn drain(&self, until: Instant, silence: Duration) {
        if let Some(settings) = self.plan().long_lived {
            let span = (self.now(), self.moment(until));
            self.streams.end_all(settings, &self.random, span);
        }
        self.silence.set(silence);
        self.is_draining.set(true);
        self.drains.notify_waiters();
    }

    /// Ends connections that wait for a request.
    pub(crate) fn end_idle(&self) {
        self.silence.set(Duration::ZERO);
        self.wheel.expire_idle();
        self.pool.borrow_mut().clear();
    }

    /// Turns the wheel, hands samples over, follows listeners; ends with the runtime.
    pub(crate) async fn tick(self: Rc<Self>, listeners: Rc<Listeners>) {
        let mut interval = tokio::time::interval(TICK);
        interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let (mut sampled, mut swept) = (self.started, self.started);
        let mut stages = FxHashMap::default();
        let (mut round, mut known) = (Round::default(), None);
        loop {
            let now = interval.tick().await;
            self.wheel
                .advance(millis(now.duration_since(self.started)) / millis(TICK));
            let plan = self.plan();
            if known.replace(plan.generation) != Some(plan.generation) {
                self.hurry(&plan);
            }
            self.pool
                .borrow_mut()
                .sweep(&mut round, &plan, self.moment(now));
            if now.duration_since(sampled) >= SAMPLE_EVERY {
                sampled = now;
                self.hand_over(&listeners, now);
                listeners.follow(&self, &plan.listeners);
                self.streams.follow(&plan, &self.random, self.moment(now));
            }
            if now.duration_since(swept) >= SWEEP_EVERY {
                swept = now;
                self.forget(&mut stages, &plan);
                // Some attempts of the plan before have begun to wait since.
                self.hurry(&plan);
                let gauges = self.pool.borrow().endpoints(self.moment(now)).collect();
                self.endpoints.replace(gauges);
                listeners.retry(&self, &plan.listeners);
            }
        }
    }

    /// Hands over what was counted; what cannot be handed over is kept and merged.
    pub(crate) fn hand_over(&self, listeners: &Listeners, now: Instant) {
        if let Some(log) = &self.log {
            log.flush();
        }
        if let Some(tracer) = &self.tracer {
            tracer.flush();
        }
        let mut recorder = self.recorder.borrow_mut();
        let mut sample = recorder.take(self.number, self.moment(now));
        sample.gauges.listeners = listeners.gauges();
        sample.gauges.upstream_connections = self.pool.borrow().connections();
        sample.gauges.held_bytes = self.held_bytes.get();
        let rejections = self.rejections.borrow();
        sample.gauges.rejections = rejections.iter().map(|(cause, n)| (*cause, *n)).collect();
        sample.gauges.streams = self.streams.counts();
        sample.gauges.busy = self.busy(now);
        sample.gauges.endpoints = Arc::clone(&self.endpoints.borrow());
        if let Err(unsent) = self.samples.try_send(Box::new(sample)) {
            let (mpsc::error::TrySendError::Full(sample)
            | mpsc::error::TrySendError::Closed(sample)) = unsent;
            recorder.put_back(&sample);
        }
    }

    fn busy(&self, now: Instant) -> f64 {
        let total = tokio::runtime::Handle::current()
            .metrics()
            .worker_total_busy_duration(0);
        let (since, before) = self.busy.replace((now, total));
        let wall = micros(now.duration_since(since)).max(1);
        (real(micros(total.saturating_sub(before))) / real(wall)).min(1.0)
    }

    /// Attempts that wait for a canary that gets no traffic any more, and that stable could answer,
    /// do not wait much longer: what made it lose its traffic may be that it hangs.
    fn hurry(&self, plan: &Plan) {
        let splits = plan.splits.iter();
        let out = splits.filter(|split| split.canary.is_none() || split.share == Share::ZERO);
        let out = out.map(|split| split.key).collect();
        self.wheel.hurry(&out, PATIENCE);
    }

    /// Forgets what belongs to stages that are over.
    fn forget(&self, stages: &mut FxHashMap<SplitKey, Stage>, plan: &Plan) {
        let mut recorder = self.recorder.borrow_mut();
        for split in &plan.splits {
            if stages.insert(split.key, split.stage) != Some(split.stage) {
                recorder.forget(split.key, split.stage);
            }
        }
    }
}
