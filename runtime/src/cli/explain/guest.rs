//! Which guest is meant, and what there is to know of it.

use serde::Serialize;
use uuid::Uuid;

use crate::agent::Agent;
use crate::discovery::{Resources, guest};

/// A guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Guest {
    /// Its id.
    pub uuid: Uuid,
    /// Its name for the hypervisor; empty if its definition is not known.
    pub name: String,
    /// The name that its owner gave it.
    pub display_name: String,
    /// Nova's words for its state, such as `active` and `running`; empty if it was not measured.
    pub status: &'static str,
    /// The other of them.
    pub state: &'static str,
    /// How it stands with measuring it.
    pub standing: Standing,
}

/// How it stands with measuring a guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It is measured.
    Metered,
    /// Nothing says whose it is.
    Nobodys,
    /// Its definition cannot be used.
    Unusable {
        /// Why not.
        cause: String,
    },
    /// It was there, and is there no more.
    Gone,
}

/// Why no guest was found.
#[derive(Debug, PartialEq, Eq)]
pub enum NotFound {
    /// There is none.
    None,
    /// Several are called so.
    Several(Vec<Uuid>),
}

// === impl Standing ===

impl Serialize for Standing {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self {
            Self::Metered => "metered",
            Self::Nobodys => "nobodys",
            Self::Unusable { .. } => "unusable",
            Self::Gone => "gone",
        })
    }
}

/// Everything that is known of guests after a slot, in the order of their names for the hypervisor.
pub fn all(agent: &Agent, resources: &Resources) -> Vec<Guest> {
    let mut guests: Vec<Guest> = Vec::new();
    for (definition, is_somebodys) in agent.directory().known() {
        let uuid = definition.uuid;
        let about = root(resources, uuid).and_then(|root| resources.get(root)).map(|guest| &guest.label.about);
        let standing = match (is_somebodys, about) {
            (false, _) => Standing::Nobodys,
            (true, Some(_)) => Standing::Metered,
            (true, None) => Standing::Gone,
        };
        let display_name = guest::display_name(definition).to_owned();
        let (status, state) = about.map_or(("", ""), |about| (about.status, about.state));
        guests.push(Guest { uuid, name: definition.name.clone(), display_name, status, state, standing });
    }
    for (uuid, cause) in agent.reader().refused() {
        if guests.iter().all(|guest| guest.uuid != *uuid) {
            let (standing, name) = (Standing::Unusable { cause: cause.clone() }, String::new());
            guests.push(Guest { uuid: *uuid, display_name: name.clone(), name, status: "", state: "", standing });
        }
    }
    guests.sort_by(|a, b| (&a.name, a.uuid).cmp(&(&b.name, b.uuid)));
    guests
}

/// The number of a guest in a slot.
pub fn root(resources: &Resources, uuid: Uuid) -> Option<u32> {
    let id = uuid.to_string();
    resources.guests().find(|number| resources.get(*number).is_some_and(|guest| guest.label.id == id))
}

/// The guest with this id or name. An id goes before the hypervisor's name, which goes before what an owner wrote.
pub fn find<'a>(guests: &'a [Guest], word: &str) -> Result<&'a Guest, NotFound> {
    let uuid = Uuid::parse_str(word).ok();
    let by = |is_it: &dyn Fn(&Guest) -> bool| guests.iter().filter(|guest| is_it(guest)).collect::<Vec<_>>();
    let is_called = |name: &str| name == word && !name.is_empty();
    let mut found = by(&|guest| Some(guest.uuid) == uuid);
    if found.is_empty() {
        found = by(&|guest| is_called(&guest.name));
    }
    if found.is_empty() {
        found = by(&|guest| is_called(&guest.display_name));
    }
    match found.as_slice() {
        [] => Err(NotFound::None),
        [guest] => Ok(guest),
        several => Err(NotFound::Several(several.iter().map(|guest| guest.uuid).collect())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guest(number: u128, name: &str, display_name: &str) -> Guest {
        let (name, display_name) = (name.to_owned(), display_name.to_owned());
        let standing = Standing::Metered;
        Guest { uuid: Uuid::from_u128(number), name, display_name, status: "", state: "", standing }
    }

    #[test]
    fn a_guest_has_three_names() {
        let guests = [guest(1, "one", "web"), guest(2, "two", "one"), guest(3, "three", "web"), guest(4, "", "")];
        let found = |word: &str| find(&guests, word).map(|guest| guest.uuid.as_u128());
        assert_eq!(found("one"), Ok(1), "the hypervisor's name goes first");
        assert_eq!(found("00000000-0000-0000-0000-000000000003"), Ok(3));
        assert_eq!(found("web"), Err(NotFound::Several(vec![Uuid::from_u128(1), Uuid::from_u128(3)])));
        assert_eq!(found("two"), Ok(2));
        for word in ["", "four", "Two"] {
            assert_eq!(found(word), Err(NotFound::None), "{word:?}");
        }
    }
}
