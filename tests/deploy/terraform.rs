//! Modules of Terraform fit each other. The thin ones of AWS cannot be validated without their
//! provider, so what is got wrong most is looked at here: names.

use std::collections::{BTreeMap, BTreeSet};

use super::{below, read};

/// A folder of files that Terraform reads as one.
#[derive(Debug, Default)]
struct Module {
    text: String,
    variables: BTreeMap<String, bool>,
    outputs: BTreeSet<String>,
}

/// The blocks with this head, such as `variable "x"`: name, and what is in it.
fn blocks<'a>(text: &'a str, kind: &str) -> Vec<(String, &'a str)> {
    let head = format!("\n{kind} \"");
    let mut found = Vec::new();
    for rest in text.split(&*head).skip(1) {
        let (name, rest) = rest.split_once('"').expect("a name ends");
        let body = rest.split("\n}\n").next().unwrap_or(rest);
        found.push((name.to_owned(), body));
    }
    found
}

fn modules() -> BTreeMap<String, Module> {
    let mut found: BTreeMap<String, Module> = BTreeMap::new();
    for path in below("deploy/terraform", ".tf") {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let module = found.entry(folder.to_owned()).or_default();
        module.text.push('\n');
        module.text.push_str(&read(&path));
    }
    for module in found.values_mut() {
        let text = module.text.clone();
        for (name, body) in blocks(&text, "variable") {
            let is_needed = !body.contains("\n  default ");
            module.variables.insert(name, is_needed);
        }
        module.outputs = blocks(&text, "output").into_iter().map(|it| it.0).collect();
    }
    found
}

/// What follows a word such as `var.` wherever it stands.
fn named(text: &str, word: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    text.lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .flat_map(|line| line.split(word).skip(1))
        .map(|rest| rest.split(|c| !is_name(c)).next().unwrap_or_default())
        .map(str::to_owned)
        .collect()
}

/// The keys of a block's first level.
fn arguments(body: &str) -> BTreeSet<String> {
    let lines = body.lines().filter_map(|line| line.strip_prefix("  "));
    let lines = lines.filter(|line| line.starts_with(|c: char| c.is_alphabetic()));
    let keys = lines.filter_map(|line| line.split_once(" = ").or(line.split_once(" {")));
    keys.map(|(key, _)| key.trim().to_owned()).collect()
}

#[test]
fn variables_are_declared_and_used() {
    for (folder, module) in modules() {
        let declared: BTreeSet<String> = module.variables.keys().cloned().collect();
        assert_eq!(named(&module.text, "var."), declared, "{folder}");
        for (name, body) in blocks(&module.text, "variable") {
            let is_told = body.contains("description") && body.contains("type ");
            assert!(is_told, "{folder}: `{name}` has no type or description");
        }
    }
}

#[test]
fn a_module_gets_what_it_takes_and_gives_what_is_asked() {
    let all = modules();
    let mut calls = 0;
    for (folder, caller) in &all {
        for (name, body) in blocks(&caller.text, "module") {
            let source = body
                .split("source")
                .nth(1)
                .and_then(|it| it.split('"').nth(1));
            let mut path: Vec<&str> = folder.split('/').collect();
            for part in source.expect("a source").split('/') {
                if part == ".." {
                    path.pop();
                } else {
                    path.push(part);
                }
            }
            let callee = all.get(&path.join("/"));
            let callee = callee.unwrap_or_else(|| panic!("{folder}: `{name}` is nowhere"));
            let mut given = arguments(body);
            given.remove("source");
            for argument in &given {
                let is_taken = callee.variables.contains_key(argument);
                assert!(is_taken, "{folder}: `{name}` takes no `{argument}`");
            }
            for (variable, is_needed) in &callee.variables {
                let is_given = !is_needed || given.contains(variable);
                assert!(is_given, "{folder}: `{name}` needs `{variable}`");
            }
            for output in named(&caller.text, &format!("module.{name}.")) {
                let is_there = callee.outputs.contains(&output);
                assert!(is_there, "{folder}: `{name}` gives no `{output}`");
            }
            calls += 1;
        }
    }
    assert!(calls >= 6, "only {calls} modules are called");
}

#[test]
fn a_name_that_is_wrong_is_found() {
    let text = "\nvariable \"weight\" {\n  type = string\n}\n\nmodule \"x\" {\n  \
                source = \"../x\"\n  wieght = var.wieght\n  tags = {\n    a = 1\n  }\n}\n";
    assert_eq!(named(text, "var."), ["wieght".to_owned()].into());
    let (_, body) = blocks(text, "module").remove(0);
    let keys = ["source", "tags", "wieght"].map(str::to_owned);
    assert_eq!(arguments(body), keys.into());
}
