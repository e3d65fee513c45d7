//! What the metadata of Zarr say of a node: versions 2 and 3 become one description.

use ferrocyte_base::{Fault, Result};
use serde_json::{Map, Value as Json};

use crate::store::{Attr, Numbers};
use crate::zarr::chain::Chain;
use crate::zarr::element::{Element, Fill};

/// A group or an array, with its attributes.
#[derive(Debug, Clone)]
pub(crate) struct Described {
    pub(crate) attributes: Map<String, Json>,
    pub(crate) array: Option<Json>,
}

/// An array, as both versions describe one.
#[derive(Debug, Clone)]
pub(crate) struct ArrayMeta {
    pub(crate) shape: Vec<usize>,
    /// The extents of what one file holds.
    pub(crate) chunk: Vec<usize>,
    pub(crate) element: Element,
    pub(crate) fill: Fill,
    pub(crate) keys: Keys,
    /// How the bytes of a chunk, or of a chunk within a shard, come about.
    pub(crate) chain: Chain,
    pub(crate) shard: Option<Shard>,
}

/// Chunks within one file, with an index of where each stands.
#[derive(Debug, Clone)]
pub(crate) struct Shard {
    /// The extents of a chunk within it.
    pub(crate) chunk: Vec<usize>,
    /// Whether the index stands before the chunks.
    pub(crate) index_first: bool,
    /// Whether a checksum stands behind the index.
    pub(crate) checksum: bool,
}

/// How the file of a chunk is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Keys {
    /// Whether it stands in a folder `c`.
    pub(crate) prefixed: bool,
    pub(crate) separator: char,
}

impl Keys {
    /// The name of a chunk, below the path of its array.
    pub(crate) fn name(self, chunk: &[usize]) -> String {
        let separator = self.separator.to_string();
        let parts: Vec<String> = chunk.iter().map(ToString::to_string).collect();
        match (self.prefixed, parts.is_empty()) {
            (true, true) => "c".to_owned(),
            (true, false) => format!("c{separator}{}", parts.join(&separator)),
            (false, true) => "0".to_owned(),
            (false, false) => parts.join(&separator),
        }
    }
}

/// Extents of more axes than this are damage.
const MOST_AXES: usize = 32;

fn bad(what: impl Into<String>) -> Fault {
    Fault::bad_file(what.into()).hint("its metadata are damaged")
}

fn extents(json: Option<&Json>, what: &str) -> Result<Vec<usize>> {
    let list = json.and_then(Json::as_array).filter(|list| list.len() <= MOST_AXES);
    let sizes = list.and_then(|list| list.iter().map(|x| x.as_u64().and_then(|x| usize::try_from(x).ok())).collect());
    sizes.ok_or_else(|| bad(format!("{what} is {}, a list of sizes was expected", brief(json))))
}

/// The first characters of a piece of metadata.
pub(crate) fn brief(json: Option<&Json>) -> String {
    let text = json.map_or_else(|| "absent".to_owned(), ToString::to_string);
    match text.char_indices().nth(60) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text,
    }
}

/// A name, or the `name` of an object: how version 3 writes extensions.
pub(crate) fn named(json: &Json) -> Option<(&str, &Json)> {
    match json {
        Json::String(name) => Some((name, &Json::Null)),
        Json::Object(map) => Some((map.get("name")?.as_str()?, map.get("configuration").unwrap_or(&Json::Null))),
        _ => None,
    }
}

impl ArrayMeta {
    /// Of `.zarray`.
    pub(crate) fn v2(json: &Json) -> Result<Self> {
        let shape = extents(json.get("shape"), "`shape`")?;
        let chunk = extents(json.get("chunks"), "`chunks`")?;
        let (element, big) = Element::v2(json)?;
        let fill = element.fill(json.get("fill_value").unwrap_or(&Json::Null))?;
        let separator = match json.get("dimension_separator").and_then(Json::as_str) {
            Some("/") => '/',
            _ => '.',
        };
        let chain = Chain::v2(json, &element, big, chunk.len())?;
        let keys = Keys { prefixed: false, separator };
        Self { shape, chunk, element, fill, keys, chain, shard: None }.checked()
    }

