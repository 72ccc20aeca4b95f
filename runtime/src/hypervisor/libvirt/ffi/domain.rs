//! A guest, as libvirt's own handle of it.

use std::ffi::{CStr, c_void};
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::time::Duration;

use uuid::Uuid;

use super::Error;

/// A guest. It stays usable, though in vain, when the guest is gone.
#[derive(Debug)]
pub struct Domain {
    domain: NonNull<virt_sys::virDomain>,
}

/// What a guest's own control channel is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// Another command can be given.
    Free,
    /// It has not answered a command for so long.
    Occupied(Duration),
}

// SAFETY: libvirt's domains belong to no thread, and the value is used by one thread at a time.
unsafe impl Send for Domain {}

unsafe extern "C" {
    fn free(memory: *mut c_void);
}

/// Which guest a domain is.
///
/// # Safety
///
/// The domain is libvirt's and lives during the call.
pub(super) unsafe fn uuid_of(domain: virt_sys::virDomainPtr) -> Option<Uuid> {
    let mut bytes = [0; 16];
    // SAFETY: the domain lives; the call writes the 16 bytes that a UUID has.
    let failed = unsafe { virt_sys::virDomainGetUUID(domain, bytes.as_mut_ptr()) } < 0;
    (!failed).then(|| Uuid::from_bytes(bytes))
}

/// Frees a list that libvirt allocated for its caller, but not what is in it.
pub(super) fn free_list(list: *mut virt_sys::virDomainPtr) {
    // SAFETY: null, or allocated by libvirt with malloc for a caller that has no use for it any more.
    unsafe { free(list.cast()) };
}

// === impl Domain ===

impl Domain {
    /// Takes a domain over.
    ///
    /// # Safety
    ///
    /// It is libvirt's, and nobody else frees it.
    pub(super) unsafe fn own(domain: NonNull<virt_sys::virDomain>) -> Self {
        Self { domain }
    }

    pub(super) fn as_ptr(&self) -> virt_sys::virDomainPtr {
        self.domain.as_ptr()
    }

    /// Which guest it is.
    pub fn uuid(&self) -> Option<Uuid> {
        // SAFETY: the domain is there as long as this value is.
        unsafe { uuid_of(self.as_ptr()) }
    }

    /// Its definition: of a running guest, as it runs. Without secrets.
    pub fn xml(&self) -> Result<String, Error> {
        // SAFETY: the domain is there as long as this value is.
        let text = unsafe { virt_sys::virDomainGetXMLDesc(self.as_ptr(), 0) };
        let Some(text) = NonNull::new(text) else { return Err(Error::last()) };
        // SAFETY: libvirt's texts end with a zero; this one is freed below, when it has been copied.
        let copy = unsafe { CStr::from_ptr(text.as_ptr()) }.to_string_lossy().into_owned();
        // SAFETY: libvirt allocated it for the caller, with malloc, and nothing refers to it any more.
        unsafe { free(text.as_ptr().cast()) };
        Ok(copy)
    }

    /// Whether some call is waiting for the guest's process. Answers at once, even then.
    pub fn control(&self) -> Result<Control, Error> {
        let mut info = MaybeUninit::<virt_sys::virDomainControlInfo>::zeroed();
        // SAFETY: the domain is there as long as this value is; the call writes one such structure, to a place that
        // lives.
        if unsafe { virt_sys::virDomainGetControlInfo(self.as_ptr(), info.as_mut_ptr(), 0) } < 0 {
            return Err(Error::last());
        }
        // SAFETY: three numbers, which were zeros before the call and are valid whatever it wrote.
        let info = unsafe { info.assume_init() };
        Ok(match info.state {
            virt_sys::VIR_DOMAIN_CONTROL_OCCUPIED => Control::Occupied(Duration::from_millis(info.stateTime)),
            _ => Control::Free,
        })
    }
}

impl Drop for Domain {
    fn drop(&mut self) {
        // SAFETY: owned once, freed once. Nothing can be done about a failure, which does not matter.
        let _ = unsafe { virt_sys::virDomainFree(self.as_ptr()) };
    }
}
