//! One life: what happens, drawn from a seed, and what is seen of it.

use std::{
    collections::{BTreeSet, VecDeque},
    time::Duration,
};

use serin::{
    control::{Command, Control, Event, Handle, Opened, Setup},
    discover::{DiscoverError, Discovered},
    measure::Sample,
    model::{Endpoint, Moment, Share, SplitName, UpstreamName, VersionName},
    plan::Reader,
};
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::{
    checks::{Step, View},
    file::{Course, File},
    records,
    seen::Seen,
    traffic::{Traffic, Truth},
};

/// A process, its surroundings, and what they are up to.
pub(crate) struct World {
    pub(crate) seen: Seen,
    chance: fastrand::Rng,
    now: Moment,
    directory: TempDir,
    file: File,
    truth: Truth,
    control: Control,
    handle: Handle,
    reader: Reader,
    late: VecDeque<Box<Sample>>,
    view: View,
    /// Versions that were taken to 0 and not retried since.
    barred: BTreeSet<VersionName>,
    seed: u64,
    is_told: bool,
}

fn open(directory: &TempDir, file: &File, now: Moment) -> Opened {
    let state_dir = Some(directory.path().join("state"));
    let setup = Setup {
        path: Some(directory.path().join("serin.yaml")),
        loaded: file.loaded(),
        state_dir,
    };
    Control::open_at(setup, now)
}

impl World {
    pub(crate) fn new(seed: u64, is_told: bool) -> Self {
        let mut chance = fastrand::Rng::with_seed(seed);
        let directory = tempfile::tempdir().unwrap();
        let file = File {
            canary: Some(2),
            course: Course::Weight(chance.u16(1..30)),
            has_neighbour: false,
            is_sticky: chance.u8(0..4) == 0,
        };
        let now = Moment::from_millis(1_700_000_000_000);
        let Opened {
            control,
            handle,
            mut reader,
            ..
        } = open(&directory, &file, now);
        let view = View::of(&handle, &mut reader);
        let truth = Truth {
            stable: 2,
            canary: 2,
        };
        let late = VecDeque::new();
        Self {
            seen: Seen::default(),
            chance,
            now,
            directory,
            file,
            truth,
            control,
            handle,
            reader,
            late,
            view,
            barred: BTreeSet::new(),
            seed,
            is_told,
        }
    }

    /// A new version of which the file says how to bring it out.
    pub(crate) fn begin(&mut self, list: usize) {
        let before = self.file;
        self.file.course = Course::Steps(list);
        self.file.canary = Some(3);
        let loaded = Box::new(self.file.loaded());
        self.on(Event::Configured(loaded), Step::Saved(before, self.file));
    }

    /// Nothing happens to a new version but traffic, until the judge has seen enough.
    pub(crate) fn calm(&mut self) {
        self.file.is_sticky = false;
        self.begin(0);
        for _ in 0..60 {
            self.traffic();
        }
    }

    /// A new version climbs by itself, and a person opens its gate.
    pub(crate) fn climb(&mut self) {
        self.file.is_sticky = false;
        self.begin(3);
        for _ in 0..60 {
            self.traffic();
        }
        self.ask(Command::OpenGate { step: None });
    }

    /// One thing happens, and the invariants hold after it.
    pub(crate) fn step(&mut self) {
        match self.chance.u32(0..1_000) {
            0..=899 => self.traffic(),
            900..=919 => self.person(),
            920..=939 => self.save(),
            940..=959 => self.source(),
            960..=974 => self.restart(),
            975..=979 => self.lose_state(),
            980..=987 => self.jump(),
            _ => self.fate(),
        }
    }

    /// Whatever a life was like: a canary that breaks for good is taken to 0 in the end.
    pub(crate) fn end(&mut self) {
        self.truth = Truth {
            stable: 2,
            canary: 1_000,
        };
        for _ in 0..60 {
            self.traffic();
        }
        let View { phase, share, .. } = &self.view;
        let is_judged = matches!(*phase, "progressing" | "paused");
        assert!(
            !is_judged || *share == Share::ZERO,
            "{}: {phase} at {share}",
            self.life()
        );
        self.judge_again();
    }

