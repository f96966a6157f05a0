//! The file of learned boxes: `sandboxes` in the data folder.
//!
//! A first line names the format, each further line is one of [`Line`]. Changes are appended and
//! synced, so that one costs its own bytes, however many boxes are known; once most lines are old the
//! file is written anew as a whole (`whole_file`). A crash leaves what was
//! durable and perhaps a beginning of the next line, which is dropped. A damaged line costs its own box
//! alone, which is learned again when it is next seen.
//!
//! After a write or a sync that failed nothing is appended any more: the next change writes the whole
//! file anew, from memory. Whoever calls holds the data folder's lock.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use super::super::whole_file;
use super::line::Line;
use crate::limits;

const NAME: &str = "sandboxes";
const FIRST_LINE: &str = "afterbay sandboxes 1\n";

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another version wrote it, or something else did.
    #[error("{NAME} is not a list of boxes of this version; without it they are learned again")]
    Foreign,
    /// It cannot be read.
    #[error("read {NAME}")]
    Read(#[source] io::Error),
    /// It cannot be written.
    #[error("write {NAME}")]
    Write(#[source] io::Error),
}

/// The open file.
#[derive(Debug)]
pub(super) struct LinesFile {
    folder: PathBuf,
    /// `None` once a write failed: it must be written anew.
    file: Option<File>,
    lines: usize,
}

/// What the file held.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Its whole lines, in their order.
    pub(super) lines: Vec<Line>,
    /// How many others it had.
    pub(super) damaged: usize,
}

