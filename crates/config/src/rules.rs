//! Rule files as the policy crate's rules.

use std::collections::BTreeMap;

use crate::configuration::Sources;
use crate::node::{Node, Place, Table};

/// Reads the checked structures of all files together.
pub(crate) fn read(files: &[Table<'_>], _: &Sources) {
    let mut taken: BTreeMap<String, Place<'_>> = BTreeMap::new();
    for table in files.iter().flat_map(|file| file.list("rule")).filter_map(|node| Node::table(&node)) {
        if let Some(node) = table.node("name")
            && let Some(name) = node.text()
        {
            match taken.get(name) {
                Some(first) => {
                    node.place.error(format!("the same name is already at {}", first.seen_from(&node.place)))
                }
                None => {
                    taken.insert(name.to_owned(), node.place);
                }
            }
        }
    }
}
