//! What must be true after every step, and after every start.

use super::*;

impl Model {
    pub fn check_record(&self, record: &Record) {
        let form = self.form(record.sequence.0, &record.payload);
        let (expected, merged) = form.unwrap_or_else(|| panic!("a record from nowhere: {record:?}"));
        assert_eq!(record.time, expected.time, "{}", record.sequence);
        let values = self.stands_for(record.sequence.0, &record.payload);
        let values = values.iter().map(|sequence| rule::value(&self.written[sequence].payload)).sum::<u64>();
        assert_eq!(rule::value(&record.payload), values, "{}", record.sequence);
        // Where the counts were damaged, what was taken out cannot be told from what is there.
        if record.counts.unread() == 0 && (!merged || self.flips == 0) {
            assert_eq!(record.counts, expected.counts);
        }
        if !merged {
            assert_eq!(record.counts.samples(), expected.counts.samples());
        }
    }

    pub fn balances(&self, account: &Account) -> bool {
        let parts = [&account.acknowledged, &account.held, &account.lost()]
            .map(|total| (total.records, total.counts.samples()));
        let sum = parts.iter().fold((0, 0), |sum, part| (sum.0 + part.0, sum.1 + part.1));
        // A failed write that came back may have been of another class, but not of another size.
        let lossy = self.lossy && sum == (account.appended.records, account.appended.counts.samples());
        lossy || account.balances()
    }

    /// Everything up to its position was delivered, alone or as part of another record, or is gone for a
    /// reason, or part of one that is yet to come. That
    /// it is not delivered twice was checked when it was acknowledged.
    fn check_values(&self, reader: &Reader) {
        let delivered: BTreeSet<u64> = reader.acknowledged.values().flatten().copied().collect();
        for (sequence, _) in self.written.range(reader.start..reader.position) {
            let by = || self.stood_for_by(*sequence);
            let lost = || by().iter().any(|by| *by >= reader.position || reader.gone.contains(by));
            assert!(delivered.contains(sequence) || lost(), "{sequence} vanished: {reader:#?}");
        }
    }

    /// The equation, and that every loss was told.
    pub fn check_books(&mut self) {
        let next = self.store().next_sequence().0;
        for account in self.store().accounts() {
            assert!(self.balances(&account), "{account:#?}");
            let reader = &self.readers[account.cursor.as_str()];
            assert_eq!(account.appended.records, next - reader.start);
            let appended = self.written.range(reader.start..next).map(|(_, written)| written.counts.samples());
            // Where the books begin in the middle of what is damaged, or it is at the end with nothing after it, it is
            // not known how much it was: then only the records count.
            let unread = self.flips > 0 || self.lossy || self.disk.read_faults() >= 3;
            let vague = unread && account.dropped.contains_key(&Cause::Damaged);
            if account.appended.counts.unread() == 0 && !vague && !self.unseen {
                assert_eq!(account.appended.counts.samples(), appended.sum::<u64>(), "samples of {account:#?}");
            }
            for cause in Cause::ALL {
                let of = |map: &BTreeMap<Cause, u64>| map.get(&cause).copied().unwrap_or_default();
                let dropped = account.dropped.get(&cause).map_or(0, |total| total.records);
                assert_eq!(dropped, of(&reader.opened) + of(&reader.told), "{cause:?} of {account:#?}");
            }
            assert_eq!(thinned(&account), reader.thinned, "{account:#?}");
            self.check_values(reader);
        }
        // A flipped bit costs one record; what else is lost needs a disk that refuses to read it three times.
        let damaged = self.damaged.difference(&self.torn).count() as u64;
        if self.disk.read_faults() < 3 && !self.lossy {
            assert!(damaged <= self.flips, "{damaged} records damaged by {} flips: {:?}", self.flips, self.damaged);
        }
    }

    /// Another record has this number, or none has it any more. Where what was committed is not durable, the one that
    /// had it may come back: a segment's file that is used again is overwritten in parts only when the power goes.
    fn supersede(&mut self, sequence: u64, form: Option<Written>) {
        let before = match form {
            Some(form) => self.written.insert(sequence, form),
            None => self.written.remove(&sequence),
        };
        self.maybe.entry(sequence).or_default().extend(before);
    }

