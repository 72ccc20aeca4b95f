//! What holds of every life, whoever wrote the file that it was read from.

use super::{Life, ORIGINS, Trial};

/// The version of a host has no more bytes than this.
const HOST_BYTES: usize = 1 << 10;

// === impl Life ===

impl Life {
    /// What is wrong with it, without a full stop; these are the numbers of the versions that there are.
    pub(in crate::modules) fn check(&self, numbers: &[u64]) -> Result<(), String> {
        let current = self.current.version;
        if !numbers.contains(&current) {
            return Err(format!("it has no version {current}, which is to run"));
        }
        if let Some(Trial { instance, .. }) = &self.trial {
            let number = instance.version;
            if !numbers.contains(&number) {
                return Err(format!("it has no version {number}, which is on trial"));
            }
            if number == current || self.earlier.contains(&number) {
                return Err(format!("version {number} is on trial and ran already"));
            }
            if instance.state == self.current.state {
                return Err(format!("version {number} is on trial on the state of version {current}"));
            }
        }
        for (place, number) in self.earlier.iter().enumerate() {
            if *number == current || self.earlier.iter().skip(place + 1).any(|other| other == number) {
                return Err("a version that ran before is named twice".to_owned());
            }
            if !numbers.contains(number) {
                return Err(format!("it has no version {number}, which ran before"));
            }
        }
        let on_trial = self.trial.as_ref().map(|trial| trial.instance.version);
        for number in &self.refused {
            if !numbers.contains(number) {
                return Err(format!("it has no version {number}, which could not run"));
            }
            if *number == current || on_trial == Some(*number) {
                return Err(format!("version {number} could not run, and is current or on trial"));
            }
        }
        if self.origins.len() > ORIGINS {
            return Err(format!(
                "its state is a copy of {} others, and at most {ORIGINS} are kept",
                self.origins.len()
            ));
        }
        let trial = self.trial.as_ref().map(|trial| trial.instance.state);
        let mut states = self.states().chain(trial).chain(self.origins.iter().copied());
        if states.any(|state| state.0 >= self.next_state) || self.next_state == u64::MAX {
            return Err("the number of its next state is given already".to_owned());
        }
        if self.host.len() > HOST_BYTES {
            return Err(format!("the version of the host has more than {HOST_BYTES} bytes"));
        }
        Ok(())
    }
}
