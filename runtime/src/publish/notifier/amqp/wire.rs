//! AMQP 0-9-1's frames, as far as a publisher sends and gets them.

use std::fmt;

/// What a client says first.
pub const GREETING: &[u8] = b"AMQP\0\0\x09\x01";

/// A frame's type, channel, length and end.
pub const FRAME_OVERHEAD: usize = 8;
/// Before the lengths of frames were agreed on, none may be longer; and never may one be shorter.
pub const FRAME_MIN: u32 = 4096;
/// Longer frames save nothing.
pub const FRAME_MAX: u32 = 131_072;

const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;
const HEARTBEAT: u8 = 8;
const END: u8 = 0xCE;

/// The channel on which everything but the connection's own business happens.
pub const CHANNEL: u16 = 1;

/// A method: its class and its number in it.
pub type Id = (u16, u16);

/// A whole frame.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame {
    /// A method with its arguments.
    Method(u16, Method),
    /// What follows a returned message's method: how long its body is.
    Header(u64),
    /// A part of a returned message's body.
    Body(Vec<u8>),
    /// Someone is there.
    Heartbeat,
}

/// What a broker may say to a publisher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Method {
    /// `connection.start`: the ways to log in, with spaces between them.
    Start(String),
    /// `connection.tune`: the longest frame, and seconds between heartbeats.
    Tune(u32, u16),
    /// `connection.close`
    Close(Reason),
    /// `connection.blocked`: why.
    Blocked(String),
    /// `connection.unblocked`
    Unblocked,
    /// `channel.close`
    ChannelClose(Reason),
    /// `channel.flow`: whether to go on.
    Flow(bool),
    /// `basic.return`: why, and the routing key.
    Return(Reason, String),
    /// `basic.ack`: a tag, and whether all before it are meant, too.
    Ack(u64, bool),
    /// `basic.nack`: the same.
    Nack(u64, bool),
    /// An answer that says nothing more than that something was done.
    Done(Id),
}

/// A code and a text of a broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// The code.
    pub code: u16,
    /// The text, without anything that would command a terminal.
    pub text: String,
}

/// A frame that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the broker sent {0}")]
pub struct Malformed(pub &'static str);

/// Methods' numbers. Answers have the next one.
pub mod id {
    use super::Id;
    pub const START: Id = (10, 10);
    pub const START_OK: Id = (10, 11);
    pub const TUNE: Id = (10, 30);
    pub const TUNE_OK: Id = (10, 31);
    pub const OPEN: Id = (10, 40);
    pub const OPEN_OK: Id = (10, 41);
    pub const CLOSE: Id = (10, 50);
    pub const CLOSE_OK: Id = (10, 51);
    pub const BLOCKED: Id = (10, 60);
    pub const UNBLOCKED: Id = (10, 61);
    pub const CHANNEL_OPEN: Id = (20, 10);
    pub const CHANNEL_OPEN_OK: Id = (20, 11);
    pub const FLOW: Id = (20, 20);
    pub const FLOW_OK: Id = (20, 21);
    pub const CHANNEL_CLOSE: Id = (20, 40);
    pub const CHANNEL_CLOSE_OK: Id = (20, 41);
    pub const EXCHANGE_DECLARE: Id = (40, 10);
    pub const EXCHANGE_DECLARE_OK: Id = (40, 11);
    pub const QUEUE_DECLARE: Id = (50, 10);
    pub const QUEUE_DECLARE_OK: Id = (50, 11);
    pub const QUEUE_BIND: Id = (50, 20);
    pub const QUEUE_BIND_OK: Id = (50, 21);
    pub const PUBLISH: Id = (60, 40);
    pub const RETURN: Id = (60, 50);
    pub const ACK: Id = (60, 80);
    pub const NACK: Id = (60, 120);
    pub const CONFIRM: Id = (85, 10);
    pub const CONFIRM_OK: Id = (85, 11);
}

/// Writes frames one after the other.
#[derive(Debug, Default)]
pub struct Writer {
    /// What was written and not yet sent.
    pub out: Vec<u8>,
}

/// Arguments of a method in the making. The frame ends with it.
pub struct Arguments<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
}

/// Reads arguments.
struct Reader<'a>(&'a [u8]);

// === impl Writer ===

