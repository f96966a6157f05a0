//! The image without a container engine: the Dockerfile's own steps, done in folders of the test.
//!
//! What it copies must be enough for cargo to understand the package; what its last stage holds is laid
//! out by its own `install` lines, becomes a read-only root in namespaces of mounts and
//! network, and there its entry point serves a turn as its user and its health check tells the truth.
//! The program is the tests' own, with the libraries that it wants; `AFTERBAY_BIN` names a static one, which
//! is what the image holds.

mod dockerfile;
mod root;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use afterbay::simbox::{Faults, Simbox};
use rustix::process::Signal;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::client::{Client, Turn, WAYS};
use super::process::Process;
use super::wait;

const SCENARIO: &str = "e2e::image::serves_a_turn_and_is_healthy";
/// The root, in the scenario.
const ROOT: &str = "AFTERBAY_IMAGE_ROOT";
/// To bind and to open a log.
const START_LIMIT: Duration = Duration::from_secs(30);
/// What `docker stop` allows by itself.
const GRACE: Duration = Duration::from_secs(10);

#[test]
fn what_is_copied_is_a_whole_package() {
    let [build, _] = &dockerfile::stages()[..] else { panic!("two stages") };
    let (from, context) = (Path::new(env!("CARGO_MANIFEST_DIR")), tempfile::tempdir());
    let context = context.expect("a folder");
    let ignored = fs::read_to_string(from.join(".dockerignore")).expect("what is ignored");
    for copied in build.all("COPY") {
        let (sources, to) = copied.rsplit_once(' ').expect("from and to");
        for source in sources.split(' ') {
            assert!(!ignored.lines().any(|line| line == format!("/{source}")), "{source}");
            let mut copy = Command::new("cp");
            copy.arg("-r").arg(from.join(source)).arg(context.path().join(to));
            assert!(copy.status().expect("start cp").success(), "{copied}");
        }
    }
    // The targets that are not copied are only named.
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--locked", "--offline", "--no-deps", "--format-version", "1"]);
    let told = cargo.current_dir(context.path()).output().expect("start cargo");
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    assert!(String::from_utf8_lossy(&told.stdout).contains(r#""kind":["bin"]"#));
}

#[test]
fn the_image_agrees_with_itself_and_with_those_who_run_it() {
    let stages = dockerfile::stages();
    let last = stages.last().expect("a stage");
    assert_eq!(last.one("FROM"), "scratch");
    let set = last.environment();
    let variable = |name: &str| {
        let found = set.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_else(|| panic!("no {name}"))
    };
    assert_eq!(last.one("VOLUME"), variable("AFTERBAY_DATA_DIR"));
    let ports = ["AFTERBAY_LISTEN", "AFTERBAY_ADMIN"].map(variable);
    let ports = ports.map(|address| address.rsplit(':').next().expect("a port"));
    assert_eq!(last.one("EXPOSE"), ports.join(" "));
    let (user, group) = last.one("USER").split_once(':').expect("a user and a group");
    assert!(user.parse::<u32>().is_ok_and(|user| user > 0), "nobody in particular: {user}");
    let entry = last.command("ENTRYPOINT");
    let check = last.command("HEALTHCHECK");
    assert_eq!(check[0], entry[0], "there is no other program");
    let deploy = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name);
        fs::read_to_string(path).expect("a file of deploy")
    };
    let sidecar = deploy("kubernetes/sidecar.yaml");
    for part in [
        format!("runAsUser: {user}\n"),
        format!("runAsGroup: {group}\n"),
        format!("mountPath: {}\n", last.one("VOLUME")),
    ] {
        assert!(sidecar.contains(&part), "{part}");
    }
    let compose = deploy("compose.yaml");
    assert!(compose.contains(&format!(":{}\n", last.one("VOLUME"))), "{compose}");
    for text in [sidecar, compose] {
        for program in ["wget", "curl -f", "/bin/sh", "CMD-SHELL"] {
            assert!(!text.contains(program), "{program} is not in the image");
        }
    }
}

