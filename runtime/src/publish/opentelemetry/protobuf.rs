//! Protobuf's wire format, as far as a dozen small messages need it: numbers of fields, and what stands behind them.

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field<'a> {
    /// A number.
    Number(u64),
    /// A text, bytes or a message.
    Bytes(&'a [u8]),
}

/// The fields of a message, as far as they can be read.
#[derive(Debug, Clone)]
pub struct Fields<'a>(&'a [u8]);

const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;
const FIXED32: u64 = 5;

/// Appends a number in groups of seven bits.
pub fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7f).unwrap_or_default() | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap_or_default());
}

/// Appends a field that is a number, a truth or one of a list.
pub fn number(out: &mut Vec<u8>, field: u64, value: u64) {
    varint(out, field << 3 | VARINT);
    varint(out, value);
}

/// Appends a field of eight bytes.
pub fn fixed64(out: &mut Vec<u8>, field: u64, value: u64) {
    varint(out, field << 3 | FIXED64);
    out.extend(value.to_le_bytes());
}

/// Appends a field that is a text, bytes or a message that was written before.
pub fn bytes(out: &mut Vec<u8>, field: u64, value: &[u8]) {
    varint(out, field << 3 | BYTES);
    varint(out, value.len() as u64);
    out.extend(value);
}

/// Appends a field that is a text.
pub fn text(out: &mut Vec<u8>, field: u64, value: &str) {
    bytes(out, field, value.as_bytes());
}

/// Appends a field that is a message, which `fill` writes.
pub fn message(out: &mut Vec<u8>, field: u64, fill: impl FnOnce(&mut Vec<u8>)) {
    let mut inner = Vec::new();
    fill(&mut inner);
    bytes(out, field, &inner);
}

// === impl Fields ===

impl<'a> Fields<'a> {
    /// Those of a message.
    pub fn of(message: &'a [u8]) -> Self {
        Self(message)
    }

    /// The last field of this number: that one counts.
    pub fn get(&self, number: u64) -> Option<Field<'a>> {
        self.clone().filter(|(found, _)| *found == number).last().map(|(_, field)| field)
    }

    /// A field that is a number; 0 if there is none.
    pub fn number(&self, number: u64) -> u64 {
        match self.get(number) {
            Some(Field::Number(value)) => value,
            _ => 0,
        }
    }

    /// A field that is bytes or a message; empty if there is none.
    pub fn bytes(&self, number: u64) -> &'a [u8] {
        match self.get(number) {
            Some(Field::Bytes(bytes)) => bytes,
            _ => &[],
        }
    }

    /// A field that is a text.
    pub fn text(&self, number: u64) -> String {
        String::from_utf8_lossy(self.bytes(number)).into_owned()
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, count: u64) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(usize::try_from(count).ok()?)?;
        self.0 = rest;
        Some(taken)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (u64, Field<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let tag = self.varint()?;
        let field = match tag & 7 {
            VARINT => Field::Number(self.varint()?),
            FIXED64 => Field::Number(u64::from_le_bytes(self.take(8)?.try_into().ok()?)),
            BYTES => {
                let length = self.varint()?;
                Field::Bytes(self.take(length)?)
            }
            FIXED32 => Field::Number(u32::from_le_bytes(self.take(4)?.try_into().ok()?).into()),
            _ => return None,
        };
        Some((tag >> 3, field))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fields_come_out_as_they_went_in() {
        let mut out = Vec::new();
        number(&mut out, 1, 300);
        text(&mut out, 2, "testing");
        fixed64(&mut out, 3, u64::MAX);
        message(&mut out, 16, |out| number(out, 1, 0));
        number(&mut out, 1, u64::MAX);
        assert_eq!(&out[..12], b"\x08\xac\x02\x12\x07testing");
        let fields = Fields::of(&out);
        assert_eq!((fields.number(1), fields.text(2), fields.number(3)), (u64::MAX, "testing".into(), u64::MAX));
        assert_eq!(fields.bytes(16), [8, 0]);
        assert_eq!((fields.number(9), fields.bytes(1), fields.count()), (0, &[][..], 5));
    }

    proptest! {
        /// What a server sends is read to an end, whatever it is.
        #[test]
        fn anything_is_read_to_an_end(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Fields::of(&bytes).count() <= bytes.len());
        }
    }
}