    /// Of an array's `zarr.json`.
    pub(crate) fn v3(json: &Json) -> Result<Self> {
        let shape = extents(json.get("shape"), "`shape`")?;
        let grid = json.get("chunk_grid").and_then(named);
        let Some(("regular", grid)) = grid else {
            return Err(Fault::unsupported(format!("chunk grid {} is not read", brief(json.get("chunk_grid")))));
        };
        let chunk = extents(grid.get("chunk_shape"), "`chunk_shape`")?;
        let element = Element::v3(json.get("data_type").unwrap_or(&Json::Null))?;
        let fill = element.fill(json.get("fill_value").unwrap_or(&Json::Null))?;
        let keys = match json.get("chunk_key_encoding").and_then(named) {
            Some((kind @ ("default" | "v2"), options)) => {
                let prefixed = kind == "default";
                let usual = if prefixed { '/' } else { '.' };
                let told = options.get("separator").and_then(Json::as_str).and_then(|s| s.chars().next());
                Keys { prefixed, separator: told.unwrap_or(usual) }
            }
            _ => return Err(Fault::unsupported(format!("chunk keys {}", brief(json.get("chunk_key_encoding"))))),
        };
        if json.get("storage_transformers").and_then(Json::as_array).is_some_and(|list| !list.is_empty()) {
            return Err(Fault::unsupported("storage transformers are not read"));
        }
        let codecs = json.get("codecs").and_then(Json::as_array).ok_or_else(|| bad("`codecs` is no list"))?;
        let (chain, shard) = match codecs.as_slice() {
            [only] if named(only).is_some_and(|(name, _)| name == "sharding_indexed") => {
                let options = named(only).map_or(&Json::Null, |(_, options)| options);
                let shard = Shard::read(options)?;
                let inner = options.get("codecs").and_then(Json::as_array);
                let inner = inner.ok_or_else(|| bad("`codecs` of its shards is no list"))?;
                (Chain::v3(inner, &element, chunk.len())?, Some(shard))
            }
            codecs => (Chain::v3(codecs, &element, chunk.len())?, None),
        };
        Self { shape, chunk, element, fill, keys, chain, shard }.checked()
    }

    /// Checks that chunks have as many axes as the array and are not empty, and that shards hold whole chunks.
    fn checked(self) -> Result<Self> {
        let fits = |chunk: &[usize]| chunk.len() == self.shape.len() && chunk.iter().all(|&n| n > 0);
        if !fits(&self.chunk) {
            return Err(bad(format!("chunks of shape {:?} for an array of shape {:?}", self.chunk, self.shape)));
        }
        if let Some(shard) = &self.shard {
            let whole = fits(&shard.chunk) && self.chunk.iter().zip(&shard.chunk).all(|(all, one)| all % one == 0);
            if !whole {
                return Err(bad(format!("chunks of shape {:?} in shards of shape {:?}", shard.chunk, self.chunk)));
            }
        }
        Ok(self)
    }
}

impl Shard {
    fn read(options: &Json) -> Result<Self> {
        let chunk = extents(options.get("chunk_shape"), "`chunk_shape` of its shards")?;
        let index_first = match options.get("index_location").and_then(Json::as_str) {
            None | Some("end") => false,
            Some("start") => true,
            Some(other) => return Err(bad(format!("an index of shards at `{other}`"))),
        };
        let codecs = options.get("index_codecs").and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
        let names: Vec<&str> = codecs.iter().filter_map(|c| named(c).map(|(name, _)| name)).collect();
        let big = codecs.first().and_then(named).and_then(|(_, o)| o.get("endian")?.as_str()) == Some("big");
        let checksum = match names.as_slice() {
            ["bytes"] if !big => false,
            ["bytes", "crc32c"] if !big => true,
            _ => return Err(Fault::unsupported(format!("shards whose index is encoded by {names:?} are not read"))),
        };
        Ok(Self { chunk, index_first, checksum })
    }
}

