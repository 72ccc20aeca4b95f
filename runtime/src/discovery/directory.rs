//! What is remembered of guests from slot to slot.

mod declared;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use uuid::Uuid;

use self::declared::Declared;
use super::guest::{self, Labels};
use super::holdings::Holdings;
use super::identity::{Identity, Idents};
use super::label::Label;
use super::moved::Moved;
use super::owner::{Owner, Rules};
use super::resource::{GuestResources, Ident, Part, Resources};
use crate::clock::Moment;
use crate::hypervisor::devices::DEVICES;
use crate::hypervisor::reader::{Reader, Reading};
use crate::hypervisor::{Definition, HypervisorError, Record};

/// Guests by their ids, with lasting identities for everything that is sampled.
#[derive(Debug)]
pub struct Directory {
    rules: Rules,
    known: FxHashMap<Uuid, Known>,
    /// Guests that nothing could be learned about, in this revision.
    undefined: HashMap<Uuid, u64>,
    roots: HashMap<String, (Ident, Arc<Label>)>,
    /// Parts that modules declared.
    declared: Declared,
    /// When the slot at hand was read.
    now: u64,
    idents: Idents,
    /// Until when what an earlier run remembered may come, once time is known.
    expected_until: Option<u64>,
    retired: Vec<Ident>,
    /// Guests of which something may be remembered by whoever had them before.
    moved: HashSet<Uuid>,
    numbered: Numbered,
}

#[derive(Debug)]
struct Known {
    definition: Arc<Definition>,
    revision: u64,
    seen: u64,
    state: i64,
    /// None for guests that are nobody's, which are not metered.
    owner: Option<Owner>,
    /// None until they are next used.
    labels: Option<Labels>,
    ident: Ident,
    /// With when they were last there, or [`STILL_THERE`].
    devices: HashMap<(PartKey, String), (Ident, u64)>,
    vcpus: HashMap<u32, (Ident, Arc<Label>)>,
    /// What it was in the last slot; none once it is something else.
    here: Option<Here>,
}

/// A guest with its parts.
#[derive(Debug)]
struct Here {
    /// In place, as they are looked at in every slot.
    vcpus: SmallVec<[u32; 8]>,
    resources: Arc<GuestResources>,
}

/// The resources of the last slot, and what they are numbers of.
#[derive(Debug, Default)]
struct Numbered {
    guests: Vec<Arc<GuestResources>>,
    others: Vec<(Ident, Arc<Label>)>,
    resources: Arc<Resources>,
}

/// When a device was last there that is not gone.
const STILL_THERE: u64 = u64::MAX;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum PartKey {
    Disk,
    Nic,
}

/// What a guest's statistics say of it that is no statistic.
#[derive(Debug, Default)]
pub struct Shape {
    /// Its numbers of virtual CPUs, ascending.
    pub vcpus: Vec<u32>,
    /// The state that libvirt reported; -1 if it did not.
    pub state: i64,
    /// Whether devices are named.
    pub has_names: bool,
}

// === impl Directory ===

