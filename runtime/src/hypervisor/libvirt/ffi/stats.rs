//! Statistics of several guests, read where libvirt put them.

pub mod forged;

use std::ffi::CStr;
use std::{ptr, slice};

use uuid::Uuid;
use virt_sys::{virDomainStatsRecord, virDomainStatsRecordPtr, virTypedParameter};

use super::domain::uuid_of;

/// The answer to one call.
#[derive(Debug)]
pub struct Stats {
    list: *mut virDomainStatsRecordPtr,
    count: usize,
}

/// One guest's part of an answer.
pub struct Record<'a>(&'a virDomainStatsRecord);

/// One statistic.
pub struct Parameter<'a>(&'a virTypedParameter);

/// A statistic's value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scalar<'a> {
    /// A signed number.
    Signed(i64),
    /// An unsigned number; yes and no are one and zero.
    Unsigned(u64),
    /// A real number.
    Real(f64),
    /// A text.
    Text(&'a CStr),
}

// === impl Stats ===

impl Stats {
    /// An answer without guests.
    pub(super) fn none() -> Self {
        Self { list: ptr::null_mut(), count: 0 }
    }

    /// Takes an answer over.
    ///
    /// # Safety
    ///
    /// It is null, or libvirt's list of so many records, which nobody else frees.
    pub(super) unsafe fn own(list: *mut virDomainStatsRecordPtr, count: usize) -> Self {
        Self { list, count }
    }

    /// Each guest's part.
    pub fn records(&self) -> impl Iterator<Item = Record<'_>> {
        let list = if self.list.is_null() {
            &[]
        } else {
            // SAFETY: a list of so many pointers, which lives and stays as it is as long as this value.
            unsafe { slice::from_raw_parts(self.list, self.count) }
        };
        // SAFETY: each is null, or a record that lives and stays as it is as long as this value.
        list.iter().filter_map(|record| unsafe { record.as_ref() }).map(Record)
    }
}

impl Drop for Stats {
    fn drop(&mut self) {
        if !self.list.is_null() {
            // SAFETY: libvirt's own list, freed once, with its records and their domains.
            unsafe { virt_sys::virDomainStatsRecordListFree(self.list) };
        }
    }
}

// === impl Record ===

impl<'a> Record<'a> {
    /// Which guest it is.
    pub fn guest(&self) -> Option<Uuid> {
        // SAFETY: the record's domain lives as long as the record.
        unsafe { uuid_of(self.0.dom) }
    }

    /// The number of this run of the guest, which another run on this host does not have; `u32::MAX` for one that
    /// does not run. Came with the answer.
    pub fn run(&self) -> u32 {
        // SAFETY: the record's domain lives as long as the record.
        unsafe { virt_sys::virDomainGetID(self.0.dom) }
    }

    /// Its statistics.
    pub fn parameters(&self) -> impl ExactSizeIterator<Item = Parameter<'a>> + use<'a> {
        let list = match usize::try_from(self.0.nparams) {
            // SAFETY: not null, and so many parameters, which live and stay as they are as long as the record.
            Ok(count) if !self.0.params.is_null() => unsafe { slice::from_raw_parts(self.0.params, count) },
            _ => &[],
        };
        list.iter().map(Parameter)
    }
}

// === impl Parameter ===

impl<'a> Parameter<'a> {
    /// Its key.
    pub fn key(&self) -> &'a [u8] {
        let field: &'a [std::ffi::c_char] = &self.0.field;
        // SAFETY: as many bytes as the field has, which live as long as it does. A character is a byte.
        let bytes = unsafe { slice::from_raw_parts(field.as_ptr().cast::<u8>(), field.len()) };
        bytes.split(|byte| *byte == 0).next().unwrap_or_default()
    }

    /// Its value; `None` if it is of a type that is not known here.
    pub fn value(&self) -> Option<Scalar<'a>> {
        let value = self.0.value;
        // SAFETY: libvirt wrote the field that the type names. Numbers are valid whatever was written; a text is null,
        // or ends with a zero and lives as long as the answer.
        unsafe {
            match u32::try_from(self.0.type_).ok()? {
                virt_sys::VIR_TYPED_PARAM_INT => Some(Scalar::Signed(value.i.into())),
                virt_sys::VIR_TYPED_PARAM_UINT => Some(Scalar::Unsigned(value.ui.into())),
                virt_sys::VIR_TYPED_PARAM_LLONG => Some(Scalar::Signed(value.l)),
                virt_sys::VIR_TYPED_PARAM_ULLONG => Some(Scalar::Unsigned(value.ul)),
                virt_sys::VIR_TYPED_PARAM_DOUBLE => Some(Scalar::Real(value.d)),
                virt_sys::VIR_TYPED_PARAM_BOOLEAN => Some(Scalar::Unsigned((value.b != 0).into())),
                virt_sys::VIR_TYPED_PARAM_STRING if value.s.is_null() => None,
                virt_sys::VIR_TYPED_PARAM_STRING => Some(Scalar::Text(CStr::from_ptr(value.s))),
                _ => None,
            }
        }
    }
}

#[cfg(test)]
mod tests;