/// An attribute of JSON, as the trait has it.
pub(crate) fn attribute(json: &Json) -> Attr {
    let int = |x: &Json| x.as_i64();
    match json {
        Json::Null => Attr::Empty,
        Json::Bool(b) => Attr::Numbers(Numbers::Bool(vec![*b])),
        Json::String(text) => Attr::Text(text.clone()),
        Json::Number(n) => match (n.as_i64(), n.as_u64()) {
            (Some(i), _) => Attr::Numbers(Numbers::I64(vec![i])),
            (None, Some(u)) => Attr::Numbers(Numbers::U64(vec![u])),
            (None, None) => Attr::Numbers(Numbers::F64(vec![n.as_f64().unwrap_or(f64::NAN)])),
        },
        Json::Array(list) if list.iter().all(Json::is_string) => {
            Attr::Texts(list.iter().filter_map(Json::as_str).map(str::to_owned).collect())
        }
        Json::Array(list) if list.iter().all(Json::is_boolean) => {
            Attr::Numbers(Numbers::Bool(list.iter().filter_map(Json::as_bool).collect()))
        }
        Json::Array(list) => {
            if let Some(integers) = list.iter().map(int).collect::<Option<Vec<_>>>() {
                return Attr::Numbers(Numbers::I64(integers));
            }
            match list.iter().map(Json::as_f64).collect::<Option<Vec<_>>>() {
                Some(floats) => Attr::Numbers(Numbers::F64(floats)),
                None => Attr::Other(brief(Some(json))),
            }
        }
        Json::Object(_) => Attr::Other(brief(Some(json))),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn chunks_have_the_names_of_their_version() {
        let name = |prefixed, separator, chunk: &[usize]| Keys { prefixed, separator }.name(chunk);
        assert_eq!(name(true, '/', &[1, 20]), "c/1/20");
        assert_eq!(name(true, '/', &[]), "c");
        assert_eq!(name(false, '.', &[1, 20]), "1.20");
        assert_eq!(name(false, '.', &[]), "0");
    }

    #[test]
    fn attributes_keep_their_types() {
        assert_eq!(attribute(&json!([3, 4])), Attr::Numbers(Numbers::I64(vec![3, 4])));
        assert_eq!(attribute(&json!([3, 4.5])), Attr::Numbers(Numbers::F64(vec![3.0, 4.5])));
        assert_eq!(attribute(&json!([])), Attr::Texts(vec![]));
        assert_eq!(attribute(&json!(["a"])), Attr::Texts(vec!["a".into()]));
        assert_eq!(attribute(&json!(true)), Attr::Numbers(Numbers::Bool(vec![true])));
        assert_eq!(attribute(&json!(u64::MAX)), Attr::Numbers(Numbers::U64(vec![u64::MAX])));
        assert_eq!(attribute(&json!({"a": 1})), Attr::Other(r#"{"a":1}"#.into()));
    }

    fn array(changes: &[(&str, Json)]) -> Json {
        let mut json = json!({
            "shape": [10, 4], "data_type": "float32", "fill_value": "NaN",
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [4, 4]}},
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
            "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "zstd", "configuration": {}}],
            "node_type": "array", "zarr_format": 3
        });
        for (key, value) in changes {
            json[*key] = value.clone();
        }
        json
    }

    #[test]
    fn damaged_metadata_are_faults() {
        let meta = ArrayMeta::v3(&array(&[])).unwrap();
        assert_eq!((meta.shape, meta.chunk), (vec![10, 4], vec![4, 4]));
        let grid = |shape: Json| json!({"name": "regular", "configuration": {"chunk_shape": shape}});
        for (key, value) in [
            ("shape", json!([-1, 4])),
            ("shape", json!("all")),
            ("shape", json!([10])),
            ("chunk_grid", grid(json!([0, 4]))),
            ("chunk_grid", grid(json!([4]))),
            ("chunk_grid", json!({"name": "odd"})),
            ("data_type", json!("complex256")),
            ("codecs", json!([{"name": "unheard"}])),
            ("codecs", json!([])),
            ("codecs", json!("none")),
            ("fill_value", json!({})),
        ] {
            let json = array(&[(key, value.clone())]);
            assert!(ArrayMeta::v3(&json).is_err(), "{key} {value}");
        }
    }
}
