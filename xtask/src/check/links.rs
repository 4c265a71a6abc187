//! Links between documents lead somewhere: the file is there, and so is the heading.
//!
//! The other way round, something leads to every document in `docs/`: one that nobody can find is not read.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use super::{Finding, markdown::Page};
use crate::{TaskError, tree};

pub(super) fn check(root: &Path) -> Result<Vec<Finding>, TaskError> {
    let (mut findings, mut reached) = (Vec::new(), BTreeSet::new());
    let files = tree::files(root)?;
    let pages: Vec<_> = files.iter().filter(|path| tree::is(path, "md")).collect();
    for path in &pages {
        for (line, target) in Page::read(&tree::text(path)?).links {
            let target = Target::of(path, &target);
            reached.extend(target.as_ref().and_then(|target| target.place.canonicalize().ok()));
            if let Some(fault) = target.map_or(Ok(None), |target| target.fault())? {
                findings.push(Finding::new(format!("{}:{line}", tree::shown(root, path)), fault));
            }
        }
    }
    let lost = pages.iter().filter(|path| path.starts_with(root.join("docs")));
    let lost = lost.filter(|path| path.canonicalize().is_ok_and(|path| !reached.contains(&path)));
    findings.extend(lost.map(|path| Finding::new(tree::shown(root, path), "no document leads here")));
    Ok(findings)
}

/// Where a link inside the project leads.
struct Target {
    text: String,
    place: PathBuf,
    anchor: String,
}

impl Target {
    /// Reads a link of a page; an address on the network is nobody's business here.
    fn of(page: &Path, text: &str) -> Option<Self> {
        if text.contains("://") || text.starts_with("mailto:") {
            return None;
        }
        let (file, anchor) = text.split_once('#').unwrap_or((text, ""));
        let place = if file.is_empty() { page.to_owned() } else { page.with_file_name("").join(file) };
        Some(Self { text: text.to_owned(), place, anchor: anchor.to_owned() })
    }

    /// Says what is wrong with the link, if anything.
    fn fault(&self) -> Result<Option<String>, TaskError> {
        if !self.place.exists() {
            return Ok(Some(format!("link to {}, which is not there", self.text)));
        }
        if self.anchor.is_empty() || !tree::is(&self.place, "md") {
            return Ok(None);
        }
        let known = Page::read(&tree::text(&self.place)?).anchors.contains(&self.anchor);
        Ok((!known).then(|| format!("link to {}, but there is no such heading", self.text)))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Writes a README with one heading and a page in `docs/`, and returns the places of what the check finds.
    fn places(readme: &str, page: &str) -> Vec<String> {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("docs")).unwrap();
        fs::write(root.path().join("README.md"), format!("## Two homes\n{readme}\n")).unwrap();
        fs::write(root.path().join("docs/x.md"), page).unwrap();
        check(root.path()).unwrap().into_iter().map(|finding| finding.place).collect()
    }

    #[test]
    fn link_to_nowhere_is_found_and_a_good_one_is_not() {
        let good = "[a](../README.md#two-homes) [b](x.md) [c](https://example.org/nowhere) [d](../docs)";
        let page = format!("{good}\n[e](y.md)\n[f](../README.md#three)\n");
        assert_eq!(places("[x](docs/x.md)", &page), ["docs/x.md:2", "docs/x.md:3"]);
    }

    #[test]
    fn document_that_nothing_leads_to_is_found() {
        assert_eq!(places("", "[up](../README.md)"), ["docs/x.md"]);
    }
}
