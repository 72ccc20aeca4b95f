//! Compiled modules are kept, found again, and believed only as they were written.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use wasmeter::sandbox::compile::Compiler;
use wasmeter::sandbox::{Cause, Sandbox};

use crate::support::{Forge, daemon};

/// A folder for a cache, and a module in it.
struct Kept {
    folder: TempDir,
    module: Vec<u8>,
}

impl Kept {
    async fn new() -> Self {
        let kept = Self { folder: TempDir::new().unwrap(), module: Forge::pollster().component() };
        kept.compiling().load(&kept.module).await.unwrap();
        kept
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    /// The one file in the cache.
    fn file(&self) -> PathBuf {
        let files: Vec<_> = fs::read_dir(self.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        let [file] = &files[..] else { panic!("{files:?}") };
        file.clone()
    }

    fn compiling(&self) -> Sandbox {
        Sandbox::new(&self.path(), Compiler::at(daemon())).unwrap()
    }

    /// A sandbox that can only take what is there.
    fn without_compiler(&self) -> Sandbox {
        Sandbox::new(&self.path(), Compiler::at("/nowhere/wasmeter".into())).unwrap()
    }

    /// Whether the module is there, and believed.
    async fn believed(&self) -> bool {
        match self.without_compiler().load(&self.module).await {
            Ok(_) => true,
            Err(failure) => {
                assert_eq!(failure.cause, Cause::Host);
                assert!(failure.detail.starts_with("cannot start the compiler /nowhere/wasmeter"), "{failure}");
                false
            }
        }
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn what_was_compiled_once_is_not_compiled_again() {
    let kept = Kept::new().await;
    assert_eq!((mode(&kept.path()), mode(&kept.file())), (0o700, 0o600));
    assert!(kept.believed().await);
    let another = Forge::pollster().item("(func)").component();
    let failure = kept.without_compiler().load(&another).await.err().unwrap();
    assert_eq!(failure.cause, Cause::Host);
}

#[tokio::test]
async fn what_is_damaged_is_thrown_away_and_made_again() {
    let kept = Kept::new().await;
    let good = fs::read(kept.file()).unwrap();
    let flipped = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        bytes
    };
    for (damage, bytes) in [
        ("in the mark", flipped(0)),
        ("in the checksum", flipped(20)),
        ("in the first byte of code", flipped(40)),
        ("in the middle", flipped(good.len() / 2)),
        ("in the last byte", flipped(good.len() - 1)),
        ("cut", good[..good.len() - 1].to_vec()),
        ("cut within the checksum", good[..20].to_vec()),
        ("empty", Vec::new()),
    ] {
        fs::write(kept.file(), bytes).unwrap();
        assert!(!kept.believed().await, "{damage}");
        assert_eq!(fs::read_dir(kept.path()).unwrap().count(), 0, "{damage}");
        kept.compiling().load(&kept.module).await.unwrap();
        assert!(kept.believed().await, "{damage}");
    }
}

#[tokio::test]
async fn what_others_could_have_written_is_not_believed() {
    let kept = Kept::new().await;
    for mode in [0o604, 0o640, 0o602, 0o620, 0o666] {
        fs::set_permissions(kept.file(), Permissions::from_mode(mode)).unwrap();
        assert!(!kept.believed().await, "{mode:o}");
        kept.compiling().load(&kept.module).await.unwrap();
    }
    // A link, even to a good file, leads who knows where.
    let (file, elsewhere) = (kept.file(), kept.folder.path().join("elsewhere"));
    fs::rename(&file, &elsewhere).unwrap();
    symlink(&elsewhere, &file).unwrap();
    assert!(!kept.believed().await);
}

#[tokio::test]
async fn a_folder_that_is_open_to_others_is_refused() {
    let kept = Kept::new().await;
    for mode in [0o755, 0o770, 0o701] {
        fs::set_permissions(kept.path(), Permissions::from_mode(mode)).unwrap();
        let error = Sandbox::new(&kept.path(), Compiler::at(daemon())).unwrap_err().to_string();
        let words = format!("{} is open to others: its mode is {mode:o}", kept.path().display());
        assert!(error.contains(&words), "{error}");
    }
    fs::set_permissions(kept.path(), Permissions::from_mode(0o700)).unwrap();
    let link = kept.folder.path().join("link");
    symlink(kept.path(), &link).unwrap();
    assert!(Sandbox::new(&link, Compiler::at(daemon())).is_err());
}

#[tokio::test]
async fn a_module_may_be_loaded_several_times_at_once() {
    let folder = TempDir::new().unwrap();
    let sandbox = Sandbox::new(&folder.path().join("cache"), Compiler::at(daemon())).unwrap();
    let module = Forge::pollster().component();
    let load = || sandbox.load(&module);
    let (a, b, c, d, e, f) = tokio::join!(load(), load(), load(), load(), load(), load());
    for loaded in [a, b, c, d, e, f] {
        assert_eq!(loaded.err(), None);
    }
}