impl Directory {
    /// An empty directory of a host.
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            known: FxHashMap::default(),
            undefined: HashMap::new(),
            roots: HashMap::new(),
            declared: Declared::default(),
            now: 0,
            idents: Idents::default(),
            expected_until: None,
            retired: Vec::new(),
            moved: HashSet::new(),
            numbered: Numbered::default(),
        }
    }

    /// Follows a change of configuration; labels are written anew when they are next used.
    pub fn reconfigure(&mut self, rules: Rules) {
        self.rules = rules;
        // Tenants may have other projects now.
        self.moved.extend(self.known.keys());
        for known in self.known.values_mut() {
            known.owner = Owner::of(&known.definition, &self.rules.guests);
            known.labels = None;
        }
    }

    /// The rules in force.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// What each project has here.
    pub fn holdings(&self) -> Holdings {
        let mut holdings = Holdings::default();
        for (guest, known) in &self.known {
            let Definition { disks, nics, .. } = &*known.definition;
            let parts = disks.len() + nics.len() + known.vcpus.len();
            let present = (known.seen == self.now).then(|| u32::try_from(parts).unwrap_or(u32::MAX));
            holdings.add(*guest, known.owner.as_ref().map(|owner| &*owner.project), present);
        }
        holdings
    }

    /// Guests whose definition has to be read: new ones, and those that changed.
    pub fn unknown(&self, records: &[Record]) -> Vec<Uuid> {
        let known = |record: &Record| {
            self.known.get(&record.guest).is_some_and(|known| known.revision == record.revision)
                || self.undefined.get(&record.guest) == Some(&record.revision)
        };
        records.iter().filter(|record| !known(record)).map(|record| record.guest).collect()
    }

    /// Reads the definitions of guests that are new or changed.
    pub async fn learn_from(&mut self, reader: &mut Reader, reading: &Reading) -> Result<(), HypervisorError> {
        let unknown = self.unknown(&reading.records);
        if unknown.is_empty() {
            return Ok(());
        }
        let revisions: HashMap<_, _> = reading.records.iter().map(|record| (record.guest, record.revision)).collect();
        for (guest, definition) in reader.define(unknown).await? {
            let revision = revisions.get(&guest).copied().unwrap_or_default();
            match definition {
                Some(mut definition) => {
                    let surplus = definition.surplus();
                    if surplus > 0 {
                        let why = "a guest has more devices than are metered; the last ones are left out";
                        tracing::warn!(%guest, left_out = surplus, most = DEVICES, "{why}");
                        definition.keep_what_counts();
                    }
                    self.learn(definition, revision);
                }
                None => drop(self.undefined.insert(guest, revision)),
            }
        }
        // What is gone need not be remembered.
        self.undefined.retain(|guest, _| revisions.contains_key(guest));
        Ok(())
    }

    /// Remembers a definition.
    pub fn learn(&mut self, definition: Definition, revision: u64) {
        let definition = Arc::new(definition);
        let owner = Owner::of(&definition, &self.rules.guests);
        if let Some(known) = self.known.get_mut(&definition.uuid) {
            if known.project() != owner.as_ref().map(|owner| &owner.project) {
                self.moved.insert(definition.uuid);
            }
            known.definition = definition;
            known.owner = owner;
            known.revision = revision;
            known.labels = None;
            return;
        }
        let uuid = definition.uuid;
        // In an earlier run it may have been another's.
        if self.idents.expect_any() {
            self.moved.insert(uuid);
        }
        let ident = self.idents.meet(Identity::Guest(uuid));
        let (devices, vcpus) = (HashMap::new(), HashMap::new());
        let (seen, state, labels, here) = (0, -1, None, None);
        let known = Known { definition, revision, seen, state, owner, labels, ident, devices, vcpus, here };
        self.known.insert(uuid, known);
    }

    /// Guests whose definitions were read, and whether each is somebody's.
    pub fn known(&self) -> impl Iterator<Item = (&Definition, bool)> {
        self.known.values().map(|known| (&*known.definition, known.owner.is_some()))
    }

    /// How many of these guests are nobody's, and are not metered for that.
    pub fn nobodys(&self, guests: impl Iterator<Item = Uuid>) -> usize {
        let is_nobodys = |guest: &Uuid| self.known.get(guest).is_some_and(|known| known.owner.is_none());
        guests.filter(is_nobodys).count()
    }

    /// When the slot at hand was read.
    pub fn turn_to(&mut self, at: Moment) {
        self.now = at.monotonic;
    }

    /// Notes that a guest is there in this slot. What it is made of, with identities and labels of it and its parts, if
    /// it is somebody's.
    pub fn saw(&mut self, guest: Uuid, shape: &Shape) -> Option<(Arc<Definition>, Arc<GuestResources>)> {
        let Self { known, rules, idents, now, .. } = self;
        let known = known.get_mut(&guest)?;
        known.seen = *now;
        let resources = known.resources(shape, rules, idents, *now)?;
        Some((Arc::clone(&known.definition), resources))
    }

    /// All resources of a slot. Where nothing changed, they are those of the slot before.
    pub fn number(&mut self, guests: Vec<Arc<GuestResources>>, others: Vec<(Ident, Arc<Label>)>) -> Arc<Resources> {
        let Numbered { guests: known, others: known_others, resources } = &self.numbered;
        let is_same = |(one, other): (&Arc<GuestResources>, &Arc<GuestResources>)| Arc::ptr_eq(one, other);
        let are_guests = known.len() == guests.len() && known.iter().zip(&guests).all(is_same);
        if are_guests && known_others.iter().map(|(ident, _)| ident).eq(others.iter().map(|(ident, _)| ident)) {
            return Arc::clone(resources);
        }
        let resources = Arc::new(Resources::number(&guests, &others));
        self.numbered = Numbered { guests, others, resources: Arc::clone(&resources) };
        resources
    }

    /// The identity of a part of a guest that a module declared.
    pub fn declared(&mut self, module: &Arc<str>, guest: Ident, suffix: &str) -> Ident {
        let Self { declared, now, idents, retired, .. } = self;
        let root = idents.identity(guest).cloned().unwrap_or(Identity::Root(Arc::default()));
        let meet = || idents.meet(Identity::Declared(Box::new(root), suffix.into()));
        declared.declare((module, guest, suffix), *now, meet, retired)
    }

    /// A root that is no guest: the node, or the text of a static resource.
    pub fn root(&mut self, id: &str) -> (Ident, Arc<Label>) {
        if let Some((ident, label)) = self.roots.get(id) {
            return (*ident, Arc::clone(label));
        }
        let made = (self.idents.meet(Identity::Root(id.into())), Arc::new(Label::bare(id)));
        self.roots.insert(id.to_owned(), made.clone());
        made
    }

    /// How long a resource that is gone keeps its identity, and with it what modules remember of it: a guest that is
    /// rebooted, or comes back from a migration before that, goes on where it was.
    fn remembered(&self) -> u64 {
        u64::try_from(self.rules.guests.remember.as_nanos()).unwrap_or(u64::MAX)
    }

    /// Forgets what has been gone for long. Identities that are free for others from now on are to be forgotten
    /// everywhere else, too.
    pub fn forget(&mut self, now: Moment) -> Vec<Ident> {
        let remembered = self.remembered();
        let is_old = |seen: u64| now.monotonic.saturating_sub(seen) > remembered;
        for known in self.known.values_mut().filter(|known| known.has_devices_that_are_gone()) {
            let gone = known.devices.extract_if(|_, (_, seen)| is_old(*seen));
            self.retired.extend(gone.map(|(_, (ident, _))| ident));
        }
        for (_, known) in self.known.extract_if(|_, known| is_old(known.seen)) {
            self.retired.extend(known.idents());
            self.retired.extend(self.declared.forget_guest(known.ident));
        }
        self.retired.extend(self.declared.forget(now.monotonic, remembered));
        let until = *self.expected_until.get_or_insert(now.monotonic.saturating_add(remembered));
        if now.monotonic > until {
            self.retired.extend(self.idents.missed());
        }
        self.idents.release(&self.retired);
        std::mem::take(&mut self.retired)
    }

    /// Guests that may be another tenant's than when this was last asked.
    pub fn moved(&mut self) -> Moved {
        let mut moved = Moved::default();
        for guest in std::mem::take(&mut self.moved) {
            let Some(known) = self.known.get(&guest) else { continue };
            moved.add(known.project(), known.idents().chain(self.declared.of_guest(known.ident)));
        }
        moved
    }

    /// The identity of what an earlier run remembered. It is kept as long as that of a resource that is gone.
    pub fn expect(&mut self, identity: Identity) -> Ident {
        self.idents.expect(identity)
    }

    /// What a resource is beyond this run.
    pub fn identity(&self, ident: Ident) -> Option<&Identity> {
        self.idents.identity(ident)
    }
}

