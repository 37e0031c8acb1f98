//! Rules and Cedar files against the tools that exist.

use config::{Diagnostic, Loaded, Severity};
use model::{Tier, ToolName, ToolSet};
use policy::{Snapshot, ToolFacts};

use crate::folder::Folder;
use crate::right::full;

fn tools() -> Vec<ToolFacts> {
    [("ssh_execute", "exec", Tier::Dangerous), ("get_credential", "credentials", Tier::LowAccess)]
        .into_iter()
        .map(|(name, set, tier)| ToolFacts {
            name: ToolName::parse(name).unwrap(),
            set: ToolSet::parse(set).unwrap(),
            tier,
        })
        .collect()
}

fn compile(loaded: &Loaded) -> Result<(Snapshot, Vec<String>), String> {
    let told = |mut wrong: Diagnostic| {
        wrong.file = wrong.file.file_name().unwrap().into();
        wrong.to_string()
    };
    match loaded.compile(tools(), vec!["reload".to_owned()]) {
        Ok((snapshot, warnings)) => {
            assert!(warnings.iter().all(|warning| warning.severity == Severity::Warning));
            Ok((snapshot, warnings.into_iter().map(told).collect()))
        }
        Err(wrong) => Err(wrong.into_iter().map(told).collect::<Vec<_>>().join("\n")),
    }
}

#[test]
fn the_complete_files_compile() {
    let loaded = full().load().unwrap();
    let (snapshot, _) = compile(&loaded).unwrap();
    assert_eq!(snapshot.rule_names().count(), 5);
    assert_eq!(loaded.rules().count(), 5);
}

#[test]
fn what_does_not_exist_is_named_with_its_place() {
    let folder = Folder::new();
    folder.write("portcullis.toml", "");
    folder.write(
        "policy/a.toml",
        "[[rule]]\nname = \"a\"\nforbid = [\"*\"]\nprincipals = [\"*\"]\ntargets = [\"*\"]\n\n\
         [[rule]]\nname = \"b\"\nallow = [\"ssh_execute\", \"ssh_exekute\"]\nprincipals = [\"*\"]\ntargets = [\"*\"]\ncommands = [\"**\"]\n",
    );
    folder.write(
        "policy/b.cedar",
        "permit(principal, action, resource);\nforbid(principal, action resource);\n",
    );
    let wrong = compile(&folder.load().unwrap()).unwrap_err();
    assert!(wrong.contains("a.toml:9:25: rule[1].allow[1]: unknown tool `ssh_exekute`"), "{wrong}");
    assert!(wrong.contains("b.cedar:2:26: "), "{wrong}");
}

#[test]
fn the_starter_rules_compile() {
    let folder = Folder::new();
    folder.write(config::templates::MASTER_KEY, "k");
    let key = config::ApiKeyHash::parse(crate::folder::KEY_HASH).unwrap();
    for file in config::templates::starter_files(&key, "alice") {
        folder.write(file.path, &file.text);
    }
    let (snapshot, _) = compile(&folder.load().unwrap()).unwrap();
    assert_eq!(snapshot.rule_names().count(), 2);
}