#[test]
fn the_image_serves_a_turn_from_a_clean_read_only_root() {
    if !rustix::process::geteuid().is_root() {
        println!("SKIPPED: only root can lay out a root and enter it");
        return;
    }
    let home = tempfile::tempdir().expect("a folder");
    let root = root::lay_out(home.path(), &super::daemon::program());
    let mut command = root.entered();
    command.arg(std::env::current_exe().expect("this program"));
    command.args([SCENARIO, "--exact", "--ignored", "--nocapture", "--test-threads=1"]);
    let done = command.env(ROOT, &root.path).output().expect("start unshare");
    let said = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
    if done.status.code() == Some(root::REFUSED) {
        println!("SKIPPED: there are no namespaces here: {said}");
        return;
    }
    assert!(done.status.success(), "{said}");
    println!("{}", said.lines().find(|line| line.contains("MiB")).expect("figures"));
}

/// Not a test: what happens in the root, with a network of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it is started by another test, in namespaces"]
async fn serves_a_turn_and_is_healthy() {
    let Some(root) = variable(ROOT).map(PathBuf::from) else { return };
    let stages = dockerfile::stages();
    let last = stages.last().expect("a stage");
    let (simbox, mut at_box) = (Simbox::new(Faults::default()), JoinSet::new());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind the box");
    let url = format!("http://{}", listener.local_addr().expect("its address"));
    let served = simbox.clone().serve(listener, CancellationToken::new());
    at_box.spawn(async move { served.await.expect("serve the box") });

    let mut variables = last.environment();
    for (name, value) in [("BOX", &*url), ("KIND", "tangle"), ("OPEN", "true")] {
        variables.push((format!("AFTERBAY_{name}"), value.to_owned()));
    }
    let check = last.command("HEALTHCHECK");
    let is_healthy = async || {
        let mut command = Command::new("setpriv");
        root::dress(&mut command, &root, last, &variables).args(&check);
        tokio::task::spawn_blocking(move || command.output())
            .await
            .expect("no panic")
            .expect("start the check")
            .status
            .code()
    };
    assert_eq!(is_healthy().await, Some(1), "nobody serves yet");
    let log = root.with_extension("log");
    let mut process = Process::start(Path::new("setpriv"), |command| {
        let words = [last.command("ENTRYPOINT"), last.command("CMD")].concat();
        root::dress(command, &root, last, &variables).args(words);
        let out = fs::File::create(&log).expect("a file for its log lines");
        let copy = out.try_clone().expect("a copy");
        command.stdin(Stdio::null()).stdout(copy).stderr(out);
    });
    let log = || fs::read_to_string(&log).expect("its log lines");
    wait::until(START_LIMIT, "it is healthy", || async {
        (is_healthy().await == Some(0)).then_some(())
    })
    .await;
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).expect("a process");
    let (user, _) = last.one("USER").split_once(':').expect("a user and a group");
    for line in [format!("Uid:\t{user}\t{user}"), "NoNewPrivs:\t1".to_owned()] {
        assert!(status.contains(&line), "{line:?} in {status}");
    }
    assert!(status.contains("CapEff:\t0000000000000000\n"), "{status}");

    let (port, _) = last.one("EXPOSE").split_once(' ').expect("two ports");
    let clients = SocketAddr::from(([127, 0, 0, 1], port.parse().expect("a port")));
    let mut client = Client::new(clients, Turn::new("turn-1", "parts=3"), &WAYS);
    client.run().await;
    assert_eq!(simbox.account().turns.len(), 1, "{}", log());

    process.signal(Signal::TERM);
    let ended = wait::until(GRACE, "it stops", || std::future::ready(process.ended())).await;
    assert_eq!(ended.code(), Some(0), "{}", log());
    assert_eq!(is_healthy().await, Some(1), "it has stopped");
    println!("{}", root::figures(&root, last));
}

#[expect(clippy::disallowed_methods, reason = "a variable of the tests' own")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
