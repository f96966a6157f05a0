//! What is kept of turns: whole, for the right turn alone, and no longer than it is needed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use bytes::Bytes;
use http::HeaderMap;
use tempfile::TempDir;

use super::*;

fn whose(execution: &str) -> Whose {
    let execution = ExecutionId::parse(execution).unwrap();
    Whose { box_name: BoxName::default_box(), session: SessionKey::from_bytes([1; 16]), execution }
}

fn open(folder: &TempDir, key: u8) -> Vault {
    Vault::open(folder.path(), SealKey::from_bytes([key; 32])).unwrap()
}

async fn keep(vault: &Vault, whose: &Whose, credential: &str, body: &str) {
    let bytes = Bytes::copy_from_slice(body.as_bytes());
    let body = Body { headers: HeaderMap::new(), bytes };
    vault.keep(whose, Some(Credential::new(credential)), Some(body)).await.unwrap();
}

/// Credential, body, and how many files do not open.
fn kept(vault: &Vault, whose: &Whose) -> (Option<String>, Option<String>, usize) {
    let Kept { credential, body, unopened } = vault.kept(whose, true);
    let credential = credential.map(|credential| credential.expose().to_owned());
    let text = |body: Body| String::from_utf8(body.bytes.to_vec()).unwrap();
    (credential, body.map(text), unopened)
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn files(folder: &TempDir) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder.path().join("sealed")).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[tokio::test]
async fn what_was_kept_is_there_after_a_restart_and_goes_when_it_is_not_needed() {
    let folder = tempfile::tempdir().unwrap();
    let (vault, one, two) = (open(&folder, 1), whose("e-1"), whose("e-2"));
    keep(&vault, &one, "Bearer canary-1", "{1}").await;
    keep(&vault, &two, "Bearer canary-2", "{2}").await;
    let vault = open(&folder, 1);
    assert_eq!(kept(&vault, &one), (some("Bearer canary-1"), some("{1}"), 0));
    vault.replace(&one, Credential::new("Bearer newer")).await.unwrap();
    vault.forget_body(&two).await;
    assert_eq!(kept(&vault, &one), (some("Bearer newer"), some("{1}"), 0));
    assert_eq!(kept(&vault, &two), (some("Bearer canary-2"), None, 0));
    for path in files(&folder) {
        let bytes = fs::read(&path).unwrap();
        assert!(!bytes.windows(6).any(|window| window == b"canary"));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let mode = fs::metadata(folder.path().join("sealed")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    vault.forget_all(&one).await;
    vault.forget_all(&two).await;
    vault.forget_all(&two).await;
    assert_eq!(files(&folder), [""; 0].map(PathBuf::from));
}

#[tokio::test]
async fn no_file_opens_in_the_place_of_another() {
    let folder = tempfile::tempdir().unwrap();
    let (vault, one, two) = (open(&folder, 1), whose("e-1"), whose("e-2"));
    keep(&vault, &one, "Bearer a", "{1}").await;
    keep(&vault, &two, "Bearer b", "{2}").await;
    let files = files(&folder);
    let contents: Vec<_> = files.iter().map(|path| fs::read(path).unwrap()).collect();
    for shift in 1..files.len() {
        for (at, path) in files.iter().enumerate() {
            fs::write(path, &contents[(at + shift) % files.len()]).unwrap();
        }
        assert_eq!(kept(&vault, &one), (None, None, 2), "{shift}");
        assert_eq!(kept(&vault, &two), (None, None, 2), "{shift}");
    }
    // Whatever part of a turn's name is another, it is another turn's.
    let session = Whose { session: SessionKey::from_bytes([2; 16]), ..one.clone() };
    let box_name = Whose { box_name: BoxName::parse("other").unwrap(), ..one.clone() };
    for other in [session, box_name] {
        assert_ne!(purpose(&other, Kind::Body), purpose(&one, Kind::Body));
        assert_eq!(kept(&vault, &other), (None, None, 0));
    }
}

#[tokio::test]
async fn a_wrong_key_and_damage_are_as_gone_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let one = whose("e-1");
    keep(&open(&folder, 1), &one, "Bearer a", "{1}").await;
    assert_eq!(kept(&open(&folder, 2), &one), (None, None, 2));
    for path in files(&folder) {
        let mut bytes = fs::read(&path).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        fs::write(&path, bytes).unwrap();
    }
    assert_eq!(kept(&open(&folder, 1), &one), (None, None, 2));
    let huge = vec![0; crate::limits::MAX_SEALED_FILE_BYTES + 1];
    fs::write(&files(&folder)[0], huge).unwrap();
    fs::remove_file(&files(&folder)[1]).unwrap();
    assert_eq!(kept(&open(&folder, 1), &one).2, 1);
}

#[tokio::test]
async fn only_what_turns_need_stays_at_a_start_and_nothing_where_nothing_is_sealed() {
    let folder = tempfile::tempdir().unwrap();
    let (vault, one, two, three) = (open(&folder, 1), whose("e-1"), whose("e-2"), whose("e-3"));
    for whose in [&one, &two, &three] {
        keep(&vault, whose, "Bearer a", "{}").await;
    }
    fs::write(folder.path().join("sealed/half.new"), "half").unwrap();
    vault.retain([(&one, true), (&two, false)].into_iter()).unwrap();
    assert_eq!(files(&folder).len(), 3);
    assert_eq!(kept(&vault, &one), (some("Bearer a"), some("{}"), 0));
    assert_eq!(kept(&vault, &two), (some("Bearer a"), None, 0));
    clear(folder.path()).unwrap();
    assert_eq!(files(&folder).len(), 0);
    clear(&folder.path().join("nowhere")).unwrap();
}

#[tokio::test]
async fn what_cannot_be_written_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let vault = open(&folder, 1);
    fs::remove_dir(folder.path().join("sealed")).unwrap();
    let refused = vault.keep(&whose("e-1"), Some(Credential::new("Bearer a")), None).await;
    assert!(matches!(refused, Err(Error::Folder(_))), "{refused:?}");
}
