//! "Did you mean": the known word that is nearest to an unknown one.

/// The nearest of `known`, if one is near enough to be meant. `setWeight` and `set-weight` are
/// both `set_weight`.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| -> Vec<char> {
        let letters = text.chars().filter(|c| !"_-. ".contains(*c));
        letters.flat_map(char::to_lowercase).take(64).collect()
    };
    let meant = plain(word);
    let far = (meant.len() / 3).max(1);
    let distances = known
        .into_iter()
        .map(|known| (distance(&meant, &plain(known)), known));
    // The first of equals, so that the answer does not depend on anything but the schema.
    let best = distances.min_by_key(|(distance, _)| *distance);
    best.filter(|(distance, _)| *distance <= far)
        .map(|(_, known)| known)
}

/// `a`, `b` or `c`, each in backticks.
pub(super) fn one_of<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        None => String::new(),
        Some((only, [])) => only.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
    }
}

/// Inserted, lost, changed or swapped letters between two words (optimal string alignment).
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let at = |row: &[usize], j: usize| row.get(j).copied().unwrap_or(usize::MAX - 1);
            let changed = at(&last, j) + usize::from(x != y);
            let mut best = changed.min(at(&last, j + 1) + 1).min(at(&row, j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x);
            if swapped {
                best = best.min(at(&before, j - 1) + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_known_word_is_offered_and_a_far_one_is_not() {
        let known = ["weight", "canary", "stable", "set_weight"];
        let cases = [
            ("wieght", Some("weight")),
            ("setWeight", Some("set_weight")),
            ("set-weigth", Some("set_weight")),
            ("canry", Some("canary")),
            ("upstream", None),
            ("", None),
        ];
        for (word, expected) in cases {
            assert_eq!(nearest(word, known), expected, "{word}");
        }
    }
}
