//! [`NewZarr`]: a Zarr store in the making: version 3, a folder, one file a chunk.
//!
//! Metadata are kept until the end and then written in the order of their paths, each beside its node and all of them
//! once more at the root, as anndata expects of stores that it opens over a network. The same calls give the same
//! bytes. The folder stands beside its place until it is complete.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ferrocyte_base::{Fault, Result};
use serde_json::{Map, Value as Json, json};

use crate::atomic::{PendingFolder, not_written};
use crate::element::{Entries, Field, Records};
use crate::store::below::Below;
use crate::store::sink::{ArraySpec, CHUNK, Packing, Sink, SinkArray, Storage};
use crate::store::{Attr, Dtype, Numbers, Store};
use crate::zarr::Zarr;
use crate::zarr::meta::Keys;
use crate::zarr::shelf::{MARKS, file_in};

/// The level of Zstandard for texts and records, and where nobody chose another.
const LEVEL: u8 = 3;

/// How chunks are called: `c/0/1`.
const KEYS: Keys = Keys { prefixed: true, separator: '/' };

/// A Zarr store in the making.
///
/// ```
/// use ferrocyte_io::{Attr, NewZarr, Node, Sink, Store, Zarr};
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("new.zarr");
/// let sink = NewZarr::create(&path)?;
/// sink.group("uns")?;
/// sink.set("uns", "encoding-type", &Attr::Text("dict".into()))?;
/// sink.texts("uns/title", &[], &mut ["cells of two donors"].into_iter())?;
/// Box::new(sink).finish()?;
/// assert_eq!(Zarr::open(&path)?.node("uns/title")?, Some(Node::Array));
/// # Ok::<(), ferrocyte_base::Fault>(())
/// ```
#[derive(Debug)]
pub struct NewZarr {
    pending: PendingFolder,
    place: String,
    /// The metadata of each node, which arrays complete when they are finished.
    nodes: Arc<Mutex<BTreeMap<String, Map<String, Json>>>>,
}

type Nodes = Arc<Mutex<BTreeMap<String, Map<String, Json>>>>;

impl NewZarr {
    /// Begins an empty store beside `path`. A folder that stands there is replaced at the end if it is a Zarr store,
    /// and refused if it is anything else.
    pub fn create(path: &Path) -> Result<Self> {
        let place = path.display().to_string();
        let pending = PendingFolder::beside(path, |folder| MARKS.iter().any(|mark| folder.join(mark).is_file()))
            .map_err(|f| f.at(place.as_str()))?;
        let nodes = BTreeMap::from([(String::new(), group())]);
        Ok(Self { pending, place, nodes: Arc::new(Mutex::new(nodes)) })
    }

    fn at(&self, path: &str) -> impl Fn(Fault) -> Fault + '_ {
        let path = path.to_owned();
        move |fault| fault.at(path.as_str()).at(self.place.as_str())
    }

    /// Adds a node; its folder is made.
    fn add(&self, path: &str, node: Map<String, Json>) -> Result<PathBuf> {
        let folder = file_in(self.pending.path(), path).filter(|_| !path.is_empty()).ok_or_else(|| {
            let fault = Fault::bad_input(format!("`{path}` cannot be the name of a folder")).at(self.place.as_str());
            fault.hint("rename it: names must not be empty, `.` or `..`, nor hold a slash")
        })?;
        fs::create_dir_all(&folder).map_err(|e| self.at(path)(not_written(e)))?;
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned(), node);
        Ok(folder)
    }

    /// Writes an array of one chunk after another, each of them made by `next` from its rows.
    fn chunks(
        &self,
        path: &str,
        node: Map<String, Json>,
        (shape, chunk_rows): (&[usize], usize),
        mut next: impl FnMut(usize) -> Result<Vec<u8>>,
    ) -> Result<()> {
        let folder = self.add(path, node)?;
        let n_rows = if shape.contains(&0) { 0 } else { shape.first().copied().unwrap_or(1) };
        for chunk in 0..n_rows.div_ceil(chunk_rows) {
            let packed = zstd(&next(chunk)?, LEVEL)?;
            write_chunk(&folder, shape.len(), chunk, &packed).map_err(self.at(path))?;
        }
        Ok(())
    }
}

/// A group without attributes.
fn group() -> Map<String, Json> {
    object(json!({"attributes": {}, "zarr_format": 3, "node_type": "group"}))
}

