//! Columns that line up.

use super::screen::Tone;

/// One cell.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    text: String,
    tone: Tone,
    is_number: bool,
}

/// A word: to the left.
pub(super) fn word(text: impl Into<String>) -> Cell {
    Cell {
        text: text.into(),
        tone: Tone::Plain,
        is_number: false,
    }
}

/// A number: to the right.
pub(super) fn number(text: impl Into<String>) -> Cell {
    Cell {
        text: text.into(),
        tone: Tone::Plain,
        is_number: true,
    }
}

impl Cell {
    /// The same in another tone.
    pub(super) fn tone(self, tone: Tone) -> Self {
        Self { tone, ..self }
    }
}

/// Rows as lines, indented; the first row is the heading. The last column is never padded.
pub(super) fn table(rows: &[Vec<Cell>], has_colour: bool) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells
            .map(|cell| cell.text.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for (place, row) in rows.iter().enumerate() {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let gap = " ".repeat(width - cell.text.chars().count());
            let tone = if place == 0 { Tone::Head } else { cell.tone };
            let shown = tone.paint(&cell.text, has_colour);
            line.push_str("  ");
            if cell.is_number {
                line.push_str(&gap);
                line.push_str(&shown);
            } else {
                line.push_str(&shown);
                line.push_str(&gap);
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
