//! Where the repository's tools and files are.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

/// The repository.
#[derive(Debug, Clone)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The repository around the current directory, or the one this program was built from.
    ///
    /// # Errors
    /// When neither is a Lockstep checkout.
    pub fn find() -> anyhow::Result<Self> {
        let here = std::env::current_dir().context("current directory")?;
        let built_from = Path::new(env!("CARGO_MANIFEST_DIR"));
        for start in [here.as_path(), built_from] {
            for directory in start.ancestors() {
                if directory.join("foundry.toml").is_file() && directory.join("contracts").is_dir() {
                    return Ok(Self {
                        root: directory.to_owned(),
                    });
                }
            }
        }
        bail!(
            "not inside a Lockstep checkout: no foundry.toml in {} or above",
            here.display()
        )
    }

    /// Top of the checkout.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// State, databases and logs of the local stack: `.lockstep`, or where LOCKSTEP_STATE says, so that a second stack
    /// can run beside the first.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        std::env::var_os("LOCKSTEP_STATE").map_or_else(|| self.root.join(".lockstep"), PathBuf::from)
    }

    /// Deployed chains, kept for later starts; all stacks of a checkout share them.
    #[must_use]
    pub fn deployed(&self) -> PathBuf {
        self.root.join(".lockstep/genesis")
    }

    /// A tool that `npm ci` installed, or the one of that name on the PATH (platforms whose Foundry is not on npm).
    #[must_use]
    pub fn tool(&self, name: &str) -> PathBuf {
        let local = self.root.join("node_modules/.bin").join(name);
        if local.exists() {
            local
        } else {
            PathBuf::from(name)
        }
    }

    /// A program of this workspace. Next to the running program, which a test's `deps/` directory is below.
    ///
    /// # Errors
    /// When it has not been built.
    pub fn program(&self, name: &str) -> anyhow::Result<PathBuf> {
        let own = std::env::current_exe().context("path of this program")?;
        own.ancestors()
            .skip(1)
            .take(2)
            .map(|directory| directory.join(name))
            .find(|path| path.is_file())
            .with_context(|| format!("{name} is not built; run `cargo build --workspace`"))
    }
}
