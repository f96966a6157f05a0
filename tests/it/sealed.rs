//! Sealed credentials and prompts: after any kill a turn goes on with nobody there, once, as
//! whoever started it; what is sealed is no longer there than it is needed; and a turn whose secrets
//! cannot be kept does not begin.

mod program;

use std::fs;
use std::path::PathBuf;

use afterbay::mode::Phase;
use afterbay::session::Answered;
use afterbay::turn::verdict::Withdrawal;
use afterbay::upstream::{Ending, Redispatch};

use super::support::puppet::{Call, Delivery, Fault, GOOD, Memory, Puppet};
use super::support::rig::{Rig, check_digest, names, until, within};

const OTHER: &str = "Bearer other";

/// What is done to files.
type Harm = fn(&[PathBuf]);

fn sealing() -> Rig {
    Rig::new().sealing()
}

fn files(rig: &Rig) -> usize {
    rig.seal.as_ref().expect("it seals").files().len()
}

/// Waits until the box has the turn, and its prompt is not kept any more.
async fn runs(rig: &Rig) {
    until("it runs", || rig.session("s").is_some_and(|s| s.phase() == Some(Phase::Running))).await;
    until("its prompt is not kept", || files(rig) == 1).await;
}

/// Takes a turn to its end; nobody comes back for it.
async fn ends_alone(rig: &Rig, execution: &str) {
    rig.puppet.release_all();
    rig.puppet.says(execution, "a");
    rig.puppet.ends(execution, Ending::Completed);
    let lines = rig.finished(execution).await;
    let expected = ["execution.started", "message.part.updated", "result", "done"];
    assert_eq!(names(&lines), expected, "{lines:?}");
    check_digest(&lines);
    assert_eq!(rig.puppet.runs(execution), 1);
    until("nothing of it is kept", || files(rig) == 0).await;
}

#[tokio::test]
async fn killed_in_mid_turn_it_goes_on_with_its_own_credential() {
    let mut rig = sealing();
    rig.post("e-1").await.expect("started");
    runs(&rig).await;
    for _ in 0..3 {
        rig.kill().await;
        let polls = rig.puppet.calls(Call::Poll);
        until("it is polled", || rig.puppet.calls(Call::Poll) > polls).await;
    }
    ends_alone(&rig, "e-1").await;
}

#[tokio::test]
async fn killed_before_the_prompt_is_sent_it_is_sent_once() {
    for call in [Call::Prepare, Call::Dispatch] {
        let mut rig = sealing();
        rig.puppet.hold(call);
        rig.post("e-1").await.expect("started");
        rig.puppet.stands(call).await;
        assert_eq!(files(&rig), 2, "{call:?}");
        rig.kill().await;
        ends_alone(&rig, "e-1").await;
        assert_eq!(rig.puppet.arrivals("e-1"), 1, "{call:?}");
    }
}

#[tokio::test]
async fn a_prompt_that_was_lost_on_its_way_is_sent_again_without_its_client() {
    let memory = Memory { repeats: Redispatch::Deduped, has_mark: true };
    let mut rig = Rig::before(Puppet::remembering(memory), 1, Default::default(), None).sealing();
    rig.puppet.deliver([Delivery::LostOnTheWay]);
    rig.puppet.hold(Call::Find);
    rig.post("e-1").await.expect("started");
    rig.puppet.stands(Call::Find).await;
    rig.kill().await;
    ends_alone(&rig, "e-1").await;
    assert_eq!(rig.puppet.calls(Call::Dispatch), 2);
}

#[tokio::test]
async fn a_refused_turn_leaves_nothing_and_the_next_of_its_ids_keeps_its_own() {
    let mut rig = sealing();
    rig.puppet.deliver([Delivery::Refused]);
    let refused = rig.post("e-1").await.expect("started");
    let answered = within("it is answered", refused.turn.answered()).await;
    assert!(matches!(answered, Answered::Refused(_)), "{answered:?}");
    assert_eq!(files(&rig), 0, "told before it was forgotten");
    rig.puppet.hold(Call::Dispatch);
    rig.post("e-1").await.expect("started");
    rig.puppet.stands(Call::Dispatch).await;
    assert_eq!(files(&rig), 2);
    rig.kill().await;
    ends_alone(&rig, "e-1").await;
}

