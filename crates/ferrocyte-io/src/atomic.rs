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

/// A folder in the making, likewise: it stands beside its place until [`PendingFolder::commit`] puts it there.
#[cfg(feature = "zarr")]
#[derive(Debug)]
pub(crate) struct PendingFolder {
    target: PathBuf,
    temporary: PathBuf,
    placed: bool,
}

#[cfg(feature = "zarr")]
impl PendingFolder {
    /// A new empty folder beside `path`. What stands there is replaced only if it is a folder that `may_go`, or empty.
    pub(crate) fn beside(path: &Path, may_go: impl Fn(&Path) -> bool) -> Result<Self> {
        let target = target_of(path);
        match fs::metadata(&target) {
            Ok(meta) if meta.is_dir() => {
                let empty = || fs::read_dir(&target).is_ok_and(|mut entries| entries.next().is_none());
                if !may_go(&target) && !empty() {
                    return Err(Fault::bad_file("a folder of something else stands there, which is not replaced")
                        .hint("choose another name, or remove it"));
                }
            }
            Ok(_) => return Err(Fault::bad_file("a file stands there, expected the name of a folder")),
            Err(_) => {}
        }
        let (temporary, ()) = free_name(&target, |path| fs::create_dir(path)).map_err(not_written)?;
        Ok(Self { target, temporary, placed: false })
    }

    /// Where the folder stands until it is complete.
    pub(crate) fn path(&self) -> &Path {
        &self.temporary
    }

    /// Puts the folder in its place. What stood there is moved aside before and removed after that.
    pub(crate) fn commit(mut self) -> Result<()> {
        let aside = if self.target.exists() {
            let (aside, ()) = free_name(&self.target, |path| fs::create_dir(path)).map_err(not_written)?;
            fs::rename(&self.target, aside.join("old")).map_err(not_written)?;
            Some(aside)
        } else {
            None
        };
        if let Err(error) = fs::rename(&self.temporary, &self.target) {
            if let Some(aside) = &aside {
                // What stood there comes back; if that fails, too, it is still beside.
                let back = fs::rename(aside.join("old"), &self.target);
                let _ = back.and_then(|()| fs::remove_dir(aside));
            }
            return Err(not_written(error));
        }
        self.placed = true;
        if let Some(aside) = aside {
            // The new one is complete: what cannot be removed is no failure of it.
            let _ = fs::remove_dir_all(aside);
        }
        Ok(())
    }
}

#[cfg(feature = "zarr")]
impl Drop for PendingFolder {
    fn drop(&mut self) {
        if !self.placed {
            // Why the folder was given up is told elsewhere.
            let _ = fs::remove_dir_all(&self.temporary);
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
    let make = |path: &Path| File::options().read(true).write(true).create_new(true).open(path);
    free_name(target, make).map(|(path, file)| (file, path))
}

/// What `make` makes under the first name beside `target` that is free.
fn free_name<T>(target: &Path, make: impl Fn(&Path) -> std::io::Result<T>) -> std::io::Result<(PathBuf, T)> {
    let name = target.file_name().map_or_else(|| "out".into(), |n| n.to_string_lossy());
    let process = std::process::id();
    for attempt in 0..1000 {
        let temporary = target.with_file_name(format!(".{name}.{process}-{attempt}.tmp"));
        match make(&temporary) {
            Ok(made) => return Ok((temporary, made)),
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

    #[cfg(feature = "zarr")]
    #[test]
    fn a_folder_in_the_making_replaces_its_like_only() {
        let around = tempfile::tempdir().unwrap();
        let path = around.path().join("out.zarr");
        let ours = |folder: &Path| folder.join("mark").exists();
        let make = |mark: &[u8]| {
            let pending = PendingFolder::beside(&path, ours)?;
            fs::write(pending.path().join("mark"), mark).map_err(not_written)?;
            pending.commit()
        };
        drop(PendingFolder::beside(&path, ours).unwrap());
        assert_eq!(fs::read_dir(around.path()).unwrap().count(), 0);
        make(b"old").unwrap();
        make(b"new").unwrap();
        assert_eq!(fs::read(path.join("mark")).unwrap(), b"new");
        assert_eq!(fs::read_dir(around.path()).unwrap().count(), 1);
        fs::rename(path.join("mark"), path.join("something else")).unwrap();
        assert!(make(b"newer").is_err_and(|f| f.to_string().contains("not replaced")));
        assert!(PendingFolder::beside(&path.join("something else"), ours).is_err());
        assert_eq!(fs::read_dir(around.path()).unwrap().count(), 1);
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
