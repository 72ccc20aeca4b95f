use virt_sys::_virTypedParameter__bindgen_ty_1 as Union;

use super::*;

fn parameter(key: &[u8], type_: i32, value: Union) -> virTypedParameter {
    let mut field = [0; 80];
    for (place, byte) in field.iter_mut().zip(key) {
        *place = i8::from_ne_bytes([*byte]) as std::ffi::c_char;
    }
    virTypedParameter { field, type_, value }
}

#[test]
fn every_type_is_read_and_no_other() {
    let mut parameters = [
        parameter(b"a.int", 1, Union { i: -1 }),
        parameter(b"a.uint", 2, Union { ui: u32::MAX }),
        parameter(b"a.llong", 3, Union { l: i64::MIN }),
        parameter(b"a.ullong", 4, Union { ul: u64::MAX }),
        parameter(b"a.double", 5, Union { d: 0.5 }),
        parameter(b"a.yes", 6, Union { b: 1 }),
        parameter(b"a.text", 7, Union { s: c"vda".as_ptr().cast_mut() }),
        parameter(b"a.null", 7, Union { s: ptr::null_mut() }),
        parameter(b"a.new", 8, Union { ul: 1 }),
        parameter(b"a.wrong", -1, Union { ul: 1 }),
        parameter(&[b'x'; 80], 1, Union { i: 2 }),
        parameter(b"", 1, Union { i: 3 }),
    ];
    let record = virDomainStatsRecord {
        dom: ptr::null_mut(),
        params: parameters.as_mut_ptr(),
        nparams: i32::try_from(parameters.len()).unwrap(),
    };
    let read: Vec<_> = Record(&record).parameters().map(|found| (found.key(), found.value())).collect();
    let long = [b'x'; 80];
    let expected: [(&[u8], _); 12] = [
        (b"a.int", Some(Scalar::Signed(-1))),
        (b"a.uint", Some(Scalar::Unsigned(u32::MAX.into()))),
        (b"a.llong", Some(Scalar::Signed(i64::MIN))),
        (b"a.ullong", Some(Scalar::Unsigned(u64::MAX))),
        (b"a.double", Some(Scalar::Real(0.5))),
        (b"a.yes", Some(Scalar::Unsigned(1))),
        (b"a.text", Some(Scalar::Text(c"vda"))),
        (b"a.null", None),
        (b"a.new", None),
        (b"a.wrong", None),
        (&long, Some(Scalar::Signed(2))),
        (b"", Some(Scalar::Signed(3))),
    ];
    assert_eq!(read, expected);
}

#[test]
fn an_answer_may_be_empty() {
    assert_eq!(Stats::none().records().count(), 0);
    let record = virDomainStatsRecord { dom: ptr::null_mut(), params: ptr::null_mut(), nparams: 3 };
    assert_eq!(Record(&record).parameters().len(), 0);
}