fn object(json: Json) -> Map<String, Json> {
    match json {
        Json::Object(map) => map,
        _ => Map::new(),
    }
}

/// The metadata of an array, in the order in which zarr-python has them.
fn described(shape: &[usize], data_type: &Json, chunk: &[usize], fill: &Json, codecs: &Json) -> Map<String, Json> {
    object(json!({
        "shape": shape,
        "data_type": data_type,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunk}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": fill,
        "codecs": codecs,
        "attributes": {},
        "zarr_format": 3,
        "node_type": "array",
        "storage_transformers": []
    }))
}

/// The extents of a chunk of some rows, which are never zero.
fn chunk_shape(shape: &[usize], rows: usize) -> Vec<usize> {
    let rest = shape.iter().skip(1).map(|&n| n.max(1));
    shape.first().map(|_| rows.max(1)).into_iter().chain(rest).collect()
}

fn zstd_codec(level: u8) -> Json {
    json!({"name": "zstd", "configuration": {"level": level, "checksum": false}})
}

fn zstd(bytes: &[u8], level: u8) -> Result<Vec<u8>> {
    zstd::bulk::compress(bytes, i32::from(level.clamp(1, 22)))
        .map_err(|e| Fault::internal("a chunk cannot be compressed").because(e))
}

/// Writes the file of a chunk of an array of some axes, of which chunks divide the first only.
fn write_chunk(folder: &Path, axes: usize, chunk: usize, bytes: &[u8]) -> Result<()> {
    let mut at = vec![0; axes];
    if let Some(first) = at.first_mut() {
        *first = chunk;
    }
    let path = folder.join(KEYS.name(&at));
    if let Some(around) = path.parent() {
        fs::create_dir_all(around).map_err(not_written)?;
    }
    fs::write(path, bytes).map_err(not_written)
}

/// An attribute as JSON.
fn to_json(value: &Attr) -> Result<Json> {
    let floats = |v: &[f64]| -> Vec<Json> { v.iter().map(|&x| float(x)).collect() };
    let list = match value {
        Attr::Empty => return Ok(Json::Null),
        Attr::Text(text) | Attr::Reference(text) => return Ok(json!(text)),
        Attr::Texts(texts) => return Ok(json!(texts)),
        Attr::Other(what) => return Err(Fault::unsupported(format!("{what} is not written as an attribute"))),
        Attr::Numbers(numbers) => match numbers {
            Numbers::Bool(v) => v.iter().map(|&b| json!(b)).collect(),
            Numbers::U64(v) => v.iter().map(|&x| json!(x)).collect(),
            Numbers::I64(v) => v.iter().map(|&x| json!(x)).collect(),
            Numbers::F32(_) | Numbers::F64(_) => floats(&numbers.to_f64()),
            small => small.to_f64().iter().map(|&x| json!(x as i64)).collect::<Vec<_>>(),
        },
    };
    Ok(if list.len() == 1 { list.into_iter().next().unwrap_or(Json::Null) } else { Json::Array(list) })
}

fn float(x: f64) -> Json {
    match serde_json::Number::from_f64(x) {
        Some(number) => Json::Number(number),
        None if x.is_nan() => json!("NaN"),
        None => json!(if x > 0.0 { "Infinity" } else { "-Infinity" }),
    }
}

impl Sink for NewZarr {
    fn place(&self) -> &str {
        &self.place
    }

    fn group(&self, path: &str) -> Result<()> {
        self.add(path, group()).map(|_| ())
    }

    fn set(&self, path: &str, name: &str, value: &Attr) -> Result<()> {
        let json = to_json(value).map_err(self.at(path))?;
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        match nodes.get_mut(path).and_then(|node| node.get_mut("attributes")) {
            Some(Json::Object(attributes)) => {
                attributes.insert(name.to_owned(), json);
                Ok(())
            }
            _ => Err(self.at(path)(Fault::internal("an attribute of something that was not made"))),
        }
    }

