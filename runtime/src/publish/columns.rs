//! Text in columns, for people.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Which side of its column a cell keeps to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Words.
    Left,
    /// Names that somebody may want to type or copy: as they are, however long.
    Name,
    /// Numbers.
    Right,
}

/// A table: a header and rows of as many cells.
#[derive(Debug)]
pub struct Columns {
    sides: Vec<Side>,
    rows: Vec<Vec<String>>,
}

/// The widest that a cell gets.
const WIDEST: usize = 48;

// === impl Columns ===

impl Columns {
    /// A table with these columns.
    pub fn new<const N: usize>(header: [(&str, Side); N]) -> Self {
        let sides = header.iter().map(|(_, side)| *side).collect();
        Self { sides, rows: vec![header.iter().map(|(title, _)| (*title).to_owned()).collect()] }
    }

    /// Adds a row.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        let cells = cells.into_iter().zip(&self.sides);
        self.rows.push(
            cells.map(|(cell, side)| if *side == Side::Name { shown(&cell) } else { cut(shown(&cell)) }).collect(),
        );
    }

    /// How many rows there are beside the header.
    pub fn len(&self) -> usize {
        self.rows.len() - 1
    }

    /// Whether there is only the header.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The table as lines.
    pub fn render(&self) -> String {
        let width = |column: usize| self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.width()).max();
        let widths: Vec<usize> = (0..self.sides.len()).map(|column| width(column).unwrap_or(0)).collect();
        let mut out = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for ((cell, width), side) in row.iter().zip(&widths).zip(&self.sides) {
                let room = " ".repeat(width.saturating_sub(cell.width()));
                let (before, after) = if *side == Side::Right { (room.as_str(), "") } else { ("", room.as_str()) };
                line.extend([before, cell, after, "  "]);
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }
}

/// What a terminal can show: no control characters.
fn shown(cell: &str) -> String {
    cell.replace(char::is_control, "\u{fffd}")
}

/// Not too much of it.
fn cut(mut cell: String) -> String {
    if cell.width() > WIDEST {
        let mut width = 0;
        let end = cell.char_indices().find(|(_, c)| {
            width += c.width().unwrap_or(0);
            width >= WIDEST
        });
        if let Some((end, _)) = end {
            cell.truncate(end);
            cell.push('\u{2026}');
        }
    }
    cell
}

/// A number of bytes in few digits.
pub fn bytes(count: f64) -> String {
    let units = ["B", "K", "M", "G", "T", "P"];
    let mut count = count;
    let mut unit = units.first().copied().unwrap_or_default();
    for larger in units.iter().skip(1) {
        if count < 1024.0 {
            break;
        }
        count /= 1024.0;
        unit = larger;
    }
    if unit == "B" || count >= 100.0 { format!("{count:.0}{unit}") } else { format!("{count:.1}{unit}") }
}

/// A large number in few digits.
pub fn short(count: u64) -> String {
    match count {
        0..10_000 => count.to_string(),
        10_000..10_000_000 => format!("{}k", count / 1_000),
        10_000_000..10_000_000_000 => format!("{}M", count / 1_000_000),
        _ => format!("{}G", count / 1_000_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_keep_to_their_side_whatever_their_script() {
        let mut columns = Columns::new([("NAME", Side::Left), ("BYTES", Side::Right)]);
        columns.row(["\u{65e5}\u{672c}".into(), bytes(1536.0)]);
        columns.row(["a\u{1b}[2J".into(), bytes(7.0)]);
        let lines = columns.render();
        assert_eq!(lines, "NAME   BYTES\n\u{65e5}\u{672c}    1.5K\na\u{fffd}[2J     7B\n");
        columns.row(["x".repeat(100), String::new()]);
        assert!(columns.render().lines().all(|line| line.width() <= WIDEST + 7));
    }

    #[test]
    fn names_are_not_cut() {
        let name = format!("pipeline:opentelemetryhttp://collector.example.org:4318/{}", "x".repeat(100));
        let mut columns = Columns::new([("PUBLISHER", Side::Name), ("LOST", Side::Right)]);
        columns.row([name.clone(), "7".into()]);
        assert!(columns.render().contains(&format!("{name}     7\n")));
    }
}
