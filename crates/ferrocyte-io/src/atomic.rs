//! Writing so that a file is either complete or untouched.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use ferrocyte_base::{Fault, Result};

/// Lets `fill` write a file beside `path`, then puts it in the place of `path`. If anything fails, what stood at
/// `path` still stands there and nothing else is left behind.
///
/// A `path` that exists but is no regular file (a pipe, `/dev/stdout`) is written to directly; a symbolic link is
/// followed.
pub fn write_atomically(path: &Path, fill: impl FnOnce(&mut File) -> Result<()>) -> Result<()> {
    let at = |fault: Fault| fault.at(path.display().to_string());
    let target = target_of(path);
    match fs::metadata(&target) {
        Ok(meta) if meta.is_dir() => return Err(at(a_folder())),
        Ok(meta) if !meta.is_file() => {
            let mut special = File::options().write(true).open(&target).map_err(|e| at(not_written(e)))?;
            return fill(&mut special).map_err(at);
        }
        _ => {}
    }
    let (mut file, temporary) = beside(&target).map_err(|e| at(not_written(e)))?;
    let written = fill(&mut file)
        .and_then(|()| file.flush().and_then(|()| file.sync_all()).map_err(not_written))
        .and_then(|()| fs::rename(&temporary, &target).map_err(not_written));
    if written.is_err() {
        // The first fault is the one to tell.
        let _ = fs::remove_file(&temporary);
    }
    written.map_err(at)
}

/// A file in the making, for what is written through a library that wants a name: it stands beside its place until
/// [`Pending::commit`] puts it there, and is removed if that never comes.
#[derive(Debug)]
pub(crate) struct Pending {
    target: PathBuf,
    temporary: PathBuf,
    placed: bool,
}

impl Pending {
    /// A new empty file beside `path`. A folder or a pipe at `path` is refused: what is written this way is not
    /// written from its beginning to its end.
    pub(crate) fn beside(path: &Path) -> Result<Self> {
        let target = target_of(path);
        match fs::metadata(&target) {
            Ok(meta) if meta.is_dir() => return Err(a_folder()),
            Ok(meta) if !meta.is_file() => {
                return Err(Fault::unsupported("a pipe or a device, expected the name of a file"));
            }
            _ => {}
        }
        let (_, temporary) = beside(&target).map_err(not_written)?;
        Ok(Self { target, temporary, placed: false })
    }

    /// Where the file stands until it is complete.
    pub(crate) fn path(&self) -> &Path {
        &self.temporary
    }

    /// Overwrites the first bytes of the file, which is closed.
    pub(crate) fn begin_with(&self, bytes: &[u8]) -> Result<()> {
        let mut file = File::options().write(true).open(&self.temporary).map_err(not_written)?;
        file.write_all(bytes).map_err(not_written)
    }

    /// Puts the file, complete and closed, in its place.
    pub(crate) fn commit(mut self) -> Result<()> {
        File::open(&self.temporary).and_then(|file| file.sync_all()).map_err(not_written)?;
        fs::rename(&self.temporary, &self.target).map_err(not_written)?;
        self.placed = true;
        Ok(())
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.placed {
            // Why the file was given up is told elsewhere.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// Where a file goes: through symbolic links.
fn target_of(path: &Path) -> PathBuf {
    if path.is_symlink() { fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()) } else { path.to_owned() }
}

fn a_folder() -> Fault {
    Fault::bad_file("a folder, expected the name of a file")
}

/// A new file in the folder of `target`, so that renaming stays within one file system.
fn beside(target: &Path) -> std::io::Result<(File, PathBuf)> {
    let name = target.file_name().map_or_else(|| "out".into(), |n| n.to_string_lossy());
    let process = std::process::id();
    for attempt in 0..1000 {
        let temporary = target.with_file_name(format!(".{name}.{process}-{attempt}.tmp"));
        match File::options().read(true).write(true).create_new(true).open(&temporary) {
            Ok(file) => return Ok((file, temporary)),
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
            Err(e) => return Err(e),
        }
    }
    Err(ErrorKind::AlreadyExists.into())
}

/// The fault of a write that failed; keeps the [`std::io::Error`] as its source.
pub(crate) fn not_written(error: std::io::Error) -> Fault {
    let message = match error.kind() {
        ErrorKind::NotFound => "cannot be written: its folder does not exist".to_owned(),
        ErrorKind::PermissionDenied => "cannot be written: no permission".to_owned(),
        ErrorKind::StorageFull => "cannot be written: the disk is full".to_owned(),
        ErrorKind::BrokenPipe => "whoever was reading the output stopped".to_owned(),
        _ => format!("cannot be written: {error}"),
    };
    Fault::bad_file(message).because(error)
}

/// Whether a fault came of a reader that stopped reading (`ferrocyte ... | head`), which is no failure.
pub fn is_closed_pipe(fault: &Fault) -> bool {
    let mut cause = std::error::Error::source(fault);
    while let Some(error) = cause {
        if error.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == ErrorKind::BrokenPipe) {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_everything_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.tsv");
        write_atomically(&path, |f| f.write_all(b"old").map_err(not_written)).unwrap();
        let outcome = write_atomically(&path, |f| {
            f.write_all(b"half").map_err(not_written)?;
            Err(Fault::bad_input("no more"))
        });
        assert!(outcome.is_err_and(|f| f.to_string().ends_with("out.tsv: no more")));
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_in_the_making_is_placed_or_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.h5ad");
        drop(Pending::beside(&path).unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        let pending = Pending::beside(&path).unwrap();
        fs::write(pending.path(), b"whole").unwrap();
        assert!(!path.exists());
        pending.commit().unwrap();
        assert_eq!((fs::read(&path).unwrap(), fs::read_dir(folder.path()).unwrap().count()), (b"whole".to_vec(), 1));
        assert!(Pending::beside(folder.path()).is_err());
    }

    #[test]
    fn a_missing_folder_is_said_so() {
        let folder = tempfile::tempdir().unwrap();
        let outcome = write_atomically(&folder.path().join("no/out.tsv"), |_| Ok(()));
        assert!(outcome.is_err_and(|f| f.to_string().contains("its folder does not exist")));
    }

    #[test]
    fn a_closed_pipe_is_told_apart() {
        assert!(is_closed_pipe(&not_written(ErrorKind::BrokenPipe.into())));
        assert!(!is_closed_pipe(&not_written(ErrorKind::StorageFull.into())));
    }
}