#[tokio::test]
async fn a_credential_that_the_box_takes_later_is_the_one_after_a_kill() {
    let mut rig = sealing();
    rig.puppet.accept(OTHER);
    rig.post("e-1").await.expect("started");
    runs(&rig).await;
    let before = contents(&rig);
    rig.look("s", Some(OTHER)).await.expect("vouched for");
    rig.puppet.revoke(GOOD);
    until("the newer one is kept", || contents(&rig) != before).await;
    rig.kill().await;
    ends_alone(&rig, "e-1").await;
}

fn contents(rig: &Rig) -> Vec<Vec<u8>> {
    let files = rig.seal.as_ref().expect("it seals").files();
    files.iter().filter_map(|path| fs::read(path).ok()).collect()
}

#[tokio::test]
async fn with_a_wrong_key_the_turn_waits_and_with_the_right_one_it_goes_on() {
    let mut rig = sealing();
    rig.post("e-1").await.expect("started");
    runs(&rig).await;
    rig.die().await;
    rig.seal.as_mut().expect("it seals").key = 2;
    rig.start();
    let polls = rig.puppet.calls(Call::Poll);
    assert_eq!(rig.look("s", None).await, Err(401));
    assert_eq!((rig.puppet.calls(Call::Poll), files(&rig)), (polls, 1));
    rig.die().await;
    rig.seal.as_mut().expect("it seals").key = 1;
    rig.start();
    ends_alone(&rig, "e-1").await;
}

#[tokio::test]
async fn damaged_swapped_and_missing_files_are_as_gone_and_the_owner_brings_them_back() {
    let swap = |paths: &[PathBuf]| {
        let kept = [fs::read(&paths[0]).expect("a file"), fs::read(&paths[1]).expect("a file")];
        fs::write(&paths[0], &kept[1]).expect("a file");
        fs::write(&paths[1], &kept[0]).expect("a file");
    };
    let flip = |paths: &[PathBuf]| {
        for path in paths {
            let mut bytes = fs::read(path).expect("a file");
            bytes[40] ^= 1;
            fs::write(path, bytes).expect("a file");
        }
    };
    let remove = |paths: &[PathBuf]| {
        paths.iter().for_each(|path| fs::remove_file(path).expect("a file"));
    };
    let harms: [Harm; 3] = [swap, flip, remove];
    for (at, harm) in harms.into_iter().enumerate() {
        let mut rig = sealing();
        rig.puppet.hold(Call::Prepare);
        rig.post("e-1").await.expect("started");
        rig.puppet.stands(Call::Prepare).await;
        rig.die().await;
        harm(&rig.seal.as_ref().expect("it seals").files());
        rig.start();
        assert_eq!(rig.session("s").expect("known").phase(), Some(Phase::Accepted), "{at}");
        assert!(!rig.post("e-1").await.expect("attached").new);
        ends_alone(&rig, "e-1").await;
    }
}

#[tokio::test]
async fn a_turn_whose_secrets_cannot_be_kept_does_not_begin() {
    let mut rig = sealing();
    let folder = rig.seal.as_ref().expect("it seals").folder();
    fs::remove_dir(&folder).expect("it is empty");
    fs::write(&folder, "in its place").expect("a file");
    let refused = rig.post("e-1").await.expect("begun");
    let answered = within("it is answered", refused.turn.answered()).await;
    assert!(matches!(answered, Answered::Withdrawn(Withdrawal::NotKept)), "{answered:?}");
    assert!(rig.turn("e-1").is_none() && rig.session("s").is_none());
    for call in [Call::Prepare, Call::Dispatch, Call::Poll] {
        assert_eq!(rig.puppet.calls(call), 0);
    }
    fs::remove_file(&folder).expect("a file");
    rig.kill().await;
    assert!(rig.turn("e-1").is_none(), "it was in the log");
    assert!(rig.post("e-1").await.expect("started").new);
    ends_alone(&rig, "e-1").await;
}

#[tokio::test]
async fn a_turn_without_a_credential_keeps_its_prompt_alone() {
    let mut rig = sealing();
    rig.puppet.revoke(GOOD);
    rig.puppet.hold(Call::Prepare);
    rig.post_as(None, Some("s"), Some("e-1"), None).await.expect("started");
    rig.puppet.stands(Call::Prepare).await;
    assert_eq!(files(&rig), 1);
    rig.kill().await;
    // It is tried until the box is there.
    rig.puppet.fail(Call::Prepare, Fault::Connect);
    ends_alone(&rig, "e-1").await;
}
