//! What a module asks during a call, answered as the real host does.

use crate::answers::Answers;
use crate::bindings::pollster::wasmeter::plugin::types::{LimitReached, ReadError};
use crate::http::{self, Request, Response};
use crate::testing::state::CELL_BYTES;
use crate::testing::{Host, check, moment, place};
use crate::{Column, Level, Meter, Moment};

impl Answers for Host {
    fn stat_column(&self, key: &str) -> Result<Column, ReadError> {
        if !self.call.borrow().stats.iter().any(|declared| declared == key) {
            return Err(ReadError::Undeclared);
        }
        self.stats.get(key).cloned().ok_or(ReadError::Unavailable)
    }

    fn attribute_column(&self, key: &str) -> Result<Column, ReadError> {
        let call = self.call.borrow();
        if call.attributes.as_ref().is_some_and(|all| !all.iter().any(|declared| declared == key)) {
            return Err(ReadError::Undeclared);
        }
        self.attributes.get(key).cloned().ok_or(ReadError::Unavailable)
    }

    fn parents_of(&self, resources: &[u32]) -> Vec<u32> {
        let (first, call) = (self.first_part(), self.call.borrow());
        let parent = |resource: u32| match resource.checked_sub(first) {
            Some(part) => usize::try_from(part).ok().and_then(|part| call.parts.get(part)).map(|(guest, _)| *guest),
            None => self.parents.get(&resource).copied().or(Some(resource)),
        };
        let known = |r: &u32| parent(*r).unwrap_or_else(|| panic!("parents: there is no resource {r}"));
        resources.iter().map(known).collect()
    }

    fn intern(&self, texts: &[String]) -> Result<Vec<u32>, LimitReached> {
        Ok(texts.iter().map(|text| self.index_of(text.clone(), false)).collect())
    }

    fn intern_json(&self, texts: &[String]) -> Result<Vec<u32>, LimitReached> {
        for text in texts {
            if let Err(error) = serde_json::from_str::<serde_json::Value>(text) {
                panic!("intern_json: {text:?} is not JSON: {error}");
            }
        }
        Ok(texts.iter().map(|text| self.index_of(text.clone(), true)).collect())
    }

    fn resolve(&self, indexes: &[u32]) -> Vec<String> {
        let texts = self.texts.borrow();
        let text = |index: &u32| place(&texts, *index).unwrap_or_else(|| panic!("resolve: there is no text {index}"));
        indexes.iter().map(|index| text(index).0.to_owned()).collect()
    }

    fn declare_meters(&self, meters: &[Meter]) -> Result<Vec<u32>, LimitReached> {
        let mut call = self.call.borrow_mut();
        let mut positions = Vec::with_capacity(meters.len());
        for meter in meters {
            let allowed = call.declares.iter().any(|pattern| matches(pattern, &meter.name));
            assert!(allowed, "declare_meters: the description has no pattern for {:?}", meter.name);
            let known = call.meters.iter().position(|known| known.name == meter.name);
            let position = known.unwrap_or_else(|| {
                call.meters.push(meter.clone());
                call.meters.len() - 1
            });
            positions.push(u32::try_from(position).unwrap_or_else(|_| panic!("too many meters")));
        }
        Ok(positions)
    }

    fn declare_parts(&self, guests: &[u32], suffixes: &[u32]) -> Result<Vec<u32>, LimitReached> {
        assert_eq!(guests.len(), suffixes.len(), "declare_parts: as many guests as suffixes");
        let (first, mut call) = (self.first_part(), self.call.borrow_mut());
        let mut indexes = Vec::with_capacity(guests.len());
        for part in guests.iter().copied().zip(suffixes.iter().copied()) {
            let (guest, suffix) = part;
            let is_guest = guest < first && !self.parents.contains_key(&guest);
            assert!(is_guest, "declare_parts: resource {guest} is no guest");
            let texts = self.texts.borrow();
            let text = place(&texts, suffix).unwrap_or_else(|| panic!("declare_parts: there is no text {suffix}"));
            check::suffix(text.0);
            let at = call.parts.iter().position(|known| *known == part).unwrap_or_else(|| {
                call.parts.push(part);
                call.parts.len() - 1
            });
            indexes.push(first + u32::try_from(at).unwrap_or_else(|_| panic!("too many parts")));
        }
        Ok(indexes)
    }

    fn time(&self) -> Moment {
        self.read_at.or(self.call.borrow().slot).unwrap_or_else(|| moment(0))
    }

