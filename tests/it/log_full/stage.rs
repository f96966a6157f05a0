//! A small file system of one's own: mounted in a mount namespace that ends with the processes in it,
//! so that nothing is left mounted, whoever is killed.

use std::path::Path;
use std::process::Command;

/// Where the file system is mounted.
pub(crate) const ROOM: &str = "AFTERBAY_FULL_ROOM";

/// What a script says that was not allowed to mount.
const REFUSED: i32 = 77;

/// What is mounted, of so many MiB.
#[derive(Debug, Clone, Copy)]
pub(crate) enum FileSystem {
    /// In memory. Syncs cost nothing, and what is free is free to the last page.
    Memory(u32),
    /// In a file. Has blocks, and a journal of its own.
    Ext4(u32),
}

impl FileSystem {
    /// Mounts it at `$1`, `$2` MiB large, and becomes what follows.
    const fn script(self) -> &'static str {
        match self {
            Self::Memory(_) => {
                "mount -t tmpfs -o size=\"$2\"m,mode=0700 afterbay \"$1\" || exit 77\n\
                 shift 2; exec \"$@\""
            }
            Self::Ext4(_) => {
                "{ truncate -s \"$2\"M \"$1.img\" && mkfs.ext4 -q -F -m 0 \"$1.img\" &&\n\
                 mount -o loop \"$1.img\" \"$1\"; } || exit 77\n\
                 shift 2; exec \"$@\""
            }
        }
    }

    /// Runs an ignored test of this program on it, whose file system is named by [`ROOM`]. Says what it
    /// printed; nothing where this process may not mount it.
    pub(crate) fn run(self, test: &str, variables: &[(&str, String)]) -> Option<String> {
        let home = tempfile::tempdir().expect("tempdir");
        let room = home.path().join("room");
        std::fs::create_dir(&room).expect("a folder");
        let output = self.command(&room, test, variables).output().expect("a shell");
        let [out, err] =
            [output.stdout, output.stderr].map(|b| String::from_utf8_lossy(&b).into_owned());
        if output.status.code() == Some(REFUSED) || out.is_empty() && !output.status.success() {
            println!("SKIPPED: {self:?} cannot be mounted here: {}", err.trim());
            return None;
        }
        assert!(output.status.success(), "{self:?}: {}\n{out}\n{err}", output.status);
        Some(out)
    }

    fn command(self, room: &Path, test: &str, variables: &[(&str, String)]) -> Command {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private"]);
        if !rustix::process::geteuid().is_root() {
            command.arg("--map-root-user");
        }
        let (Self::Memory(mib) | Self::Ext4(mib)) = self;
        command.args(["sh", "-c", self.script(), "sh"]).arg(room).arg(mib.to_string());
        command.arg(std::env::current_exe().expect("this program"));
        command.args([test, "--exact", "--ignored", "--nocapture", "--test-threads=1"]);
        command.env(ROOM, room).envs(variables.iter().map(|(name, value)| (name, value)));
        command
    }
}
