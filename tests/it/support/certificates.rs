//! Certificates of the tests' own, made when they are needed: an authority, and what it vouches for.

use std::ops::Range;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};

/// An authority that nobody trusts unless told to.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key, both as PEM.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    /// A new one.
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, format!("authority {}", uuid::Uuid::now_v7()));
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("an authority"))
    }

    /// Its own certificate, as PEM.
    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// Its own certificate as a file in `folder`.
    pub(crate) fn file_in(&self, folder: &Path) -> PathBuf {
        written(folder, "authority.pem", &self.pem())
    }

    /// A certificate for these names and addresses that is good for as long as anybody looks.
    pub(crate) fn vouches_for(&self, names: &[&str]) -> Identity {
        self.vouches_within(names, 1975..4096)
    }

    /// One that is good in these years.
    pub(crate) fn vouches_within(&self, names: &[&str], years: Range<i32>) -> Identity {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        params.not_before = date_time_ymd(years.start, 1, 1);
        params.not_after = date_time_ymd(years.end, 1, 1);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        Identity { certificate: certificate.pem(), key: key.serialize_pem() }
    }
}

impl Identity {
    /// Both as files in `folder`, the key readable by nobody else.
    pub(crate) fn files_in(&self, folder: &Path) -> (PathBuf, PathBuf) {
        let certificate = written(folder, "certificate.pem", &self.certificate);
        let key = written(folder, "key.pem", &self.key);
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&key, private).expect("set the key's rights");
        (certificate, key)
    }
}

fn written(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("write a file");
    path
}
