//! Text for people: tables, and what other homes wrote made harmless.

use crosshome_node::views::Stamp;

/// Makes text from elsewhere safe to print: a name must not steer the terminal.
pub(crate) fn plain(text: &str) -> String {
    let odd = |c: char| {
        (c.is_control() && c != '\n') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if odd(c) { '\u{fffd}' } else { c }).collect()
}

/// Lays rows out under headings, columns two spaces apart.
pub(crate) fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    let headings: Vec<String> = headings.iter().map(|&heading| heading.to_owned()).collect();
    let rows = rows.iter().map(|row| row.iter().map(|cell| plain(cell).replace('\n', " ")).collect());
    let rows: Vec<Vec<String>> = std::iter::once(headings).chain(rows).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or_default()).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Writes a moment to the second, or a dash.
pub(crate) fn moment(stamp: Option<Stamp>) -> String {
    stamp.map_or("-".to_owned(), |stamp| {
        let text = stamp.to_string();
        text.split('.').next().unwrap_or_default().replace('T', " ")
    })
}

/// Writes what is there, or a dash.
pub(crate) fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "-".to_owned())
}

/// Writes a truth for people.
pub(crate) fn yes_no(truth: bool) -> String {
    if truth { "yes" } else { "no" }.to_owned()
}

/// Tells whether a text fits a glob, where `*` is any run of characters and `?` any one.
pub(crate) fn fits(glob: &str, text: &str) -> bool {
    let (glob, text): (Vec<char>, Vec<char>) = (glob.chars().collect(), text.chars().collect());
    let (mut g, mut t) = (0, 0);
    // Where the last star stands and how far it reaches; when the rest does not fit, it reaches further.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match (glob.get(g), star) {
            (Some('*'), _) => {
                star = Some((g, t));
                g += 1;
            }
            (Some(c), _) if *c == '?' || *c == text[t] => (g, t) = (g + 1, t + 1),
            (_, Some((at, reach))) => {
                star = Some((at, reach + 1));
                (g, t) = (at + 1, reach + 1);
            }
            _ => return false,
        }
    }
    glob[g..].iter().all(|&c| c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_cannot_steer_the_terminal() {
        assert_eq!(plain("vil\x1b[2Jla\u{202e}"), "vil\u{fffd}[2Jla\u{fffd}");
    }

    #[test]
    fn columns_stand_two_apart_and_lines_end_without_blanks() {
        let rows = [vec!["light.hall".into(), "on".into()], vec!["x".into(), "a\nb".into()]];
        assert_eq!(table(&["ENTITY", "STATE"], &rows), "ENTITY      STATE\nlight.hall  on\nx           a b");
    }

    #[test]
    fn glob_fits_as_a_shell_s_does() {
        for (glob, text) in
            [("light.*", "light.hall"), ("*", ""), ("*.h?ll", "light.hall"), ("a*b*c", "aXbXbXc")]
        {
            assert!(fits(glob, text), "{glob} {text}");
        }
        for (glob, text) in
            [("light.*", "lights.hall"), ("light.hall", "light.halls"), ("?", ""), ("a*b", "abc")]
        {
            assert!(!fits(glob, text), "{glob} {text}");
        }
    }

    #[test]
    fn moment_is_shown_to_the_second() {
        assert_eq!(moment(Some(Stamp(1_700_000_000_123))), "2023-11-14 22:13:20");
        assert_eq!(moment(None), "-");
    }
}