// === impl Known ===

impl Known {
    fn resources(
        &mut self,
        shape: &Shape,
        rules: &Rules,
        idents: &mut Idents,
        now: u64,
    ) -> Option<Arc<GuestResources>> {
        let owner = self.owner.as_ref()?;
        if self.labels.is_none() || self.state != shape.state {
            let labels = guest::labels(&self.definition, owner, shape.state, rules);
            self.labels = Some(labels);
            self.here = None;
            self.state = shape.state;
            // A vCPU keeps its identity; its label repeats the guest's, which has just changed.
            if let Some(labels) = &self.labels {
                for (number, (_, label)) in &mut self.vcpus {
                    *label = Arc::new(guest::vcpu_label(&labels.guest, *number));
                }
            }
        }
        if let Some(here) = self.here.as_ref().filter(|here| here.vcpus[..] == shape.vcpus[..]) {
            return Some(Arc::clone(&here.resources));
        }
        let labels = self.labels.as_ref()?;
        let guest = self.definition.uuid;
        let there = self.devices.values_mut().map(|(_, seen)| seen).filter(|seen| **seen == STILL_THERE);
        there.for_each(|seen| *seen = now);
        let mut parts: [Vec<(Ident, Arc<Label>)>; 3] = Default::default();
        for (kind, key, of_kind) in
            [(Part::Disk, PartKey::Disk, &labels.disks), (Part::Nic, PartKey::Nic, &labels.nics)]
        {
            let with_ident = of_kind.iter().map(|label| {
                let device = (key, label.device.clone());
                let meet = || (idents.meet(key.identity(guest, &label.device)), STILL_THERE);
                let (ident, seen) = self.devices.entry(device).or_insert_with(meet);
                *seen = STILL_THERE;
                (*ident, Arc::clone(label))
            });
            if let Some(place) = parts.get_mut(kind as usize) {
                *place = with_ident.collect();
            }
        }
        let vcpus = shape.vcpus.iter().map(|number| {
            let vcpu = self.vcpus.entry(*number).or_insert_with(|| {
                let ident = idents.meet(Identity::Vcpu(guest, *number));
                (ident, Arc::new(guest::vcpu_label(&labels.guest, *number)))
            });
            (vcpu.0, Arc::clone(&vcpu.1))
        });
        if let Some(place) = parts.get_mut(Part::Vcpu as usize) {
            *place = vcpus.collect();
        }
        let resources = Arc::new(GuestResources { ident: self.ident, label: Arc::clone(&labels.guest), parts });
        self.here = Some(Here { vcpus: shape.vcpus[..].into(), resources: Arc::clone(&resources) });
        Some(resources)
    }

    /// Its project, if it is somebody's.
    fn project(&self) -> Option<&Arc<str>> {
        self.owner.as_ref().map(|owner| &owner.project)
    }

    /// Its own identity, and those of its devices and virtual CPUs.
    fn idents(&self) -> impl Iterator<Item = Ident> {
        let parts = self.devices.values().map(|(ident, _)| *ident).chain(self.vcpus.values().map(|(ident, _)| *ident));
        std::iter::once(self.ident).chain(parts)
    }

    fn has_devices_that_are_gone(&self) -> bool {
        self.here.as_ref().is_some_and(|here| here.resources.devices() < self.devices.len())
    }
}

// === impl PartKey ===

impl PartKey {
    fn identity(self, guest: Uuid, device: &str) -> Identity {
        match self {
            Self::Disk => Identity::Disk(guest, device.into()),
            Self::Nic => Identity::Nic(guest, device.into()),
        }
    }
}

#[cfg(test)]
mod tests;
