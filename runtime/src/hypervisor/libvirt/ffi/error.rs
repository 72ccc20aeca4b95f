//! Why a call failed.

use std::ffi::CStr;
use std::io;

/// libvirt's last error on a thread, copied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// `VIR_ERR_*`.
    pub code: i32,
    /// Which part of libvirt says it: `VIR_FROM_*`.
    pub domain: i32,
    /// The system's error number, where a system call failed.
    pub errno: Option<i32>,
    /// The text.
    pub message: String,
}

/// What an error means to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// There is no such guest any more.
    Gone,
    /// The guest does not run.
    Stopped,
    /// The driver cannot do this at all.
    Unsupported,
    /// Nobody let us in.
    Denied,
    /// The URI is wrong, or names what libvirt has no driver for.
    Address,
    /// A system call failed.
    System(io::ErrorKind),
    /// Anything else.
    Other,
}

// === impl Error ===

impl Error {
    /// The error of the call that this thread has just made.
    pub(super) fn last() -> Self {
        // SAFETY: takes nothing, and gives null or this thread's own error. The library is started, or there would
        // have been nothing to make a call on.
        let last = unsafe { virt_sys::virGetLastError() };
        // SAFETY: null, or an error that stays as it is until this thread's next call, which is after this function.
        let Some(last) = (unsafe { last.as_ref() }) else {
            return Self { code: 0, domain: 0, errno: None, message: "libvirt does not say why".to_owned() };
        };
        // What others say may have lines, which would be lines of ours.
        let message = if last.message.is_null() {
            "libvirt does not say why".to_owned()
        } else {
            // SAFETY: not null, ends with a zero, and stays as long as the error does.
            unsafe { CStr::from_ptr(last.message) }.to_string_lossy().trim().replace(char::is_control, " ")
        };
        let system = same(last.code, virt_sys::VIR_ERR_SYSTEM_ERROR) && last.int1 > 0;
        Self { code: last.code, domain: last.domain, errno: system.then_some(last.int1), message }
    }

    /// What it means.
    pub fn kind(&self) -> Kind {
        let code = |known: &u32| same(self.code, *known);
        let from = |known: &u32| same(self.domain, *known);
        if let Some(errno) = self.errno {
            return Kind::System(io::Error::from_raw_os_error(errno).kind());
        }
        if code(&virt_sys::VIR_ERR_NO_DOMAIN) {
            Kind::Gone
        } else if code(&virt_sys::VIR_ERR_OPERATION_INVALID) {
            Kind::Stopped
        } else if code(&virt_sys::VIR_ERR_NO_SUPPORT) {
            Kind::Unsupported
        } else if DENIED.iter().any(code) {
            Kind::Denied
        } else if ADDRESS.iter().any(code) || ADDRESS_FROM.iter().any(from) {
            Kind::Address
        } else {
            Kind::Other
        }
    }
}

const DENIED: [u32; 5] = [
    virt_sys::VIR_ERR_OPERATION_DENIED,
    virt_sys::VIR_ERR_AUTH_FAILED,
    virt_sys::VIR_ERR_AUTH_CANCELLED,
    virt_sys::VIR_ERR_ACCESS_DENIED,
    virt_sys::VIR_ERR_AUTH_UNAVAILABLE,
];
const ADDRESS: [u32; 3] = [virt_sys::VIR_ERR_NO_CONNECT, virt_sys::VIR_ERR_INVALID_ARG, virt_sys::VIR_ERR_UNKNOWN_HOST];
/// The parser of URIs, and the test driver, whose URI names a file.
const ADDRESS_FROM: [u32; 2] = [virt_sys::VIR_FROM_URI, virt_sys::VIR_FROM_TEST];

/// libvirt's constants are unsigned, and the fields that carry them are not.
fn same(given: i32, known: u32) -> bool {
    u32::try_from(given) == Ok(known)
}
