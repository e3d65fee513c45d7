//! [`TextSource`]: the bytes of a text file, inflated if they are compressed, in large pieces.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, Seek};
use std::path::Path;

use ferrocyte_base::{Fault, Result};
use flate2::bufread::MultiGzDecoder;

/// What a compressed byte can become at most: the limit of the format.
const LARGEST_RATIO: u64 = 1032;

/// A text file that is read from its beginning to its end. Whether it is compressed is told from its bytes; members of
/// gzip that follow each other are one text.
pub(crate) struct TextSource {
    place: String,
    bytes: Bytes,
    /// The bytes of the file on disk.
    length: u64,
}

enum Bytes {
    Plain(BufReader<File>),
    Gzip(Box<MultiGzDecoder<BufReader<File>>>),
}

impl TextSource {
    /// Opens a file.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let place = path.display().to_string();
        let at = |error: std::io::Error| {
            let message = match error.kind() {
                ErrorKind::NotFound => "there is no such file".to_owned(),
                ErrorKind::PermissionDenied => "no permission to read it".to_owned(),
                ErrorKind::IsADirectory => "a folder, expected a text file".to_owned(),
                _ => format!("cannot be read: {error}"),
            };
            Fault::bad_file(message).at(place.as_str()).because(error)
        };
        let file = File::open(path).map_err(at)?;
        let length = file.metadata().map_err(at)?.len();
        let mut reader = BufReader::with_capacity(1 << 17, file);
        let compressed = reader.fill_buf().map_err(at)?.starts_with(&[0x1f, 0x8b]);
        let bytes = if compressed { Bytes::Gzip(Box::new(MultiGzDecoder::new(reader))) } else { Bytes::Plain(reader) };
        Ok(Self { place, bytes, length })
    }

    /// The most bytes of text that there can be.
    pub(crate) fn most_bytes(&self) -> u64 {
        match self.bytes {
            Bytes::Plain(_) => self.length,
            Bytes::Gzip(_) => self.length.saturating_mul(LARGEST_RATIO),
        }
    }

    /// The bytes of the file on disk.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Adds the next `n` bytes of text, fewer at the end; whether there may be more.
    pub(crate) fn fill(&mut self, text: &mut Vec<u8>, n: usize) -> Result<bool> {
        let before = text.len();
        let read = match &mut self.bytes {
            Bytes::Plain(reader) => reader.by_ref().take(n as u64).read_to_end(text),
            Bytes::Gzip(reader) => reader.by_ref().take(n as u64).read_to_end(text),
        };
        match read {
            Ok(_) => Ok(text.len() - before == n),
            Err(error) => Err(self.broken(error)),
        }
    }

    /// All of a small text. Refused where it is longer than `most` bytes.
    pub(crate) fn whole(mut self, most: usize) -> Result<Vec<u8>> {
        let mut text = Vec::new();
        while self.fill(&mut text, 1 << 20)? {
            if text.len() > most {
                return Err(Fault::too_large(format!("more than {most} bytes of text")).at(self.place.as_str()));
            }
        }
        Ok(text)
    }

    /// Why the bytes end where they should not.
    fn broken(&mut self, error: std::io::Error) -> Fault {
        let (reader, compressed) = match &mut self.bytes {
            Bytes::Plain(reader) => (reader, false),
            Bytes::Gzip(decoder) => (decoder.get_mut(), true),
        };
        let place = reader.stream_position().map_or_else(|_| String::new(), |n| format!(" at byte {n} of the file"));
        let message = match error.kind() {
            ErrorKind::UnexpectedEof if compressed => {
                format!("truncated: the compressed text ends in the middle{place}")
            }
            ErrorKind::InvalidData | ErrorKind::InvalidInput if compressed => {
                format!("the compressed text is damaged{place}")
            }
            _ => format!("cannot be read to its end: {error}"),
        };
        Fault::bad_file(message).because(error).at(self.place.as_str()).hint("copy or download it again")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod tests {
    use super::*;
    use std::io::Write;

    /// Text as one member of gzip.
    pub(crate) fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn read(bytes: &[u8]) -> Result<Vec<u8>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.txt");
        std::fs::write(&path, bytes).unwrap();
        let mut source = TextSource::open(&path)?;
        let mut text = Vec::new();
        while source.fill(&mut text, 7)? {}
        Ok(text)
    }

    #[test]
    fn texts_are_read_whatever_they_are_packed_in() {
        let text = b"one\ntwo\nthree, which is longer\n";
        let members = [gzip(&text[..9]), gzip(&text[9..])].concat();
        for bytes in [&text[..], &gzip(text), &members] {
            assert_eq!(read(bytes).unwrap(), text);
        }
        assert!(read(b"").unwrap().is_empty());
    }

    #[test]
    fn broken_texts_are_told_with_the_byte() {
        let whole = gzip(&b"some text ".repeat(200));
        let fault = read(&whole[..whole.len() - 9]).err().unwrap().to_string();
        assert!(fault.ends_with(&format!("ends in the middle at byte {} of the file", whole.len() - 9)), "{fault}");
        let mut damaged = whole.clone();
        damaged[whole.len() - 6] ^= 1;
        let fault = read(&damaged).err().unwrap().to_string();
        assert!(fault.contains("the compressed text is damaged at byte"), "{fault}");
        assert!(TextSource::open(Path::new("no/such.mtx")).is_err_and(|f| f.to_string().contains("no such file")));
    }
}
