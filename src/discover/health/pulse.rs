//! From answers to a word: healthy or not.

/// What the answers of one endpoint have come to.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pulse {
    /// `None`: nothing has been said yet.
    is_healthy: Option<bool>,
    /// Answers in a row that contradict it.
    against: u32,
}

impl Pulse {
    /// One more answer. The word, if it has changed: a first good answer is enough for an endpoint
    /// of which nothing is known, which is let in at once.
    pub(super) fn beat(&mut self, is_good: bool, healthy: u32, unhealthy: u32) -> Option<bool> {
        if self.is_healthy == Some(is_good) {
            self.against = 0;
            return None;
        }
        self.against = self.against.saturating_add(1);
        let needed = match (self.is_healthy, is_good) {
            (None, true) => 1,
            (_, true) => healthy,
            (_, false) => unhealthy,
        };
        if self.against < needed {
            return None;
        }
        *self = Self {
            is_healthy: Some(is_good),
            against: 0,
        };
        Some(is_good)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said after each of these answers (`+` good, `-` bad) with `healthy: 2` and
    /// `unhealthy: 3`: `h` healthy, `u` unhealthy, `.` nothing.
    #[track_caller]
    fn check(answers: &str, expected: &str) {
        let mut pulse = Pulse::default();
        let said = answers
            .chars()
            .map(|answer| match pulse.beat(answer == '+', 2, 3) {
                Some(true) => 'h',
                Some(false) => 'u',
                None => '.',
            });
        assert_eq!(said.collect::<String>(), expected, "{answers}");
    }

    #[test]
    fn the_first_good_answer_lets_in_and_then_it_takes_some_in_a_row() {
        check("+++", "h..");
        check("---+++", "..u.h.");
        check("--+", "..h");
        check("+--+--+---", "h........u");
        check("+---+-++", "h..u...h");
    }
}
