//! A connection to a host.

use std::ffi::CStr;
use std::ptr::{self, NonNull};
use std::slice;

use uuid::Uuid;

use super::domain::free_list;
use super::{Domain, Error, Kind, Stats, library};

/// Statistics that cannot be had without waiting for another call are left out.
const NOWAIT: u32 = virt_sys::VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT;

/// After so many seconds of silence the other side is asked whether it is there,
const KEEP_ALIVE: i32 = 5;
/// and is given up when so many questions stay without an answer.
const KEEP_ALIVES: u32 = 3;

/// A connection that can change nothing.
#[derive(Debug)]
pub struct Connection {
    connect: NonNull<virt_sys::virConnect>,
}

// SAFETY: libvirt's connections belong to no thread, and the value is used by one thread at a time.
unsafe impl Send for Connection {}

// === impl Connection ===

impl Connection {
    /// Connects to the host of this URI.
    pub fn open_read_only(uri: &CStr) -> Result<Self, Error> {
        library::started()?;
        // SAFETY: the URI ends with a zero and is only read during the call.
        let connect = unsafe { virt_sys::virConnectOpenReadOnly(uri.as_ptr()) };
        NonNull::new(connect).map(|connect| Self { connect }).ok_or_else(Error::last)
    }

    /// Whether the host can still be reached over it. Says so without asking the host.
    pub fn is_alive(&self) -> bool {
        // SAFETY: the connection is open as long as this value is.
        unsafe { virt_sys::virConnectIsAlive(self.connect.as_ptr()) == 1 }
    }

    /// Has the other side asked from time to time whether it is still there; one that is not is given up. Not every
    /// driver can.
    pub fn keep_alive(&self) {
        // SAFETY: the connection is open as long as this value is. What failed leaves the connection as it was.
        let _ = unsafe { virt_sys::virConnectSetKeepAlive(self.connect.as_ptr(), KEEP_ALIVE, KEEP_ALIVES) };
    }

    /// The version of the library on the other side, such as 9,000,000 for 9.0.0.
    pub fn version(&self) -> Result<u64, Error> {
        let mut version = 0;
        // SAFETY: the connection is open as long as this value is; the call writes one number, to a place that lives.
        let failed = unsafe { virt_sys::virConnectGetLibVersion(self.connect.as_ptr(), &raw mut version) } < 0;
        if failed { Err(Error::last()) } else { Ok(version) }
    }

    /// Every guest, also stopped ones.
    pub fn guests(&self) -> Result<Vec<Domain>, Error> {
        let mut list = ptr::null_mut();
        // SAFETY: the connection is open as long as this value is; the call writes one pointer, to a place that lives.
        let count = unsafe { virt_sys::virConnectListAllDomains(self.connect.as_ptr(), &raw mut list, 0) };
        let count = usize::try_from(count).map_err(|_| Error::last())?;
        // SAFETY: a list of so many pointers, which nobody else has; it is not used after it was freed below.
        let domains = unsafe { slice::from_raw_parts(list, count) };
        // SAFETY: the call gave each, and with it the duty to free it, to nobody else.
        let owned =
            domains.iter().filter_map(|domain| NonNull::new(*domain)).map(|domain| unsafe { Domain::own(domain) });
        let owned = owned.collect();
        free_list(list);
        Ok(owned)
    }

    pub(super) fn as_ptr(&self) -> virt_sys::virConnectPtr {
        self.connect.as_ptr()
    }

    /// A guest; `None` if there is none of that UUID.
    pub fn find(&self, guest: Uuid) -> Result<Option<Domain>, Error> {
        // SAFETY: the connection is open as long as this value is, and the call reads the 16 bytes that a UUID has.
        let domain = unsafe { virt_sys::virDomainLookupByUUID(self.connect.as_ptr(), guest.as_bytes().as_ptr()) };
        match NonNull::new(domain) {
            // SAFETY: the call gave it, and with it the duty to free it, to nobody else.
            Some(domain) => Ok(Some(unsafe { Domain::own(domain) })),
            None => match Error::last() {
                error if error.kind() == Kind::Gone => Ok(None),
                error => Err(error),
            },
        }
    }

    /// These groups of statistics of every guest, also of stopped ones. No group at all means every group.
    pub fn all_stats(&self, groups: u32) -> Result<Stats, Error> {
        let mut list = ptr::null_mut();
        // SAFETY: the connection is open as long as this value is; the call writes one pointer, to a place that lives.
        let count =
            unsafe { virt_sys::virConnectGetAllDomainStats(self.connect.as_ptr(), groups, &raw mut list, NOWAIT) };
        let count = usize::try_from(count).map_err(|_| Error::last())?;
        // SAFETY: both are from one call, which succeeded and gave the list to nobody else.
        Ok(unsafe { Stats::own(list, count) })
    }

    /// These groups of statistics of guests, which must be this connection's. Those that are gone are left out.
    pub fn list_stats(&self, guests: &[&Domain], groups: u32) -> Result<Stats, Error> {
        if guests.is_empty() {
            return Ok(Stats::none());
        }
        let mut domains: Vec<_> = guests.iter().map(|guest| guest.as_ptr()).chain([ptr::null_mut()]).collect();
        let mut list = ptr::null_mut();
        // SAFETY: the array ends with a null and lives during the call, as do the borrowed domains in it; the call
        // checks that they are of one connection, and writes one pointer, to a place that lives.
        let count = unsafe { virt_sys::virDomainListGetStats(domains.as_mut_ptr(), groups, &raw mut list, NOWAIT) };
        let count = usize::try_from(count).map_err(|_| Error::last())?;
        // SAFETY: both are from one call, which succeeded and gave the list to nobody else.
        Ok(unsafe { Stats::own(list, count) })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // SAFETY: opened once, closed once. Domains that are left keep what they need of it. Nothing can be done
        // about a failure, which does not matter.
        let _ = unsafe { virt_sys::virConnectClose(self.connect.as_ptr()) };
    }
}
