//! Both versions side by side: their latency curves, and what their requests failed of.

use super::{
    axis::{Field, Scale, WIDTH, power_marks},
    html::{Html, Px},
    words,
};
use crate::{
    admin::wire::{Evidence, Measured},
    model::number::real_len,
};

/// Marks of the axis of quantiles, and how they are called.
const QUANTILES: [(f64, &str); 7] = [
    (0.0, "fastest"),
    (0.5, "p50"),
    (0.75, "p75"),
    (0.9, "p90"),
    (0.99, "p99"),
    (0.999, "p99.9"),
    (0.9999, "p99.99"),
];
/// How many kinds of errors are shown.
const KINDS_MAX: usize = 12;
/// The height of a row of bars.
const ROW: f64 = 26.0;

/// Both latency curves on an axis that gives the slow tail its room.
pub(super) fn latency(html: &mut Html, evidence: &Evidence) {
    let known = evidence.versions.iter();
    let known: Vec<&Measured> = known.filter(|it| it.latency_ms.len() > 1).collect();
    let all = known.iter().flat_map(|version| &version.latency_ms);
    let (mut low, mut high, mut deepest) = (f64::MAX, 0.0_f64, 0.9_f64);
    for (quantile, millis) in all {
        low = low.min(*millis);
        high = high.max(*millis);
        deepest = deepest.max(*quantile);
    }
    if known.is_empty() {
        return;
    }
    let (low, high) = (low * 0.85, high * 1.15);
    let field = Field {
        left: 78.0,
        right: WIDTH - 130.0,
        top: 10.0,
        bottom: 300.0,
        x: Scale::linear(0.0, depth(deepest)),
        y: Scale::log(low, high),
    };
    html.raw("<h2>Latency</h2>\n<p class=\"quiet\">The last minute. Each step to the right is ");
    html.raw("ten times rarer; a curve ends where it has no more requests.</p>\n<figure>\n");
    let view = format!("0 0 {} {}", Px(WIDTH), Px(field.bottom + 24.0));
    html.open(
        "svg",
        &[
            ("viewBox", &view),
            ("role", &"img"),
            ("aria-label", &"Latency by percentile, stable and canary"),
        ],
    );
    let marks = power_marks(low, high).into_iter();
    let marks: Vec<_> = marks.map(|mark| (mark, words::latency(mark))).collect();
    field.marks_y(html, &marks);
    let marks = QUANTILES
        .iter()
        .filter(|(quantile, _)| *quantile <= deepest);
    let marks: Vec<_> = marks
        .map(|(quantile, said)| (depth(*quantile), (*said).to_owned()))
        .collect();
    field.marks_x(html, &marks);
    for version in &known {
        let points: Vec<_> = version
            .latency_ms
            .iter()
            .map(|(quantile, millis)| (depth(*quantile), *millis))
            .collect();
        field.line(html, line_class(&version.role), &points);
    }
    names(html, &field, &known);
    html.raw("</svg></figure>\n");
}

/// How many powers of ten a quantile is away from the end.
fn depth(quantile: f64) -> f64 {
    -(1.0 - quantile).max(1e-9).log10()
}

/// The versions' names at the ends of their curves, apart from each other.
fn names(html: &mut Html, field: &Field, known: &[&Measured]) {
    let mut places: Vec<(f64, f64, &Measured)> = known
        .iter()
        .filter_map(|version| {
            let (quantile, millis) = version.latency_ms.last()?;
            let (x, y) = (field.at_x(depth(*quantile)), field.at_y(*millis));
            Some((x, y.clamp(field.top + 8.0, field.bottom - 8.0), *version))
        })
        .collect();
    if let [first, second] = places.as_mut_slice() {
        let apart = 17.0;
        if (first.1 - second.1).abs() < apart && (first.0 - second.0).abs() < 120.0 {
            let side = if first.1 <= second.1 { -0.5 } else { 0.5 };
            let middle = f64::midpoint(first.1, second.1);
            first.1 = f64::mul_add(side, apart, middle);
            second.1 = f64::mul_add(-side, apart, middle);
        }
    }
    for (x, y, version) in places {
        html.element(
            "text",
            &[
                ("class", &name_class(&version.role)),
                ("x", &Px(x + 8.0)),
                ("y", &Px(y + 4.0)),
            ],
            &version.version,
        );
    }
}

