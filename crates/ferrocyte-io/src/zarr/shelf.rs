//! [`Shelf`]: where the files of a Zarr store lie, a folder or a zip archive.
//!
//! Keys are paths with `/`. None leads out of the folder, and no file is read that is larger than was allowed for.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ferrocyte_base::{Fault, Result};
use zip::{CompressionMethod, ZipArchive};

use crate::hdf5::chunks::read_at;

/// The most that deflate shrinks: 1032 times. An archive that claims more of an entry is damaged.
const DEFLATE_RATIO: u64 = 1032;

/// The most files whose sizes are added up.
const MOST_LOOKED_AT: usize = 1 << 20;

/// Where the files of a store lie.
#[derive(Debug)]
pub(crate) enum Shelf {
    Folder(PathBuf),
    Zip(Box<Zip>),
}

/// A zip archive, opened for reading.
#[derive(Debug)]
pub(crate) struct Zip {
    /// For lookups: where an entry begins stands before it.
    archive: Mutex<ZipArchive<File>>,
    file: File,
    length: u64,
    /// The number of each entry by its name, without the folder that the archive may have around the store.
    entries: BTreeMap<String, usize>,
    /// The entry that was decompressed last: a shard is read in pieces.
    last: Mutex<Option<(usize, Arc<Vec<u8>>)>>,
}

/// Where the bytes of an entry stand in an archive.
#[derive(Debug, Clone, Copy)]
struct Entry {
    start: u64,
    packed: u64,
    bytes: u64,
    deflated: bool,
}

impl Shelf {
    /// The shelf at a path: a folder, or a zip archive.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let meta = fs::metadata(path).map_err(|e| not_read(&e))?;
        if meta.is_dir() { Ok(Self::Folder(path.to_owned())) } else { Zip::open(path).map(|z| Self::Zip(Box::new(z))) }
    }

    /// The bytes of a file, of which there may be `most`; `None` if there is no such file.
    pub(crate) fn get(&self, key: &str, most: u64) -> Result<Option<Vec<u8>>> {
        let Some(bytes) = self.size(key)? else { return Ok(None) };
        if bytes > most {
            let message = format!("{bytes} bytes where at most {most} were expected");
            return Err(Fault::bad_file(message).at(key).hint("the store is damaged"));
        }
        self.range(key, 0..bytes).map(Some)
    }

    /// A range of the bytes of a file, which must have them.
    pub(crate) fn range(&self, key: &str, range: Range<u64>) -> Result<Vec<u8>> {
        match self {
            Self::Folder(folder) => {
                let found = file_in(folder, key).ok_or_else(|| Fault::missing("there is no such file").at(key))?;
                let file = File::open(found).map_err(|e| not_read(&e).at(key))?;
                let length = file.metadata().map_err(|e| not_read(&e).at(key))?.len();
                slice_of(&file, length, range).map_err(|f| f.at(key))
            }
            Self::Zip(zip) => zip.range(key, range).map_err(|f| f.at(key)),
        }
    }

    /// The bytes of a file; `None` if there is no such file.
    pub(crate) fn size(&self, key: &str) -> Result<Option<u64>> {
        match self {
            Self::Folder(folder) => {
                let Some(path) = file_in(folder, key) else { return Ok(None) };
                match fs::metadata(path) {
                    Ok(meta) if meta.is_file() => Ok(Some(meta.len())),
                    Ok(_) => Ok(None),
                    // Below a file there is nothing; a name that is too long is not there either.
                    Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
                    Err(e) if e.kind() == ErrorKind::InvalidFilename => Ok(None),
                    Err(e) => Err(not_read(&e).at(key)),
                }
            }
            Self::Zip(zip) => match zip.entries.get(key) {
                Some(&index) => zip.entry(index).map(|entry| Some(entry.bytes)).map_err(|f| f.at(key)),
                None => Ok(None),
            },
        }
    }

    /// The names of what lies directly in a folder of the store, sorted.
    pub(crate) fn names(&self, folder: &str) -> Result<Vec<String>> {
        match self {
            Self::Folder(root) => {
                let Some(path) = file_in(root, folder) else { return Ok(Vec::new()) };
                let entries = fs::read_dir(path).map_err(|e| not_read(&e).at(folder))?;
                let mut names = Vec::new();
                for entry in entries {
                    let name = entry.map_err(|e| not_read(&e).at(folder))?.file_name();
                    // What is not UTF-8 cannot be named by a store.
                    names.extend(name.into_string().ok());
                }
                names.sort_unstable();
                Ok(names)
            }
            Self::Zip(zip) => {
                let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
                let below = zip.entries.range(prefix.clone()..).take_while(|(name, _)| name.starts_with(&prefix));
                let mut names: Vec<String> = below
                    .filter_map(|(name, _)| name[prefix.len()..].split('/').next())
                    .filter(|name| !name.is_empty())
                    .map(str::to_owned)
                    .collect();
                // `a/x` and `a/y` stand together, but `a.b` may stand between `a` and `a/x`.
                names.sort_unstable();
                names.dedup();
                Ok(names)
            }
        }
    }

    /// Bytes of all files; `None` where there are too many to look at each.
    pub(crate) fn bytes(&self) -> Option<u64> {
        match self {
            Self::Folder(folder) => bytes_below(folder),
            Self::Zip(zip) => Some(zip.length),
        }
    }
}

