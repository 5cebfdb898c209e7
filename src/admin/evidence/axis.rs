//! From numbers to places in a picture, and the marks along its sides.

use super::html::{Html, Px};
use crate::model::number::{real, whole};

/// The width of every picture, in its own units.
pub(super) const WIDTH: f64 = 960.0;

/// Where numbers lie along one side.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    is_log: bool,
}

impl Scale {
    /// In equal steps. A span of nothing gets a span.
    pub(super) fn linear(low: f64, high: f64) -> Self {
        let high = if high > low { high } else { low + 1.0 };
        let is_log = false;
        Self { low, high, is_log }
    }

    /// In equal factors.
    pub(super) fn log(low: f64, high: f64) -> Self {
        let low = low.max(f64::MIN_POSITIVE);
        let span = Self::linear(low.log10(), high.max(low).log10());
        Self {
            is_log: true,
            ..span
        }
    }

    /// 0 at the low end, 1 at the high end; beyond if the number is.
    fn place(&self, number: f64) -> f64 {
        let number = if self.is_log {
            number.max(f64::MIN_POSITIVE).log10()
        } else {
            number
        };
        (number - self.low) / (self.high - self.low)
    }
}

/// The field of a picture and its two scales.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    /// Its left edge.
    pub(super) left: f64,
    /// Its right edge.
    pub(super) right: f64,
    /// Its upper edge.
    pub(super) top: f64,
    /// Its lower edge.
    pub(super) bottom: f64,
    /// From left to right.
    pub(super) x: Scale,
    /// From the lower edge up.
    pub(super) y: Scale,
}

impl Field {
    /// The place of a number from left to right.
    pub(super) fn at_x(&self, number: f64) -> f64 {
        let place = self.x.place(number).clamp(-0.5, 1.5);
        self.left + place * (self.right - self.left)
    }

    /// The place of a number from top to bottom; far beyond the edge is just beyond it.
    pub(super) fn at_y(&self, number: f64) -> f64 {
        let place = self.y.place(number).clamp(-0.5, 1.5);
        self.bottom - place * (self.bottom - self.top)
    }

    /// Marks at the lower edge: where, and what is said there.
    pub(super) fn marks_x(&self, html: &mut Html, marks: &[(f64, String)]) {
        for (number, said) in marks {
            let x = Px(self.at_x(*number));
            let (top, bottom) = (Px(self.top), Px(self.bottom));
            let grid: [(&str, &dyn std::fmt::Display); 5] = [
                ("class", &"grid"),
                ("x1", &x),
                ("x2", &x),
                ("y1", &top),
                ("y2", &bottom),
            ];
            html.leaf("line", &grid);
            let y = Px(self.bottom + 17.0);
            html.element(
                "text",
                &[("x", &x), ("y", &y), ("text-anchor", &"middle")],
                said,
            );
        }
    }

    /// Marks at the left edge.
    pub(super) fn marks_y(&self, html: &mut Html, marks: &[(f64, String)]) {
        for (number, said) in marks {
            self.level(html, "grid", *number);
            let (x, y) = (Px(self.left - 8.0), Px(self.at_y(*number) + 4.0));
            html.element(
                "text",
                &[("x", &x), ("y", &y), ("text-anchor", &"end")],
                said,
            );
        }
    }

    /// A line from side to side.
    pub(super) fn level(&self, html: &mut Html, class: &'static str, number: f64) {
        let y = Px(self.at_y(number));
        let (left, right) = (Px(self.left), Px(self.right));
        html.leaf(
            "line",
            &[
                ("class", &class),
                ("x1", &left),
                ("x2", &right),
                ("y1", &y),
                ("y2", &y),
            ],
        );
    }

    /// A line through points of the picture's numbers.
    pub(super) fn line(&self, html: &mut Html, class: &'static str, points: &[(f64, f64)]) {
        let places: Vec<String> = points.iter().map(|(x, y)| self.place(*x, *y)).collect();
        html.leaf(
            "polyline",
            &[("class", &class), ("points", &places.join(" "))],
        );
    }

    /// The surface between two lines: where from left to right, from, to.
    pub(super) fn band(&self, html: &mut Html, class: &'static str, band: &[(f64, f64, f64)]) {
        let upper = band.iter().map(|(x, _, high)| self.place(*x, *high));
        let lower = band.iter().rev().map(|(x, low, _)| self.place(*x, *low));
        let places: Vec<String> = upper.chain(lower).collect();
        html.leaf(
            "polygon",
            &[("class", &class), ("points", &places.join(" "))],
        );
    }

