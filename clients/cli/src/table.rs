//! Aligned columns and lists of fields.

use crate::output::{Output, Style};

/// The space between columns.
const GAP: &str = "  ";

/// Formats rows under a header, each column as wide as its widest cell.
pub(crate) fn columns(out: &Output, header: &[&str], rows: &[Vec<String>]) -> String {
    let widths: Vec<usize> = header
        .iter()
        .enumerate()
        .map(|(column, title)| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| width(cell)).fold(width(title), usize::max)
        })
        .collect();
    let title: Vec<String> = header.iter().map(|title| (*title).to_owned()).collect();
    let mut lines = vec![out.paint(&join(&title, &widths), Style::Faint)];
    lines.extend(rows.iter().map(|row| join(row, &widths)));
    lines.join("\n")
}

/// Formats one field per line, with aligned values. Fields without a value are omitted.
pub(crate) fn fields(out: &Output, fields: &[(&str, String)]) -> String {
    let shown: Vec<_> = fields
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .collect();
    let widest = shown.iter().map(|(name, _)| width(name)).max().unwrap_or(0);
    let lines: Vec<String> = shown
        .iter()
        .map(|(name, value)| {
            let name = out.paint(&pad(name, widest), Style::Faint);
            format!("{name}{GAP}{value}")
        })
        .collect();
    lines.join("\n")
}

fn join(cells: &[String], widths: &[usize]) -> String {
    let padded: Vec<String> = cells
        .iter()
        .zip(widths)
        .map(|(cell, width)| pad(cell, *width))
        .collect();
    padded.join(GAP).trim_end().to_owned()
}

pub(crate) fn pad(text: &str, to: usize) -> String {
    format!("{text}{}", " ".repeat(to.saturating_sub(width(text))))
}

fn width(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::ColorChoice;

    #[test]
    fn columns_line_up() {
        let out = Output::new(false, ColorChoice::Never);
        let rows = [
            vec!["bob".to_owned(), "contact".to_owned()],
            vec!["caroline".to_owned(), "asked".to_owned()],
        ];
        let text = columns(&out, &["NAME", "STATE"], &rows);
        assert_eq!(text, "NAME      STATE\nbob       contact\ncaroline  asked");
    }
}
