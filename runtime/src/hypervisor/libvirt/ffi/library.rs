//! Starting the library, once for the whole process.

use std::ffi::c_void;
use std::ptr;
use std::sync::LazyLock;

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
    if unsafe { virt_sys::virInitialize() } == 0 {
        return Ok(());
    }
    // Its errors cannot be asked for either.
    Err(Error { code: 0, domain: 0, errno: None, message: "libvirt's library does not start".to_owned() })
}

/// Stands in for libvirt's own handler, which prints.
extern "C" fn keep_quiet(_: *mut c_void, _: virt_sys::virErrorPtr) {}
