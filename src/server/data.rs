//! The data folder: the keys, the log and what is sealed, opened in this order.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;

use crate::config::Credentials;
use crate::credential::{AdminToken, HashKey};
use crate::log::{Options, RealDisk, Store};
use crate::session::admin_token;
use crate::session::readers_key::{self, Key};
use crate::session::recovered::Recovered;
use crate::session::sealed::{self, Vault};
use crate::{metrics, turn};
/// The data folder, open.
pub(super) struct Opened {
    pub(super) store: Store,
    pub(super) recovered: Recovered,
    pub(super) hash_key: HashKey,
    pub(super) vault: Option<Vault>,
    pub(super) token: AdminToken,
}

/// Opens the keys, the log and what is sealed, all under its lock; off the runtime's threads, since
/// it reads all of it.
///
/// # Errors
/// If the folder is held by another process, damaged or not writable.
pub(super) async fn open_data(
    data_dir: PathBuf,
    credentials: Credentials,
    metrics: metrics::log::Metrics,
) -> anyhow::Result<Opened> {
    let open = move || {
        let folder = data_dir.join("log");
        let disk = RealDisk::open(&folder)
            .with_context(|| format!("open the data folder {}", data_dir.display()))?;
        // Before the log, which takes what room there is ahead of need.
        let key = readers_key::load_or_create(&data_dir)?;
        let token = admin_token::load_or_create(&data_dir)?;
        let mut recovered = Recovered::default();
        let options = Options::new(turn::control::role);
        let store =
            Store::open(Arc::new(disk), options, metrics, &mut |found| recovered.fold(found))
                .with_context(|| format!("open the log in {}", folder.display()))?;
        let hash_key = match key {
            Key::Loaded(key) => key,
            Key::Created(key) => {
                if !recovered.is_empty() {
                    tracing::warn!(
                        "the readers' key is new: former credentials must be shown to the box again"
                    );
                }
                key
            }
        };
        let vault =
            open_vault(&data_dir, credentials, &mut recovered).context("open the sealed files")?;
        Ok(Opened { store, recovered, hash_key, vault, token })
    };
    tokio::task::spawn_blocking(open).await.context("open the data folder")?
}

fn open_vault(
    data_dir: &Path,
    credentials: Credentials,
    recovered: &mut Recovered,
) -> Result<Option<Vault>, sealed::Error> {
    match credentials {
        Credentials::Memory => sealed::clear(data_dir).map(|()| None),
        Credentials::Sealed(key) => {
            let vault = Vault::open(data_dir, key)?;
            recovered.unseal(&vault)?;
            Ok(Some(vault))
        }
    }
}
