//! Which system this is, as far as the names of its packages go.

use std::fs;

/// A system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Os {
    /// Who names its packages.
    pub family: Family,
    /// As it calls itself.
    pub name: String,
}

/// Systems that share package names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Debian, Ubuntu and relatives: the only ones that are set up without being asked twice.
    Debian,
    /// Fedora, RHEL and its rebuilds.
    RedHat,
    /// Arch Linux and relatives.
    Arch,
    /// Alpine Linux.
    Alpine,
    /// openSUSE and SLES.
    Suse,
    /// macOS with Homebrew.
    MacOs,
    /// None of these.
    Other,
}

/// Words in `ID` and `ID_LIKE` of os-release, and whom they mean.
const IDS: &[(&str, Family)] = &[
    ("debian", Family::Debian),
    ("ubuntu", Family::Debian),
    ("fedora", Family::RedHat),
    ("rhel", Family::RedHat),
    ("centos", Family::RedHat),
    ("arch", Family::Arch),
    ("alpine", Family::Alpine),
    ("suse", Family::Suse),
    ("opensuse", Family::Suse),
    ("opensuse-leap", Family::Suse),
    ("opensuse-tumbleweed", Family::Suse),
    ("sles", Family::Suse),
];

// === impl Os ===

impl Os {
    /// The system that this program runs on.
    pub fn detect() -> Self {
        if cfg!(target_os = "macos") {
            return Self { family: Family::MacOs, name: "macOS".to_owned() };
        }
        let text = ["/etc/os-release", "/usr/lib/os-release"].iter().find_map(|path| fs::read_to_string(path).ok());
        Self::parse(&text.unwrap_or_default())
    }

    /// Reads the text of an os-release file.
    fn parse(text: &str) -> Self {
        let value = |wanted: &str| {
            let line = text.lines().find_map(|line| line.trim().strip_prefix(wanted)?.strip_prefix('='));
            line.map(|value| value.trim_matches(['"', '\'']))
        };
        // ID comes first: a system is itself before it is like another.
        let words = value("ID").into_iter().chain(value("ID_LIKE").into_iter().flat_map(str::split_whitespace));
        let family = words.flat_map(|word| IDS.iter().find(|(id, _)| *id == word)).map(|(_, family)| *family).next();
        let name = value("PRETTY_NAME").or_else(|| value("ID")).unwrap_or("an unknown system");
        Self { family: family.unwrap_or(Family::Other), name: name.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families() {
        let cases = [
            ("PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_ID=\"12\"\nID=debian\n", Family::Debian),
            ("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", Family::Debian),
            ("ID=fedora\n", Family::RedHat),
            ("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n", Family::RedHat),
            ("ID=manjaro\nID_LIKE=arch\n", Family::Arch),
            ("ID=alpine\n", Family::Alpine),
            ("ID=\"opensuse-tumbleweed\"\nID_LIKE=\"opensuse suse\"\n", Family::Suse),
            ("ID=nixos\n", Family::Other),
            ("", Family::Other),
        ];
        for (text, family) in cases {
            assert_eq!(Os::parse(text).family, family, "{text}");
        }
    }

    #[test]
    fn calls_itself() {
        assert_eq!(Os::parse("ID=debian\nPRETTY_NAME='Debian 12'").name, "Debian 12");
        assert_eq!(Os::parse("ID=void").name, "void");
        assert_eq!(Os::parse("").name, "an unknown system");
    }
}
