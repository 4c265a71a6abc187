//! As much of Markdown as the checks need: links, anchors and fenced blocks, with their lines.

use std::collections::HashMap;

/// What a document holds.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// The targets of links, with their lines.
    pub(super) links: Vec<(usize, String)>,
    /// What a link into the document may name after `#`.
    pub(super) anchors: Vec<String>,
    /// Fenced blocks.
    pub(super) fences: Vec<Fence>,
}

/// A fenced block.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Fence {
    /// The line of its first fence.
    pub(super) line: usize,
    /// What stands behind the first fence.
    pub(super) info: String,
    /// The lines between.
    pub(super) body: String,
}

impl Page {
    /// Reads a document.
    pub(super) fn read(text: &str) -> Self {
        let (mut page, mut open, mut seen) = (Self::default(), None::<(String, Fence)>, HashMap::new());
        for (at, line) in text.lines().enumerate() {
            open = match (open, fence(line)) {
                (None, Some((ticks, info))) => Some((
                    ticks.to_owned(),
                    Fence { line: at + 1, info: info.to_owned(), body: String::new() },
                )),
                (None, None) => {
                    page.prose(at + 1, line, &mut seen);
                    None
                }
                (Some((ticks, fence)), Some((closing, ""))) if closing.starts_with(&ticks) => {
                    page.fences.push(fence);
                    None
                }
                (Some((ticks, mut fence)), _) => {
                    fence.body.push_str(line);
                    fence.body.push('\n');
                    Some((ticks, fence))
                }
            };
        }
        page
    }

    fn prose(&mut self, at: usize, line: &str, seen: &mut HashMap<String, usize>) {
        if let Some(heading) = heading(line) {
            let slug = slug(heading);
            let times = seen.entry(slug.clone()).or_default();
            self.anchors.push(if *times == 0 { slug } else { format!("{slug}-{times}") });
            *times += 1;
        }
        self.links.extend(targets(&without_code(line)).map(|target| (at, target)));
    }
}

/// The fence that a line is, with what stands behind it.
fn fence(line: &str) -> Option<(&str, &str)> {
    let line = line.trim_start();
    let mark = line.chars().next().filter(|mark| matches!(mark, '`' | '~'))?;
    let length = line.chars().take_while(|c| *c == mark).count();
    (length >= 3).then(|| (&line[..length], line[length..].trim()))
}

fn heading(line: &str) -> Option<&str> {
    let text = line.trim_start_matches('#');
    let level = line.len() - text.len();
    ((1..=6).contains(&level) && text.starts_with(' ')).then(|| text.trim())
}

/// The anchor that GitHub gives a heading.
fn slug(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect::<String>().to_lowercase()
}

/// A line without what stands between backticks.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join("`")
}

/// The targets of inline links and of reference definitions.
fn targets(line: &str) -> impl Iterator<Item = String> {
    let defined = line.strip_prefix('[').and_then(|rest| rest.split_once("]: ")).map(|(_, target)| target);
    let inline = line.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
    let all: Vec<_> = defined.into_iter().chain(inline).collect();
    all.into_iter().filter_map(|target| target.split_whitespace().next().map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "\
# Two homes, `one` network
See [the core](crates/core \"title\") and [below](#again); `[not](a-link)`.
```sh
# no heading, [no](link)
crosshome run
```
## Again
## Again
[ref]: docs/x.md
";

    #[test]
    fn links_are_found_outside_of_code_only() {
        let links = Page::read(PAGE).links;
        assert_eq!(links, [(2, "crates/core".into()), (2, "#again".into()), (9, "docs/x.md".into())]);
    }

    #[test]
    fn anchors_are_those_of_github() {
        assert_eq!(Page::read(PAGE).anchors, ["two-homes-one-network", "again", "again-1"]);
    }

    #[test]
    fn fences_keep_their_place_and_text() {
        let fence =
            Fence { line: 3, info: "sh".into(), body: "# no heading, [no](link)\ncrosshome run\n".into() };
        assert_eq!(Page::read(PAGE).fences, [fence]);
    }

    #[test]
    fn shorter_fence_inside_does_not_close_a_block() {
        let page = Page::read("````md\n```sh\nls\n```\n````\n[a](b)\n");
        assert_eq!(page.fences[0].body, "```sh\nls\n```\n");
        assert_eq!(page.links, [(6, "b".into())]);
    }
}
