//! `docs/configuration.md` has every key.

use std::path::Path;

#[test]
fn the_reference_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let written = std::fs::read_to_string(&path).unwrap();
    let mut current = written.clone();
    for (name, tables) in [
        ("secrets", config::reference::secrets()),
        ("configuration", config::reference::configuration()),
        ("inventory", config::reference::inventory()),
        ("rules", config::reference::rules()),
    ] {
        let mark = format!("<!-- generated from crates/config: {name} -->\n");
        let (before, rest) = current.split_once(&mark).unwrap();
        let (_, after) = rest.split_once("<!-- end -->").unwrap();
        current = format!("{before}{mark}{tables}<!-- end -->{after}");
    }
    if std::env::var_os("PORTCULLIS_REGENERATE").is_some() {
        std::fs::write(&path, &current).unwrap();
    }
    assert!(
        std::fs::read_to_string(&path).unwrap() == current,
        "docs/configuration.md is stale: run the tests of `config` with PORTCULLIS_REGENERATE=1"
    );
}

/// The reference is made by another walk over the keys than the schemas: neither may leave one out.
#[test]
fn every_key_of_the_schemas_is_in_the_reference() {
    let text = [
        config::reference::secrets(),
        config::reference::configuration(),
        config::reference::inventory(),
        config::reference::rules(),
    ]
    .concat();
    for schema in [config::schema::configuration(), config::schema::inventory(), config::schema::rules()] {
        let mut known = Vec::new();
        crate::schema::names(&schema, &mut known);
        for name in known {
            let row = text.contains(&format!("| `{name}` |")) || text.contains(&format!("- `{name} = ...`"));
            assert!(row, "`{name}` is not in the reference");
        }
    }
}