    /// What was recorded of this life, judged again, is what was decided live.
    fn judge_again(&mut self) {
        // The process ends, and writes what it has.
        let empty = tempfile::tempdir().unwrap();
        self.control = open(&empty, &self.file, self.now).control;
        let records = self.directory.path().join("state/records");
        let (records, fails) = records::judge_again(&records, &self.life());
        self.seen.records += records;
        self.seen.fails_again += fails;
    }

    fn traffic(&mut self) {
        let ticks = self.chance.u32(1..10);
        for _ in 0..ticks {
            self.now = self.now + Duration::from_millis(self.chance.u64(50..100));
            for worker in 0..2 {
                let sample = Box::new(self.sample(worker));
                self.hand_over(sample);
            }
            self.on(Event::Tick, Step::Passing);
        }
    }

    /// Samples may be lost, late or doubled.
    fn hand_over(&mut self, sample: Box<Sample>) {
        match self.chance.u32(0..100) {
            0 => {}
            1..=3 => self.late.push_back(sample),
            4 => {
                self.on(Event::Sampled(sample.clone()), Step::Passing);
                self.on(Event::Sampled(sample), Step::Passing);
            }
            _ => self.on(Event::Sampled(sample), Step::Passing),
        }
        if self.chance.u32(0..100) < 10
            && let Some(late) = self.late.pop_front()
        {
            self.on(Event::Sampled(late), Step::Passing);
        }
    }

    fn sample(&mut self, worker: u16) -> Sample {
        let mut traffic = Traffic {
            chance: &mut self.chance,
            truth: self.truth,
            is_sticky: self.file.is_sticky,
        };
        traffic.sample(&self.reader.current().splits[0], worker)
    }

    fn person(&mut self) {
        let percent = self.chance.u16(0..=100);
        let weight = Share::from_basis_points(percent * 100).unwrap();
        let command = match self.chance.u32(0..16) {
            0..=1 => Command::SetWeight(weight),
            2..=4 => Command::Promote { full: false },
            5 => Command::Promote { full: true },
            6 => Command::Pause,
            7..=8 => Command::Resume,
            9 => Command::Abort,
            10 => Command::Undo,
            11..=12 => Command::OpenGate { step: None },
            13 => Command::CloseGate,
            _ => Command::Retry,
        };
        self.ask(command);
    }

    fn ask(&mut self, command: Command) {
        let (answer, answered) = oneshot::channel();
        let ask = serin::control::Ask {
            split: SplitName::new("shop").unwrap(),
            command,
            if_epoch: None,
            reason: None,
            actor: "ann".to_owned(),
            answer,
        };
        self.on(Event::Asked(ask), Step::Asked(command));
        let answer = answered.blocking_recv().expect("every act is answered");
        self.tell(&format!("{command:?}: {answer:?}"));
    }

    fn save(&mut self) {
        let before = self.file;
        match self.chance.u32(0..14) {
            0..=1 => self.file.has_neighbour = !before.has_neighbour,
            2..=4 => self.file.course = Course::Weight(self.chance.u16(0..=100)),
            5..=7 => self.file.course = Course::Steps(self.chance.usize(0..4)),
            8..=12 => self.file.canary = Some(self.chance.u8(2..=3)),
            _ => self.file.canary = None,
        }
        if before.canary.is_none() {
            self.file.canary = Some(self.chance.u8(2..=3));
        }
        if self.chance.u32(0..10) == 0 {
            self.file = before;
            let broken = before.text().replace("stable: v1", "stable: v9");
            let problems = serin::config::load(&broken, "serin.yaml").unwrap_err();
            self.on(Event::Rejected(problems), Step::Rejected);
            return;
        }
        self.tell(&format!("save {:?}", self.file));
        let loaded = Box::new(self.file.loaded());
        self.on(Event::Configured(loaded), Step::Saved(before, self.file));
    }

    fn source(&mut self) {
        let upstream = UpstreamName::new(&format!("v{}", self.chance.u8(1..=4))).unwrap();
        let count = self.chance.u16(0..5);
        let endpoints = (1..=count).map(|port| Endpoint::new(([127, 0, 0, 1], port).into()));
        let result = if self.chance.u32(0..4) == 0 {
            Err(DiscoverError::Unreachable("no answer".to_owned()))
        } else {
            Ok(endpoints.collect())
        };
        self.on(
            Event::Discovered(Discovered {
                upstream,
                as_of: self.now,
                result,
            }),
            Step::Other,
        );
    }

