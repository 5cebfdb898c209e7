//! What must hold after each step, whatever happened.

use std::sync::Arc;

use serin::{
    control::{Command, Entry, Handle},
    model::{Epoch, Generation, Share, Stage, VersionName},
    plan::{Plan, Reader},
};

use super::file::{File, STEPS};

/// What has just happened.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    /// Time passed, or samples came.
    Passing,
    /// A person asked.
    Asked(Command),
    /// The file was saved: what it was and what it is.
    Saved(File, File),
    /// A bad file was saved.
    Rejected,
    /// The process came back with its state.
    Restarted,
    /// The process came back without its state.
    StateLost(File),
    /// Anything that is no business of a rollout.
    Other,
}

/// What can be seen from outside at one moment.
#[derive(Debug, Clone)]
pub(crate) struct View {
    pub(crate) phase: &'static str,
    pub(crate) share: Share,
    pub(crate) last: Option<Entry>,
    generation: Generation,
    pub(crate) epoch: Epoch,
    revision: u64,
    pub(crate) canary: Option<VersionName>,
    step_text: String,
    stage: Stage,
    endpoints: Vec<usize>,
    plan: Arc<Plan>,
    has_failed: bool,
}

impl View {
    pub(crate) fn of(handle: &Handle, reader: &mut Reader) -> Self {
        let plan = Arc::clone(reader.current());
        let status = handle.status();
        let split = &status.splits[0];
        let verdict = split.judgement.as_ref().map(|judgement| judgement.verdict);
        Self {
            phase: split.phase,
            share: split.share,
            last: split.history.last().cloned(),
            generation: plan.generation,
            epoch: split.epoch,
            revision: split.revision,
            canary: split.canary.clone(),
            step_text: split.step_text.clone(),
            stage: plan.splits[0].stage,
            endpoints: plan
                .upstreams
                .iter()
                .map(|upstream| upstream.endpoints.len())
                .collect(),
            plan,
            has_failed: verdict == Some(serin::judge::Verdict::Fail),
        }
    }

    /// Whether this may come right after `before`.
    pub(crate) fn follows(&self, before: &Self, step: Step) -> Result<(), String> {
        let is_restart = matches!(step, Step::Restarted | Step::StateLost(_));
        if !is_restart {
            self.generations_rise(before)?;
            self.stages_mean_one_thing(before)?;
        }
        self.status_is_what_is_in_force()?;
        self.endpoints_stay(before)?;
        self.rises_have_a_cause(before, step)?;
        self.a_fail_means_zero()?;
        self.the_end_is_the_end(before, step)?;
        match step {
            Step::Rejected if self.generation != before.generation => {
                Err("I8: a bad file has changed the plan".to_owned())
            }
            Step::Restarted => self.nothing_is_lost(before),
            Step::StateLost(file) => self.begins_anew(before, file),
            Step::Rejected | Step::Passing | Step::Asked(_) | Step::Saved(..) | Step::Other => {
                Ok(())
            }
        }
    }

    fn generations_rise(&self, before: &Self) -> Result<(), String> {
        let is_same = Arc::ptr_eq(&self.plan, &before.plan);
        hold(
            is_same || self.generation > before.generation,
            "I1: generations rise",
        )
    }

    /// I5: one stage is one share of one rollout, so that a sample cannot mean two things.
    fn stages_mean_one_thing(&self, before: &Self) -> Result<(), String> {
        let meaning = |view: &Self| (view.share, view.epoch, view.canary.clone());
        let is_same = self.stage == before.stage;
        hold(self.stage >= before.stage, "I5: stages rise")?;
        hold(
            !is_same || meaning(self) == meaning(before),
            "I5: one stage, one meaning",
        )
    }

    fn status_is_what_is_in_force(&self) -> Result<(), String> {
        let split = &self.plan.splits[0];
        let version = split.canary.as_ref().map(|version| version.name.clone());
        hold(
            split.share == self.share,
            "the share shown is the share in force",
        )?;
        hold(
            version == self.canary,
            "the canary shown is the canary in force",
        )
    }

    fn endpoints_stay(&self, before: &Self) -> Result<(), String> {
        let pairs = before.endpoints.iter().zip(&self.endpoints);
        let kept = pairs
            .clone()
            .all(|(before, after)| *before == 0 || *after > 0);
        hold(kept, "I8: no answer of a source takes all endpoints away")
    }

