//! What a read file, good or bad, and an answer of a source lead to.

use std::sync::Arc;

use super::{
    Admission, Control, Course, Loaded, News,
    endpoints::{Belief, Endpoints},
    open::{know_at_once, nonce},
    turn::{Before, Turn},
};
use crate::{
    config::{Config, Problems, Split},
    discover::{CheckTls, Checked, Discovered, Wanted},
    model::{Epoch, Moment, Share, UpstreamName},
    rollout::{Event as RolloutEvent, Origin, Phase, Rollout},
};

impl Control {
    /// What is in force, as if it had just been read.
    pub(super) fn loaded(&self) -> Loaded {
        Loaded {
            config: (*self.in_force.config).clone(),
            secrets: self.in_force.secrets.files.clone(),
            tls: self.in_force.tls.clone(),
            tokens: self.tokens.clone(),
            warnings: Problems::default(),
        }
    }

    /// A good file was read. The same file again only takes back an earlier complaint.
    pub(super) fn configured(&mut self, loaded: Loaded, now: Moment, turn: &mut Turn) {
        let Loaded {
            config,
            secrets,
            tls,
            tokens,
            warnings,
        } = loaded;
        self.file.reloads.0 += 1;
        self.file.problem = None;
        turn.is_status_stale = true;
        let in_force = &self.in_force;
        let are_same = in_force.secrets.files == secrets && self.tokens == tokens;
        if *in_force.config == config && are_same && in_force.tls == tls {
            return;
        }
        let admission = Admission::of(&config, &tokens, &tls);
        self.outlets.admission.send_replace(Arc::new(admission));
        self.tokens = tokens;
        self.file.loaded_at = now;
        know_at_once(&mut self.in_force.endpoints, &config, now);
        let waiting = at_next_start(&self.in_force.config, &config);
        self.in_force.config = Arc::new(config);
        self.in_force.secrets.files = secrets;
        self.in_force.tls = tls;
        self.certificates_told = now;
        let config = Arc::clone(&self.in_force.config);
        self.retire(&config.splits);
        for split in &config.splits {
            self.configure_split(split, now, turn);
        }
        if let Some(sources) = &mut self.sources {
            sources.replace(&config.upstreams);
        }
        self.check_endpoints();
        self.outlooks.expire(&config.splits);
        self.outlets.config.send_replace(config);
        turn.is_plan_stale = true;
        let mut parts = vec!["the file is in force".to_owned()];
        if !waiting.is_empty() {
            let keys = waiting.join(", ");
            parts.push(format!("at the next start only: {keys}"));
        }
        if !warnings.list.is_empty() {
            parts.push(format!("with warnings:\n{warnings}"));
        }
        let text = parts.join("; ");
        let is_odd = !(warnings.list.is_empty() && waiting.is_empty());
        turn.news
            .insert(0, about_file(now, "config_loaded", text, is_odd));
    }

    /// Keeps what is known of splits that the file does not have any more.
    fn retire(&mut self, splits: &[Split]) {
        let dormant = &mut self.dormant;
        self.courses.retain(|name, course| {
            let is_there = splits.iter().any(|split| split.name == *name);
            if !is_there {
                dormant.insert(name.clone(), course.rollout.record().clone());
            }
            is_there
        });
        self.in_force
            .shifts
            .retain(|name, _| splits.iter().any(|split| split.name == *name));
    }

    fn configure_split(&mut self, split: &Split, now: Moment, turn: &mut Turn) {
        let name = &split.name;
        let (before, decisions) = if let Some(course) = self.courses.get_mut(name) {
            let rollout = &mut course.rollout;
            let before = Before {
                phase: rollout.phase(),
                epoch: rollout.epoch(),
                share: rollout.share(),
            };
            (
                before,
                rollout.on(RolloutEvent::Configured(split, nonce()), now),
            )
        } else {
            // It appears while we run: what is not dormant is new.
            let kept = self.dormant.remove(name);
            let origin = kept.map_or(Origin::New, |record| Origin::Kept(Box::new(record)));
            let (rollout, decisions) = Rollout::new(split, origin, nonce(), now);
            let (key, recorder) = (self.in_force.key(name), self.recordings.recorder());
            let course = Course::new(key, rollout, recorder, now);
            self.names.insert(course.key, name.clone());
            self.courses.insert(name.clone(), course);
            (
                Before {
                    phase: Phase::Idle,
                    epoch: Epoch::default(),
                    share: Share::ZERO,
                },
                decisions,
            )
        };
        self.decided(name, &before, decisions, turn);
    }

    /// A bad file was read: the last good one stays, and says so.
    pub(super) fn rejected(&mut self, problems: &Problems, now: Moment, turn: &mut Turn) {
        let text = problems.to_string();
        self.file.reloads.1 += 1;
        self.file.problem = Some(text.as_str().into());
        turn.is_status_stale = true;
        let text = format!("the file is bad, the last good one stays in force:\n{text}");
        turn.news
            .push(about_file(now, "config_rejected", text, true));
    }