    pub fn reopen(&mut self) {
        let before = self.committed;
        let (mut store, recovery) = Store::open_on(self.disk.clone(), self.limits, self.now).unwrap();
        if self.thinning {
            store.set_thin(AddUp(self.merges.clone()));
        }
        self.found = recovery.damaged.iter().flat_map(|lost| lost.first.0..=lost.last.0).collect();
        assert!(!recovery.ledger_lost, "{recovery:?}");
        let next = store.next_sequence().0;
        let last = self.written.keys().chain(self.maybe.keys()).max().map_or(1, |last| last + 1);
        assert!(next <= last, "nothing comes from nowhere: {next} of {last}");
        if !self.lossy && self.damaged.is_empty() && self.flips == 0 && self.disk.read_faults() < 3 {
            assert!(next >= before, "committed {before}, found {next}");
        }
        // What was not committed may be there, in one of the forms that it was written in.
        let look = Look::at(&self.disk).unwrap();
        // A segment that the store knows to be over may be the last one to the look, with left-overs at its end.
        assert!(look.next_sequence().0 == next || self.lossy, "{} and {next}", look.next_sequence());
        let mut seen = BTreeMap::new();
        for record in look.records(Sequence(0)) {
            let record = record.unwrap();
            let known = self.written.get(&record.sequence.0).into_iter();
            let failed = self.maybe.get(&record.sequence.0).into_iter().flatten();
            let form = known.chain(failed).find(|written| written.payload == record.payload);
            let Some(form) = form.cloned() else {
                self.check_record(&record);
                continue;
            };
            if record.sequence.0 < before && !self.lossy {
                assert_eq!(Some(&form), self.written.get(&record.sequence.0), "what was committed stays");
            }
            seen.insert(record.sequence.0, form);
        }
        drop(look);
        // It came back in one of them and went again, for its age, before anybody looked: which one is not known.
        self.unseen |=
            (before..next).any(|sequence| !seen.contains_key(&sequence) && self.maybe.contains_key(&sequence));
        self.torn.extend((before..next).filter(|sequence| !seen.contains_key(sequence)));
        for (sequence, form) in seen {
            self.supersede(sequence, Some(form));
        }
        while let Some((sequence, _)) = self.written.last_key_value().filter(|(sequence, _)| **sequence >= next) {
            self.supersede(*sequence, None);
        }
        if !self.lossy {
            // What has not come back by now cannot any more.
            self.maybe.clear();
        }

        // Cursors whose coming or going was not settled may be there or not.
        for account in store.accounts() {
            let Some(known) = NAMES.into_iter().find(|name| *name == account.cursor) else { panic!("{account:?}") };
            let same = self.readers.get(known).is_some_and(|reader| {
                reader.durable || (!self.removed.contains(known) && account.appended.records == next - reader.start)
            });
            if !same && !self.readers.contains_key(known) {
                assert!(self.removed.contains(known), "{known} was never added");
                store.remove_cursor(known).unwrap();
            } else if !same {
                // Another one of the same name, from before it was removed.
                self.readers.remove(known);
                store.remove_cursor(known).unwrap();
            }
        }
        let there: BTreeSet<String> = store.accounts().into_iter().map(|account| account.cursor).collect();
        self.readers.retain(|name, reader| {
            assert!(there.contains(*name) || !reader.durable, "{name} is gone");
            there.contains(*name)
        });
        let drops = store.take_dropped();
        let mut readers = std::mem::take(&mut self.readers);
        for (name, reader) in &mut readers {
            let account = store.account(name).unwrap();
            reader.given.clear();
            reader.acknowledged.retain(|sequence, _| *sequence < account.position.0);
            assert!(reader.settled <= account.position.0, "{name} was settled");
            for dropped in drops.iter().filter(|dropped| dropped.cursor.as_deref() == Some(*name)) {
                reader.gone.extend(dropped.first.0..=dropped.last.0);
            }
            let (mut got, mut records) = (BTreeSet::<u64>::new(), 0);
            while let Some(record) = store.next(name).unwrap() {
                self.check_record(&record);
                records += 1;
                let stands_for = self.stands_for(record.sequence.0, &record.payload);
                got.extend(&stands_for);
                reader.given.insert(record.sequence.0, stands_for);
            }
            store.rewind(name).unwrap();
            reader.given.clear();
            for dropped in store.take_dropped() {
                self.damaged.extend(dropped.first.0..=dropped.last.0);
            }
            let account = store.account(name).unwrap();
            assert_eq!(account.held.records, records, "what is held can be read");
            let acknowledged: BTreeSet<u64> = reader.acknowledged.values().flatten().copied().collect();
            if !self.lossy && account.dropped.keys().all(|cause| *cause == Cause::Thinned) {
                let there = |sequence: &u64| got.contains(sequence) || acknowledged.contains(sequence);
                let missing = |sequence: &u64| !there(sequence) && !reader.gone.contains(sequence);
                let missing: Vec<u64> = (reader.start..next).filter(missing).collect();
                assert!(missing.is_empty(), "less was made of all, and yet {missing:?} are missing: {account:#?}");
            }
            for sequence in reader.settled.max(reader.start)..next {
                if got.contains(&sequence) {
                    reader.gone.remove(&sequence);
                } else if !acknowledged.contains(&sequence)
                    && reader.gone.insert(sequence)
                    && sequence < before
                    && self.stood_for_by(sequence).len() == 1
                {
                    self.damaged.insert(sequence);
                }
            }
            reader.position = account.position.0;
        }
        self.readers = readers;
        for (name, reader) in &mut self.readers {
            let account = store.account(name).unwrap();
            reader.opened = account.dropped.iter().map(|(cause, total)| (*cause, total.records)).collect();
            reader.told.clear();
            reader.thinned = thinned(&account);
        }
        self.committed = store.committed().0;
        assert_eq!(self.committed, next, "a healthy disk commits what is found");
        self.store = Some(store);
        self.check_books();
        let now = self.now;
        if self.store().settle(now).is_ok() {
            self.note_drops();
            self.note_settled();
        }
    }
}
