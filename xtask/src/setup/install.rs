//! Doing what a plan says.

use std::process::Command;

use super::plan::Action;
use super::{guest, venv};
use crate::exit::Error;
use crate::step;
use crate::workspace::Workspace;

/// Installs packages. A shell's traps clean up also where this program no longer can, and all of it takes one sudo.
const APT: &str = include_str!("install/apt.sh");

/// Debian runs this file before it starts a service, and does not start it if the answer is 101.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Takes one action.
pub fn run(workspace: &Workspace, action: &Action) -> Result<(), Error> {
    match action {
        Action::Apt { packages, sudo } => {
            let mut command = workspace.command(if *sudo { "sudo" } else { "sh" });
            if *sudo {
                command.arg("sh");
            }
            step::run("Installing packages", apt(&mut command, POLICY, packages))?;
        }
        Action::Rustup(args) => {
            step::run(&format!("rustup {}", args.join(" ")), workspace.command("rustup").args(args))?;
        }
        Action::Venv => venv::make(workspace)?,
        Action::Guest => guest::make(workspace)?,
    }
    Ok(())
}

fn apt<'a>(shell: &'a mut Command, policy: &str, packages: &[&str]) -> &'a mut Command {
    shell.args(["-c", APT, "cargo-xtask", policy]).args(packages)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use super::*;

    /// An apt-get that shows what it was asked to do and which policy it would meet.
    const FAKE: &str = "#!/bin/sh\nshift 4\necho \"$*\" >>\"$LOG\"\n[ \"$1\" = update ] && exit\n\
        sh \"$POLICY\"\necho \"policy $?\" >>\"$LOG\"\nkill -s \"$SIGNAL\" $PPID\nexit \"$CODE\"\n";

    /// Installs `a` and `b` with the fake; returns the exit code and what the fake saw.
    fn install(folder: &Path, code: &str, signal: &str) -> (Option<i32>, String) {
        let (fake, log, policy) = (folder.join("apt-get"), folder.join("log"), folder.join("policy"));
        fs::write(&fake, FAKE).unwrap();
        fs::set_permissions(&fake, fs::Permissions::from_mode(0o755)).unwrap();
        // A shell cannot trap a signal that was ignored before it began, and whoever runs this test may ignore some.
        let mut shell = Command::new("env");
        shell.args(["--default-signal=INT,TERM", "sh"]);
        shell.env("PATH", format!("{}:/usr/bin:/bin", folder.display()));
        shell.env("LOG", &log).env("POLICY", &policy).env("CODE", code).env("SIGNAL", signal);
        let status = apt(&mut shell, policy.to_str().unwrap(), &["a", "b"]).status().unwrap();
        (status.code(), fs::read_to_string(log).unwrap())
    }

    const EXPECTED: &str = "update\ninstall --yes --no-install-recommends a b\npolicy 101\n";

    #[test]
    fn no_service_starts_and_nothing_is_left() {
        // Signal 0 is none.
        for (code, signal, expected) in [("0", "0", 0), ("100", "0", 100), ("0", "INT", 130), ("0", "TERM", 143)] {
            let folder = tempfile::tempdir().unwrap();
            assert_eq!(install(folder.path(), code, signal), (Some(expected), EXPECTED.to_owned()));
            assert!(!folder.path().join("policy").exists(), "after {code}, {signal}");
        }
    }

    /// `a` is installed in a version that no release has, and `b` is not.
    const STRAY: [(&str, &str); 2] = [
        (
            "dpkg-query",
            "case \"$*\" in *Status*) echo s installed a ;; *source*) echo s ;; *' a') echo 9 ;; *) exit 1 ;; esac",
        ),
        ("apt-cache", "echo \" $2 | 7 | somewhere\""),
    ];

    #[test]
    fn what_is_of_no_release_and_in_the_way_is_put_back() {
        let folder = tempfile::tempdir().unwrap();
        for (name, script) in STRAY {
            fs::write(folder.path().join(name), format!("#!/bin/sh\n{script}\n")).unwrap();
            fs::set_permissions(folder.path().join(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        let (code, log) = install(folder.path(), "100", "0");
        let again = "install --yes --no-install-recommends --allow-downgrades a b a=7\npolicy 101\n";
        assert_eq!((code, log), (Some(100), format!("{EXPECTED}{again}")));
    }

    #[test]
    fn an_administrators_policy_stays() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("policy"), "exit 104\n").unwrap();
        let (code, log) = install(folder.path(), "0", "0");
        assert_eq!(code, Some(0));
        assert!(log.ends_with("policy 104\n"), "{log}");
        assert_eq!(fs::read_to_string(folder.path().join("policy")).unwrap(), "exit 104\n");
    }

    #[test]
    fn what_a_killed_run_left_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        install(folder.path(), "0", "KILL");
        assert!(folder.path().join("policy").exists());
        install(folder.path(), "0", "0");
        assert!(!folder.path().join("policy").exists());
    }
}