/// Bytes of the files in a folder and in those in it; links are not followed.
fn bytes_below(folder: &Path) -> Option<u64> {
    let (mut bytes, mut seen) = (0_u64, 0);
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).ok()? {
            seen += 1;
            let meta = entry.as_ref().ok()?.metadata().ok()?;
            if seen > MOST_LOOKED_AT {
                return None;
            }
            if meta.is_dir() {
                folders.push(entry.ok()?.path());
            } else {
                bytes = bytes.saturating_add(meta.len());
            }
        }
    }
    Some(bytes)
}

/// The path of a key in a folder; `None` if the key would lead elsewhere.
pub(crate) fn file_in(folder: &Path, key: &str) -> Option<PathBuf> {
    let mut path = folder.to_owned();
    for part in key.split('/').filter(|_| !key.is_empty()) {
        let plain = !part.is_empty() && part != "." && part != ".." && !part.contains(['\\', '\0']);
        if !plain || (cfg!(windows) && part.contains(':')) {
            return None;
        }
        path.push(part);
    }
    Some(path)
}

impl Zip {
    fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|e| not_read(&e))?;
        let length = file.metadata().map_err(|e| not_read(&e))?.len();
        let again = file.try_clone().map_err(|e| not_read(&e))?;
        let archive = ZipArchive::new(again).map_err(|e| damaged(&e))?;
        let mut entries: BTreeMap<String, usize> = BTreeMap::new();
        for index in 0..archive.len() {
            let Some(Ok(name)) = archive.name_for_index(index) else { continue };
            if !name.ends_with('/') {
                entries.insert(name.into_owned(), index);
            }
        }
        // The root of the store may lie one folder down.
        if !MARKS.iter().any(|mark| entries.contains_key(*mark)) {
            let root = entries.keys().find_map(|name| {
                let (root, rest) = name.split_once('/')?;
                MARKS.contains(&rest).then(|| format!("{root}/"))
            });
            if let Some(root) = root {
                entries =
                    entries.into_iter().filter_map(|(k, i)| Some((k.strip_prefix(&root)?.to_owned(), i))).collect();
            }
        }
        Ok(Self { archive: Mutex::new(archive), file, length, entries, last: Mutex::new(None) })
    }

    fn entry(&self, index: usize) -> Result<Entry> {
        let mut archive = self.archive.lock().unwrap_or_else(PoisonError::into_inner);
        let found = archive.by_index_raw(index).map_err(|e| damaged(&e))?;
        let deflated = match found.compression() {
            CompressionMethod::Stored => false,
            CompressionMethod::Deflated => true,
            other => return Err(Fault::unsupported(format!("compressed in the archive with {other}"))),
        };
        if found.encrypted() {
            return Err(Fault::unsupported("encrypted in the archive"));
        }
        let start = found.data_start().ok_or_else(|| Fault::bad_file("the archive is damaged"))?;
        let (packed, bytes) = (found.compressed_size(), found.size());
        let fits = start.checked_add(packed).is_some_and(|end| end <= self.length);
        let believable =
            if deflated { bytes <= packed.saturating_mul(DEFLATE_RATIO).saturating_add(64) } else { bytes == packed };
        if !fits || !believable {
            let message = format!("the archive claims {bytes} bytes, {packed} of them stored at {start}");
            return Err(Fault::bad_file(message).hint("the archive is damaged: copy or download it again"));
        }
        Ok(Entry { start, packed, bytes, deflated })
    }

    fn range(&self, key: &str, range: Range<u64>) -> Result<Vec<u8>> {
        let index = *self.entries.get(key).ok_or_else(|| Fault::missing("there is no such entry"))?;
        let entry = self.entry(index)?;
        if range.start > range.end || range.end > entry.bytes {
            return Err(too_short(entry.bytes, &range));
        }
        if !entry.deflated {
            return slice_of(&self.file, self.length, entry.start + range.start..entry.start + range.end);
        }
        let whole = range == (0..entry.bytes);
        let held = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let bytes = match held.filter(|(held, _)| *held == index) {
            Some((_, bytes)) => bytes,
            None => {
                let packed = slice_of(&self.file, self.length, entry.start..entry.start + entry.packed)?;
                let bytes = Arc::new(inflated(&packed, entry.bytes)?);
                if !whole {
                    *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((index, Arc::clone(&bytes)));
                }
                bytes
            }
        };
        if whole {
            return Ok(Arc::try_unwrap(bytes).unwrap_or_else(|shared| shared.to_vec()));
        }
        Ok(bytes[range.start as usize..range.end as usize].to_vec())
    }
}

