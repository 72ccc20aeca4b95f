//! What `wasmeter module new` hands to whoever writes a module: the SDK and the contract as they were when this
//! program was built, and the versions of all that they need. So a crate builds anywhere, against what runs it.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// What the SDK's manifest has for this workspace only.
const LEFT_OUT: [&str; 2] = ["[dev-dependencies]", "[lints]"];

/// Writes a table of files and one of locked packages.
pub fn write(root: &Path, out: &Path) -> Result<(), Box<dyn Error>> {
    let workspace = fs::read_to_string(root.join("Cargo.toml"))?;
    let manifest = standalone(&fs::read_to_string(root.join("guest-sdk/Cargo.toml"))?, &workspace)?;
    let mut files = vec![root.join("wit/plugin.wit")];
    collect(&root.join("guest-sdk/src"), &mut files)?;
    files.sort();
    let mut table = format!("&[\n    (\"guest-sdk/Cargo.toml\", {manifest:?}),\n");
    for file in files {
        let path = file.strip_prefix(root)?.to_str().ok_or("a file of the SDK has no plain name")?;
        writeln!(table, "    ({path:?}, include_str!({file:?})),")?;
    }
    table.push_str("]\n");
    fs::write(out.join("sdk_files.rs"), table)?;
    let locked = locked(&fs::read_to_string(root.join("Cargo.lock"))?, &dependencies(&manifest))?;
    Ok(fs::write(out.join("sdk_lock.rs"), format!("&{locked:#?}\n"))?)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|end| end == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

/// The manifest of a member of the workspace with all that it has from there.
fn standalone(manifest: &str, workspace: &str) -> Result<String, Box<dyn Error>> {
    let (mut out, mut section) = (String::new(), "");
    for line in manifest.lines() {
        if line.starts_with('[') {
            section = line;
        }
        if LEFT_OUT.contains(&section) {
            continue;
        }
        match line.strip_suffix(".workspace = true") {
            None => writeln!(out, "{line}")?,
            Some(key) => {
                let table = if section == "[package]" { "[workspace.package]" } else { "[workspace.dependencies]" };
                writeln!(out, "{}", of_table(workspace, table, key).ok_or_else(|| format!("{table} has no {key}"))?)?;
            }
        }
    }
    Ok(out)
}

/// The line of a key in a table.
fn of_table<'a>(workspace: &'a str, table: &str, key: &str) -> Option<&'a str> {
    let lines = workspace.lines().skip_while(|line| *line != table).skip(1);
    let mut lines = lines.take_while(|line| !line.starts_with('['));
    lines.find(|line| line.strip_prefix(key).is_some_and(|rest| rest.starts_with(" = ")))
}

/// The names of what a manifest depends on.
fn dependencies(manifest: &str) -> Vec<String> {
    let (mut names, mut depends) = (Vec::new(), false);
    for line in manifest.lines() {
        if line.starts_with('[') {
            depends = line.ends_with("dependencies]");
        } else if let (true, Some((name, _))) = (depends, line.split_once(" = ")) {
            names.push(name.to_owned());
        }
    }
    names.sort();
    names.dedup();
    names
}

/// One entry of a lock file.
struct Package<'a> {
    name: &'a str,
    version: &'a str,
    text: &'a str,
    needs: Vec<&'a str>,
}

/// The entries of a lock file that a package with these dependencies needs, by name, and its own as the SDK's.
fn locked(lock: &str, direct: &[String]) -> Result<Vec<(String, String)>, Box<dyn Error>> {
    let all: Vec<Package<'_>> = lock.split("[[package]]\n").skip(1).filter_map(package).collect();
    let find = |need: &str| {
        let (name, version) = need.split_once(' ').unwrap_or((need, ""));
        all.iter().position(|package| package.name == name && (version.is_empty() || package.version == version))
    };
    let mut open: Vec<&str> = direct.iter().map(String::as_str).collect();
    let mut kept: Vec<usize> = Vec::new();
    while let Some(need) = open.pop() {
        let place = find(need).ok_or_else(|| format!("Cargo.lock has no {need}"))?;
        if !kept.contains(&place) {
            kept.push(place);
            open.extend(all.get(place).into_iter().flat_map(|package| &package.needs));
        }
    }
    let kept: Vec<&Package<'_>> = kept.into_iter().filter_map(|place| all.get(place)).collect();
    let is_only = |name: &str| kept.iter().filter(|package| package.name == name).count() == 1;
    let mut entries: Vec<(String, String)> = Vec::new();
    for package in &kept {
        let mut text = package.text.trim_end().to_owned();
        // A version is named only where there are two of a name.
        for need in package.needs.iter().filter(|need| need.contains(' ')) {
            if let Some((name, _)) = need.split_once(' ').filter(|(name, _)| is_only(name)) {
                text = text.replace(&format!("\"{need}\""), &format!("\"{name}\""));
            }
        }
        entries.push((package.name.to_owned(), text));
    }
    let sdk = all.iter().find(|package| package.name == "wasmeter-sdk").ok_or("Cargo.lock has no wasmeter-sdk")?;
    let needs: String = direct.iter().map(|name| format!(" \"{name}\",\n")).collect();
    let own = format!("name = \"wasmeter-sdk\"\nversion = \"{}\"\ndependencies = [\n{needs}]", sdk.version);
    entries.push((sdk.name.to_owned(), own));
    entries.sort();
    Ok(entries)
}

fn package(text: &str) -> Option<Package<'_>> {
    let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_suffix('"'));
    let needs = text.lines().filter_map(|line| line.strip_prefix(" \"")?.strip_suffix("\","));
    Some(Package { name: value("name = \"")?, version: value("version = \"")?, text, needs: needs.collect() })
}
