//! Where the daemon can be asked how it is.

use std::path::PathBuf;

use super::machine;
use super::read::Reading;
use crate::config::file;
use crate::config::yaml::Kind;

/// Where the daemon can be asked how it is, and told what to do with what waits.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Control {
    /// The socket; without one it cannot be asked.
    #[serde(serialize_with = "file::show_optional")]
    pub socket: Option<PathBuf>,
    /// The group whose members may ask, beside the daemon's own user and root: its name or its number.
    pub group: Option<String>,
}

/// What the address of a Unix socket has room for.
const LONGEST: usize = 107;

// === impl Control ===

impl Control {
    /// A daemon without a file is one that is tried out, and takes nobody's place.
    pub(super) fn read(reading: &mut Reading<'_, '_>, has_file: bool) -> Self {
        let section = reading.section("control", &["socket", "group"]);
        let socket = section.read("socket", reading.problems, |node| match node.text()? {
            text if reading.folder.join(text).as_os_str().len() > LONGEST => {
                Err(node.refuse("too long for a socket", format!("Write a path of at most {LONGEST} bytes")))
            }
            text => Ok(reading.folder.join(text)),
        });
        let group = section.read("group", reading.problems, |node| match &node.kind {
            Kind::Text(group) if machine::group_number(group).is_some() => Ok(group.clone()),
            Kind::Integer(number) if u32::try_from(*number).is_ok() => Ok(number.to_string()),
            _ => Err(node.refuse("no group of this machine", "Add it with groupadd, or write its number")),
        });
        Self { group, socket: socket.or_else(|| machine::control_socket().filter(|_| has_file)) }
    }
}