    /// I7: by a pass, by the schedule, by the rule of `auto`, or by a person; never by anything
    /// else.
    fn rises_have_a_cause(&self, before: &Self, step: Step) -> Result<(), String> {
        if self.share <= before.share {
            return Ok(());
        }
        match step {
            Step::Asked(Command::Pause | Command::Abort | Command::Undo | Command::CloseGate) => {
                Err("I7: what holds or takes away raises nothing".to_owned())
            }
            Step::Asked(_) => hold(
                self.revision > before.revision || self.epoch > before.epoch,
                "I7: a person's act is marked",
            ),
            Step::Saved(old, new) => hold(
                (old.canary, old.course) != (new.canary, new.course),
                "I7: a save that does not touch the split never moves it",
            ),
            Step::Passing => self.rises_by_itself(before),
            Step::Rejected | Step::Other => Err("I7: a rise without a cause".to_owned()),
            // What may hold after a restart is checked on its own.
            Step::Restarted | Step::StateLost(_) => Ok(()),
        }
    }

    /// Whether the step under way raises the share by itself.
    pub(crate) fn is_climbing(&self) -> bool {
        self.step_text.starts_with("auto")
    }

    fn rises_by_itself(&self, before: &Self) -> Result<(), String> {
        hold(
            before.phase == "progressing",
            "I7: only what progresses rises by itself",
        )?;
        let points = self.share.basis_points();
        if self.is_climbing() && self.step_text == before.step_text {
            let by_judge = self.last.as_ref().map(|entry| entry.by.as_str()) == Some("judge");
            let is_near = points <= 5_000 && points <= 4 * before.share.basis_points();
            return hold(by_judge && is_near, "I7: inside `auto` by its rule only");
        }
        let is_written = STEPS.iter().any(|(weights, _)| weights.contains(&points));
        hold(is_written, "I7: only to a weight of the steps")?;
        let by = self
            .last
            .as_ref()
            .map(|entry| (entry.what, entry.by.as_str()));
        let is_judged = by == Some(("stepped", "judge"));
        let was_analysis = before.step_text.starts_with("analysis");
        hold(
            is_judged || !was_analysis,
            "I7: an analysis ends well by a pass only",
        )
    }

    fn a_fail_means_zero(&self) -> Result<(), String> {
        let is_open = matches!(self.phase, "progressing" | "paused");
        hold(
            !(is_open && self.has_failed),
            "I7: a fail takes the canary to 0",
        )?;
        hold(
            self.phase != "rolled_back" || self.share == Share::ZERO,
            "rolled back is 0",
        )?;
        hold(
            self.phase != "promoted" || self.share == Share::FULL,
            "promoted is everything",
        )
    }

    /// I7: a finished rollout never moves by itself, and an abort lasts as long as its epoch.
    fn the_end_is_the_end(&self, before: &Self, step: Step) -> Result<(), String> {
        let is_finished = matches!(before.phase, "promoted" | "rolled_back");
        if is_finished && matches!(step, Step::Passing | Step::Rejected | Step::Other) {
            let is_still = self.phase == before.phase && self.share == before.share;
            hold(is_still, "I7: a finished rollout never moves by itself")?;
        }
        let is_same = self.epoch == before.epoch && !matches!(step, Step::StateLost(_));
        let was_aborted = before.phase == "rolled_back";
        hold(
            !(is_same && was_aborted) || self.phase == "rolled_back",
            "an abort is absorbing",
        )?;
        let is_saved = matches!(step, Step::Saved(..)) && self.canary == before.canary;
        hold(
            !(is_saved && was_aborted) || self.share == Share::ZERO,
            "no file revives a version",
        )
    }

    fn nothing_is_lost(&self, before: &Self) -> Result<(), String> {
        let state = |view: &Self| (view.phase, view.share, view.epoch, view.revision);
        hold(
            state(self) == state(before),
            "a restart goes on where it was",
        )
    }

    /// What was rolled back stays out if steps decide; a plain weight is in force again; anything
    /// else goes on or begins at its first step.
    fn begins_anew(&self, before: &Self, file: File) -> Result<(), String> {
        let was_out = before.phase == "rolled_back";
        hold(
            !(was_out && file.is_automatic()) || self.share == Share::ZERO,
            "a lost state brings no version back",
        )?;
        let share = self.share.basis_points();
        let is_known = share == 0 || self.share == before.share;
        hold(
            is_known || share == file.begins_with(),
            "a lost rollout begins at its first step, or with the file's weight",
        )
    }
}

fn hold(is_so: bool, what: &str) -> Result<(), String> {
    if is_so { Ok(()) } else { Err(what.to_owned()) }
}
