//! The files of the web page: open, under a policy that lets nothing else in, and none that is missing.

use std::collections::BTreeSet;

use super::stage::Stage;

/// All paths that a file of the page names.
fn named(text: &str) -> impl Iterator<Item = String> {
    let quoted = text.split('"').skip(1).step_by(2);
    quoted.filter_map(|word| match word.strip_prefix("./") {
        Some(module) => Some(format!("/page/{module}")),
        None => word.starts_with("/page/").then(|| word.to_owned()),
    })
}

#[tokio::test]
async fn its_files_are_open_to_all_and_name_no_other_place() {
    let stage = Stage::open().await;
    let (mut seen, mut wanted) = (BTreeSet::new(), vec!["/".to_owned()]);
    while let Some(path) = wanted.pop() {
        if !seen.insert(path.clone()) {
            continue;
        }
        let answer = stage.ask(&format!("GET {path}"), "", "").await;
        assert_eq!(answer.head.status(), 200, "{path}");
        let policy = answer.head.one("content-security-policy").expect("a policy");
        for part in ["default-src 'none'", "script-src 'self';", "frame-ancestors 'none'"] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
        assert_eq!(answer.head.one("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.head.one("referrer-policy"), Some("no-referrer"), "{path}");
        // The name of a picture's language, which nobody asks for.
        let text = answer.body.replace("http://www.w3.org/2000/svg", "");
        assert!(!text.contains("://"), "{path} names another place");
        let inline = [" style=", "<script>", "innerHTML", "javascript:", "onclick="];
        let found: Vec<_> = inline.iter().filter(|word| text.contains(*word)).collect();
        assert!(found.is_empty(), "{path}: {found:?}");
        wanted.extend(named(&text));
    }
    assert!(seen.len() > 10, "{seen:?}");
}

#[tokio::test]
async fn a_browser_that_has_a_file_is_told_so() {
    let stage = Stage::open().await;
    let first = stage.ask("GET /page/main.js", "", "").await;
    assert_eq!(first.head.one("cache-control"), Some("no-cache"));
    let etag = first.head.one("etag").expect("an etag");
    let again = stage.ask("GET /page/main.js", &format!("If-None-Match: {etag}\r\n"), "").await;
    assert_eq!((again.head.status(), again.body.as_str()), (304, ""));
    let other = stage.ask("GET /page/door.js", &format!("If-None-Match: {etag}\r\n"), "").await;
    assert_eq!(other.head.status(), 200);
    let head = stage.ask("HEAD /page/main.js", "", "").await;
    assert_eq!((head.head.status(), head.head.one("etag")), (200, Some(etag)));
    assert_eq!(stage.ask("POST /", "", "").await.head.status(), 405);
}
