//! libvirt's errors, with what to do about them.

use std::io::ErrorKind;

use super::ffi::{self, Kind};
use crate::hypervisor::{Doubt, HypervisorError};

/// Why there is no connection.
pub(super) fn connecting(uri: &str, error: &ffi::Error) -> HypervisorError {
    let remedy = match error.kind() {
        Kind::Address => "write one such as qemu:///system, and see that libvirt's driver for it is installed",
        Kind::System(ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
            "is libvirtd or virtqemud running, and its read-only socket enabled?"
        }
        Kind::System(ErrorKind::PermissionDenied) | Kind::Denied => {
            "its read-only socket lets everybody in unless unix_sock_ro_perms or polkit (org.libvirt.unix.monitor) says \
             otherwise: let one of them admit wasmeter's user, who should not be in the group libvirt"
        }
        _ => "see what libvirt's own log says",
    };
    let (uri, reason) = (uri.to_owned(), format!("{error}; {remedy}"));
    match error.kind() {
        Kind::Address => HypervisorError::Uri { uri, reason },
        _ => HypervisorError::Unreachable { uri, reason },
    }
}

/// Why a call gave nothing, over a connection that is still there.
pub(super) fn calling(call: &'static str, error: &ffi::Error) -> HypervisorError {
    let reason = match error.kind() {
        Kind::Denied => format!("{error}; let polkit grant connect:read, connect:search-domains and domain:read"),
        _ => error.to_string(),
    };
    HypervisorError::Call { call, reason }
}

/// A host whose libvirt is older than what is tested, as libvirt counts: 7.2.0 is 7,002,000.
pub(super) fn too_old(version: u64) -> Doubt {
    let (major, minor, release) = (version / 1_000_000, version / 1_000 % 1_000, version % 1_000);
    Doubt {
        message: format!("libvirt {major}.{minor}.{release} gives fewer statistics than 7.2.0 and later do"),
        remedy: "Upgrade libvirt; meters whose statistics are missing have no samples until then",
    }
}

/// A connection that is gone.
pub(super) fn lost(uri: &str, error: &ffi::Error) -> HypervisorError {
    let reason = format!("the connection was lost: {error}");
    HypervisorError::Unreachable { uri: uri.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_readable() {
        assert!(too_old(4_005_001).message.starts_with("libvirt 4.5.1 gives fewer"));
    }

    fn error(code: i32, domain: i32, errno: Option<i32>) -> ffi::Error {
        ffi::Error { code, domain, errno, message: "no".to_owned() }
    }

    #[test]
    fn every_error_has_its_remedy() {
        let cases = [
            (error(38, 7, Some(2)), "cannot reach the hypervisor at x: no; is libvirtd or virtqemud running"),
            (error(38, 7, Some(111)), "cannot reach the hypervisor at x: no; is libvirtd or virtqemud running"),
            (error(38, 7, Some(13)), "cannot reach the hypervisor at x: no; its read-only socket lets everybody in"),
            (error(45, 60, None), "cannot reach the hypervisor at x: no; its read-only socket lets everybody in"),
            (error(88, 49, None), "cannot reach the hypervisor at x: no; its read-only socket lets everybody in"),
            (error(5, 0, None), r#"cannot use the hypervisor URI "x": no; write one such as qemu:///system"#),
            (error(1, 45, None), r#"cannot use the hypervisor URI "x": no; write one such as qemu:///system"#),
            (error(38, 7, None), "cannot reach the hypervisor at x: no; see what libvirt's own log says"),
        ];
        for (given, expected) in cases {
            let text = connecting("x", &given).to_string();
            assert!(text.starts_with(expected), "{text}");
        }
        assert_eq!(calling("read", &error(1, 10, None)).to_string(), "the hypervisor refused read: no");
        assert!(calling("read", &error(88, 49, None)).to_string().contains("domain:read"));
        assert!(lost("x", &error(38, 7, None)).to_string().contains("lost"));
    }
}