impl Writer {
    /// Begins a method.
    pub fn method(&mut self, channel: u16, (class, method): Id) -> Arguments<'_> {
        let start = self.begin(METHOD, channel);
        self.out.extend_from_slice(&class.to_be_bytes());
        self.out.extend_from_slice(&method.to_be_bytes());
        Arguments { out: &mut self.out, start }
    }

    /// Writes a message: the method, its properties, and its body in frames of at most so many bytes.
    pub fn publish(&mut self, exchange: &str, key: &str, properties: &[u8], body: &[u8], frame_max: u32) {
        const MANDATORY: u8 = 1;
        self.out.reserve(body.len() + 256);
        self.method(CHANNEL, id::PUBLISH).short(0).text(exchange).text(key).byte(MANDATORY).end();
        let start = self.begin(HEADER, CHANNEL);
        self.out.extend_from_slice(&id::PUBLISH.0.to_be_bytes());
        self.out.extend_from_slice(&[0, 0]);
        self.out.extend_from_slice(&(body.len() as u64).to_be_bytes());
        self.out.extend_from_slice(properties);
        self.end(start);
        for part in body.chunks((frame_max as usize).saturating_sub(FRAME_OVERHEAD).max(1)) {
            let start = self.begin(BODY, CHANNEL);
            self.out.extend_from_slice(part);
            self.end(start);
        }
    }

    /// Says that someone is there.
    pub fn heartbeat(&mut self) {
        let start = self.begin(HEARTBEAT, 0);
        self.end(start);
    }

    fn begin(&mut self, kind: u8, channel: u16) -> usize {
        self.out.push(kind);
        self.out.extend_from_slice(&channel.to_be_bytes());
        self.out.extend_from_slice(&[0; 4]);
        self.out.len()
    }

    fn end(&mut self, start: usize) {
        end(&mut self.out, start);
    }
}

/// Fills in the length of what stands after `start`, and ends the frame.
fn end(out: &mut Vec<u8>, start: usize) {
    fill_in(out, start);
    out.push(END);
}

fn fill_in(out: &mut [u8], start: usize) {
    let length = u32::try_from(out.len().saturating_sub(start)).unwrap_or(u32::MAX);
    if let Some(place) = start.checked_sub(4).and_then(|place| out.get_mut(place..start)) {
        place.copy_from_slice(&length.to_be_bytes());
    }
}

// === impl Arguments ===

impl Arguments<'_> {
    /// Eight bits, or up to eight flags.
    pub fn byte(self, value: u8) -> Self {
        self.out.push(value);
        self
    }

    /// 16 bits.
    pub fn short(self, value: u16) -> Self {
        self.out.extend_from_slice(&value.to_be_bytes());
        self
    }

    /// 32 bits.
    pub fn long(self, value: u32) -> Self {
        self.out.extend_from_slice(&value.to_be_bytes());
        self
    }

    /// A text of at most 255 bytes. [`super::Config::check`] sees to it that none is longer.
    pub fn text(self, text: &str) -> Self {
        let length = u8::try_from(text.len()).unwrap_or(u8::MAX);
        self.out.push(length);
        self.out.extend(text.bytes().take(usize::from(length)));
        self
    }

    /// Bytes of any length.
    pub fn bytes(self, write: impl FnOnce(&mut Vec<u8>)) -> Self {
        self.out.extend_from_slice(&[0; 4]);
        let start = self.out.len();
        write(self.out);
        fill_in(self.out, start);
        self
    }

    /// Ends the method.
    pub fn end(self) {
        end(self.out, self.start);
    }
}

