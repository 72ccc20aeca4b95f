//! Samples of a record as messages, one after the other as there is room for them.
//!
//! Most of a sample is its guest's metadata, which all samples of the guest and of its devices share. It is escaped and
//! put into its signed form once for each guest of a record.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use rustc_hash::FxHashMap;

use super::envelope::{Envelope, Escaped, METERING, Message, Payload};
use super::signature::{Canonical, Fields, METADATA, Signer};
use crate::config::daemon::Format;
use crate::discovery::Label;
use crate::discovery::label::Metadata;
use crate::pipeline::{Samples, Slot};
use crate::publish::encode::{self, BEFORE_ID, BEFORE_METADATA, BEFORE_MONOTONIC_TIME, Encoder, Row, Shared};
use crate::spool::Delivery;
use crate::spool::record::{self, Content};

/// Messages of a record that are still to be made.
#[derive(Debug)]
pub struct Messages {
    delivery: Delivery,
    /// Samples in a message.
    batch_size: usize,
    /// What a message looks like.
    format: Format,
    /// Messages that were made.
    made: u64,
    /// The list of samples, and the place in it, where the next message begins.
    at: (usize, usize),
    known: Known,
}

/// What was made ready of the record's labels, by where they are in memory.
#[derive(Debug, Default)]
struct Known {
    /// Guests, by the two halves of their metadata.
    guests: FxHashMap<(usize, usize), Arc<Guest>>,
    /// What labels say besides.
    own: FxHashMap<usize, Arc<Own>>,
}

/// What a label says that its guest's others need not say.
#[derive(Debug)]
struct Own {
    /// What stands between the volume and the timestamp.
    owner: Escaped,
    name: Escaped,
    extra: Escaped,
    /// Its entries of the metadata.
    signed: Canonical,
}

/// What all samples of a meter have between what is their own.
#[derive(Debug)]
struct Between {
    before_volume: Escaped,
    before_metadata: Escaped,
    before_id: Escaped,
    before_signature: Escaped,
    end: Escaped,
}

#[derive(Debug)]
struct Guest {
    head: Escaped,
    tail: Escaped,
    signed: Canonical,
}

/// About how long a sample is in a message.
const SAMPLE_BYTES: usize = 1800;

// === impl Messages ===

impl Messages {
    /// All of a record.
    pub fn of(delivery: Delivery, batch_size: usize, format: Format) -> Self {
        Self { delivery, batch_size, format, made: 0, at: (0, 0), known: Known::default() }
    }

    /// The record.
    pub fn delivery(&self) -> &Delivery {
        &self.delivery
    }

    /// The next message; none after the last.
    pub fn next(&mut self, signer: &mut Signer) -> Option<Bytes> {
        let content = self.delivery.content.clone();
        // The names in it, which are the envelope's.
        let format = self.format.clone();
        let meter = self.meter(&content);
        let event = meter.as_deref().map(|meter| format!("{METERING}.{meter}"));
        let mut envelope = self.envelope(&content);
        if let Format::Metering { publisher, .. } = &format {
            envelope =
                Envelope { publisher, event: event.as_deref().unwrap_or(METERING), payload: Payload::List, ..envelope };
        }
        let mut message = Message::new(&envelope, self.batch_size.min(1000) * SAMPLE_BYTES);
        match &content {
            Content::Slot(slot) => self.fill(&mut message, slot, signer),
            Content::Replayed { samples, .. } => self.replay(&mut message, samples, meter.as_deref(), signer),
        }
        self.made += 1;
        (message.samples() > 0).then(|| message.finish())
    }

    /// The meter of the next sample, if the next message has samples of one meter only.
    fn meter(&self, content: &Content) -> Option<String> {
        let Format::Metering { per_meter: true, .. } = self.format else { return None };
        match content {
            Content::Slot(slot) => {
                let waiting = slot.samples.iter().skip(self.at.0);
                let mut waiting = waiting.filter(|samples| !samples.column.is_empty());
                waiting.next().map(|samples| samples.meter.name.clone())
            }
            Content::Replayed { samples, .. } => samples.get(self.at.0).and_then(|sample| record::meter(sample)),
        }
    }