/// What failed and why, stable to the left and the canary to the right, as a share of all their
/// requests: only so can a small canary be compared.
pub(super) fn errors(html: &mut Html, evidence: &Evidence) {
    let [stable, canary] = evidence.versions.as_slice() else {
        return;
    };
    let mut kinds: Vec<(&str, &str)> = Vec::new();
    for errors in canary.errors.iter().chain(&stable.errors) {
        let kind = (errors.code_class.as_str(), errors.reason.as_str());
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    html.raw("<h2>Errors by reason</h2>\n");
    if kinds.is_empty() {
        html.raw("<p>No attempt of either version failed.</p>\n");
        return;
    }
    let hidden = kinds.len().saturating_sub(KINDS_MAX);
    kinds.truncate(KINDS_MAX);
    html.raw("<p class=\"quiet\">Failed attempts since the rollout began, per judged request ");
    html.raw("of the version.</p>\n<figure>\n");
    let view = format!(
        "0 0 {} {}",
        Px(WIDTH),
        Px(ROW * real_len(kinds.len()) + 30.0)
    );
    html.open(
        "svg",
        &[
            ("viewBox", &view),
            ("role", &"img"),
            ("aria-label", &"Errors by reason, stable and canary"),
        ],
    );
    let sides = [Side::new(stable, -1.0), Side::new(canary, 1.0)];
    let most = kinds
        .iter()
        .flat_map(|kind| sides.iter().map(|side| side.rate(*kind)))
        .fold(1e-9, f64::max);
    for side in &sides {
        side.name(html);
    }
    for (place, kind) in kinds.iter().enumerate() {
        let y = ROW.mul_add(real_len(place), 30.0);
        let (x, text_y) = (Px(WIDTH / 2.0), Px(y + 14.0));
        html.element(
            "text",
            &[("x", &x), ("y", &text_y), ("text-anchor", &"middle")],
            kind_text(*kind),
        );
        for side in &sides {
            side.bar(html, *kind, most, y);
        }
    }
    html.raw("</svg></figure>\n");
    if hidden > 0 {
        html.open("p", &[("class", &"quiet")]);
        html.text(format_args!("{hidden} rarer kinds are not shown."));
        html.close("p");
    }
}

/// One version's half of the picture.
struct Side<'a> {
    version: &'a Measured,
    direction: f64,
}

impl<'a> Side<'a> {
    /// The room in the middle for the reason.
    const MIDDLE: f64 = 105.0;
    /// The longest bar.
    const LONGEST: f64 = 230.0;

    fn new(version: &'a Measured, direction: f64) -> Self {
        Self { version, direction }
    }

    fn count(&self, kind: (&str, &str)) -> u64 {
        let mut errors = self.version.errors.iter();
        let found = errors.find(|it| (it.code_class.as_str(), it.reason.as_str()) == kind);
        found.map_or(0, |errors| errors.count)
    }

    fn rate(&self, kind: (&str, &str)) -> f64 {
        words::ratio(self.count(kind), self.version.requests)
    }

    fn anchor(&self) -> &'static str {
        if self.direction < 0.0 { "end" } else { "start" }
    }

    fn edge(&self) -> f64 {
        self.direction.mul_add(Self::MIDDLE, WIDTH / 2.0)
    }

    fn name(&self, html: &mut Html) {
        let text = format!(
            "{} ({}, {} requests)",
            self.version.version,
            self.version.role,
            words::count(self.version.requests)
        );
        html.element(
            "text",
            &[
                ("class", &name_class(&self.version.role)),
                ("x", &Px(self.edge())),
                ("y", &Px(16.0)),
                ("text-anchor", &self.anchor()),
            ],
            text,
        );
    }

    fn bar(&self, html: &mut Html, kind: (&str, &str), most: f64, y: f64) {
        let count = self.count(kind);
        let length = Self::LONGEST * self.rate(kind) / most;
        let left = if self.direction < 0.0 {
            self.edge() - length
        } else {
            self.edge()
        };
        let class = if self.direction < 0.0 {
            "stable-bar"
        } else {
            "canary-bar"
        };
        if count > 0 {
            html.leaf(
                "rect",
                &[
                    ("class", &class),
                    ("x", &Px(left)),
                    ("y", &Px(y + 2.0)),
                    ("width", &Px(length.max(1.0))),
                    ("height", &Px(ROW - 9.0)),
                ],
            );
        }
        let x = self.direction.mul_add(length + 8.0, self.edge());
        let text = match count {
            0 => "none".to_owned(),
            count => format!(
                "{} ({})",
                words::count(count),
                words::percent(self.rate(kind))
            ),
        };
        html.element(
            "text",
            &[
                ("x", &Px(x)),
                ("y", &Px(y + 14.0)),
                ("text-anchor", &self.anchor()),
            ],
            text,
        );
    }
}

/// What came, and why nothing better came.
fn kind_text((code_class, reason): (&str, &str)) -> String {
    match (code_class, reason) {
        (code, "none") => format!("answered {code}"),
        ("none", reason) => reason.replace('_', " "),
        (code, reason) => format!("{code}, {}", reason.replace('_', " ")),
    }
}

fn line_class(role: &str) -> &'static str {
    if role == "canary" {
        "canary-line"
    } else {
        "stable-line"
    }
}

fn name_class(role: &str) -> &'static str {
    if role == "canary" {
        "name canary"
    } else {
        "name stable"
    }
}
