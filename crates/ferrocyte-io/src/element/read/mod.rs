//! [`read_item`]: any element of an annotated file, in memory.
//!
//! Every element of a modern file says what it is by two attributes, `encoding-type` and `encoding-version`. Each such
//! pair has its reader in [`READERS`]; one that is not there becomes [`Item::Opaque`]. Elements without attributes are
//! those of anndata before 0.8, and are told by what they are.
//!
//! What is read is held against limits, so that a file that lies about itself ends with a fault: nesting, the number
//! of elements, and the bytes of all of them together.

mod arrays;

use std::cell::Cell;

use ferrocyte_base::{Fault, Result, Run};

use crate::element::columns::{ColumnData, encoding, read_column};
use crate::element::frame::DataFrame;
use crate::element::sparse::Header;
use crate::element::{FrameData, Item, Sparse};
use crate::store::{ArrayInfo, Node, Numbers, Store};

/// Groups within groups. Deeper ones are a link of a group to one around it.
const DEEPEST: usize = 64;
/// Elements of one file.
const MOST: usize = 1 << 18;
/// What all elements together may take in memory, in bytes for each byte of the file, where that is more than the memory
/// of the run: studies shrink by 3 to 20 when they are compressed.
const EXPANSION: u64 = 64;

type Reader = fn(&Reading<'_>, &str, usize) -> Result<Item>;

/// The readers of elements, by encoding type and version.
const READERS: [(&str, &str, Reader); 18] = [
    ("array", "0.2.0", arrays::array),
    ("string-array", "0.2.0", arrays::array),
    ("string", "0.2.0", arrays::scalar),
    ("numeric-scalar", "0.2.0", arrays::scalar),
    ("rec-array", "0.2.0", arrays::records),
    ("null", "0.1.0", |_, _, _| Ok(Item::Null)),
    ("csr_matrix", "0.1.0", sparse),
    ("csc_matrix", "0.1.0", sparse),
    ("dataframe", "0.1.0", frame),
    ("dataframe", "0.2.0", frame),
    ("categorical", "0.2.0", column),
    ("nullable-integer", "0.1.0", column),
    ("nullable-boolean", "0.1.0", column),
    ("nullable-string-array", "0.1.0", column),
    ("dict", "0.1.0", dict),
    ("raw", "0.1.0", dict),
    ("anndata", "0.1.0", dict),
    ("MuData", "0.1.0", dict),
];

/// Reads the element at a path, whatever it is. What cannot be told is [`Item::Opaque`]; what is damaged is a fault.
pub fn read_item(run: &Run, store: &dyn Store, path: &str) -> Result<Item> {
    Reading::new(run, store).item(path)
}

/// A file being read, and what may still be taken from it.
pub(crate) struct Reading<'a> {
    run: &'a Run,
    store: &'a dyn Store,
    bytes: Cell<u64>,
    elements: Cell<usize>,
}

impl<'a> Reading<'a> {
    /// Begins to read a file.
    pub(crate) fn new(run: &'a Run, store: &'a dyn Store) -> Self {
        let expanded = store.bytes().map_or(u64::MAX, |bytes| bytes.saturating_mul(EXPANSION));
        Self { run, store, bytes: Cell::new(expanded.max(run.memory_bytes())), elements: Cell::new(MOST) }
    }

    /// The element at a path.
    pub(crate) fn item(&self, path: &str) -> Result<Item> {
        self.element(path, 0)
    }

    /// The elements of a group, by their names; none if there is no such group.
    pub(crate) fn entries(&self, group: &str) -> Result<Vec<(String, Item)>> {
        match self.store.node(group)? {
            None => Ok(Vec::new()),
            // Before anndata 0.7 the matrices of `obsm` and `varm` were fields of records.
            Some(Node::Array) => arrays::fields(self, group),
            Some(Node::Group) => match dict(self, group, 0)? {
                Item::Dict(entries) => Ok(entries),
                _ => Ok(Vec::new()),
            },
        }
    }

    /// The data frame at a path.
    pub(crate) fn frame(&self, path: &str) -> Result<(DataFrame, FrameData)> {
        let frame = DataFrame::open(self.store, path)?;
        let index = frame.index(self.store)?;
        self.take(path, bytes_of(&index))?;
        let mut columns = Vec::with_capacity(frame.columns.len());
        for name in &frame.columns {
            self.run.check()?;
            let column = frame.column(self.store, name)?;
            self.take(path, bytes_of(&column))?;
            columns.push((name.clone(), column));
        }
        let read = FrameData { index_name: frame.index_name().to_owned(), index, columns };
        Ok((frame, read))
    }

