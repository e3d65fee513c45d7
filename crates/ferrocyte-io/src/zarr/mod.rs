//! [`Zarr`]: the [`Store`] of Zarr, versions 2 and 3, in a folder or a zip archive.
//!
//! The metadata of both versions become one description (`meta`, `element`, `chain`); an array reads the chunks that a
//! range touches (`array`) from where the files lie (`shelf`). The way back is [`write::NewZarr`]. Consolidated metadata are a copy and are not needed.
//! A chunk without a file holds the fill value. Sizes that a store claims are held against its files before anything is
//! allocated.

mod array;
mod chain;
mod element;
mod meta;
mod shelf;
pub(crate) mod write;

use std::any::Any;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use ferrocyte_base::{Fault, Result};
use serde_json::{Map, Value as Json};

use crate::store::{Attr, Node, Store, StoredArray};
use crate::zarr::array::ZarrArray;
use crate::zarr::meta::{ArrayMeta, Described, attribute};
use crate::zarr::shelf::{MARKS, Shelf};

/// The most bytes of one piece of metadata.
const MOST_METADATA: u64 = 1 << 28;

/// Descriptions that are kept.
const KEPT: usize = 1 << 14;

/// A Zarr store, opened for reading.
pub struct Zarr {
    shelf: Arc<Shelf>,
    place: String,
    version: Version,
    /// What was found at paths.
    known: Mutex<BTreeMap<String, Option<Arc<Described>>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    Two,
    Three,
}

impl std::fmt::Debug for Zarr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Zarr").field("place", &self.place).field("version", &self.version).finish_non_exhaustive()
    }
}

impl Zarr {
    /// Opens a folder or a zip archive, whose root holds `zarr.json` or `.zgroup`.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let place = path.display().to_string();
        let opened = || -> Result<(Shelf, Version)> {
            let shelf = Shelf::open(path)?;
            for (mark, version) in MARKS.into_iter().zip([Version::Three, Version::Two, Version::Two]) {
                if shelf.size(mark)?.is_some() {
                    return Ok((shelf, version));
                }
            }
            Err(match shelf {
                Shelf::Folder(_) => Fault::bad_file("a folder, expected an .h5ad file or a Zarr store")
                    .hint("a Zarr store has `zarr.json` or `.zgroup` at its root"),
                Shelf::Zip(_) => Fault::bad_file("a zip archive without a Zarr store")
                    .hint("a Zarr store has `zarr.json` or `.zgroup` at its root; an .npz is no study"),
            })
        };
        let (shelf, version) = opened().map_err(|f| f.at(place.as_str()))?;
        Ok(Self { shelf: Arc::new(shelf), place, version, known: Mutex::default() })
    }

    /// Whether its metadata are those of version 3.
    pub(crate) fn is_version_three(&self) -> bool {
        self.version == Version::Three
    }

    /// Where its files lie.
    pub(crate) fn shelf(&self) -> &Shelf {
        &self.shelf
    }

    /// The metadata of a node of version 3, as they are; `None` if there is no such node.
    pub(crate) fn node_json(&self, path: &str) -> Result<Option<Map<String, Json>>> {
        let key = if path.is_empty() { MARKS[0].to_owned() } else { format!("{path}/{}", MARKS[0]) };
        self.json(&key).map_err(|f| f.at(self.place()))
    }

    /// What stands at a path.
    fn described(&self, path: &str) -> Result<Option<Arc<Described>>> {
        if let Some(known) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(path) {
            return Ok(known.clone());
        }
        let prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
        let found = match self.version {
            Version::Three => self.version_three(&prefix),
            Version::Two => self.version_two(&prefix),
        };
        let found = found.map_err(|f| f.at(self.place()))?.map(Arc::new);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KEPT {
            known.clear();
        }
        known.insert(path.to_owned(), found.clone());
        Ok(found)
    }

    fn version_three(&self, prefix: &str) -> Result<Option<Described>> {
        let Some(mut json) = self.json(&format!("{prefix}zarr.json"))? else { return Ok(None) };
        let at = |fault: Fault| fault.at(format!("{prefix}zarr.json"));
        if json.get("zarr_format").and_then(Json::as_u64) != Some(3) {
            return Err(at(Fault::bad_file("`zarr_format` is not 3")));
        }
        let attributes = match json.remove("attributes") {
            Some(Json::Object(attributes)) => attributes,
            _ => Map::new(),
        };
        match json.get("node_type").and_then(Json::as_str) {
            Some("group") => Ok(Some(Described { attributes, array: None })),
            Some("array") => Ok(Some(Described { attributes, array: Some(Json::Object(json)) })),
            _ => Err(at(Fault::bad_file("`node_type` is neither `group` nor `array`"))),
        }
    }

    fn version_two(&self, prefix: &str) -> Result<Option<Described>> {
        let array = self.json(&format!("{prefix}.zarray"))?;
        if array.is_none() && self.shelf.size(&format!("{prefix}.zgroup"))?.is_none() {
            return Ok(None);
        }
        let attributes = self.json(&format!("{prefix}.zattrs"))?.unwrap_or_default();
        Ok(Some(Described { attributes, array: array.map(Json::Object) }))
    }

    /// A piece of metadata.
    fn json(&self, key: &str) -> Result<Option<Map<String, Json>>> {
        let Some(bytes) = self.shelf.get(key, MOST_METADATA)? else { return Ok(None) };
        match parse(&bytes) {
            Ok(Json::Object(map)) => Ok(Some(map)),
            Ok(_) => Err(Fault::bad_file("no JSON object").at(key)),
            Err(e) => Err(Fault::bad_file(format!("not JSON: {e}")).at(key).because(e)),
        }
    }
}

