//! A folder and the program in it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value as Json;

/// The formula that most tests fit to the study.
pub(crate) const FORMULA: &str = "~ log(libsize) + cls + cls:trt + (1 | sam)";

/// A file of the golden data.
pub(crate) fn golden(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let golden = std::env::var_os("FERROCYTE_GOLDEN").map_or_else(|| root.join("tests/golden"), PathBuf::from);
    let path = golden.join(name);
    assert!(path.exists(), "{} is absent", path.display());
    path
}

/// A folder that holds `study.h5ad`, the golden study of 1,000 cells and 50 genes from 25 samples; the program runs in
/// it.
pub(crate) struct Folder(tempfile::TempDir);

/// What the program left: its exit code, stdout and stderr.
pub(crate) struct Left {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Left {
    /// The lines of stderr as JSON.
    pub(crate) fn messages(&self) -> Vec<Json> {
        self.err.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
    }
}

impl Folder {
    pub(crate) fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        std::fs::copy(golden("flashmm/data/counts.h5ad"), folder.path("study.h5ad")).unwrap();
        folder
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The names of the files, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    pub(crate) fn bytes(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    pub(crate) fn text(&self, name: &str) -> String {
        String::from_utf8(self.bytes(name)).unwrap()
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// The program, not yet started.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ferrocyte"));
        command.args(args).current_dir(self.0.path()).stdin(Stdio::null());
        command
    }

    /// Runs the program, whatever comes of it.
    pub(crate) fn run(&self, args: &[&str]) -> Left {
        let output = self.command(args).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Left { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Runs the program, which must succeed.
    pub(crate) fn done(&self, args: &[&str]) -> Left {
        let left = self.run(args);
        assert_eq!(left.code, 0, "{args:?}\n{}", left.err);
        left
    }

    /// Makes sums of the study with [`FORMULA`].
    pub(crate) fn sums(&self, out: &str, more: &[&str]) -> Left {
        let args = [&["lmm", "sums", "study.h5ad", "--formula", FORMULA, "-o", out], more].concat();
        self.done(&args)
    }
}