/// Appends an entry of a table: a text.
pub fn text_entry(out: &mut Vec<u8>, key: &str, text: &str) {
    key_of_entry(out, key, b'S');
    out.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// Appends an entry of a table: yes.
pub fn yes_entry(out: &mut Vec<u8>, key: &str) {
    key_of_entry(out, key, b't');
    out.push(1);
}

/// Appends an entry of a table: a number.
pub fn number_entry(out: &mut Vec<u8>, key: &str, number: u32) {
    key_of_entry(out, key, b'l');
    out.extend_from_slice(&u64::from(number).to_be_bytes());
}

/// Appends an entry of a table: another table.
pub fn table_entry(out: &mut Vec<u8>, key: &str, write: impl FnOnce(&mut Vec<u8>)) {
    key_of_entry(out, key, b'F');
    out.extend_from_slice(&[0; 4]);
    let start = out.len();
    write(out);
    fill_in(out, start);
}

fn key_of_entry(out: &mut Vec<u8>, key: &str, kind: u8) {
    out.push(u8::try_from(key.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(key.as_bytes());
    out.push(kind);
}

// === impl Frame ===

/// The first frame of what was received, and how long it is. `None` if more has to come.
pub fn read(bytes: &[u8], frame_max: u32) -> Result<Option<(Frame, usize)>, Malformed> {
    if bytes.starts_with(b"AMQP") {
        return Err(Malformed("another version of AMQP"));
    }
    let mut reader = Reader(bytes);
    let (Some(kind), Some(channel), Some(length)) = (reader.byte(), reader.short(), reader.long()) else {
        return Ok(None);
    };
    if length > frame_max {
        return Err(Malformed("a frame that is too long, or does not speak AMQP"));
    }
    let length = length as usize;
    let (Some(payload), Some(end)) = (reader.0.get(..length), reader.0.get(length)) else { return Ok(None) };
    if *end != END {
        return Err(Malformed("a frame without an end"));
    }
    let frame = match kind {
        METHOD => Frame::Method(channel, method(payload).ok_or(Malformed("a method that breaks off"))?),
        HEADER => {
            let mut reader = Reader(payload);
            let size = reader.skip(4).and_then(|()| reader.long_long());
            Frame::Header(size.ok_or(Malformed("a header that breaks off"))?)
        }
        BODY => Frame::Body(payload.to_vec()),
        HEARTBEAT => Frame::Heartbeat,
        _ => return Err(Malformed("a frame of an unknown type")),
    };
    Ok(Some((frame, length + FRAME_OVERHEAD)))
}

fn method(payload: &[u8]) -> Option<Method> {
    let mut reader = Reader(payload);
    let id = (reader.short()?, reader.short()?);
    Some(match id {
        id::START => {
            reader.skip(2)?;
            let table = reader.long()?;
            reader.skip(table as usize)?;
            Method::Start(reader.long_text()?)
        }
        id::TUNE => {
            reader.skip(2)?;
            Method::Tune(reader.long()?, reader.short()?)
        }
        id::CLOSE => Method::Close(reader.reason()?),
        id::CHANNEL_CLOSE => Method::ChannelClose(reader.reason()?),
        id::BLOCKED => Method::Blocked(plain(&reader.text()?)),
        id::UNBLOCKED => Method::Unblocked,
        id::FLOW => Method::Flow(reader.byte()? & 1 == 1),
        id::RETURN => {
            let reason = reader.reason()?;
            reader.text()?;
            Method::Return(reason, reader.text()?)
        }
        id::ACK => Method::Ack(reader.long_long()?, reader.byte()? & 1 == 1),
        id::NACK => Method::Nack(reader.long_long()?, reader.byte()? & 1 == 1),
        id => Method::Done(id),
    })
}

// === impl Reader ===

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn skip(&mut self, length: usize) -> Option<()> {
        self.take(length).map(drop)
    }

    fn number<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn byte(&mut self) -> Option<u8> {
        self.number().map(u8::from_be_bytes)
    }

    fn short(&mut self) -> Option<u16> {
        self.number().map(u16::from_be_bytes)
    }

    fn long(&mut self) -> Option<u32> {
        self.number().map(u32::from_be_bytes)
    }

    fn long_long(&mut self) -> Option<u64> {
        self.number().map(u64::from_be_bytes)
    }

    fn text(&mut self) -> Option<String> {
        let length = self.byte()?;
        self.take(usize::from(length)).map(|text| String::from_utf8_lossy(text).into_owned())
    }

    fn long_text(&mut self) -> Option<String> {
        let length = self.long()?;
        self.take(length as usize).map(|text| String::from_utf8_lossy(text).into_owned())
    }

    fn reason(&mut self) -> Option<Reason> {
        Some(Reason { code: self.short()?, text: plain(&self.text()?) })
    }
}

/// A broker's text, fit for a log.
fn plain(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}

// === impl Reason ===

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // RabbitMQ's texts begin with the code's name.
        if self.text.is_empty() { write!(f, "code {}", self.code) } else { f.write_str(&self.text) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn frames_of_a_message() {
        let mut writer = Writer::default();
        writer.publish("ex", "key", b"\0\0", b"abcde", 8 + 3);
        let expected = [
            &b"\x01\0\x01\0\0\0\x0e\0\x3c\0\x28\0\0\x02ex\x03key\x01\xce"[..],
            b"\x02\0\x01\0\0\0\x0e\0\x3c\0\0\0\0\0\0\0\0\0\x05\0\0\xce",
            b"\x03\0\x01\0\0\0\x03abc\xce",
            b"\x03\0\x01\0\0\0\x02de\xce",
        ];
        assert_eq!(writer.out, expected.concat());
    }

    #[test]
    fn frames_are_read_when_they_are_whole() {
        let bytes = b"\x01\0\x01\0\0\0\x0d\0\x3c\0\x50\0\0\0\0\0\0\0\x07\x01\xce\x08";
        for length in 0..21 {
            assert_eq!(read(&bytes[..length], FRAME_MAX), Ok(None));
        }
        assert_eq!(read(bytes, FRAME_MAX), Ok(Some((Frame::Method(1, Method::Ack(7, true)), 21))));
        assert!(read(b"HTTP/1.1 400 Bad Request", FRAME_MAX).is_err());
        assert!(read(b"AMQP\0\0\x09\x01", FRAME_MAX).is_err());
        assert!(read(b"\x01\0\x01\0\0\0\x02\0\x3c\xce", FRAME_MAX).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(id in any::<(u16, u16)>(), known in 0_u16..130, bytes: Vec<u8>) {
            let _ = read(&bytes, FRAME_MAX);
            for id in [id, (10, known), (20, known), (60, known)] {
                let mut writer = Writer::default();
                let method = writer.method(1, id);
                method.out.extend_from_slice(&bytes);
                method.end();
                let length = writer.out.len();
                prop_assert!(!matches!(read(&writer.out, FRAME_MAX), Ok(None)));
                prop_assert_eq!(read(&writer.out[..length - 1], FRAME_MAX), Ok(None));
            }
        }
    }
}