/// JSON, in which Python leaves bare `NaN` and infinities: attributes of version 2 may hold them.
fn parse(bytes: &[u8]) -> serde_json::Result<Json> {
    serde_json::from_slice(bytes).or_else(|error| {
        let Ok(text) = std::str::from_utf8(bytes) else { return Err(error) };
        serde_json::from_str(&quoted_nonfinite(text)).map_err(|_| error)
    })
}

/// Puts `NaN`, `Infinity` and `-Infinity` outside of texts in quotes.
fn quoted_nonfinite(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut rest, mut inside) = (text, false);
    while let Some(c) = rest.chars().next() {
        let word = ["NaN", "-Infinity", "Infinity"].into_iter().find(|word| !inside && rest.starts_with(word));
        let taken = match (word, c) {
            (Some(word), _) => {
                out.push('"');
                out.push_str(word);
                out.push('"');
                word.len()
            }
            (None, '\\') if inside => {
                let escaped = rest.chars().take(2).map(char::len_utf8).sum();
                out.push_str(&rest[..escaped]);
                escaped
            }
            (None, c) => {
                inside ^= c == '"';
                out.push(c);
                c.len_utf8()
            }
        };
        rest = &rest[taken..];
    }
    out
}

impl Store for Zarr {
    fn place(&self) -> &str {
        &self.place
    }

    fn node(&self, path: &str) -> Result<Option<Node>> {
        let node = |found: Arc<Described>| if found.array.is_some() { Node::Array } else { Node::Group };
        Ok(self.described(path)?.map(node))
    }

    fn list(&self, group: &str) -> Result<Vec<String>> {
        let names = self.shelf.names(group).map_err(|f| f.at(self.place()))?;
        let mut found = Vec::new();
        for name in names {
            let path = if group.is_empty() { name.clone() } else { format!("{group}/{name}") };
            let metadata = MARKS.contains(&name.as_str()) || [".zattrs", ".zmetadata"].contains(&name.as_str());
            if !metadata && self.node(&path)?.is_some() {
                found.push(name);
            }
        }
        Ok(found)
    }

    fn attr(&self, path: &str, name: &str) -> Result<Option<Attr>> {
        match self.described(path)? {
            Some(found) => Ok(found.attributes.get(name).map(attribute)),
            None => Err(Fault::missing("there is no such element").at(path).at(self.place())),
        }
    }

    fn array(&self, path: &str) -> Result<Box<dyn StoredArray>> {
        let at = |fault: Fault| fault.at(path).at(self.place());
        let found = self.described(path)?.ok_or_else(|| at(Fault::missing("there is no such element")))?;
        let json = found.array.as_ref().ok_or_else(|| at(Fault::bad_file("a group, an array was expected")))?;
        let meta = match self.version {
            Version::Two => ArrayMeta::v2(json),
            Version::Three => ArrayMeta::v3(json),
        };
        let array = meta.and_then(|meta| ZarrArray::new(Arc::clone(&self.shelf), path, meta)).map_err(at)?;
        Ok(Box::new(array))
    }

    fn bytes(&self) -> Option<u64> {
        self.shelf.bytes()
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn bare_numbers_of_python_are_read() {
        let json = parse(br#"{"a": NaN, "b": [-Infinity, 1], "c": "NaN \"NaN"}"#).unwrap();
        assert_eq!(json, serde_json::json!({"a": "NaN", "b": ["-Infinity", 1], "c": "NaN \"NaN"}));
        assert!(parse(b"{\"a\": nan}").is_err());
    }
}