    fn load(&self, name: &str, resources: &[u32]) -> Option<Column> {
        self.have_cells(resources);
        // What was there when the call began; what it saves itself is there in the next.
        self.state.load(name, resources, |resource| self.identity(resource))
    }

    fn save(&self, name: &str, cells: &Column) -> Result<(), LimitReached> {
        check::numbers(name, cells);
        self.have_cells(&cells.resources);
        self.admit(name, cells.len() as u64 * CELL_BYTES)?;
        self.call.borrow_mut().state.save(name, cells, |resource| self.identity(resource));
        Ok(())
    }

    fn load_bytes(&self, name: &str) -> Option<Vec<u8>> {
        self.state.bytes.get(name).cloned()
    }

    fn save_bytes(&self, name: &str, bytes: &[u8]) -> Result<(), LimitReached> {
        self.admit(name, bytes.len() as u64)?;
        let mut call = self.call.borrow_mut();
        match bytes {
            [] => drop(call.state.bytes.remove(name)),
            _ => drop(call.state.bytes.insert(name.to_owned(), bytes.to_vec())),
        }
        Ok(())
    }

    fn is_part(&self) -> bool {
        self.is_part
    }

    fn room(&self) -> u64 {
        let call = self.call.borrow();
        self.room.saturating_sub(self.state.size().saturating_add(call.written))
    }

    fn log(&self, level: Level, text: &str) {
        self.logs.borrow_mut().push((level, text.to_owned()));
    }

    fn dropped(&self, samples: u32) {
        *self.dropped.borrow_mut() += samples;
    }

    fn request(&self, request: &Request) -> Result<Response, http::Error> {
        self.requests.borrow_mut().push(request.clone());
        self.answers.get(&request.url).cloned().unwrap_or_else(|| {
            let (url, _) = request.url.split_once('?').unwrap_or((&request.url, ""));
            let asked = format!("{} {url}", request.method);
            Err(http::Error::Denied(format!(
                "{asked} is not granted; `grants: {{http: [{asked}]}}` (`--grant 'http={asked}'`) would allow it"
            )))
        })
    }
}

impl Host {
    /// Room for so many bytes under a name? What they replace does not count, except what this call wrote itself.
    fn admit(&self, name: &str, bytes: u64) -> Result<(), LimitReached> {
        let mut call = self.call.borrow_mut();
        let kept = self.state.size() - self.state.size_of(name).min(bytes);
        if kept + call.written + bytes > self.room {
            return Err(LimitReached { what: format!("{} bytes of state", self.room) });
        }
        call.written += bytes;
        Ok(())
    }

    /// Refuses cells of parts that the call itself declared.
    fn have_cells(&self, resources: &[u32]) {
        let (first, parts) = (self.first_part(), self.call.borrow().parts.len());
        let mut parts =
            resources.iter().filter(|resource| resource.checked_sub(first).is_some_and(|n| (n as usize) < parts));
        let part = parts.next();
        assert!(part.is_none(), "state: {part:?} is a part that this call declared, and has no cells");
    }

    /// What a resource is remembered by: its id, or its index where the test gave none.
    fn identity(&self, resource: u32) -> String {
        let id = self.attributes.get("id").and_then(|ids| {
            let at = ids.resources.binary_search(&resource).ok()?;
            place(&self.texts.borrow(), *ids.texts().ok()?.get(at)?).map(|(text, _)| text.to_owned())
        });
        id.unwrap_or_else(|| resource.to_string())
    }
}

/// Whether a pattern of `*` and `?` matches a whole name.
fn matches(pattern: &str, name: &str) -> bool {
    let mut rest = pattern.chars();
    match (rest.next(), name.chars().next()) {
        (None, None) => true,
        (Some('*'), first) => {
            let shorter = first.map(|first| name.split_at(first.len_utf8()).1);
            matches(rest.as_str(), name) || shorter.is_some_and(|shorter| matches(pattern, shorter))
        }
        (Some(wanted), Some(first)) if wanted == '?' || wanted == first => {
            matches(rest.as_str(), name.split_at(first.len_utf8()).1)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, name, expected) in [
            ("cpu.*", "cpu.l3", true),
            ("cpu.*", "cpu", false),
            ("*", "", true),
            ("c?u", "cpu", true),
            ("c?u", "cu", false),
            ("*.bytes", "disk.read.bytes", true),
            ("*.bytes", "disk.read.bytes.rate", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
