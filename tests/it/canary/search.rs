//! Looks for secrets in whatever was written, in each form in which one could slip out.

use std::collections::BTreeSet;
use std::path::Path;

/// A secret that must be nowhere.
#[derive(Debug, Clone, Copy)]
pub(super) struct Secret {
    /// What it is, for people.
    pub(super) name: &'static str,
    /// Without a scheme before it: that is how it would be looked for.
    pub(super) text: &'static str,
}

/// Something that the program wrote.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
}

/// Which secret is where, and in which form.
pub(super) fn found<'a>(
    secrets: &[Secret],
    places: impl IntoIterator<Item = &'a Place>,
) -> Vec<String> {
    let forms: Vec<_> = secrets.iter().flat_map(forms).collect();
    let mut by_first = vec![Vec::new(); 256];
    for form in &forms {
        by_first[usize::from(form.bytes[0])].push(form);
    }
    let mut found = BTreeSet::new();
    for Place { name, bytes } in places {
        for (at, byte) in bytes.iter().enumerate() {
            let candidates = &by_first[usize::from(*byte)];
            let here = candidates.iter().filter(|form| bytes[at..].starts_with(&form.bytes));
            found.extend(here.map(|form| format!("{} is in {name}, {}", form.secret, form.kind)));
        }
    }
    found.into_iter().collect()
}

/// One way to write a secret.
struct Form {
    secret: &'static str,
    kind: &'static str,
    bytes: Vec<u8>,
}

/// Every file below `folder`, with what it holds.
pub(super) fn files_below(folder: &Path) -> Vec<Place> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            let bytes = without_blanks(&std::fs::read(&path).expect("a file"));
            files.push(Place { name: path.display().to_string(), bytes });
        }
    }
    files
}

/// The log's files are made ahead of need and hold mostly zeros, which no form does.
fn without_blanks(bytes: &[u8]) -> Vec<u8> {
    let written = bytes.split(|byte| *byte == 0).filter(|run| !run.is_empty());
    written.collect::<Vec<_>>().join(&0)
}

fn forms(secret: &Secret) -> Vec<Form> {
    let Secret { name, text } = *secret;
    let each = |write: fn(u8) -> String| text.bytes().map(write).collect::<String>().into_bytes();
    let numbers = format!("{:?}", text.as_bytes());
    let mut forms = vec![
        ("as it is", text.as_bytes().to_vec()),
        ("in hex", each(|byte| format!("{byte:02x}"))),
        ("in upper hex", each(|byte| format!("{byte:02X}"))),
        ("in percent escapes", each(|byte| format!("%{byte:02X}"))),
        ("as a list of numbers", numbers.trim_matches(['[', ']']).as_bytes().to_vec()),
    ];
    for before in 0..3 {
        let whole = base64(&[&vec![0; before][..], text.as_bytes()].concat());
        // What shares a group with neighbours is left out.
        let (from, to) = ((before * 4).div_ceil(3), (before + text.len()) * 4 / 3);
        let inner = whole[from..to].to_owned();
        forms.push(("in base64", inner.clone().into_bytes()));
        forms.push(("in base64 of URLs", inner.replace('+', "-").replace('/', "_").into_bytes()));
    }
    let form = |(kind, bytes)| Form { secret: name, kind, bytes };
    forms.into_iter().map(form).collect()
}

/// The standard alphabet, padded.
pub(super) fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let number = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let letter = LETTERS[(number >> (18 - 6 * at) & 63) as usize];
            text.push(if at <= group.len() { char::from(letter) } else { '=' });
        }
    }
    text
}
