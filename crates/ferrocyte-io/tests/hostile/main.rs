//! Hostile files: whatever bytes stand in a file, a reader answers with content or with a fault. It never crashes, hangs
//! or takes all memory.
//!
//! Each reader gets damaged copies of good files for ten seconds of processor time (`FERROCYTE_HOSTILE_SECONDS`), in a
//! process of its own whose memory is limited, so that a crash is a finding and not the end of the tests. What was found once stands under
//! `hostile/found` and is read again each time. The same readers are fuzz targets under `fuzz/`.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, unreachable_pub)]

#[path = "../common/mod.rs"]
mod common;
mod readers;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use common::golden;
use ferrocyte_base::Run;
use readers::{READERS, Reader};

/// Bytes of address space that the reading process may have, the processor time that one file may take (so that a machine
/// with much to do is no finding), and how long the parent waits for the next file.
const MEMORY: u64 = 4 << 30;
const SLOW: Duration = Duration::from_secs(20);
const HUNG: Duration = Duration::from_secs(300);

/// Bytes that reading what was found may take.
const MUCH: u64 = 1 << 30;

/// A small generator of its own (splitmix64): the same seed, the same damage.
struct Draws(u64);

impl Draws {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}

/// Damages a file in one to eight places: bits, bytes, sizes and addresses, pieces moved, the end cut off.
fn damage(bytes: &mut Vec<u8>, draws: &mut Draws) {
    const SIZES: [u64; 10] = [0, 1, 7, 255, 65_535, 1 << 31, 1 << 32, 1 << 40, u64::MAX - 1, u64::MAX];
    for _ in 0..=draws.below(8) {
        if bytes.is_empty() {
            return;
        }
        let at = draws.below(bytes.len());
        match draws.below(8) {
            0 | 1 => bytes[at] ^= 1 << draws.below(8),
            2 => bytes[at] = draws.next() as u8,
            3 | 4 => {
                // A size or an address, where such stand: at a multiple of their width.
                let width = [2, 4, 8][draws.below(3)];
                let at = at / width * width;
                let small = draws.next() % (bytes.len() as u64 + 3);
                let value = if draws.below(3) == 0 { small } else { SIZES[draws.below(SIZES.len())] };
                let n = bytes.len();
                for (to, byte) in bytes[at..n.min(at + width)].iter_mut().zip(value.to_le_bytes()) {
                    *to = byte;
                }
            }
            5 => {
                let (from, length) = (draws.below(bytes.len()), 1 + draws.below(64));
                let length = length.min(bytes.len() - at).min(bytes.len() - from);
                bytes.copy_within(from..from + length, at);
            }
            6 if draws.below(4) == 0 => bytes.truncate(at),
            _ => {
                let digits = [b'-', b'9', b'.', b'\t', b'\n', b'"', 0xff];
                bytes[at] = digits[draws.below(digits.len())];
            }
        }
    }
}

