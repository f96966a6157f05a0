//! The documents that may come, and any document: what is found in it, and what changes.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const OURS: &str = "http://afterbay.example/box/x";

/// Puts our URL in the place of each one that was found.
fn changed(document: &str) -> String {
    let found = find(document).expect("JSON");
    let places = found.into_iter().flat_map(|shown| shown.urls);
    put_in(document, places.map(|url| (url.place, OURS.to_owned())).collect())
}

/// The ids that are found, each with its URLs in the order in which they count.
fn found(document: &str) -> Vec<(String, Vec<String>)> {
    let found = find(document).expect("JSON").into_iter();
    found.map(|s| (s.id, s.urls.into_iter().map(|url| url.text).collect())).collect()
}

/// `~` stands for the URL that is found, or for what is put in its place; `^` for one that stays.
#[track_caller]
fn check(document: &str) {
    let (theirs, stays) = ("\"https://box.example/a\"", "\"https://stays.example/\"");
    let given = document.replace('~', theirs).replace('^', stays);
    let expected = document.replace('~', &format!("\"{OURS}\"")).replace('^', stays);
    assert_eq!(changed(&given), expected);
}

#[test]
fn an_object_is_found_where_the_api_puts_one_and_every_other_byte_stays() {
    for document in [
        r#"{"id":"a","connection":{"sidecarUrl":~}}"#,
        r#"{"id":"a","connection":{"runtimeUrl":~}}"#,
        r#"{"id":"a","connection":{"runtimeUrl":~,"sidecarUrl":~,"webTerminalUrl":^}}"#,
        r#"[{"id":"a","connection":{"sidecarUrl":~}},{"id":"b","connection":{"sidecarUrl":~}}]"#,
        r#"{"sandboxes":[{"id":"a","connection":{"sidecarUrl":~}},7,null],"next":"x"}"#,
        r#"{"sandbox":{"id":"a","connection":{"sidecarUrl":~}},"queued":1.0e2}"#,
        r#"[{"sandbox":{"id":"a","connection":{"sidecarUrl":~}}}]"#,
        " { \"id\" :\t\"a\" ,\r\n \"connection\" : { \"sidecarUrl\" : ~ } } \n",
        r#"{"id":"a","n":12345678901234567890.0100e+07,"connection":{"sidecarUrl":~,"x":[1, 2]}}"#,
        // Keys may be escaped.
        "{\"\\u0069d\":\"a\",\"connec\\u0074ion\":{\"sidecar\\u0055rl\":~}}",
        // Doubled keys stay, and none of the URLs is left.
        r#"{"id":"a","id":"b","connection":{"sidecarUrl":~,"sidecarUrl":~}}"#,
        r#"{"id":"a","connection":{"sidecarUrl":~},"connection":{"runtimeUrl":~}}"#,
        r#"{"sandbox":{"id":"a","connection":{"sidecarUrl":~}},"sandbox":{"id":"b","connection":{"sidecarUrl":~}}}"#,
        r#"{"id":"a","connection":null,"connection":{"sidecarUrl":~}}"#,
    ] {
        check(document);
    }
}

#[test]
fn what_merely_looks_like_an_object_stays_as_it_is() {
    let alike = r#"{"id":"x","connection":{"sidecarUrl":^,"runtimeUrl":^}}"#;
    for document in [
        // An object's own payloads.
        r#"{"id":"a","connection":{"sidecarUrl":~},"metadata":@}"#,
        r#"{"id":"a","metadata":{"sandbox":@,"sandboxes":[@]},"connection":{"sidecarUrl":~}}"#,
        r#"{"id":"a","connection":{"sidecarUrl":~,"metadata":@},"sandbox":@,"sandboxes":[@]}"#,
        // Other places.
        r#"{"metadata":@}"#,
        r#"{"data":@}"#,
        r#"[[@]]"#,
        r#"{"sandboxes":{"x":@}}"#,
        r#"{"sandboxes":[[@],{"sandbox":@}]}"#,
        r#"{"sandbox":[@]}"#,
        r#"{"sandbox":{"sandbox":@}}"#,
        r#"{"Sandbox":@,"sandBoxes":[@]}"#,
        // No object.
        r#"{"connection":{"sidecarUrl":^}}"#,
        r#"{"id":7,"connection":{"sidecarUrl":^}}"#,
        r#"{"id":null,"connection":{"sidecarUrl":^}}"#,
        r#"{"id":"a","connection":[{"sidecarUrl":^}]}"#,
        r#"{"id":"a","connection":{"sidecarUrl":^},"connection":null}"#,
        r#"{"id":"a","connection":{"sidecarUrl":null,"runtimeUrl":7,"sidecarurl":^}}"#,
        r#"{"id":"a","connection":{"sidecarUrl":"","runtimeUrl":{"sidecarUrl":^}}}"#,
        r#"{"id":"a","connection":null}"#,
        "null",
        "7",
        "\"sandbox\"",
        "[]",
        "{}",
    ] {
        check(&document.replace('@', alike));
    }
}

