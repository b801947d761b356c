//! Lines of cells, aligned.

use std::io::{self, Write};

/// Which way the cells of a column lean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lean {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// Writes a heading and rows, two spaces between columns.
pub(super) fn write<const N: usize>(
    out: &mut impl Write,
    heading: [(&str, Lean); N],
    rows: &[[String; N]],
) -> io::Result<()> {
    let mut widths = heading.map(|(name, _)| name.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut line = |cells: [&str; N]| {
        let padded = cells.iter().zip(heading).zip(widths).map(|((cell, (_, lean)), width)| match lean {
            Lean::Left => format!("{cell:<width$}"),
            Lean::Right => format!("{cell:>width$}"),
        });
        writeln!(out, "{}", padded.collect::<Vec<_>>().join("  ").trim_end())
    };
    line(heading.map(|(name, _)| name))?;
    rows.iter().try_for_each(|row| line(row.each_ref().map(String::as_str)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut out = Vec::new();
        let rows = [["sales".to_owned(), "7".to_owned(), "x".to_owned()], ["é".into(), "1,000".into(), String::new()]];
        write(&mut out, [("dataset", Lean::Left), ("rows", Lean::Right), ("", Lean::Left)], &rows).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "dataset   rows\nsales        7  x\né        1,000\n");
    }
}