    fn array(&self, path: &str, spec: &ArraySpec) -> Result<Box<dyn SinkArray>> {
        let data_type = spec.dtype.name();
        let (fill, endian) = match spec.dtype {
            Dtype::Bool => (json!(false), false),
            Dtype::I8 | Dtype::U8 => (json!(0), false),
            Dtype::F32 | Dtype::F64 => (json!(0.0), true),
            Dtype::Text | Dtype::Other(_) => {
                return Err(self.at(path)(Fault::internal(format!("arrays of {data_type} are not written"))));
            }
            _ => (json!(0), true),
        };
        let bytes = if endian {
            json!({"name": "bytes", "configuration": {"endian": "little"}})
        } else {
            json!({"name": "bytes"})
        };
        let mut codecs = vec![bytes];
        match spec.storage.packing {
            Packing::None => {}
            Packing::Gzip(level) => codecs.push(json!({"name": "gzip", "configuration": {"level": level.clamp(1, 9)}})),
            Packing::Zstd(level) => codecs.push(zstd_codec(level.clamp(1, 22))),
            Packing::Lzf => {
                return Err(self.at(path)(
                    Fault::unsupported("Zarr stores are not compressed with lzf").hint("use zstd or gzip"),
                ));
            }
        }
        let chunk = chunk_shape(&spec.shape, spec.chunk_rows);
        let folder = self.add(path, described(&spec.shape, &json!(data_type), &chunk, &fill, &Json::Array(codecs)))?;
        let (path, nodes) = (path.to_owned(), Arc::clone(&self.nodes));
        Ok(Box::new(NewArray { folder, path, place: self.place.clone(), nodes, spec: spec.clone() }))
    }

    fn texts(&self, path: &str, shape: &[usize], texts: &mut dyn ExactSizeIterator<Item = &str>) -> Result<()> {
        let (n_rows, width) = (shape.first().copied().unwrap_or(1), shape.iter().skip(1).product::<usize>());
        if texts.len() != shape.iter().product::<usize>() {
            let message = format!("{} texts for an array of shape {shape:?}", texts.len());
            return Err(self.at(path)(Fault::internal(message)));
        }
        let rows = (CHUNK / width.max(1)).clamp(1, n_rows.max(1));
        let codecs = json!([{"name": "vlen-utf8", "configuration": {}}, zstd_codec(LEVEL)]);
        let node = described(shape, &json!("string"), &chunk_shape(shape, rows), &json!(""), &codecs);
        self.chunks(path, node, (shape, rows), |_| {
            let mut bytes = length_of(rows * width)?.to_vec();
            // The last chunk is filled up with empty texts.
            for k in 0..rows * width {
                let text = texts.next().unwrap_or_default();
                let n = length_of(text.len()).map_err(|f| self.at(path)(f.at(format!("text {k} of a chunk"))))?;
                bytes.extend(n);
                bytes.extend(text.as_bytes());
            }
            Ok(bytes)
        })
    }

    fn null(&self, path: &str) -> Result<()> {
        // What anndata writes: the format has no array without elements and extents.
        let codecs = json!([{"name": "bytes"}, zstd_codec(LEVEL)]);
        self.add(path, described(&[], &json!("bool"), &[], &json!(false), &codecs)).map(|_| ())
    }

    fn records(&self, path: &str, records: &Records) -> Result<()> {
        let columns = records.fields.iter().map(|(name, field)| Column::new(name, field, records.n_rows));
        let columns = columns.collect::<Result<Vec<_>>>().map_err(self.at(path))?;
        let size: usize = columns.iter().map(|column| column.size).sum();
        if size == 0 {
            return Err(self.at(path)(Fault::unsupported("records without fields are not written")));
        }
        let fields: Vec<Json> = columns.iter().map(|column| json!([column.name, column.data_type])).collect();
        let data_type = json!({"name": "structured", "configuration": {"fields": fields}});
        let codecs = json!([{"name": "bytes"}, zstd_codec(LEVEL)]);
        let shape = [records.n_rows];
        let rows = (CHUNK / size).clamp(1, records.n_rows.max(1));
        let node = described(&shape, &data_type, &chunk_shape(&shape, rows), &json!(zeros_in_base64(size)), &codecs);
        self.chunks(path, node, (&shape, rows), |chunk| {
            let mut bytes = Vec::with_capacity(rows * size);
            for row in chunk * rows..((chunk + 1) * rows).min(records.n_rows) {
                columns.iter().for_each(|column| column.write(row, &mut bytes));
            }
            bytes.resize(rows * size, 0);
            Ok(bytes)
        })
    }