/// Good files to start from: the smaller golden ones with this ending.
fn seeds(reader: &Reader) -> Vec<PathBuf> {
    fn walk(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
        let Ok(entries) = fs::read_dir(folder) else { return };
        for path in entries.map(|e| e.unwrap().path()) {
            if path.is_dir() {
                walk(&path, ending, found);
            } else if path.to_string_lossy().ends_with(ending) && fs::metadata(&path).unwrap().len() < 300_000 {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&golden(), reader.ending, &mut found);
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile/good"), reader.ending, &mut found);
    found.sort();
    assert!(!found.is_empty(), "no good file for the reader `{}`", reader.name);
    found
}

fn seconds() -> u64 {
    std::env::var("FERROCYTE_HOSTILE_SECONDS").ok().and_then(|s| s.parse().ok()).unwrap_or(10)
}

/// The reading process: reads damaged files until its time is up, each written where the parent finds it.
#[test]
#[ignore = "run by the tests below, in a process of its own"]
fn reading_process() {
    let Ok(job) = std::env::var("FERROCYTE_HOSTILE_JOB") else { return };
    let (name, rest) = job.split_once(';').unwrap();
    let (seed, scratch) = rest.split_once(';').unwrap();
    let reader = READERS.iter().find(|r| r.name == name).unwrap();
    let (scratch, seed): (PathBuf, u64) = (scratch.into(), seed.parse().unwrap());
    let file = scratch.join(format!("hostile{}", reader.ending));
    let run = Run::new().threads(1).memory(256 << 20);
    let seeds = seeds(reader);
    let (begin, mut draws, mut n) = (busy(), Draws(seed), 0_u64);
    while busy().saturating_sub(begin).as_secs() < seconds() {
        let mut bytes = fs::read(&seeds[draws.below(seeds.len())]).unwrap();
        damage(&mut bytes, &mut draws);
        fs::write(&file, &bytes).unwrap();
        let start = busy();
        let _ = (reader.read)(&run, &file);
        let took = busy().saturating_sub(start);
        assert!(took < SLOW, "reading took {took:?}");
        n += 1;
    }
    eprintln!("{name}: {n} damaged files");
}

/// The processor time of this process up to now: the fields `utime` and `stime` of `/proc/self/stat`, in hundredths of a
/// second; where there is no such file, time itself.
fn busy() -> Duration {
    static BEGIN: OnceLock<Instant> = OnceLock::new();
    let told = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name of the program, the second field, may have spaces.
    let after = told.rsplit(')').next().unwrap_or_default();
    let ticks: Vec<u64> = after.split_whitespace().skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
    match ticks[..] {
        [user, system] => Duration::from_millis(10 * (user + system)),
        _ => BEGIN.get_or_init(Instant::now).elapsed(),
    }
}

/// Reads the one file that `FERROCYTE_HOSTILE_FILE` names: a finding, under a debugger.
#[test]
#[ignore = "for a finding, by hand"]
fn one_file() {
    let Some(path) = std::env::var_os("FERROCYTE_HOSTILE_FILE").map(PathBuf::from) else { return };
    for reader in READERS.iter().filter(|r| path.to_string_lossy().ends_with(r.ending)) {
        let outcome = (reader.read)(&Run::new().threads(1).memory(256 << 20), &path);
        eprintln!("{}: {}", reader.name, outcome.map_or_else(|f| f.to_string(), |()| "read".to_owned()));
    }
}

/// Runs the reading process; what it crashed on is kept and told.
fn survive(name: &str) {
    let reader = READERS.iter().find(|r| r.name == name).unwrap();
    let seed = std::env::var("FERROCYTE_HOSTILE_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(1_u64);
    let scratch = tempfile::tempdir().unwrap();
    let mut child = Command::new("sh")
        .args(["-c", &format!("ulimit -v {}; exec \"$0\" \"$@\"", MEMORY >> 10)])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "reading_process", "--ignored", "--nocapture"])
        .env("FERROCYTE_HOSTILE_JOB", format!("{name};{seed};{}", scratch.path().display()))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let file = scratch.path().join(format!("hostile{}", reader.ending));
    let (mut last, mut since) = (None, Instant::now());
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break Some(status);
        }
        let written = fs::metadata(&file).and_then(|m| m.modified()).ok();
        if written != last {
            (last, since) = (written, Instant::now());
        }
        if since.elapsed() > HUNG {
            child.kill().unwrap();
            child.wait().unwrap();
            break None;
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    if status.is_some_and(|s| s.success()) {
        return;
    }
    let found = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("hostile-{name}-{seed}{}", reader.ending));
    fs::copy(&file, &found).unwrap();
    let how = status.map_or_else(|| "it hung".to_owned(), |s| s.to_string());
    panic!("the reader `{name}` did not survive ({how}); the file is kept as {}", found.display());
}

#[test]
fn h5ad_readers_survive() {
    survive("h5ad");
}

#[test]
fn h5mu_readers_survive() {
    survive("h5mu");
}

#[test]
fn tenx_readers_survive() {
    survive("tenx");
}

#[test]
fn zarr_readers_survive() {
    survive("zarr");
}

#[test]
fn matrix_market_readers_survive() {
    survive("matrix_market");
}

#[test]
fn part_readers_survive() {
    survive("part");
}

#[test]
fn text_readers_survive() {
    survive("text");
}

#[test]
fn files_that_were_found_are_read_again() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile/found");
    let run = Run::new().threads(1).memory(256 << 20);
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        for reader in READERS.iter().filter(|r| path.to_string_lossy().ends_with(r.ending)) {
            let _ = (reader.read)(&run, &path);
        }
    }
    assert!(peak() < MUCH, "reading files of a few kilobytes took {} MiB", peak() >> 20);
}

/// The most memory that this process has held, in bytes; 0 where the system does not tell.
fn peak() -> u64 {
    let told = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = told.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kilobytes| kilobytes.parse::<u64>().ok()).unwrap_or_default() << 10
}
