//! Answers that libvirt never gave, for whoever throws bytes at what reads them.

use std::ffi::CString;
use std::ptr;

use virt_sys::{_virTypedParameter__bindgen_ty_1 as Union, virDomainStatsRecord, virTypedParameter};

use super::Record;

/// Bytes that describe one parameter: key, type and value.
const EACH: usize = 80 + 1 + 8;

/// Has an answer read whose parameters are what these bytes describe. It has no guest.
pub fn forged<T>(bytes: &[u8], read: impl FnOnce(&Record<'_>) -> T) -> T {
    let mut texts = Vec::new();
    let mut parameters: Vec<virTypedParameter> = bytes
        .chunks(EACH)
        .map(|chunk| {
            let byte = |at: usize| chunk.get(at).copied().unwrap_or_default();
            let mut field = [0; 80];
            for (at, place) in field.iter_mut().enumerate() {
                *place = i8::from_ne_bytes([byte(at)]) as std::ffi::c_char;
            }
            let number = u64::from_le_bytes(std::array::from_fn(|at| byte(81 + at)));
            let type_ = i32::from(byte(80) % 10) - 1;
            // A text has to be one, or nothing.
            let value = match (type_, number % 3) {
                (7, 0) => Union { s: ptr::null_mut() },
                (7, _) => {
                    let text = CString::new(chunk.split(|byte| *byte == 0).next().unwrap_or_default());
                    let text = Box::new(text.unwrap_or_default());
                    let at = text.as_ptr().cast_mut();
                    texts.push(text);
                    Union { s: at }
                }
                _ => Union { ul: number },
            };
            virTypedParameter { field, type_, value }
        })
        .collect();
    let nparams = i32::try_from(parameters.len()).unwrap_or_default();
    read(&Record(&virDomainStatsRecord { dom: ptr::null_mut(), params: parameters.as_mut_ptr(), nparams }))
}
