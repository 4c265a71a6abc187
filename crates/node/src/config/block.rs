//! Finding our block in a file that may be Home Assistant's own.

use std::{path::Path, sync::Arc};

use super::{
    load::Warning,
    nearest::nearest,
    reader::Reader,
    yaml::{Node, Value},
};

/// The file in which bare keys are somebody else's: Home Assistant has an `api:` of its own.
const HOME_ASSISTANT: &str = "configuration.yaml";

/// Returns the block: `copilot: sharing:`, else `sharing:`, else the whole file unless it is Home Assistant's.
///
/// Whatever else stands there is none of our business. A file without a block is a warning.
pub(super) fn find_block(
    root: &Arc<Node>,
    file: &Path,
    reader: &mut Reader<'_>,
    warnings: &mut Vec<Warning>,
) -> Option<Arc<Node>> {
    let root = reader.resolve(root)?;
    if !root.is_null() && !matches!(root.value, Value::Map(_)) {
        reader.expected(&root, "a mapping with the key copilot");
        return None;
    }
    match (last(&root, "copilot", warnings), last(&root, "sharing", warnings)) {
        (Some(copilot), _) => in_copilot(copilot, file, reader, warnings),
        (None, Some(sharing)) => reader.resolve(sharing),
        (None, None) if file.file_name().is_some_and(|name| name == HOME_ASSISTANT) => {
            warnings.push(no_block(file, &root, "copilot"));
            None
        }
        (None, None) => Some(root),
    }
}

fn in_copilot(
    copilot: &Arc<Node>,
    file: &Path,
    reader: &mut Reader<'_>,
    warnings: &mut Vec<Warning>,
) -> Option<Arc<Node>> {
    let copilot = reader.resolve(copilot)?;
    if !copilot.is_null() && !matches!(copilot.value, Value::Map(_)) {
        reader.expected(&copilot, "a mapping with the key sharing");
        return None;
    }
    match last(&copilot, "sharing", warnings) {
        Some(sharing) => reader.resolve(sharing),
        None => {
            warnings.push(no_block(file, &copilot, "sharing"));
            None
        }
    }
}

/// Returns the value of a key; of several the last, as Home Assistant does, with a warning.
fn last<'a>(node: &'a Node, key: &'static str, warnings: &mut Vec<Warning>) -> Option<&'a Arc<Node>> {
    let Value::Map(pairs) = &node.value else { return None };
    let mut found = pairs.iter().filter(|(name, _)| name.text() == Some(key));
    let first = found.next()?;
    let Some(last) = found.next_back() else { return Some(&first.1) };
    warnings.push(Warning::TwoBlocks { key, first: first.0.place.line, last: last.0.place.line });
    Some(&last.1)
}

fn no_block(file: &Path, node: &Node, key: &str) -> Warning {
    let names: Vec<&str> = match &node.value {
        Value::Map(pairs) => pairs.iter().filter_map(|(name, _)| name.text()).collect(),
        _ => Vec::new(),
    };
    let meant = names.into_iter().any(|name| nearest(name, std::iter::once(key)).is_some());
    Warning::NoBlock { file: file.to_owned(), nearest: meant.then(|| key.to_owned()) }
}