    fn place(&self, x: f64, y: f64) -> String {
        format!("{},{}", Px(self.at_x(x)), Px(self.at_y(y)))
    }
}

/// Round numbers between two, at most so many.
pub(super) fn round_marks(low: f64, high: f64, most: u32) -> Vec<f64> {
    let rough = (high - low) / f64::from(most);
    let power = 10.0_f64.powf(rough.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * power);
    let step = steps.into_iter().find(|step| *step >= rough);
    multiples(low, high, step.unwrap_or(power))
}

/// Marks of time, in seconds: round minutes, hours or days.
pub(super) fn time_marks(seconds: f64) -> Vec<(f64, String)> {
    const STEPS: [u32; 17] = [
        1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1_200, 1_800, 3_600, 7_200, 14_400, 43_200, 86_400,
    ];
    let steps = STEPS.into_iter().map(f64::from);
    let days = (seconds / 86_400.0 / 8.0).ceil().max(1.0) * 86_400.0;
    let step = steps.into_iter().find(|step| seconds / step <= 9.0);
    let step = step.unwrap_or(days);
    let marks = multiples(0.0, seconds, step).into_iter();
    marks
        .map(|mark| {
            let said = if mark <= 0.0 {
                "begin".to_owned()
            } else {
                super::words::duration(mark)
            };
            (mark, said)
        })
        .collect()
}

/// Powers of ten between two numbers, with 2 and 5 if they are few.
pub(super) fn power_marks(low: f64, high: f64) -> Vec<f64> {
    let decades = (high / low).log10();
    let factors: &[f64] = match decades {
        few if few < 1.2 => &[1.0, 1.5, 2.0, 3.0, 5.0, 7.0],
        some if some < 3.5 => &[1.0, 2.0, 5.0],
        _ => &[1.0],
    };
    let apart = if decades > 8.0 { 3.0 } else { 1.0 };
    let powers = multiples(low.log10().floor(), high.log10(), apart);
    let marks = powers
        .into_iter()
        .flat_map(|power| factors.iter().map(move |it| it * 10.0_f64.powf(power)));
    // What is a hair outside for its rounding is inside.
    let is_inside = |mark: &f64| *mark >= low * 0.999 && *mark <= high * 1.001;
    marks.filter(is_inside).collect()
}

fn multiples(low: f64, high: f64, step: f64) -> Vec<f64> {
    let first = (low / step - 1e-9).ceil();
    let count = whole(((high / step + 1e-9).floor() - first).max(-1.0) + 1.0).min(50);
    (0..count)
        .map(|number| (first + real(number)) * step)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_round_numbers_inside_and_few() {
        let shown = |marks: Vec<f64>| {
            let texts = marks
                .iter()
                .map(|mark| super::super::words::percent(mark / 100.0));
            texts.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(shown(round_marks(-0.3, 1.1, 6)), "0% 0.5% 1%");
        assert_eq!(shown(round_marks(0.0, 100.0, 5)), "0% 20% 40% 60% 80% 100%");
        assert_eq!(shown(power_marks(3.0, 250.0)), "5% 10% 20% 50% 100% 200%");
        assert_eq!(shown(power_marks(4.0, 9.0)), "5% 7%");
        assert!(power_marks(1e-9, 1e30).len() < 16);
        let times: Vec<String> = time_marks(95.0).into_iter().map(|mark| mark.1).collect();
        assert_eq!(times, ["begin", "20 s", "40 s", "1 min", "1 min 20 s"]);
        assert!(time_marks(3e7).len() <= 10);
    }

    #[test]
    fn a_field_puts_low_below_and_far_away_just_outside() {
        let field = Field {
            left: 10.0,
            right: 110.0,
            top: 5.0,
            bottom: 55.0,
            x: Scale::log(1.0, 100.0),
            y: Scale::linear(-1.0, 1.0),
        };
        let places = [field.at_x(10.0), field.at_y(-1.0), field.at_y(1e9)];
        for (place, expected) in places.into_iter().zip([60.0, 55.0, -20.0]) {
            assert!((place - expected).abs() < 1e-9, "{place} {expected}");
        }
    }
}