    fn adopt(&self, from: &dyn Store, source: &str, path: &str) -> Result<bool> {
        let Some(known) = from.as_any() else { return Ok(false) };
        if let Some(below) = known.downcast_ref::<Below>() {
            let (around, source) = below.around(source);
            return self.adopt(around, &source, path);
        }
        let Some(from) = known.downcast_ref::<Zarr>().filter(|from| from.is_version_three()) else { return Ok(false) };
        let mut pending = vec![(source.to_owned(), path.to_owned())];
        while let Some((source, path)) = pending.pop() {
            let read = |fault: Fault| fault.at(from.place().to_owned());
            match from.node_json(&source)? {
                Some(mut node) => {
                    node.remove("consolidated_metadata");
                    self.add(&path, node)?;
                }
                // A folder of chunks.
                None => {
                    let folder = file_in(self.pending.path(), &path);
                    let folder = folder.ok_or_else(|| self.at(&path)(Fault::bad_file("not the name of a folder")))?;
                    fs::create_dir_all(folder).map_err(|e| self.at(&path)(not_written(e)))?;
                }
            }
            for name in from.shelf().names(&source).map_err(read)? {
                let (source, path) = (below(&source, &name), below(&path, &name));
                match from.shelf().size(&source).map_err(read)? {
                    _ if name == MARKS[0] => {}
                    None => pending.push((source, path)),
                    Some(bytes) => {
                        let content = from.shelf().range(&source, 0..bytes).map_err(read)?;
                        let file = file_in(self.pending.path(), &path);
                        let file = file.ok_or_else(|| self.at(&path)(Fault::bad_file("not the name of a file")))?;
                        fs::write(file, content).map_err(|e| self.at(&path)(not_written(e)))?;
                    }
                }
            }
        }
        Ok(true)
    }

    fn finish(self: Box<Self>) -> Result<()> {
        let Self { pending, place, nodes } = *self;
        let at = |fault: Fault| fault.at(place.as_str());
        let nodes = std::mem::take(&mut *nodes.lock().unwrap_or_else(PoisonError::into_inner));
        let mut all = Map::new();
        for (path, node) in nodes.iter().filter(|(path, _)| !path.is_empty()) {
            let folder = pending.path().join(path);
            fs::write(folder.join(MARKS[0]), pretty(node)).map_err(|e| at(not_written(e).at(path.as_str())))?;
            let known = if is_group(node) { with_consolidated(node, &Map::new()) } else { node.clone() };
            all.insert(path.clone(), Json::Object(known));
        }
        let root = with_consolidated(&nodes.get("").cloned().unwrap_or_else(group), &all);
        fs::write(pending.path().join(MARKS[0]), pretty(&root)).map_err(|e| at(not_written(e)))?;
        pending.commit().map_err(at)
    }
}

fn is_group(node: &Map<String, Json>) -> bool {
    node.get("node_type").and_then(Json::as_str) == Some("group")
}

/// A group with what is known of all that is below it.
fn with_consolidated(node: &Map<String, Json>, metadata: &Map<String, Json>) -> Map<String, Json> {
    let known = json!({"kind": "inline", "must_understand": false, "metadata": metadata});
    let mut out = Map::new();
    for (key, value) in node {
        if key == "node_type" {
            out.insert("consolidated_metadata".to_owned(), known.clone());
        }
        out.insert(key.clone(), value.clone());
    }
    out
}

fn pretty(node: &Map<String, Json>) -> String {
    format!("{:#}", Json::Object(node.clone()))
}

fn below(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") }
}

/// A number of texts or of the bytes of one, in four bytes.
fn length_of(n: usize) -> Result<[u8; 4]> {
    let n = u32::try_from(n).map_err(|_| Fault::unsupported(format!("{n} bytes of text are more than 4 GiB")))?;
    Ok(n.to_le_bytes())
}

/// So many zero bytes as base64.
fn zeros_in_base64(n: usize) -> String {
    let padding = (3 - n % 3) % 3;
    let digits = (n + padding) / 3 * 4 - padding;
    "A".repeat(digits) + &"=".repeat(padding)
}

/// A field of records as it is stored.
struct Column<'a> {
    name: &'a str,
    data_type: Json,
    /// Bytes of one element.
    size: usize,
    cells: &'a Entries,
}