#[test]
fn the_direct_url_counts_first_and_of_doubled_ones_the_last() {
    for (connection, order) in [
        (r#""runtimeUrl":"r","sidecarUrl":"s""#, &["s", "r"][..]),
        (r#""sidecarUrl":"s1","runtimeUrl":"r","sidecarUrl":"s2""#, &["s2", "s1", "r"]),
        (r#""sidecarUrl":"https:\/\/b.example\/\u0061""#, &["https://b.example/a"]),
        (r#""sidecarUrl":"\ud800","runtimeUrl":"r""#, &["r"]),
        ("", &[]),
    ] {
        let document = format!("{{\"id\":\"a\",\"connection\":{{{connection}}}}}");
        let order = order.iter().map(ToString::to_string).collect();
        assert_eq!(found(&document), [("a".to_owned(), order)], "{document}");
    }
}

#[test]
fn a_token_is_told_as_clients_send_it_and_shown_to_nobody() {
    let document = r#"{"id":"a","connection":{"authToken":"canary","sidecarUrl":"http://canary"}}"#;
    let found = find(document).expect("JSON");
    let token = found[0].token.as_ref().expect("a token");
    assert_eq!(token.expose(), "Bearer canary");
    assert!(!format!("{found:?}").contains("canary"));
    for nothing in [r#""authToken":null"#, r#""authToken":"""#, r#""authToken":7"#, ""] {
        let document = format!("{{\"id\":\"a\",\"connection\":{{{nothing}}}}}");
        assert!(find(&document).expect("JSON")[0].token.is_none(), "{nothing}");
    }
}

#[test]
fn what_is_not_json_is_told() {
    for document in ["", " ", "{", "{\"id\":}", "[1,]", "{}{}", "nope", "{\"id\":\"a\u{1}\"}"] {
        assert_eq!(find(document).err(), Some(NotJson), "{document}");
    }
}

#[test]
fn nesting_of_any_depth_is_passed_over() {
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let document =
        format!("{{\"metadata\":{deep},\"id\":\"a\",\"connection\":{{\"sidecarUrl\":~}}}}");
    check(&document);
    assert!(find(&deep).expect("JSON").is_empty());
    let texts = r#"{"id":"a","m":"\"}],{\"connection\":{","connection":{"sidecarUrl":~}}"#;
    check(texts);
}

/// What the change means, said of decoded values.
fn model(root: Value) -> Value {
    if let Value::Array(items) = root {
        items.into_iter().map(model_holder).collect()
    } else {
        model_holder(root)
    }
}

fn model_holder(value: Value) -> Value {
    if is_sandbox(&value) {
        return model_sandbox(value);
    }
    let Value::Object(mut members) = value else { return value };
    if let Some(sandbox) = members.get_mut("sandbox") {
        *sandbox = model_sandbox(sandbox.take());
    }
    if let Some(Value::Array(items)) = members.get_mut("sandboxes") {
        *items = std::mem::take(items).into_iter().map(model_sandbox).collect();
    }
    Value::Object(members)
}

fn is_sandbox(value: &Value) -> bool {
    value.get("id").is_some_and(Value::is_string) && value["connection"].is_object()
}

fn model_sandbox(mut value: Value) -> Value {
    if is_sandbox(&value) {
        for key in ["sidecarUrl", "runtimeUrl"] {
            let url = value["connection"].get_mut(key);
            if let Some(url) = url.filter(|url| url.is_string() && *url != "") {
                *url = json!(OURS);
            }
        }
    }
    value
}

const KEYS: [&str; 7] =
    ["id", "connection", "sandbox", "sandboxes", "sidecarUrl", "runtimeUrl", "metadata"];

/// Any value, made of the words that matter, written with blanks and escapes of any kind.
fn document() -> impl Strategy<Value = String> {
    let text = prop_oneof![
        Just("id".to_owned()),
        Just("a\\\"]}".to_owned()),
        Just("https://box.example/é".to_owned()),
        Just(String::new()),
    ];
    let texts = (text, 0..4_u8).prop_map(|(text, how)| written(&text, how));
    let leaf = prop_oneof![
        3 => texts,
        1 => Just("1.50E+3".to_owned()),
        1 => Just("null".to_owned()),
    ];
    let key = (prop::sample::select(&KEYS[..]), 0..4_u8).prop_map(|(key, how)| written(key, how));
    leaf.prop_recursive(6, 64, 6, move |inner| {
        let blank = || prop::sample::select(&["", " ", "\n\t"][..]);
        let member = (key.clone(), blank(), inner.clone())
            .prop_map(|(key, blank, value)| format!("{blank}{key}{blank}:{blank}{value}{blank}"));
        let sandbox = (inner.clone(), inner.clone(), blank()).prop_map(|(url, other, blank)| {
            format!(
                "{{\"metadata\":{other},{blank}\"id\":\"i\",\"connection\":{{\"sidecarUrl\":{url},\
                 {blank}\"runtimeUrl\":{other}}}}}"
            )
        });
        prop_oneof![
            2 => prop::collection::vec(member, 0..6).prop_map(|m| format!("{{{}}}", m.join(","))),
            1 => prop::collection::vec(inner, 0..4).prop_map(|i| format!("[{}]", i.join(" ,"))),
            2 => sandbox,
        ]
    })
}

/// `text` as a JSON text, plain or with escapes that are not needed.
fn written(text: &str, how: u8) -> String {
    if how > 0 {
        return Value::String(text.to_owned()).to_string();
    }
    let units = text.encode_utf16().map(|unit| format!("\\u{unit:04x}"));
    format!("\"{}\"", units.collect::<String>())
}

proptest! {
    #[test]
    fn any_document_means_the_same_but_for_the_urls_of_its_objects(document in document()) {
        let before: Value = serde_json::from_str(&document).expect("JSON");
        let after: Value = serde_json::from_str(&changed(&document)).expect("JSON");
        prop_assert_eq!(after, model(before));
    }

    #[test]
    fn any_document_keeps_every_byte_around_the_urls(document in document()) {
        let found = find(&document).expect("JSON");
        let mut urls: Vec<_> = found.into_iter().flat_map(|shown| shown.urls).collect();
        urls.sort_by_key(|url| url.place.start);
        let ours = Value::String(OURS.to_owned()).to_string();
        let after = changed(&document);
        let (mut from, mut rest) = (0, after.as_str());
        for ShownUrl { place, text } in urls {
            let theirs: String = serde_json::from_str(&document[place.clone()]).expect("a text");
            prop_assert_eq!(theirs, text);
            rest = rest.strip_prefix(&document[from..place.start]).expect("what stands before");
            rest = rest.strip_prefix(&ours).expect("our URL");
            from = place.end;
        }
        prop_assert_eq!(rest, &document[from..]);
    }

    #[test]
    fn any_text_is_answered(text in "[\\[\\]{}\":,a-z0-9\\\\ ]{0,40}") {
        let is_json = serde_json::from_str::<&RawValue>(&text).is_ok();
        // A key that is no Unicode is the one thing that is JSON to one and not to the other.
        prop_assert!(is_json || find(&text).is_err());
    }
}
