//! Starting the library, once for the whole process.

use std::ffi::c_void;
use std::ptr;
use std::sync::LazyLock;
use std::thread;
use std::time::Duration;

use super::Error;

static STARTED: LazyLock<Result<(), Error>> = LazyLock::new(start);

/// Starts the library if nobody has. To be called before anything else.
pub(super) fn started() -> Result<(), Error> {
    STARTED.clone()
}

fn start() -> Result<(), Error> {
    // SAFETY: libvirt keeps the two words and hands the first, which is null, to the second, which is a function that
    // lives for ever, takes any arguments and never unwinds. Nothing else here sets them, and this runs once.
    unsafe { virt_sys::virSetErrorFunc(ptr::null_mut(), Some(keep_quiet)) };
    // SAFETY: it takes nothing, and may be called at any time, by any thread, and more than once.
    if unsafe { virt_sys::virInitialize() } < 0 {
        return Err(failed("libvirt's library does not start"));
    }
    // SAFETY: it takes nothing, comes before any connection is opened, and nothing else here does it.
    if unsafe { virt_sys::virEventRegisterDefaultImpl() } < 0 {
        return Err(failed("libvirt's event loop does not start"));
    }
    let thread = thread::Builder::new().name("libvirt events".to_owned()).spawn(listen);
    thread.map(drop).map_err(|_| failed("no thread can be started for libvirt's events"))
}

/// Turns the wheel that events, keepalives and the news that a connection is gone come in by.
fn listen() {
    loop {
        // SAFETY: the loop was registered, and no other thread turns it.
        if unsafe { virt_sys::virEventRunDefaultImpl() } < 0 {
            thread::sleep(Duration::from_millis(100));
        }
    }
}

/// The library's own errors cannot be asked for before it has started.
fn failed(what: &str) -> Error {
    Error { code: 0, domain: 0, errno: None, message: what.to_owned() }
}

/// Stands in for libvirt's own handler, which prints.
extern "C" fn keep_quiet(_: *mut c_void, _: virt_sys::virErrorPtr) {}
