//! The second half of `replay`: the same session over HTTP, from the program itself, which serves
//! a folder that was written before. The reader is a bare socket that throws away what it reads.
//! Beside a process that sends the same files with nothing but `pread` and `write`.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::time::Duration;

use tokio::time::Instant;

use super::child::{Order, Running, tell};
use super::figures::{Sample, mib, millis, ratio};
use super::files::{self, READ_BYTES};
use super::usage;
use super::workload::{EVENT_BYTES, Turn, session_name};
use crate::process::Process;

const ROUNDS: usize = 3;
const READERS: usize = 64;
/// What each of the many readers takes before it goes.
const SHARE_BYTES: u64 = 16 << 20;
/// How long the many do not read: every buffer on the way is full by then.
const STANDSTILL: Duration = Duration::from_millis(500);
/// What ends a whole answer.
const END: &[u8] = b"0\r\n\r\n";

/// Reads `turn` from the log below `folder`.
pub(crate) fn run(folder: &Path, turn: Turn) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _guard = runtime.enter();
    // First, and with all files open: the program renames and replaces some of them.
    let mut sender = Running::start("serve-files", folder, &[]);
    let bare = SocketAddr::from(([127, 0, 0, 1], sender.wait_for("port") as u16));
    let data = folder.display().to_string();
    let mut arguments = vec!["serve", "--kind", "tangle", "--data-dir", &data];
    // The session is larger than what is kept of one by default.
    arguments.extend(["--retention-session", "8GiB"]);
    // Nobody asks the box: all turns of this log are over.
    arguments.extend(["--box", "http://127.0.0.1:9"]);
    arguments.extend(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    let begun = Instant::now();
    let mut program = Process::start(env!("CARGO_BIN_EXE_afterbay"), &arguments);
    let address = runtime.block_on(program.address("listening on http://"));
    let started = begun.elapsed().as_secs_f64();
    let process = PathBuf::from(format!("/proc/{}", program.id()));
    let idle = usage::rss(&process);

    let (mut ours, mut plain, mut cpu) = (Sample::default(), Sample::default(), Sample::default());
    usage::forget_peak(&process);
    let mut peak_of_one = idle;
    for _ in 0..ROUNDS {
        plain.push(read_whole(bare, turn).1);
        let cpu_before = usage::cpu(&process);
        let (bytes, rate) = read_whole(address, turn);
        assert!(bytes > turn.events * EVENT_BYTES as u64, "all events are in the answer");
        ours.push(rate);
        cpu.push((usage::cpu(&process) - cpu_before) / (bytes as f64 / rate));
        peak_of_one = usage::peak(&process);
    }
    println!(
        "  over HTTP                  MB/s on the wire   (spread)            beside the bare sender   cores of the program"
    );
    let shown = |rate: f64| format!("{:.0}", rate / 1e6);
    for (name, rate, cores) in
        [("bare sender", &plain, None), ("afterbay, 1 reader", &ours, Some(cpu.median()))]
    {
        let cores = cores.map_or_else(|| "-".to_owned(), |cores| format!("{cores:.2}"));
        println!(
            "  {name:<26} {:>16}   {:<19} {:>22} {cores:>22}",
            shown(rate.median()),
            format!("({})", rate.spread(shown)),
            ratio(rate.median(), plain.median()),
        );
    }
    usage::forget_peak(&process);
    let bare_many = many(bare, turn, || {});
    let mut stuck = 0.0;
    let ours_many = many(address, turn, || stuck = usage::rss(&process));
    println!(
        "  afterbay, {READERS} readers at once {:>10} MB/s in all, {} of a bare sender's {}",
        shown(ours_many),
        ratio(ours_many, bare_many),
        shown(bare_many),
    );
    let peak_of_many = usage::peak(&process);
    println!(
        "  RSS of the program, MiB: started in {} ms with {}, peak with 1 reader {}, with {READERS} that stand still {}, peak with {READERS} {}",
        millis(started),
        mib(idle),
        mib(peak_of_one),
        mib(stuck),
        mib(peak_of_many),
    );
    let each = |rss: f64| (rss - peak_of_one) / READERS as f64 / 1024.0;
    println!(
        "  {READERS} readers beside 1: {} of its peak; KiB for each: {:.0} that stands still, {:.0} at the peak",
        ratio(peak_of_many, peak_of_one),
        each(stuck),
        each(peak_of_many),
    );
    sender.kill();
}

fn ask(address: SocketAddr, turn: Turn) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    let name = session_name(turn.session);
    let request = format!(
        "GET /agents/sessions/{name}/events?until=idle HTTP/1.1\r\nHost: {address}\r\n\
         Connection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

/// Reads an answer to its end; its bytes, and bytes a second.
fn read_whole(address: SocketAddr, turn: Turn) -> (u64, f64) {
    let begun = Instant::now();
    let mut stream = ask(address, turn);
    let (mut buffer, mut bytes, mut last) = (vec![0; READ_BYTES], 0, Vec::new());
    loop {
        let read = stream.read(&mut buffer).unwrap();
        if read == 0 {
            break;
        }
        if bytes == 0 {
            assert!(buffer.starts_with(b"HTTP/1.1 200"), "{:?}", buffer[..read].escape_ascii());
        }
        bytes += read as u64;
        last.extend_from_slice(&buffer[read.saturating_sub(END.len())..read]);
        last.drain(..last.len().saturating_sub(END.len()));
    }
    assert_eq!(last, END, "the answer is whole");
    (bytes, bytes as f64 / begun.elapsed().as_secs_f64())
}

/// Many readers at once: they stand still for a while after their first bytes, then each takes
/// its share. Bytes a second of all of them.
fn many(address: SocketAddr, turn: Turn, at_standstill: impl FnOnce()) -> f64 {
    let (came, go) = (Barrier::new(READERS + 1), Barrier::new(READERS + 1));
    let read = || {
        let (mut stream, mut buffer) = (ask(address, turn), vec![0; READ_BYTES]);
        let mut bytes = stream.read(&mut buffer).unwrap() as u64;
        came.wait();
        go.wait();
        while bytes < SHARE_BYTES {
            let read = stream.read(&mut buffer).unwrap();
            assert!(read > 0, "the session is longer than a share");
            bytes += read as u64;
        }
        bytes
    };
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..READERS).map(|_| scope.spawn(read)).collect();
        came.wait();
        std::thread::sleep(STANDSTILL);
        at_standstill();
        go.wait();
        let begun = Instant::now();
        let bytes: u64 = readers.into_iter().map(|reader| reader.join().unwrap()).sum();
        bytes as f64 / begun.elapsed().as_secs_f64()
    })
}

/// The bare sender: sends all files below its folder to whoever connects, until it is killed.
pub(crate) fn serve_files(order: &Order) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let files = files::below(&order.folder).into_iter();
    let files: Vec<_> = files.map(|(path, _)| File::open(path).unwrap()).collect();
    tell("port", f64::from(listener.local_addr().unwrap().port()));
    std::thread::scope(|scope| {
        for stream in listener.incoming() {
            scope.spawn(|| {
                let mut stream = stream.unwrap();
                let asked = stream.read(&mut [0; 4096]).unwrap();
                let mut open = asked > 0;
                let mut send = |bytes: &[u8]| open = open && stream.write_all(bytes).is_ok();
                send(b"HTTP/1.1 200 OK\r\n\r\n");
                for file in &files {
                    files::each_piece(file, &mut send);
                }
                send(END);
            });
        }
    });
}