impl<'a> Column<'a> {
    fn new(name: &'a str, field: &'a Field, n_rows: usize) -> Result<Self> {
        if !field.shape.is_empty() {
            let message = format!("field `{name}` has elements of shape {:?}, which Zarr does not store", field.shape);
            return Err(Fault::unsupported(message));
        }
        if field.cells.len() != n_rows {
            let message = format!("field `{name}` has {} values, expected {n_rows}", field.cells.len());
            return Err(Fault::bad_input(message));
        }
        let (data_type, size) = match &field.cells {
            Entries::Numbers(numbers) => (json!(numbers.dtype().name()), numbers.dtype().size()),
            Entries::Texts(texts) | Entries::Fixed { texts, .. } => {
                let longest = texts.iter().map(|text| text.chars().count()).max().unwrap_or(0).max(1);
                let bytes = 4 * longest;
                (json!({"name": "fixed_length_utf32", "configuration": {"length_bytes": bytes}}), bytes)
            }
        };
        Ok(Self { name, data_type, size, cells: &field.cells })
    }

    fn write(&self, row: usize, out: &mut Vec<u8>) {
        let end = out.len() + self.size;
        match self.cells {
            Entries::Numbers(numbers) => {
                // Bytes in the order of this machine, which is the usual one.
                let size = numbers.dtype().size();
                let bytes = &numbers.borrowed().bytes()[row * size..(row + 1) * size];
                if cfg!(target_endian = "big") { out.extend(bytes.iter().rev()) } else { out.extend(bytes) }
            }
            Entries::Texts(texts) | Entries::Fixed { texts, .. } => {
                texts[row].chars().for_each(|c| out.extend(u32::from(c).to_le_bytes()));
            }
        }
        out.resize(end, 0);
    }
}

/// An array that is filled from its start to its end.
struct NewArray {
    folder: PathBuf,
    path: String,
    place: String,
    nodes: Nodes,
    spec: ArraySpec,
}

impl SinkArray for NewArray {
    fn spec(&self) -> &ArraySpec {
        &self.spec
    }

    fn encode<'a>(&self, raw: Cow<'a, [u8]>) -> Result<Cow<'a, [u8]>> {
        if cfg!(target_endian = "big") {
            return Err(Fault::unsupported("Zarr stores are not written on machines with their highest byte first"));
        }
        match self.spec.storage.packing {
            Packing::Zstd(level) => zstd(&raw, level).map(Cow::Owned),
            Packing::Gzip(level) => {
                let level = flate2::Compression::new(u32::from(level.clamp(1, 9)));
                let mut encoder = flate2::write::GzEncoder::new(Vec::with_capacity(raw.len() / 2), level);
                std::io::Write::write_all(&mut encoder, &raw)
                    .and_then(|()| encoder.finish().map(Cow::Owned))
                    .map_err(|e| Fault::internal("a chunk cannot be compressed").because(e))
            }
            Packing::None | Packing::Lzf => Ok(raw),
        }
    }

    fn write(&self, chunk: usize, encoded: &[u8]) -> Result<()> {
        write_chunk(&self.folder, self.spec.shape.len(), chunk, encoded)
            .map_err(|f| f.at(self.path.as_str()).at(self.place.as_str()))
    }

    fn finish(self: Box<Self>, n_rows: usize) -> Result<()> {
        if self.spec.grows {
            let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(shape) = nodes.get_mut(&self.path).and_then(|node| node.get_mut("shape"))
                && let Some(first) = shape.get_mut(0)
            {
                *first = json!(n_rows);
            }
        }
        Ok(())
    }
}

impl Storage {
    /// Compressed with Zstandard: what is usual in Zarr stores.
    pub const ZSTD: Self = Self { packing: Packing::Zstd(LEVEL), shuffle: false };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_have_their_base64() {
        assert_eq!([1, 2, 3, 4].map(zeros_in_base64), ["AA==", "AAA=", "AAAA", "AAAAAA=="]);
    }

    #[test]
    fn attributes_are_json() {
        let of = |attr: Attr| to_json(&attr).ok();
        assert_eq!(of(Attr::Numbers(Numbers::I64(vec![3, 4]))), Some(json!([3, 4])));
        assert_eq!(of(Attr::Numbers(Numbers::Bool(vec![true]))), Some(json!(true)));
        assert_eq!(of(Attr::Numbers(Numbers::F64(vec![f64::NAN]))), Some(json!("NaN")));
        assert_eq!(of(Attr::Texts(vec![])), Some(json!([])));
        assert_eq!(of(Attr::Other("a compound".into())), None);
    }
}
