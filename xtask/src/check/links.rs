//! Links between documents lead somewhere: the file is there, and so is the heading.

use std::path::Path;

use super::{Finding, markdown::Page};
use crate::{TaskError, tree};

pub(super) fn check(root: &Path) -> Result<Vec<Finding>, TaskError> {
    let mut findings = Vec::new();
    for path in tree::files(root)?.iter().filter(|path| tree::is(path, "md")) {
        for (line, target) in Page::read(&tree::text(path)?).links {
            if let Some(fault) = fault(path, &target)? {
                findings.push(Finding::new(format!("{}:{line}", tree::shown(root, path)), fault));
            }
        }
    }
    Ok(findings)
}

/// Says what is wrong with a link, if anything. Addresses on the network are nobody's business here.
fn fault(page: &Path, target: &str) -> Result<Option<String>, TaskError> {
    if target.contains("://") || target.starts_with("mailto:") {
        return Ok(None);
    }
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let place = if file.is_empty() { page.to_owned() } else { page.with_file_name("").join(file) };
    if !place.exists() {
        return Ok(Some(format!("link to {file}, which is not there")));
    }
    if anchor.is_empty() || !tree::is(&place, "md") {
        return Ok(None);
    }
    let known = Page::read(&tree::text(&place)?).anchors.iter().any(|known| known == anchor);
    Ok((!known).then(|| format!("link to {target}, but no heading there is #{anchor}")))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn link_to_nowhere_is_found_and_a_good_one_is_not() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("docs")).unwrap();
        let good = "[a](../README.md#two-homes) [b](x.md) [c](https://example.org/nowhere) [d](../docs)\n";
        fs::write(root.path().join("docs/x.md"), format!("{good}[e](y.md)\n[f](../README.md#three)\n"))
            .unwrap();
        fs::write(root.path().join("README.md"), "## Two homes\n").unwrap();

        let places: Vec<_> = check(root.path()).unwrap().into_iter().map(|finding| finding.place).collect();
        assert_eq!(places, ["docs/x.md:2", "docs/x.md:3"]);
    }
}
