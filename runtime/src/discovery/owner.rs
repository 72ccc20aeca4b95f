//! Whose a guest is, and by which rules that is found out.

use std::sync::Arc;

use crate::config::Config;
use crate::config::daemon::{GuestRules, Metadata, Whose, WithoutNova};
use crate::hypervisor::{Definition, Plain};

/// What the configuration says about guests.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// This host's name in samples.
    pub host: String,
    /// Which of a guest's metadata becomes a sample's.
    pub metadata: Metadata,
    /// Which guests are metered.
    pub guests: GuestRules,
}

/// Whose a guest is. Nobody's guests are not metered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Its project.
    pub project: Arc<str>,
    /// Who created it, if that is known.
    pub user: Option<Arc<str>>,
}

// === impl Rules ===

impl Rules {
    /// Those of a configuration.
    pub fn of(config: &Config) -> Self {
        Self { host: config.host.clone(), metadata: config.metadata.clone(), guests: config.guests.clone() }
    }
}

// === impl Owner ===

impl Owner {
    /// Whose a guest is; `None` if nothing says so.
    pub fn of(definition: &Definition, rules: &GuestRules) -> Option<Self> {
        match (&definition.nova, rules.without_nova) {
            (Some(nova), _) => {
                Some(Self { project: nova.project_id.as_str().into(), user: Some(nova.user_id.as_str().into()) })
            }
            (None, WithoutNova::Skip) => None,
            (None, WithoutNova::Meter) => Some(Self {
                project: found(&rules.project, &definition.plain)?,
                user: found(&rules.user, &definition.plain),
            }),
        }
    }
}

fn found(whose: &Whose, plain: &Plain) -> Option<Arc<str>> {
    let noted = whose.element.as_ref().and_then(|path| plain.note(path));
    noted.or(whose.default.as_deref()).map(Arc::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hypervisor::{Note, NotePath};

    fn rules(project: (&str, Option<&str>), user: Option<&str>) -> GuestRules {
        let whose = |element: &str, default: Option<&str>| Whose {
            element: NotePath::parse(element),
            default: default.map(str::to_owned),
        };
        GuestRules {
            without_nova: WithoutNova::Meter,
            project: whose(project.0, project.1),
            user: whose("", user),
            ..GuestRules::default()
        }
    }

    #[test]
    fn a_guest_that_is_not_novas_belongs_to_whom_the_rules_say() {
        let note = |text: &str| Note { path: NotePath::parse("{urn:x}tenant/@id").unwrap(), text: text.into() };
        let plain = Plain { notes: vec![note("a"), note("b")], ..Plain::default() };
        let guest = Definition {
            uuid: uuid::Uuid::nil(),
            name: "plain".into(),
            os_type: String::new(),
            architecture: String::new(),
            nova: None,
            plain,
            disks: vec![],
            nics: vec![],
        };
        let of = |rules: &GuestRules| {
            Owner::of(&guest, rules).map(|owner| format!("{} {}", owner.project, owner.user.as_deref().unwrap_or("-")))
        };
        assert_eq!(of(&GuestRules::default()), None);
        for (rules, owner) in [
            (rules(("{urn:x}tenant/@id", Some("nobody")), None), Some("a -")),
            (rules(("{urn:x}tenant/@id", None), Some("admin")), Some("a admin")),
            (rules(("{urn:x}tenant", Some("nobody")), Some("admin")), Some("nobody admin")),
            (rules(("{urn:x}tenant", None), Some("admin")), None),
        ] {
            assert_eq!(of(&rules).as_deref(), owner);
            assert_eq!(of(&GuestRules { without_nova: WithoutNova::Skip, ..rules }), None);
        }
    }
}
