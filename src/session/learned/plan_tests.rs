//! What follows from an answer, and who goes when there is no room.

use super::*;

const NOW: u64 = 1_000_000;

fn name(text: &str) -> BoxName {
    text.parse().expect("a name")
}

fn endpoint(path: &str) -> Endpoint {
    format!("http://box.example/{path}").parse().expect("an endpoint")
}

fn kept(path: &str, seen_ms: u64) -> Kept {
    Kept { endpoint: endpoint(path), seen_ms, handed_out: Vec::new(), is_deleted: false }
}

fn sighting(box_name: &str, path: &str, token: Option<u8>) -> Sighting {
    let handed_out = token.map(|byte| CredentialHash::from_bytes([byte; 32]));
    Sighting { name: name(box_name), endpoint: endpoint(path), handed_out }
}

fn known(boxes: impl IntoIterator<Item = (String, Kept)>) -> HashMap<BoxName, Known> {
    boxes.into_iter().map(|(text, kept)| (name(&text), Known::from(kept))).collect()
}

fn full() -> HashMap<BoxName, Known> {
    let boxes = (0..limits::MAX_LEARNED_BOXES as u64).map(|n| (format!("b{n}"), kept("x", n + 1)));
    known(boxes)
}

/// Who goes, in alphabetical order.
fn gone(plan: &Plan) -> Vec<&str> {
    let gone = plan.boxes.iter().filter(|(_, kept)| kept.is_none());
    let mut gone: Vec<_> = gone.map(|(name, _)| name.as_str()).collect();
    gone.sort_unstable();
    gone
}

#[test]
fn a_box_is_learned_once_moves_and_comes_back_from_its_deletion() {
    let deleted = Kept { is_deleted: true, ..kept("x", 1) };
    for (before, change) in [
        (None, Some(Change::Learned)),
        (Some(kept("x", 1)), None),
        (Some(kept("y", 1)), Some(Change::Moved)),
        (Some(deleted), Some(Change::Learned)),
    ] {
        let known = known(before.clone().map(|kept| ("a".to_owned(), kept)));
        let (plan, learnt) =
            Plan::of(&known, &[sighting("a", "x", None)], NOW, &HashSet::default());
        assert_eq!(learnt, [Learnt::Known], "{before:?}");
        assert_eq!(plan.changes, Vec::from_iter(change), "{before:?}");
        assert_eq!(plan.is_told, change.is_some(), "{before:?}");
        assert_eq!(plan.boxes[&name("a")], Some(kept("x", NOW)), "{before:?}");
    }
}

#[test]
fn of_the_credentials_that_were_handed_out_the_newest_stay() {
    let tokens = u8::try_from(limits::MAX_HANDED_OUT).expect("a few") + 3;
    let seen: Vec<_> = (0..tokens).map(|n| sighting("a", "x", Some(n))).collect();
    let (plan, _) = Plan::of(&HashMap::default(), &seen, NOW, &HashSet::default());
    let handed_out = plan.boxes[&name("a")].clone().expect("kept").handed_out;
    let expected: Vec<_> = (3..tokens).map(|n| CredentialHash::from_bytes([n; 32])).collect();
    assert_eq!(handed_out, expected);
    let again = [sighting("a", "x", Some(4))];
    let known = known([("a".to_owned(), Kept { handed_out, ..kept("x", NOW) })]);
    let (plan, _) = Plan::of(&known, &again, NOW, &HashSet::default());
    assert_eq!(plan.boxes[&name("a")].clone().expect("kept").handed_out, expected);
    assert!(!plan.is_told && plan.changes.is_empty());
}

#[test]
fn who_was_not_seen_for_longest_makes_room_and_nobody_goes_for_nothing() {
    let known = full();
    let (plan, _) = Plan::of(&known, &[sighting("b3", "y", None)], NOW, &HashSet::default());
    assert_eq!(gone(&plan), [""; 0]);
    let seen = [sighting("b0", "x", None), sighting("new", "x", None), sighting("new", "y", None)];
    // The oldest is shown, the second one is at work.
    let busy = HashSet::from([name("b1")]);
    let (plan, learnt) = Plan::of(&known, &seen, NOW, &busy);
    assert_eq!((gone(&plan), learnt), (vec!["b2"], vec![Learnt::Known; 3]));
    assert_eq!(plan.boxes[&name("new")], Some(kept("y", NOW)));
}

#[test]
fn deleted_ones_go_first() {
    let mut known = full();
    let last = limits::MAX_LEARNED_BOXES as u64;
    known.insert(name("b9"), Known::from(Kept { is_deleted: true, ..kept("x", last) }));
    let (plan, _) = Plan::of(&known, &[sighting("new", "x", None)], NOW, &HashSet::default());
    assert_eq!(gone(&plan), ["b9"]);
}

#[test]
fn without_room_a_newcomer_is_told_so() {
    let known = full();
    let busy: HashSet<_> = known.keys().filter(|name| name.as_str() != "b7").cloned().collect();
    let seen = ["n1", "b7", "n2"].map(|name| sighting(name, "x", None));
    let (plan, learnt) = Plan::of(&known, &seen, NOW, &busy);
    // The only one that is not at work is shown itself.
    assert_eq!(
        (gone(&plan), learnt),
        (vec![], vec![Learnt::NoRoom, Learnt::Known, Learnt::NoRoom])
    );
    let (plan, learnt) = Plan::of(&known, &seen[..1], NOW, &busy);
    assert_eq!((gone(&plan), learnt), (vec!["b7"], vec![Learnt::Known]));
}