    fn restart(&mut self) {
        self.tell("restart");
        self.seen.restarts += 1;
        if self.chance.bool() {
            // The wall clock may stand earlier when we come back.
            let back = Duration::from_secs(self.chance.u64(0..600));
            let back = u64::try_from(back.as_micros()).unwrap();
            self.now = Moment::from_micros(self.now.micros() - back);
        }
        self.reopen(Step::Restarted);
    }

    fn lose_state(&mut self) {
        self.tell("the state is lost");
        self.seen.states_lost += 1;
        self.reopen(Step::StateLost(self.file));
    }

    fn reopen(&mut self, step: Step) {
        self.late.clear();
        // The old process ends (and writes what it has) before the new one begins.
        let empty = tempfile::tempdir().unwrap();
        self.control = open(&empty, &self.file, self.now).control;
        if matches!(step, Step::StateLost(_)) {
            std::fs::remove_dir_all(self.directory.path().join("state")).unwrap();
        }
        let Opened {
            control,
            handle,
            reader,
            ..
        } = open(&self.directory, &self.file, self.now);
        (self.control, self.handle, self.reader) = (control, handle, reader);
        self.check(step);
    }

    fn jump(&mut self) {
        self.now = self.now + Duration::from_secs(self.chance.u64(1..900));
        self.on(Event::Tick, Step::Passing);
    }

    /// The versions become other than they were.
    fn fate(&mut self) {
        self.truth = match self.chance.u32(0..9) {
            0..=5 => Truth {
                stable: 2,
                canary: 2,
            },
            6 => Truth {
                stable: 2,
                canary: 1_000,
            },
            7 => Truth {
                stable: 2,
                canary: 60,
            },
            _ => Truth {
                stable: 700,
                canary: 700,
            },
        };
        self.tell(&format!("{:?}", self.truth));
    }

    fn on(&mut self, event: Event, step: Step) {
        self.control.on(event, self.now);
        self.check(step);
    }

    fn check(&mut self, step: Step) {
        let view = View::of(&self.handle, &mut self.reader);
        let before = std::mem::replace(&mut self.view, view);
        let after = &self.view;
        if before.share != after.share || before.phase != after.phase {
            self.tell(&format!("{} {} {:?}", after.phase, after.share, after.last));
            self.seen.rises += u64::from(before.share < after.share);
            self.seen.rollbacks += u64::from(after.phase == "rolled_back");
            self.seen.promotions += u64::from(after.phase == "promoted");
        }
        let is_new = before.last != after.last;
        let is_pass = after
            .last
            .as_ref()
            .is_some_and(|entry| entry.what == "stepped" && entry.by == "judge");
        let is_climb = is_pass && before.share > Share::ZERO && after.is_climbing();
        self.seen.passes += u64::from(is_new && is_pass && !is_climb);
        self.seen.climbs += u64::from(is_new && is_climb);
        let is_opened = matches!(step, Step::Asked(Command::OpenGate { .. }));
        self.seen.gates += u64::from(is_opened && before.share < after.share);
        if let Err(broken) = after.follows(&before, step) {
            panic!(
                "{}: {broken}\nbefore {before:#?}\nafter {after:#?}\n{step:?}",
                self.life()
            );
        }
        self.check_barred(step, &before);
    }

    /// A version that was taken to 0 stays there, whatever comes and goes, until `retry`.
    fn check_barred(&mut self, step: Step, before: &View) {
        let View {
            canary,
            epoch,
            phase,
            share,
            ..
        } = &self.view;
        let Some(canary) = canary else { return };
        if matches!(step, Step::StateLost(file) if !file.is_automatic()) {
            self.barred.clear();
        } else if matches!(step, Step::Asked(Command::Retry)) && *epoch > before.epoch {
            self.barred.remove(canary);
        } else if *phase == "rolled_back" {
            self.barred.insert(canary.clone());
        }
        let is_kept = !self.barred.contains(canary) || *share == Share::ZERO;
        assert!(
            is_kept,
            "{}: {canary} is barred and has {share}",
            self.life()
        );
    }

    fn life(&self) -> String {
        format!("SEED={}", self.seed)
    }

    fn tell(&self, what: &str) {
        if self.is_told {
            println!("{:>12} {what}", self.now.millis() % 1_000_000_000);
        }
    }
}
