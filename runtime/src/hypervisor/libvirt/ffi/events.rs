//! What a host tells of its own accord.

use std::ffi::{c_char, c_int, c_void};
use std::mem::transmute;
use std::ptr;
use std::sync::Arc;

use uuid::Uuid;
use virt_sys::{virConnectDomainEventGenericCallback as Callback, virConnectPtr, virDomainEventID, virDomainPtr};

use super::domain::uuid_of;
use super::{Connection, Error};

/// Who is told. Neither function may panic or wait.
pub trait Listener: Send + Sync {
    /// A guest was defined, started, or changed in its metadata or devices.
    fn changed(&self, guest: Uuid);
    /// The connection is gone; nothing will be told any more.
    fn closed(&self);
}

/// A connection over which a listener is told.
pub struct Watching {
    connection: Connection,
    callbacks: Vec<c_int>,
    /// What the callback of the connection's end is handed. Ours, because drivers that know of no such end would keep
    /// it for ever.
    listener: Box<Opaque>,
}

/// What every callback is handed.
type Opaque = Arc<dyn Listener>;

type Lifecycle = unsafe extern "C" fn(virConnectPtr, virDomainPtr, c_int, c_int, *mut c_void);
type Device = unsafe extern "C" fn(virConnectPtr, virDomainPtr, *const c_char, *mut c_void);
type Tray = unsafe extern "C" fn(virConnectPtr, virDomainPtr, *const c_char, c_int, *mut c_void);
type Metadata = unsafe extern "C" fn(virConnectPtr, virDomainPtr, c_int, *const c_char, *mut c_void);

// === impl Watching ===

impl Watching {
    /// Has a listener told over this connection.
    pub fn over(connection: Connection, listener: &Opaque) -> Result<Self, Error> {
        connection.keep_alive();
        // SAFETY: libvirt calls what is registered for an event with that event's own arguments, and each of these
        // types is the type of its event's callback, as the documentation of its number says. Function pointers are
        // of one size.
        let events: [(virDomainEventID, Callback); 5] = unsafe {
            [
                (virt_sys::VIR_DOMAIN_EVENT_ID_LIFECYCLE, transmute::<Option<Lifecycle>, Callback>(Some(lifecycle))),
                (
                    virt_sys::VIR_DOMAIN_EVENT_ID_METADATA_CHANGE,
                    transmute::<Option<Metadata>, Callback>(Some(metadata)),
                ),
                (virt_sys::VIR_DOMAIN_EVENT_ID_DEVICE_ADDED, transmute::<Option<Device>, Callback>(Some(device))),
                (virt_sys::VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, transmute::<Option<Device>, Callback>(Some(device))),
                (virt_sys::VIR_DOMAIN_EVENT_ID_TRAY_CHANGE, transmute::<Option<Tray>, Callback>(Some(tray))),
            ]
        };
        let callbacks = Vec::with_capacity(events.len());
        let mut watching = Self { connection, callbacks, listener: Box::new(Arc::clone(listener)) };
        for (event, callback) in events {
            watching.register(event, callback, listener)?;
        }
        let opaque: *const Opaque = &raw const *watching.listener;
        // SAFETY: the connection is open, the callback is of the type that the declaration asks for, and what it is
        // handed stays until it is taken away.
        let failed = unsafe {
            let connection = watching.connection.as_ptr();
            virt_sys::virConnectRegisterCloseCallback(connection, Some(closed), opaque.cast_mut().cast(), None)
        } < 0;
        if failed {
            return Err(Error::last());
        }
        Ok(watching)
    }

    /// Whether the connection is still there.
    pub fn is_alive(&self) -> bool {
        self.connection.is_alive()
    }

    fn register(&mut self, event: virDomainEventID, callback: Callback, listener: &Opaque) -> Result<(), Error> {
        let opaque = lend(listener);
        // SAFETY: the connection is open, no guest means every guest, and what the callback is handed stays until
        // libvirt has `give_back` called, once.
        let id = unsafe {
            virt_sys::virConnectDomainEventRegisterAny(
                self.connection.as_ptr(),
                ptr::null_mut(),
                event.cast_signed(),
                callback,
                opaque,
                Some(give_back),
            )
        };
        if id < 0 {
            let error = Error::last();
            // SAFETY: libvirt took nothing over.
            unsafe { give_back(opaque) };
            return Err(error);
        }
        self.callbacks.push(id);
        Ok(())
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        for id in &self.callbacks {
            // SAFETY: registered with this connection, which is open, and taken away once.
            let _ = unsafe { virt_sys::virConnectDomainEventDeregisterAny(self.connection.as_ptr(), *id) };
        }
        // SAFETY: the connection is open. If it was not registered, nothing happens. A callback that is being called
        // is waited for, and none comes afterwards.
        let _ = unsafe { virt_sys::virConnectUnregisterCloseCallback(self.connection.as_ptr(), Some(closed)) };
    }
}

fn lend(listener: &Opaque) -> *mut c_void {
    Box::into_raw(Box::new(Arc::clone(listener))).cast()
}

/// Takes back what `lend` gave.
unsafe extern "C" fn give_back(opaque: *mut c_void) {
    // SAFETY: made by `lend`, and given back once.
    drop(unsafe { Box::from_raw(opaque.cast::<Opaque>()) });
}

/// Tells the listener of a guest.
///
/// # Safety
///
/// The guest is libvirt's, the other is of `lend`, and both live during the call.
unsafe fn tell(domain: virDomainPtr, opaque: *mut c_void) {
    // SAFETY: made by `lend`, and not given back yet.
    let listener = unsafe { opaque.cast::<Opaque>().as_ref() };
    // SAFETY: libvirt's own, for the time of the call.
    if let (Some(listener), Some(guest)) = (listener, unsafe { uuid_of(domain) }) {
        listener.changed(guest);
    }
}

unsafe extern "C" fn lifecycle(_: virConnectPtr, domain: virDomainPtr, what: c_int, _: c_int, opaque: *mut c_void) {
    // Whoever stops, pauses or goes on stays what they are.
    let known = [virt_sys::VIR_DOMAIN_EVENT_DEFINED, virt_sys::VIR_DOMAIN_EVENT_STARTED];
    if known.iter().any(|event| u32::try_from(what) == Ok(*event)) {
        // SAFETY: libvirt hands over a guest and what was lent.
        unsafe { tell(domain, opaque) };
    }
}

unsafe extern "C" fn device(_: virConnectPtr, domain: virDomainPtr, _: *const c_char, opaque: *mut c_void) {
    // SAFETY: libvirt hands over a guest and what was lent.
    unsafe { tell(domain, opaque) };
}

unsafe extern "C" fn tray(_: virConnectPtr, domain: virDomainPtr, _: *const c_char, _: c_int, opaque: *mut c_void) {
    // SAFETY: libvirt hands over a guest and what was lent.
    unsafe { tell(domain, opaque) };
}

unsafe extern "C" fn metadata(_: virConnectPtr, domain: virDomainPtr, _: c_int, _: *const c_char, opaque: *mut c_void) {
    // SAFETY: libvirt hands over a guest and what was lent.
    unsafe { tell(domain, opaque) };
}

unsafe extern "C" fn closed(_: virConnectPtr, _: c_int, opaque: *mut c_void) {
    // SAFETY: the listener of the `Watching`, which is there until this callback is taken away.
    if let Some(listener) = unsafe { opaque.cast::<Opaque>().as_ref() } {
        listener.closed();
    }
}