/// What stands at the root of a Zarr store, of version 3 or 2.
pub(crate) const MARKS: [&str; 3] = ["zarr.json", ".zgroup", ".zarray"];

/// A raw deflate stream of as many bytes as the archive says.
fn inflated(packed: &[u8], bytes: u64) -> Result<Vec<u8>> {
    let bad = |what: String| Fault::bad_file(what).hint("the archive is damaged: copy or download it again");
    let mut out = crate::codec::with_room(bytes as usize).map_err(bad)?;
    let read = flate2::bufread::DeflateDecoder::new(packed).take(bytes + 1).read_to_end(&mut out);
    read.map_err(|e| bad(format!("it cannot be decompressed: {e}")))?;
    if out.len() as u64 == bytes {
        Ok(out)
    } else {
        Err(bad(format!("it does not decompress to the {bytes} bytes that the archive claims")))
    }
}

/// A range of a file of `length` bytes.
fn slice_of(file: &File, length: u64, range: Range<u64>) -> Result<Vec<u8>> {
    if range.start > range.end || range.end > length {
        return Err(too_short(length, &range));
    }
    let mut bytes = vec![0; (range.end - range.start) as usize];
    read_at(file, &mut bytes, range.start).map_err(|e| not_read(&e))?;
    Ok(bytes)
}

fn too_short(length: u64, range: &Range<u64>) -> Fault {
    Fault::bad_file(format!("{length} bytes, but {}..{} were expected", range.start, range.end))
        .hint("the store is truncated: copy or download it again")
}

fn not_read(error: &std::io::Error) -> Fault {
    let message = match error.kind() {
        ErrorKind::NotFound => "there is no such file".to_owned(),
        ErrorKind::PermissionDenied => "no permission to read it".to_owned(),
        _ => format!("cannot be read: {error}"),
    };
    Fault::bad_file(message).because(error.to_string())
}

fn damaged(error: &zip::result::ZipError) -> Fault {
    Fault::bad_file(format!("damaged zip archive ({error})")).hint("copy or download it again")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_leads_out_of_the_folder() {
        let folder = Path::new("store");
        assert_eq!(file_in(folder, ""), Some(folder.to_owned()));
        assert_eq!(file_in(folder, "obs/a b"), Some(folder.join("obs").join("a b")));
        for key in ["..", "obs/../../x", "/etc/passwd", "obs//x", ".", "a\\b", "a\0"] {
            assert_eq!(file_in(folder, key), None, "{key:?}");
        }
    }
}
