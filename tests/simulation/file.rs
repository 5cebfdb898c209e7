//! The file that people save, as far as lives differ in it.

use std::collections::HashMap;

use serin::{config, control::Loaded};

/// How the canary's share is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Course {
    /// `weight: N%`.
    Weight(u16),
    /// Steps, one of a few lists.
    Steps(usize),
}

/// What stands in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct File {
    /// The canary's number: v2, v3, ...; `None`: no canary.
    pub(crate) canary: Option<u8>,
    /// How its share is decided.
    pub(crate) course: Course,
    /// Whether there is another split.
    pub(crate) has_neighbour: bool,
    /// Whether clients keep their version.
    pub(crate) is_sticky: bool,
}

/// Step lists: weights in the order of the steps, and the steps as written. Where `auto` ends is
/// reached by its own rule.
pub(crate) const STEPS: [(&[u16], &[&str]); 4] = [
    (
        &[500, 5_000, 10_000],
        &[
            "set_weight: 5%",
            "analysis: { until: decided, max: 5m }",
            "set_weight: 50%",
            "analysis: { until: decided, min: 2s }",
            "set_weight: 100%",
            "bake: 5s",
        ],
    ),
    (
        &[1_000, 2_500, 10_000],
        &[
            "set_weight: 10%",
            "pause: 5s",
            "set_weight: 25%",
            "pause: 10s",
            "set_weight: 100%",
            "bake: 2s",
        ],
    ),
    (
        &[2_000],
        &[
            "set_weight: 20%",
            "pause: {}",
            "analysis: { until: decided, max: 20s }",
        ],
    ),
    (
        &[100, 10_000],
        &[
            "auto: { from: 1%, to: 50%, min_step: 1s, max: 10m }",
            "gate: manual",
            "set_weight: 100%",
            "bake: 2s",
        ],
    ),
];

impl File {
    /// The text that a person would write.
    pub(crate) fn text(&self) -> String {
        let mut lines = vec![
            "listen: \"127.0.0.1:0\"".to_owned(),
            "upstreams:".to_owned(),
        ];
        for number in 1..=4 {
            lines.push(format!(
                "  v{number}: {{ static: [\"127.0.0.1:{number}\"] }}"
            ));
        }
        lines.extend(["splits:", "  shop:", "    stable: v1"].map(str::to_owned));
        if let Some(canary) = self.canary {
            lines.push(format!("    canary: v{canary}"));
            match self.course {
                Course::Weight(weight) => lines.push(format!("    weight: {weight}%")),
                Course::Steps(list) => {
                    lines.push("    rollout:".to_owned());
                    lines.push("      steps:".to_owned());
                    let steps = STEPS[list].1.iter();
                    lines.extend(steps.map(|step| format!("        - {step}")));
                }
            }
            lines.push("    analysis: { warm_up: 0s }".to_owned());
        }
        if self.is_sticky {
            lines.push("    sticky: { cookie: shop }".to_owned());
        }
        if self.has_neighbour {
            let neighbour = [
                "  other:",
                "    match: { path_prefix: /other }",
                "    stable: v1",
            ];
            lines.extend(neighbour.map(str::to_owned));
        }
        lines.push(String::new());
        lines.join("\n")
    }

    /// The text, read.
    pub(crate) fn loaded(&self) -> Loaded {
        let text = self.text();
        let (config, warnings) = config::load(&text, "serin.yaml")
            .unwrap_or_else(|problems| panic!("{problems}\n{text}"));
        Loaded {
            config,
            secrets: HashMap::new(),
            tls: serin::plan::Tls::default(),
            tokens: serin::control::Tokens::default(),
            warnings,
        }
    }

    /// Whether steps decide the share.
    pub(crate) fn is_automatic(&self) -> bool {
        self.canary.is_some() && matches!(self.course, Course::Steps(_))
    }

    /// The canary's share, in basis points, with which a rollout of which nothing is known begins.
    pub(crate) fn begins_with(&self) -> u16 {
        match (self.canary, self.course) {
            (None, _) => 0,
            (Some(_), Course::Weight(weight)) => weight * 100,
            (Some(_), Course::Steps(list)) => STEPS[list].0[0],
        }
    }
}
