//! What tenants choose commands no terminal.

use serde_json::Value;

use crate::support::program::Folder;

/// Sequences that move a cursor, by characters of one byte and of two, what turns text around, and what nobody sees.
const ODD: &str = "\u{1b}]0;x\u{7}\u{9b}31m\r\u{7f}\u{202e}\u{2066}\u{200b}";

/// A recording of guests that are called that.
fn recorded() -> Folder {
    let folder = Folder::new("");
    folder.run("record host.jsonl --hypervisor sim://?domains=2&calm=true").is(0);
    let mut slot: Value = serde_json::from_str(&folder.read("host.jsonl")).unwrap();
    for guest in slot["guests"].as_array_mut().unwrap() {
        let definition = &mut guest["definition"];
        definition["nova"]["display_name"] = ODD.into();
        definition["nova"]["metadata"] = serde_json::json!([[format!("metering.{ODD}"), ODD]]);
        definition["nova"]["flavor"]["name"] = ODD.into();
        definition["name"] = ODD.into();
    }
    folder.write("host.jsonl", format!("{slot}\n"));
    folder
}

/// Nothing that a terminal obeys.
pub fn assert_plain(what: &str, text: &str) {
    let odd = text.chars().find(|c| wasmeter::terminal::is_odd(*c) && *c != '\n');
    assert_eq!(odd, None, "{what}: {}", text.escape_debug());
}

#[test]
fn names_of_guests() {
    let folder = recorded();
    for line in [
        "once",
        "once --meters cpu",
        "once --format json",
        "once --format prometheus",
        "run --cycles 1 --table",
        "check",
        "check --json",
        "module run disk",
        "module inspect disk --json",
    ] {
        let ran = folder.run(&format!("{line} --hypervisor recording:host.jsonl")).is(0);
        assert!(!ran.stdout.is_empty());
        assert_plain(line, &ran.stdout);
        assert_plain(line, &ran.stderr);
    }
}

#[test]
fn what_is_wrong() {
    let folder = recorded();
    let key = serde_json::to_string(ODD).unwrap();
    let damaged = format!("{{\"read_at\":{{\"wall\":1,\"monotonic\":{key}}}}}\n");
    folder.write("damaged.jsonl", &damaged);
    folder.write("odd.yaml", format!("log: {{format: json}}\n{key}: 1\n{key}: 1\n"));
    for (line, code) in [
        ("once --hypervisor recording:damaged.jsonl", 69),
        ("check --hypervisor recording:damaged.jsonl", 69),
        ("check --json --hypervisor recording:damaged.jsonl", 69),
    ] {
        let ran = folder.run(line).is(code);
        assert_plain(line, &ran.stdout);
        assert_plain(line, &ran.stderr);
    }
    for line in ["check -c odd.yaml", "check --json -c odd.yaml", "once -c odd.yaml"] {
        let mut command = std::process::Command::new(crate::support::daemon());
        let output = command.args(line.split(' ')).current_dir(folder.path("")).output().unwrap();
        assert_eq!(output.status.code(), Some(64), "{line}");
        assert_plain(line, &String::from_utf8(output.stdout).unwrap());
        assert_plain(line, &String::from_utf8(output.stderr).unwrap());
    }
}

#[test]
fn what_is_logged() {
    for format in ["text", "json"] {
        let folder = Folder::new(&format!("log: {{format: {format}}}"));
        let folder_of_odd = format!("{}/samples", folder.path(ODD).display());
        let mut command = folder.command("run --cycles 1 --hypervisor sim://?domains=1 --output");
        let output = command.arg(folder_of_odd).output().unwrap();
        assert_plain(format, &String::from_utf8(output.stderr).unwrap());
    }
}
