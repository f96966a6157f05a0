//! What no tracked file may hold: words of the places where it was written, and hosts that only
//! such a place knows. The project speaks of itself alone.

/// Hosts that a tracked file may name in a URL, besides IP addresses, `localhost`, single labels
/// and the reserved example names.
const HOSTS: [&str; 2] = ["github.com", "www.w3.org"];

/// Words of the places where this was written, in pieces, so that this file does not hold them.
fn foreign() -> Vec<String> {
    let pieces = [
        ("/work", "/"),
        ("/tmp/", "wt"),
        ("DESIGN", ".md"),
        ("WIRE", ".md"),
        ("BOXES", ".md"),
        ("STYLE", ".md"),
        ("issues ", "show"),
        ("registry.", "npmjs"),
        ("static.", "crates"),
        ("files.", "pythonhosted"),
        ("proxy.", "golang"),
    ];
    pieces.iter().map(|(a, b)| format!("{a}{b}")).collect()
}

pub(super) fn foreign_words(text: &str) -> Vec<String> {
    let held = foreign().into_iter().filter(|word| text.contains(word.as_str()));
    held.map(|word| format!("holds `{word}`")).collect()
}

/// Dotted host names in URLs that are neither reserved for examples nor in [`HOSTS`].
pub(super) fn foreign_hosts(text: &str) -> Vec<String> {
    let hosts = text.match_indices("://").filter_map(|(at, sign)| {
        let ends = |c: char| c.is_whitespace() || "/\"'`<>()|\\,;?#".contains(c);
        let authority = text[at + sign.len()..].split(ends).next()?;
        let host = authority.rsplit('@').next()?.split(':').next()?.trim_end_matches('.');
        let name = host.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c));
        let numeric = host.chars().all(|c| c.is_ascii_digit() || c == '.');
        (name && !numeric && host.contains('.')).then_some(host)
    });
    let reserved = |host: &str| {
        [".org", ".com", ".net"].iter().any(|top| {
            let example = format!("example{top}");
            host == example || host.ends_with(&format!(".{example}"))
        }) || [".example", ".invalid", ".test", ".localhost"].iter().any(|top| host.ends_with(top))
    };
    let foreign = hosts
        .map(str::to_ascii_lowercase)
        .filter(|host| !HOSTS.contains(&host.as_str()) && !reserved(host));
    foreign.map(|host| format!("names the host `{host}`")).collect()
}

#[test]
fn foreign_words_and_hosts_are_seen() {
    for word in foreign() {
        assert_eq!(foreign_words(&format!("a {word} b")).len(), 1, "{word}");
    }
    let hosts =
        ["mirror.corp.internal/x", "u:p@packages.mirror.net:8/", "a.b", "EXAMPLE.org.evil.net"];
    for host in hosts {
        let url = format!("see git+https://{host} .");
        assert_eq!(foreign_hosts(&url).len(), 1, "{url}");
    }
    let ours = "http://127.0.0.1:8788 http://[::1]:1/ http://localhost/ https://app.example.org:1/ \
        http://{bound} https://github.com/a http://box:4096 https://… http://$HOST/ http://h";
    assert_eq!(foreign_hosts(ours), [""; 0]);
}