    fn element(&self, path: &str, depth: usize) -> Result<Item> {
        self.run.check()?;
        let place = |fault: Fault| fault.at(path).at(self.store.place());
        let Some(left) = self.elements.get().checked_sub(1) else {
            return Err(place(
                Fault::bad_file(format!("more than {MOST} elements")).hint("do its links form a circle?"),
            ));
        };
        self.elements.set(left);
        if depth > DEEPEST {
            let message = format!("groups within groups, deeper than {DEEPEST}");
            return Err(place(Fault::bad_file(message).hint("is there a link of a group to one around it?")));
        }
        match encoding(self.store, path)? {
            Some((kind, version)) => match READERS.iter().find(|(k, v, _)| (*k, *v) == (&kind, &version)) {
                Some((.., read)) => read(self, path, depth),
                None => Ok(self.opaque(path, format!("{kind} {version}"), "this encoding is not known".to_owned())),
            },
            None => match self.store.node(path)? {
                Some(Node::Array) if self.store.attr(path, "categories")?.is_some() => column(self, path, depth),
                Some(Node::Array) => arrays::plain(self, path),
                Some(Node::Group) if Header::of(self.store, path)?.is_some() => sparse(self, path, depth),
                Some(Node::Group) => dict(self, path, depth),
                None => Err(place(Fault::missing("there is no such element"))),
            },
        }
    }

    /// Something that is not read: said once, and left as it is.
    fn opaque(&self, path: &str, encoding: String, why: String) -> Item {
        self.run.warn(&format!("{}: {path} ({encoding}) is left out: {why}", self.store.place()));
        Item::Opaque { encoding, why }
    }

    /// Counts bytes that an element will take; a fault when the file cannot have that many.
    fn take(&self, path: &str, bytes: u64) -> Result<()> {
        match self.bytes.get().checked_sub(bytes) {
            Some(left) => {
                self.bytes.set(left);
                Ok(())
            }
            None => Err(Fault::too_large(format!("its {bytes} bytes are more than can be taken from this file"))
                .at(path)
                .at(self.store.place())
                .hint("allow more memory (max_memory), if the file can be trusted")),
        }
    }

    /// Counts the bytes of an array.
    fn take_array(&self, info: &ArrayInfo) -> Result<()> {
        // Of texts the bytes are counted when they have come.
        let element = info.dtype.size() as u64;
        let bytes = info.shape.iter().try_fold(element, |bytes, &extent| bytes.checked_mul(extent as u64));
        self.take(&info.path, bytes.unwrap_or(u64::MAX))
    }

    /// All numbers of an array.
    fn numbers(&self, path: &str) -> Result<Numbers> {
        let array = self.store.array(path)?;
        self.take_array(array.info())?;
        array.numbers_with(self.run, 0..array.info().n_rows()).map_err(|f| f.at(self.store.place()))
    }

    /// A sparse matrix, as it is stored.
    pub(crate) fn sparse(&self, path: &str) -> Result<Sparse> {
        let Some(header) = Header::of(self.store, path)? else {
            return Err(Fault::bad_file("this is no sparse matrix").at(path).at(self.store.place()));
        };
        let [data, indices, indptr] = ["data", "indices", "indptr"].map(|name| self.numbers(&format!("{path}/{name}")));
        header.checked(data?, indices?, indptr?).map_err(|fault| fault.at(path).at(self.store.place()))
    }
}

fn sparse(reading: &Reading<'_>, path: &str, _depth: usize) -> Result<Item> {
    reading.sparse(path).map(Item::Sparse)
}

fn frame(reading: &Reading<'_>, path: &str, _depth: usize) -> Result<Item> {
    reading.frame(path).map(|(_, frame)| Item::Frame(frame))
}

fn column(reading: &Reading<'_>, path: &str, _depth: usize) -> Result<Item> {
    let column = read_column(reading.store, path)?;
    reading.take(path, bytes_of(&column))?;
    Ok(Item::Column(column))
}

/// The bytes that a column takes in memory.
fn bytes_of(column: &ColumnData) -> u64 {
    match column {
        ColumnData::Numbers(numbers) => numbers.borrowed().bytes().len() as u64,
        ColumnData::NullableNumbers { values, missing } => (values.borrowed().bytes().len() + missing.len()) as u64,
        ColumnData::Texts { values, .. } => text_bytes(values.iter().flatten()) + values.len() as u64,
        ColumnData::Categorical { codes, levels, .. } => bytes_of(levels).saturating_add(4 * codes.len() as u64),
    }
}

/// The bytes of texts and of what holds them.
fn text_bytes<'a>(texts: impl Iterator<Item = &'a String>) -> u64 {
    texts.map(|text| (size_of::<String>() + text.len()) as u64).sum()
}

fn dict(reading: &Reading<'_>, path: &str, depth: usize) -> Result<Item> {
    let mut entries = Vec::new();
    for name in reading.store.list(path)? {
        let inner = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
        entries.push((name, reading.element(&inner, depth + 1)?));
    }
    Ok(Item::Dict(entries))
}
