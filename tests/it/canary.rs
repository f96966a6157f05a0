//! Secrets with a word of their own go through whole lives of the built program at its most
//! talkative; then everything that it wrote, said and kept is searched for each of them.

mod life;
mod scenes;
mod search;

use life::{Format, Life};
use search::{Place, Secret};

#[tokio::test]
async fn no_secret_is_in_any_output_or_file_after_a_life_in_human_lines() {
    live(Format::Human).await;
}

#[tokio::test]
async fn no_secret_is_in_any_output_or_file_after_a_life_in_json_lines() {
    live(Format::Json).await;
}

async fn live(format: Format) {
    let mut life = Life::begin(format).await;
    life.misconfigured().await;
    life.turns().await;
    life.refusals().await;
    life.bad_requests().await;
    life.other_boxes().await;
    life.operators().await;
    life.killed_in_mid_turn().await;
    let (places, folder) = life.end().await;
    assert!(places.len() > 60, "a life of {} answers is none", places.len());
    let lines = places.iter().find(|place| place.name == "stderr").expect("log lines");
    assert!(lines.bytes.len() > 10_000, "the program was silent");
    let spans = places.iter().filter(|place| place.name == "spans");
    assert!(spans.map(|place| place.bytes.len()).sum::<usize>() > 5000, "nothing was traced");
    let files = search::files_below(folder.path());
    assert!(files.iter().any(|file| file.name.contains("/log/")), "no log was kept");
    // The one place where the operators' token is, and must be.
    let is_its_own = |place: &&Place| place.name.ends_with("/admin.token");
    let own: Vec<_> = files.iter().filter(is_its_own).map(|file| &*file.bytes).collect();
    assert_eq!(own, [format!("{}\n", life::ADMIN).as_bytes()]);
    let places = places.iter().chain(&files).filter(|place| !is_its_own(place));
    let found = search::found(life::SECRETS, places);
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn the_search_sees_each_secret_in_each_form_and_in_files() {
    const SECRET: Secret = Secret { name: "a secret", text: "canary-Of-0123456789~" };
    let folder = tempfile::tempdir().unwrap();
    let leak = |bytes: &[u8]| {
        let path = folder.path().join("below");
        std::fs::create_dir_all(&path).unwrap();
        std::fs::write(path.join("file"), bytes).unwrap();
        search::found(&[SECRET], &search::files_below(folder.path()))
    };
    let text = SECRET.text;
    let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut leaks = vec![
        text.to_owned(),
        format!("\u{0}Bearer {text}\n"),
        hex.clone(),
        hex.to_uppercase(),
        text.bytes().map(|byte| format!("%{byte:02X}")).collect(),
        format!("{:?}", text.as_bytes()),
    ];
    for before in ["", "u", "u:", "Bearer "] {
        leaks.push(search::base64(format!("{before}{text}!").as_bytes()));
    }
    for planted in leaks {
        assert!(!leak(format!("x{planted}x").as_bytes()).is_empty(), "unseen: {planted}");
    }
    for harmless in ["", "canary-of-0123456789~", &text[1..], "Y2FuYXJ5"] {
        assert!(leak(harmless.as_bytes()).is_empty(), "{harmless}");
    }
    let place = Place { name: "an answer".to_owned(), bytes: text.as_bytes().to_vec() };
    assert_eq!(search::found(&[SECRET], [&place]).len(), 1);
}