impl LinesFile {
    /// Opens the file in `folder`, made if there is none. What it held is durable when this returns.
    ///
    /// # Errors
    /// [`Error`]; the file is as it was.
    pub(super) fn open(folder: &Path) -> Result<(Self, Found), Error> {
        let mut opened = Self { folder: folder.to_owned(), file: None, lines: 0 };
        let file = match OpenOptions::new().read(true).append(true).open(folder.join(NAME)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                opened.write_anew(&[]).map_err(Error::Write)?;
                return Ok((opened, Found::default()));
            }
            Err(error) => return Err(Error::Read(error)),
        };
        let mut bytes = Vec::new();
        let most = limits::MAX_LEARNED_FILE_BYTES;
        (&file).take(most + 1).read_to_end(&mut bytes).map_err(Error::Read)?;
        let lines = bytes.strip_prefix(FIRST_LINE.as_bytes()).ok_or(Error::Foreign)?;
        if bytes.len() as u64 > most {
            return Err(Error::Foreign);
        }
        let mut found = Found::default();
        let mut is_torn = false;
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            let Some(whole) = line.strip_suffix(b"\n") else {
                is_torn = true;
                continue;
            };
            match std::str::from_utf8(whole).ok().and_then(Line::decode) {
                Some(line) => found.lines.push(line),
                None => found.damaged += 1,
            }
        }
        // After a kill it may stand in the page cache alone.
        file.sync_all().map_err(Error::Write)?;
        opened.lines = found.lines.len();
        // The next line must not go on where one was torn.
        opened.file = Some(file).filter(|_| !is_torn && found.damaged == 0);
        Ok((opened, found))
    }

    /// Makes `changes` durable. About so many boxes are known; `all` gives the lines of everything that
    /// is known with the changes.
    ///
    /// # Errors
    /// If they are not durable.
    // Durable: a line is synced, or the file that holds it, and its name.
    pub(super) fn write(
        &mut self,
        changes: &[Line],
        known: usize,
        all: impl FnOnce() -> Vec<Line>,
    ) -> io::Result<()> {
        let after = self.lines + changes.len();
        let is_old = after > 2 * (known + changes.len()) + limits::LEARNED_FILE_SLACK_LINES;
        let Some(file) = self.file.as_mut().filter(|_| !is_old) else {
            return self.write_anew(&all());
        };
        let text: String = changes.iter().map(Line::encode).collect();
        let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_data());
        match &written {
            Ok(()) => self.lines = after,
            // Part of it may stand there, and what the kernel could not sync it has dropped.
            Err(_) => self.file = None,
        }
        written
    }

    fn write_anew(&mut self, lines: &[Line]) -> io::Result<()> {
        self.file = None;
        let mut text = FIRST_LINE.to_owned();
        text.extend(lines.iter().map(Line::encode));
        let file = whole_file::put(&self.folder, NAME, text.as_bytes())?;
        (self.file, self.lines) = (Some(file), lines.len());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::line::Kept;
    use super::*;

    fn line(name: &str, path: u64) -> Line {
        let endpoint = format!("http://box.example/{path}").parse().expect("an endpoint");
        let kept = Kept { endpoint, seen_ms: path, handed_out: Vec::new(), is_deleted: false };
        Line::Box(name.parse().expect("a name"), kept)
    }

    fn open(folder: &Path) -> (LinesFile, Vec<Line>, usize) {
        let (file, found) = LinesFile::open(folder).expect("it opens");
        (file, found.lines, found.damaged)
    }

    #[test]
    fn what_was_written_is_there_after_every_crash_and_a_torn_line_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (mut file, found, _) = open(folder.path());
        assert!(found.is_empty());
        let (one, two) = (line("one", 1), line("two", 2));
        file.write(std::slice::from_ref(&one), 0, || vec![one.clone()]).unwrap();
        let path = folder.path().join(NAME);
        let first = fs::read(&path).unwrap();
        file.write(std::slice::from_ref(&two), 1, || vec![one.clone(), two.clone()]).unwrap();
        let both = fs::read(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        for cut in first.len()..=both.len() {
            fs::write(&path, &both[..cut]).unwrap();
            let (mut file, found, damaged) = open(folder.path());
            let whole =
                if cut == both.len() { vec![one.clone(), two.clone()] } else { vec![one.clone()] };
            assert_eq!((&found, damaged), (&whole, 0), "cut at {cut}");
            // What is written next stands whole, whatever was torn before it.
            let three = line("three", 3);
            let all = [whole.clone(), vec![three.clone()]].concat();
            file.write(std::slice::from_ref(&three), 2, || all.clone()).unwrap();
            assert_eq!(open(folder.path()).1, all, "cut at {cut}");
        }
    }

    #[test]
    fn damage_costs_its_own_line_and_is_gone_with_the_next_write() {
        let folder = tempfile::tempdir().unwrap();
        let (mut file, ..) = open(folder.path());
        let lines = [line("one", 1), line("two", 2), line("three", 3)];
        file.write(&lines, 0, || lines.to_vec()).unwrap();
        let path = folder.path().join(NAME);
        let text = fs::read_to_string(&path).unwrap().replace("two", "tw\u{fffd}");
        fs::write(&path, text).unwrap();
        let (mut file, found, damaged) = open(folder.path());
        let [one, two, three] = lines;
        assert_eq!((found, damaged), (vec![one.clone(), three.clone()], 1));
        let all = [one, three, two.clone()];
        file.write(&[two], 1, || all.to_vec()).unwrap();
        let (_, found, damaged) = open(folder.path());
        assert_eq!((found, damaged), (all.to_vec(), 0));
    }

    #[test]
    fn old_lines_go_once_they_are_most_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let (mut file, ..) = open(folder.path());
        let mut longest = 0;
        let rounds = 3 * limits::LEARNED_FILE_SLACK_LINES as u64 / 64;
        for n in 0..rounds {
            let now = line("one", n);
            file.write(&vec![now.clone(); 64], 1, || vec![now.clone()]).unwrap();
            longest = longest.max(file.lines);
        }
        assert!(longest <= limits::LEARNED_FILE_SLACK_LINES + 2 * 65, "{longest}");
        let (_, found, _) = open(folder.path());
        assert_eq!(found.last(), Some(&line("one", rounds - 1)));
    }

    #[test]
    fn a_failed_write_is_told_and_the_next_one_writes_all() {
        let folder = tempfile::tempdir().unwrap();
        let (mut file, ..) = open(folder.path());
        // A file that takes no bytes.
        file.file = Some(OpenOptions::new().append(true).open("/dev/full").unwrap());
        let (one, two) = (line("one", 1), line("two", 2));
        let failed = file.write(std::slice::from_ref(&one), 0, || vec![one.clone()]);
        assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::StorageFull);
        let all = [one, two.clone()];
        file.write(&[two], 1, || all.to_vec()).unwrap();
        assert_eq!(open(folder.path()).1, all);
    }

    #[test]
    fn a_file_of_another_version_is_refused_and_left_alone() {
        for text in ["", "afterbay sandboxes 2\n", "x"] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join(NAME);
            fs::write(&path, text).unwrap();
            assert!(matches!(LinesFile::open(folder.path()), Err(Error::Foreign)), "{text}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }
}
