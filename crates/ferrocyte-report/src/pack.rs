//! [`Blobs`]: arrays as texts that a page can carry: compressed, then written with 64 letters.
//!
//! The page reads them by their number. Numbers are little-endian, as all machines that show pages have them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrocyte_base::Result;
use ferrocyte_data::Factor;
use ferrocyte_io::gzip;
use serde_json::{Value as Json, json};

/// The arrays of a page.
#[derive(Debug, Default)]
pub(crate) struct Blobs {
    texts: Vec<String>,
}

impl Blobs {
    /// The texts, in the order of their numbers.
    pub(crate) fn texts(&self) -> &[String] {
        &self.texts
    }

    /// The letters of all of them.
    pub(crate) fn size(&self) -> u64 {
        self.texts.iter().map(|text| text.len() as u64).sum()
    }

    /// Takes bytes and gives their number.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<usize> {
        self.texts.push(STANDARD.encode(gzip(bytes)?));
        Ok(self.texts.len() - 1)
    }

    /// Takes numbers, at the precision of what is drawn.
    pub(crate) fn floats(&mut self, values: impl IntoIterator<Item = f64>) -> Result<Json> {
        let bytes: Vec<u8> = values.into_iter().flat_map(|value| (value as f32).to_le_bytes()).collect();
        Ok(json!({"blob": self.bytes(&bytes)?, "type": "f32"}))
    }

    /// Takes whole numbers.
    pub(crate) fn whole(&mut self, values: impl IntoIterator<Item = u32>) -> Result<Json> {
        let bytes: Vec<u8> = values.into_iter().flat_map(u32::to_le_bytes).collect();
        Ok(json!({"blob": self.bytes(&bytes)?, "type": "u32"}))
    }

    /// Takes codes of levels in the fewest bytes; the largest number of its type stands for none.
    pub(crate) fn codes(&mut self, codes: impl IntoIterator<Item = u32>, n_levels: usize) -> Result<Json> {
        let (width, word) = match n_levels {
            0..=254 => (1, "u8"),
            255..=65_534 => (2, "u16"),
            _ => (4, "u32"),
        };
        // A missing level is all ones, and stays so in fewer bytes.
        const { assert!(Factor::MISSING == u32::MAX) };
        let bytes: Vec<u8> = codes.into_iter().flat_map(|code| code.to_le_bytes().into_iter().take(width)).collect();
        Ok(json!({"blob": self.bytes(&bytes)?, "type": word}))
    }

    /// Takes anything that JSON can say.
    pub(crate) fn json(&mut self, value: &Json) -> Result<Json> {
        Ok(json!({"blob": self.bytes(value.to_string().as_bytes())?, "type": "json"}))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_take_the_fewest_bytes_and_keep_what_is_missing() {
        let mut blobs = Blobs::default();
        for (n_levels, word) in [(3, "u8"), (254, "u8"), (255, "u16"), (65_535, "u32")] {
            let told = blobs.codes([0, Factor::MISSING], n_levels);
            assert!(told.is_ok_and(|told| told["type"] == word), "{n_levels}");
        }
        assert_eq!(blobs.texts().len(), 4);
    }

    #[test]
    fn the_same_array_is_the_same_text() {
        let text = || {
            let mut blobs = Blobs::default();
            blobs.floats((0..1000).map(f64::from)).map(|_| blobs.texts()[0].clone())
        };
        assert_eq!(text().ok(), text().ok());
    }
}
