//! Room on a disk for what memory does not hold, for as long as it is needed.

use std::fs::File;
use std::path::Path;

use ferrocyte_base::{Fault, Result};

/// A file of so many bytes without a name, in `folder` or else where the system keeps temporary files.
///
/// It is gone when it is dropped, also where the program is killed. Where the system can, its room is set aside at once.
///
/// # Errors
/// A folder that cannot be written, or a disk with less room.
pub fn scratch_file(folder: Option<&Path>, bytes: u64) -> Result<File> {
    let usual = std::env::temp_dir();
    let folder = folder.unwrap_or(&usual);
    let set_aside = || -> std::io::Result<File> {
        let file = tempfile::tempfile_in(folder)?;
        file.set_len(bytes)?;
        #[cfg(target_os = "linux")]
        match rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, bytes) {
            // Some file systems cannot set room aside; they tell when it is used up.
            Ok(()) | Err(rustix::io::Errno::OPNOTSUPP) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(file)
    };
    set_aside().map_err(|error| {
        Fault::bad_file(format!("there is no room for a file of {} MiB", bytes.div_ceil(1 << 20)))
            .because(error)
            .at(folder.display().to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Seek, SeekFrom, Write};

    #[test]
    fn what_is_written_is_read_and_nothing_is_left() -> std::result::Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let mut file = scratch_file(Some(folder.path()), 100)?;
        file.seek(SeekFrom::Start(97))?;
        file.write_all(b"abc")?;
        file.seek(SeekFrom::Start(96))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        assert_eq!(bytes, b"\0abc");
        drop(file);
        assert_eq!(std::fs::read_dir(folder.path())?.count(), 0);
        Ok(())
    }

    #[test]
    fn what_has_no_room_is_refused() {
        assert!(scratch_file(Some(Path::new("no/such/folder")), 10).is_err());
        // More than any disk has.
        assert!(scratch_file(None, 1 << 60).is_err());
    }
}