    /// Its ids follow from the record and from what of it is in the message, so that every try is the same message.
    fn envelope(&self, content: &Content) -> Envelope<'static> {
        let mut seed = Vec::with_capacity(64);
        if let Content::Slot(slot) = content {
            let first = slot.samples.first().map(|samples| samples.first_id.at(0));
            seed.extend(first.unwrap_or_default().as_bytes());
        }
        seed.extend(self.delivery.sequence.0.to_le_bytes());
        seed.extend(self.delivery.time.to_le_bytes());
        seed.extend(self.delivery.checksum.to_le_bytes());
        seed.extend(self.made.to_le_bytes());
        seed.extend(self.batch_size.to_le_bytes());
        if let Format::Metering { publisher, per_meter } = &self.format {
            seed.extend(publisher.as_bytes());
            seed.push(u8::from(*per_meter));
        }
        Envelope::of_samples(&seed, self.delivery.time)
    }

    fn fill(&mut self, message: &mut Message<'_>, slot: &Slot, signer: &mut Signer) {
        let mut encoder = Encoder::new(slot);
        while let Some(samples) = slot.samples.get(self.at.0) {
            let from = self.at.1;
            let to = samples.column.len().min(from + self.batch_size.saturating_sub(message.samples()));
            self.add(message, &mut encoder, samples, from..to, signer);
            if to < samples.column.len() {
                self.at.1 = to;
                return;
            }
            self.at = (self.at.0 + 1, 0);
            if self.is_per_meter() && message.samples() > 0 {
                return;
            }
        }
    }

    fn is_per_meter(&self) -> bool {
        matches!(self.format, Format::Metering { per_meter: true, .. })
    }

    fn add(
        &mut self,
        message: &mut Message<'_>,
        encoder: &mut Encoder,
        samples: &Samples,
        places: std::ops::Range<usize>,
        signer: &mut Signer,
    ) {
        let shared = Shared::of(samples);
        let between = Between::of(&shared);
        let Ok(()) = encoder.rows::<Infallible>(samples, places, |row| {
            let label = &row.resource.label;
            let (guest, own) = (self.known.guest(&label.metadata), self.known.own(label));
            message.begin();
            message.add_shared(&between.before_volume);
            message.add(row.volume);
            message.add_shared(&own.owner);
            message.add_shared(&between.before_metadata);
            message.add_shared(&guest.head);
            message.add_shared(&own.name);
            message.add_shared(&guest.tail);
            message.add_shared(&own.extra);
            let with_notes;
            let mut signed = &own.signed;
            if !row.notes.is_empty() {
                let follows = !label.metadata.head.is_empty() || !label.metadata.extra.is_empty();
                message.add(if follows { ", " } else { "" });
                message.add(row.notes);
                with_notes = signed_own(&label.metadata, row.notes);
                signed = &with_notes;
            }
            message.add_shared(&between.before_id);
            message.add(row.id);
            message.add_shared(&between.before_signature);
            message.add(signer.sign(&fields(samples, &shared, label, row, &guest.signed, signed)).as_str());
            message.add_shared(&between.end);
            Ok(())
        });
    }

    fn replay(&mut self, message: &mut Message<'_>, samples: &[String], meter: Option<&str>, signer: &mut Signer) {
        while let Some(sample) = samples.get(self.at.0).filter(|_| message.samples() < self.batch_size) {
            if self.is_per_meter() && record::meter(sample).as_deref() != meter && message.samples() > 0 {
                return;
            }
            self.at.0 += 1;
            // Whatever is no sample would make the message unreadable, and with it all others in it.
            let (Ok(signature), Some(open)) = (signer.sign_json(sample), sample.trim_end().strip_suffix('}')) else {
                tracing::warn!(record = self.delivery.sequence.0, "What is no JSON object is not delivered again.");
                continue;
            };
            message.push(open);
            message.add(if open.trim_end().ends_with('{') { "" } else { ", " });
            message.add("\"message_signature\": \"");
            message.add(signature.as_str());
            message.add("\"}");
        }
    }
}

/// The entries of a sample's metadata that its guest's others need not have, in their signed form.
fn signed_own(metadata: &Metadata, notes: &str) -> Canonical {
    let mut own = String::from("{");
    if !metadata.head.is_empty() {
        own.push_str("\"name\": ");
        own.push_str(&metadata.name);
    }
    own.push_str(&metadata.extra);
    if !notes.is_empty() {
        own.push_str(if own.len() > 1 { ", " } else { "" });
        own.push_str(notes);
    }
    own.push('}');
    Canonical::under(METADATA, &own).unwrap_or_default()
}

fn fields<'a>(
    samples: &'a Samples,
    shared: &'a Shared,
    label: &'a Label,
    row: &Row<'a>,
    metadata: &'a Canonical,
    notes: &'a Canonical,
) -> Fields<'a> {
    Fields {
        source: &shared.source,
        name: &samples.meter.name,
        kind: samples.meter.kind.word(),
        unit: &samples.meter.unit,
        volume: row.volume,
        user_id: label.user.as_deref(),
        user_name: None,
        project_id: label.project.as_deref(),
        project_name: None,
        resource_id: &label.id,
        timestamp: &shared.timestamp,
        metadata,
        notes,
        message_id: row.id,
        monotonic_time: &shared.monotonic_time,
    }
}

// === impl Known ===

impl Known {
    fn guest(&mut self, metadata: &Metadata) -> Arc<Guest> {
        let place = (metadata.head.as_ptr().addr(), metadata.tail.as_ptr().addr());
        Arc::clone(self.guests.entry(place).or_insert_with(|| Arc::new(Guest::of(metadata))))
    }

    fn own(&mut self, label: &Arc<Label>) -> Arc<Own> {
        Arc::clone(self.own.entry(Arc::as_ptr(label).addr()).or_insert_with(|| Arc::new(Own::of(label))))
    }
}

// === impl Own ===

impl Own {
    fn of(label: &Label) -> Self {
        let mut owner = String::new();
        encode::write_owner(&mut owner, label);
        Self {
            owner: Escaped::of(&owner),
            name: Escaped::of(&label.metadata.name),
            extra: Escaped::of(&label.metadata.extra),
            signed: signed_own(&label.metadata, ""),
        }
    }
}

// === impl Between ===

impl Between {
    fn of(shared: &Shared) -> Self {
        let Shared { before_volume, timestamp, monotonic_time, .. } = shared;
        Self {
            before_volume: Escaped::of(before_volume),
            before_metadata: Escaped::of(&format!("{timestamp}{BEFORE_METADATA}{{")),
            before_id: Escaped::of(&format!("}}{BEFORE_ID}")),
            before_signature: Escaped::of(&format!(
                "{BEFORE_MONOTONIC_TIME}{monotonic_time}, \"message_signature\": \""
            )),
            end: Escaped::of("\"}"),
        }
    }
}

// === impl Guest ===

impl Guest {
    fn of(metadata: &Metadata) -> Self {
        // Which name it is does not matter: each sample has its own.
        let (name, open, close) = if metadata.head.is_empty() { ("", "{", "}") } else { ("null", "{", "}") };
        let object = [open, &metadata.head, name, &metadata.tail, close].concat();
        Self {
            head: Escaped::of(&metadata.head),
            tail: Escaped::of(&metadata.tail),
            signed: Canonical::under(METADATA, &object).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests;
