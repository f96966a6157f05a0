//! The root of the image: laid out by the Dockerfile's own lines, entered as its user.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::dockerfile::{self, Stage};

/// What the shell in front says that was not allowed to.
pub(super) const REFUSED: i32 = 77;

/// What a container engine adds to the root: it is read-only, but for the volume; `/proc` and some devices
/// are there (a static program has its randomness from one). The network is an own one, where only
/// loopback is.
const ENTER: &str = "{ ip link set lo up && mount --bind \"$1\" \"$1\" && mount --bind \"$2\" \"$1$3\" &&\n\
    mount -t proc proc \"$1/proc\" && mount -t tmpfs dev \"$1/dev\" &&\n\
    for device in null zero full random urandom; do\n\
    : > \"$1/dev/$device\" && mount --bind \"/dev/$device\" \"$1/dev/$device\" || exit 77; done &&\n\
    mount -o remount,ro,bind \"$1\"; } || exit 77\n\
    ! touch \"$1/written\" 2>/dev/null || exit 78\n\
    shift 3; exec \"$@\"";

/// A root that is laid out.
#[derive(Debug)]
pub(super) struct Root {
    pub(super) path: PathBuf,
    /// What becomes the volume, and where.
    volume: PathBuf,
    at: String,
}

/// Does what the Dockerfile says, with `program` as what was built.
pub(super) fn lay_out(home: &Path, program: &Path) -> Root {
    let stages = dockerfile::stages();
    let [build, last] = &stages[..] else { panic!("two stages") };
    let (built, path, volume) = (home.join("built"), home.join("root"), home.join("volume"));
    let mut installs = 0;
    for line in build.all("RUN").flat_map(|run| run.split(" && ")) {
        let Some(line) = line.strip_prefix("install ") else { continue };
        let word = |word: &str| match word {
            "target/release/afterbay" => program.to_owned(),
            // What a stage has of its own.
            _ if word.starts_with("/out/") || word.starts_with("/owned/") => built.join(&word[1..]),
            _ => PathBuf::from(word),
        };
        // What is to be there before `-D` is: the folder that all of it is in.
        fs::create_dir_all(&built).expect("a folder");
        run(Command::new("install").args(line.split(' ').map(word)));
        installs += 1;
    }
    assert!(installs >= 4, "{installs}");
    fs::create_dir(&path).expect("a root");
    for line in last.all("COPY") {
        let words: Vec<_> = line.split(' ').filter(|word| !word.starts_with("--from=")).collect();
        let (owner, from) = match words[..] {
            [from, "/"] => ("0:0", from),
            [chown, from, "/"] => (chown.strip_prefix("--chown=").expect("an owner"), from),
            _ => panic!("{line}"),
        };
        let from = built.join(&from[1..]);
        run(Command::new("chown").args(["-R", owner]).arg(&from));
        run(Command::new("cp").arg("-a").arg(from.join(".")).arg(&path));
    }
    libraries(program, &path);
    // By an engine, when the container starts; a new volume is a copy of what is there.
    for name in ["proc", "dev"] {
        fs::create_dir(path.join(name)).expect("a folder");
    }
    let at = last.one("VOLUME").to_owned();
    run(Command::new("cp").arg("-a").arg(path.join(&at[1..])).arg(&volume));
    Root { path, volume, at }
}

/// The program of the tests is no static one: what it loads comes along.
fn libraries(program: &Path, root: &Path) {
    let told = Command::new("ldd").arg(program).output().expect("start ldd");
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    for library in told.split_whitespace().filter(|word| word.starts_with('/')) {
        let to = root.join(&library[1..]);
        fs::create_dir_all(to.parent().expect("a folder")).expect("a folder");
        fs::copy(library, to).expect("copy a library");
    }
}

impl Root {
    /// A command that becomes what follows, with this root ready for [`dress`].
    pub(super) fn entered(&self) -> Command {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--net", "--propagation", "private", "sh", "-c", ENTER, "sh"]);
        command.arg(&self.path).arg(&self.volume).arg(&self.at);
        command
    }
}

/// Makes a `setpriv` enter the root as the image's user, with these variables alone and no way to more
/// rights.
pub(super) fn dress<'a>(
    command: &'a mut Command,
    root: &Path,
    stage: &Stage,
    variables: &[(String, String)],
) -> &'a mut Command {
    command.env_clear().envs(variables.iter().map(|(name, value)| (name, value)));
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").args(["--no-new-privs", "chroot"]);
    command.arg(format!("--userspec={}", stage.one("USER"))).arg("--groups=").arg(root)
}

/// How large the program and the whole root are, without the volume.
pub(super) fn figures(root: &Path, stage: &Stage) -> String {
    let bytes = |path: &Path| fs::metadata(path).expect("a file").size();
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let program = bytes(&root.join(&stage.command("ENTRYPOINT")[0][1..]));
    let others = ["/proc", "/dev", stage.one("VOLUME")].map(|at| root.join(&at[1..]));
    let mut all = 0;
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        if others.contains(&folder) {
            continue;
        }
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() { folders.push(path) } else { all += bytes(&path) }
        }
    }
    format!("the program has {:.1} MiB, the root {:.1} MiB", mib(program), mib(all))
}

fn run(command: &mut Command) {
    let done = command.status().expect("start a command");
    assert!(done.success(), "{command:?}: {done}");
}
