//! Random numbers: of the machine for those to whom that was granted, and for all others such that the same call in the
//! same slot gets the same.

use std::sync::Arc;

use ring::rand::{SecureRandom, SystemRandom};
use sha2::{Digest, Sha256};
use wasmtime::component::Linker;

use super::Context;
use crate::sandbox::failure::{Cause, Stop};
use crate::sandbox::limits::RANDOM_BYTES;
use crate::sandbox::price;

/// Where the numbers of one call come from.
#[derive(Debug)]
pub enum Random {
    /// From the machine.
    Machine,
    /// From what the call is.
    Seeded {
        /// Whose module it is.
        tenant: Arc<str>,
        /// What it is called.
        module: Arc<str>,
        /// When its slot is.
        slot: i64,
        /// How many blocks were taken.
        taken: u64,
    },
}

/// What hash tables begin with where nothing else was granted. The same for everybody makes fuel repeatable.
const SEED: (u64, u64) = (7, 11);

// === impl Random ===

impl Random {
    fn fill(&mut self, bytes: &mut [u8]) -> wasmtime::Result<()> {
        match self {
            Self::Machine => SystemRandom::new()
                .fill(bytes)
                .map_err(|_| Stop::new(Cause::Host, "the machine has no random numbers").into()),
            Self::Seeded { tenant, module, slot, taken } => {
                for block in bytes.chunks_mut(32) {
                    let mut hash = Sha256::new();
                    for text in [&*tenant, &*module] {
                        hash.update(text.as_bytes());
                        hash.update([0]);
                    }
                    hash.update(slot.to_be_bytes());
                    hash.update(taken.to_be_bytes());
                    *taken = taken.wrapping_add(1);
                    block.iter_mut().zip(hash.finalize()).for_each(|(byte, made)| *byte = made);
                }
                Ok(())
            }
        }
    }

    fn number(&mut self) -> wasmtime::Result<u64> {
        let mut bytes = [0; 8];
        self.fill(&mut bytes)?;
        Ok(u64::from_ne_bytes(bytes))
    }
}

// === impl Context ===

impl Context {
    async fn random_bytes(&mut self, count: u64) -> wasmtime::Result<Vec<u8>> {
        if count > RANDOM_BYTES {
            let detail = format!("it asked for {count} random bytes and may have {RANDOM_BYTES} at once");
            return Err(Stop::new(Cause::TooMuch, detail).into());
        }
        self.charge(price::RANDOM_BYTE.saturating_mul(count)).await;
        let mut bytes = vec![0; usize::try_from(count).unwrap_or_default()];
        self.random.fill(&mut bytes)?;
        Ok(bytes)
    }

    async fn random_number(&mut self) -> wasmtime::Result<u64> {
        self.charge(price::RANDOM_BYTE * 8).await;
        self.random.number()
    }

    async fn hash_seed(&mut self) -> wasmtime::Result<(u64, u64)> {
        match self.random {
            Random::Seeded { .. } => Ok(SEED),
            Random::Machine => Ok((self.random_number().await?, self.random_number().await?)),
        }
    }
}

/// Links all of `wasi:random`.
pub fn link(linker: &mut Linker<Context>) -> wasmtime::Result<()> {
    for (interface, bytes, number) in [
        ("wasi:random/random@0.2.0", "get-random-bytes", "get-random-u64"),
        ("wasi:random/insecure@0.2.0", "get-insecure-random-bytes", "get-insecure-random-u64"),
    ] {
        let mut instance = linker.instance(interface)?;
        instance.func_wrap_async(bytes, |mut store, (count,): (u64,)| {
            Box::new(async move { Ok((store.data_mut().random_bytes(count).await?,)) })
        })?;
        instance.func_wrap_async(number, |mut store, (): ()| {
            Box::new(async move { Ok((store.data_mut().random_number().await?,)) })
        })?;
    }
    linker.instance("wasi:random/insecure-seed@0.2.0")?.func_wrap_async("insecure-seed", |mut store, (): ()| {
        Box::new(async move { Ok((store.data_mut().hash_seed().await?,)) })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(tenant: &str, module: &str, slot: i64) -> [u64; 3] {
        let mut random = Random::Seeded { tenant: tenant.into(), module: module.into(), slot, taken: 0 };
        [(); 3].map(|()| random.number().unwrap())
    }

    #[test]
    fn what_is_seeded_is_the_same_for_the_same_call_alone() {
        let own = numbers("t", "m", 1);
        assert_eq!(own, numbers("t", "m", 1));
        for other in [numbers("t", "m", 2), numbers("u", "m", 1), numbers("t", "n", 1), numbers("tm", "", 1)] {
            assert!(other.iter().all(|number| !own.contains(number)), "{other:?} {own:?}");
        }
        let mut bytes = [0; 100];
        Random::Machine.fill(&mut bytes).unwrap();
        let mut others = [0; 100];
        Random::Machine.fill(&mut others).unwrap();
        assert_ne!(bytes, others);
    }
}