    /// A source has answered, or failed to.
    pub(super) fn discovered(&mut self, found: &Discovered, now: Moment, turn: &mut Turn) {
        let upstream = &found.upstream;
        let endpoints = &mut self.in_force.endpoints;
        let complaint = |endpoints: &Endpoints| {
            endpoints
                .get(upstream)
                .and_then(|known| known.problem.clone())
        };
        let before = complaint(endpoints);
        let Some(belief) = endpoints.discovered(found) else {
            return;
        };
        let after = complaint(endpoints);
        let (usable, all) = endpoints.counts(upstream);
        self.book.discovered(upstream, belief.as_str());
        turn.is_plan_stale |= belief == Belief::Believed;
        turn.is_status_stale = true;
        if belief == Belief::Believed {
            self.check_endpoints_of(upstream);
        }
        if after.is_some() && after != before {
            let text = format!("{upstream}: {}", after.as_deref().unwrap_or_default());
            turn.news.push(about_source(now, text, true));
        } else if belief == Belief::Believed || before != after {
            let text = format!("{upstream}: {usable} of {all} endpoints may be chosen");
            turn.news.push(about_source(now, text, false));
        }
    }

    /// Sources that have insisted for long enough are believed.
    pub(super) fn believe_insistent(&mut self, now: Moment, turn: &mut Turn) {
        let believed: Vec<UpstreamName> = self.in_force.endpoints.tick(now);
        for upstream in believed {
            let (usable, all) = self.in_force.endpoints.counts(&upstream);
            let text = format!("{upstream} insists: {usable} of {all} endpoints may be chosen");
            turn.news.push(about_source(now, text, true));
            turn.is_plan_stale = true;
            self.check_endpoints_of(&upstream);
        }
    }

    /// The word of checks on an endpoint has changed.
    pub(super) fn checked(&mut self, checked: &Checked, now: Moment, turn: &mut Turn) {
        let (upstream, address) = (&checked.upstream, checked.address);
        let endpoints = &mut self.in_force.endpoints;
        let panics =
            |endpoints: &Endpoints| endpoints.get(upstream).and_then(|it| it.health.panics);
        let before = (panics(endpoints), endpoints.counts(upstream));
        turn.is_plan_stale |= endpoints.checked(checked);
        turn.is_status_stale = true;
        let (usable, all) = endpoints.counts(upstream);
        let text = if checked.is_healthy {
            format!("{upstream}: {address} is healthy; {usable} of {all} endpoints may be chosen")
        } else {
            let why = &checked.why;
            format!("{upstream}: {address} is unhealthy: {why}; {usable} of {all} may be chosen")
        };
        turn.news.push(about_health(now, text, !checked.is_healthy));
        if let (None, Some((well, of))) = (before.0, panics(endpoints)) {
            let text = format!(
                "{upstream}: only {well} of {of} endpoints are healthy, which is not believed: \
                 all are used (panic_threshold)"
            );
            turn.news.push(about_health(now, text, true));
        }
    }

    /// Asks the endpoints of every upstream that has a `health_check`.
    pub(super) fn check_endpoints(&mut self) {
        let in_force = &self.in_force;
        let wanted = in_force.config.upstreams.iter().map(|upstream| Wanted {
            upstream,
            tls: in_force
                .tls
                .clients
                .get(&upstream.name)
                .map(|tls| CheckTls::new(Arc::clone(&tls.config), tls.server_name.clone())),
            endpoints: in_force.endpoints.said(&upstream.name),
        });
        if let Some(checks) = &mut self.checks {
            checks.replace(wanted);
        }
    }

    fn check_endpoints_of(&mut self, upstream: &UpstreamName) {
        if let Some(checks) = &mut self.checks {
            checks.ask(upstream, self.in_force.endpoints.said(upstream));
        }
    }
}

fn about_health(at: Moment, text: String, is_warning: bool) -> News {
    News {
        by: "health_check".to_owned(),
        ..about_source_with(at, "health", text, is_warning)
    }
}

pub(super) fn about_file(at: Moment, what: &'static str, text: String, is_warning: bool) -> News {
    News {
        by: "config".to_owned(),
        ..about_source_with(at, what, text, is_warning)
    }
}

fn about_source(at: Moment, text: String, is_warning: bool) -> News {
    about_source_with(at, "discovery", text, is_warning)
}

fn about_source_with(at: Moment, what: &'static str, text: String, is_warning: bool) -> News {
    let by = "discovery".to_owned();
    News {
        at,
        what,
        split: None,
        epoch: None,
        share: None,
        by,
        text,
        is_warning,
    }
}

/// Keys that differ, and that a running process obeys at its next start only.
pub fn at_next_start(old: &Config, new: &Config) -> Vec<&'static str> {
    let keys = [
        ("admin.http", old.admin.http != new.admin.http),
        ("admin.unix", old.admin.unix != new.admin.unix),
        ("workers", old.workers != new.workers),
        ("state_dir", old.state_dir != new.state_dir),
        ("access_log", old.access_log != new.access_log),
        ("tracing", old.tracing != new.tracing),
    ];
    let changed = keys.into_iter().filter(|(_, is_changed)| *is_changed);
    changed.map(|(key, _)| key).collect()
}
