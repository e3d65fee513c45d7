//! From a store to a sink: elements are written in today's encoding, arrays of any size pass through chunk by chunk, and
//! what is not understood is taken over as it is or refused.

use std::collections::HashSet;

use ferrocyte_base::{Fault, Result, Run};

use crate::element::Item;
use crate::element::borrowed::{FrameRef, ItemRef, join};
use crate::element::columns::{ColumnData, NaValue, encoding};
use crate::element::read::{Reading, read_item};
use crate::element::sparse::Header;
use crate::element::write::{BATCH, Elements, encode_chunk, located};
use crate::h5ad::matrix::MatrixKind;
use crate::h5mu::H5mu;
use crate::store::sink::{ArraySpec, Sink, Storage};
use crate::store::window::Window;
use crate::store::{Dtype, Node, Store};

/// The groups of dictionaries that every annotated matrix has.
const DICTS: [&str; 6] = ["layers", "obsm", "obsp", "uns", "varm", "varp"];

/// Groups within groups, and nodes, that a file may have. More are links that form a circle.
const DEEPEST: usize = 64;
const MOST: usize = 1 << 18;

/// Bytes that a byte of a file can become, and bytes that may be told without being stored.
const EXPANSION: u64 = 1032;
const UNWRITTEN: u64 = 64 << 20;

/// Attributes of groups that are known here. Others go with what is taken over whole.
const KNOWN: [&str; 6] = ["encoding-type", "encoding-version", "encoder", "encoder-version", "axis", "mod-order"];

impl Elements<'_> {
    /// Copies the annotated matrix at the root of a store, of any generation of anndata, to a path; the root exists.
    pub(crate) fn copy_anndata(&self, store: &dyn Store, path: &str) -> Result<()> {
        if !path.is_empty() {
            self.sink.group(path)?;
        }
        self.mark(path, "anndata", "0.1.0")?;
        let reading = Reading::new(self.run, store);
        let mut levels = HashSet::new();
        for name in ["obs", "var"] {
            let (header, frame) = reading.frame(name)?;
            if header.is_records() {
                // Their levels stood in `uns`, and have become part of the columns.
                levels.extend(header.columns.iter().map(|column| format!("{column}_categories")));
            }
            self.plain_frame(&join(path, name), frame)?;
        }
        for name in store.list("")? {
            self.run.check()?;
            let to = join(path, &name);
            match name.as_str() {
                "obs" | "var" | "raw.var" | "raw.varm" => {}
                "raw.X" => self.copy_raw(&reading, store, path)?,
                "raw" => {
                    self.group(&to, "raw", "0.1.0")?;
                    let parts = store.list("raw")?;
                    parts.iter().try_for_each(|part| self.copy(store, &join("raw", part), &join(&to, part)))?;
                }
                "obsm" | "varm" if store.node(&name)? == Some(Node::Array) => {
                    let entries = reading.entries(&name)?;
                    self.item(&to, &ItemRef::try_from(&Item::Dict(entries)).map_err(|f| f.at(name.as_str()))?)?;
                }
                "uns" => {
                    self.group(&to, "dict", "0.1.0")?;
                    for key in store.list("uns")?.iter().filter(|key| !levels.contains(*key)) {
                        self.copy(store, &join("uns", key), &join(&to, key))?;
                    }
                }
                _ => self.copy(store, &name, &to)?,
            }
        }
        for name in DICTS {
            if store.node(name)?.is_none() {
                self.group(&join(path, name), "dict", "0.1.0")?;
            }
        }
        Ok(())
    }

    /// The matrix before genes were chosen, of which the parts stood beside `X` before anndata 0.7.
    fn copy_raw(&self, reading: &Reading<'_>, store: &dyn Store, path: &str) -> Result<()> {
        let raw = join(path, "raw");
        self.group(&raw, "raw", "0.1.0")?;
        self.copy(store, "raw.X", &join(&raw, "X"))?;
        self.plain_frame(&join(&raw, "var"), reading.frame("raw.var")?.1)?;
        let varm = Item::Dict(reading.entries("raw.varm")?);
        self.item(&join(&raw, "varm"), &ItemRef::try_from(&varm)?)
    }

    /// Copies the element at `source` of a store, with all below it, to `path`.
    pub(crate) fn copy(&self, store: &dyn Store, source: &str, path: &str) -> Result<()> {
        self.run.check()?;
        if let Some(Header { kind, shape }) = Header::of(store, source)? {
            return self.copy_sparse(store, source, path, kind, shape);
        }
        let told = encoding(store, source)?;
        let kind = told.as_ref().map(|(kind, _)| kind.as_str());
        match (store.node(source)?, kind) {
            (Some(Node::Group), None | Some("dict" | "raw" | "anndata")) => {
                let (kind, version) = match (kind, told.as_ref()) {
                    (Some(kind), Some((_, version))) => (kind, version.as_str()),
                    _ => ("dict", "0.1.0"),
                };
                self.group(path, kind, version)?;
                let names = store.list(source)?;
                names.iter().try_for_each(|name| self.copy(store, &join(source, name), &join(path, name)))
            }
            (Some(Node::Array), None | Some("array")) if is_plain(store, source)? => {
                self.copy_array(store, source, path)?;
                self.mark(path, "array", "0.2.0")
            }
            _ => self.copy_item(store, source, path),
        }
    }

    fn copy_sparse(
        &self,
        store: &dyn Store,
        source: &str,
        path: &str,
        kind: MatrixKind,
        shape: (usize, usize),
    ) -> Result<()> {
        self.sparse_group(path, kind, shape)?;
        // Values and indices first: pointers say where both end.
        ["data", "indices", "indptr"]
            .into_iter()
            .try_for_each(|name| self.copy_array(store, &join(source, name), &join(path, name)))
    }

    /// Copies the numbers of an array, a batch of chunks at a time.
    fn copy_array(&self, store: &dyn Store, source: &str, path: &str) -> Result<()> {
        let at = |fault: Fault| located(fault, store.place());
        let mut from = Window::new(store.array(source).map_err(at)?);
        let (n_rows, dtype) = (from.n_rows(), from.info().dtype.clone());
        let to = self.sink.array(path, &ArraySpec::new(dtype, &from.info().shape.clone(), self.storage))?;
        let rows_per_chunk = to.spec().chunk_rows;
        let step = (BATCH * rows_per_chunk).max(1);
        let mut start = 0;
        while start < n_rows {
            self.run.check()?;
            let end = (start + step).min(n_rows);
            let numbers = from.read(self.run, start..end).map_err(at)?;
            let bytes = numbers.borrowed().bytes();
            let n_chunks = if bytes.is_empty() { 0 } else { (end - start).div_ceil(rows_per_chunk) };
            let encoded = self.run.map_quietly(n_chunks, 1, |k| encode_chunk(&*to, bytes, k.start))?;
            for (k, chunk) in encoded.iter().enumerate() {
                to.write(start / rows_per_chunk + k, chunk)?;
            }
            if let Some(task) = self.task {
                task.advance(bytes.len() as u64);
            }
            start = end;
        }
        to.finish(n_rows)
    }

    /// Copies an element by way of memory; one that is not understood is taken over.
    fn copy_item(&self, store: &dyn Store, source: &str, path: &str) -> Result<()> {
        // What is not read is not left out here, so nothing is said of it.
        let quiet = Run::new().threads(self.run.n_threads()).memory(self.run.memory_bytes());
        match read_item(&quiet, store, source)? {
            Item::Opaque { encoding, why } => {
                if self.sink.adopt(store, source, path)? {
                    return Ok(());
                }
                Err(Fault::unsupported(format!("{encoding} cannot be carried over to another format: {why}"))
                    .at(source)
                    .at(store.place())
                    .hint("leave it out, or write .h5ad"))
            }
            Item::Frame(frame) => self.plain_frame(path, frame),
            mut item => {
                if let Item::Column(column) = &mut item {
                    make_plain(column);
                }
                self.item(path, &ItemRef::try_from(&item).map_err(|f| f.at(source))?)
            }
        }
    }

    /// A data frame whose texts are plain arrays where none is missing, as every reader knows them.
    fn plain_frame(&self, path: &str, mut frame: crate::element::FrameData) -> Result<()> {
        make_plain(&mut frame.index);
        frame.columns.iter_mut().for_each(|(_, column)| make_plain(column));
        self.frame(path, &FrameRef::from(&frame))
    }

    /// Copies an .h5mu file: its modalities, and what stands beside them.
    pub(crate) fn copy_mudata(&self, study: &H5mu) -> Result<()> {
        let store = study.store();
        for name in KNOWN {
            if let Some(value) = store.attr("", name)? {
                self.sink.set("", name, &value)?;
            }
        }
        for name in store.list("")? {
            if name != "mod" {
                self.copy(store, &name, &name)?;
                continue;
            }
            self.sink.group("mod")?;
            if let Some(order) = store.attr("mod", "mod-order")? {
                self.sink.set("mod", "mod-order", &order)?;
            }
            for name in store.list("mod")? {
                self.copy_anndata(study.modality(&name)?.store(), &join("mod", &name))?;
            }
        }
        Ok(())
    }
}

/// The bytes of all numbers of a store, once they are copied. Fails for links that form a circle, and for arrays that
/// are larger than the file can hold, before anything is written.
pub(crate) fn survey(store: &dyn Store) -> Result<u64> {
    let place = |fault: Fault, path: &str| fault.at(path).at(store.place());
    let most = store.bytes().map_or(u64::MAX, |bytes| bytes.saturating_mul(EXPANSION).saturating_add(UNWRITTEN));
    let (mut waiting, mut bytes, mut nodes) = (vec![(String::new(), 0)], 0_u64, 0);
    while let Some((path, depth)) = waiting.pop() {
        nodes += 1;
        if nodes > MOST || depth > DEEPEST {
            let fault = Fault::bad_file("groups within groups without an end");
            return Err(place(fault.hint("is there a link of a group to one around it?"), &path));
        }
        match store.node(&path)? {
            Some(Node::Group) => {
                waiting.extend(store.list(&path)?.into_iter().map(|name| (join(&path, &name), depth + 1)));
            }
            // Those that cannot be opened are taken over as they are.
            Some(Node::Array) => {
                if let Ok(array) = store.array(&path) {
                    let (size, info) = (array.info().dtype.size() as u64, array.info());
                    let all = info.shape.iter().try_fold(size, |all, &extent| all.checked_mul(extent as u64));
                    bytes = bytes.saturating_add(all.unwrap_or(u64::MAX));
                }
                if bytes > most {
                    let fault = Fault::bad_file("its extents are beyond what the file can hold");
                    return Err(place(fault.hint("the file is damaged"), &path));
                }
            }
            None => {}
        }
    }
    Ok(bytes)
}

/// Whether an array has numbers that mean what they are.
fn is_plain(store: &dyn Store, path: &str) -> Result<bool> {
    // Codes of categories before anndata 0.8 refer to their levels.
    if store.attr(path, "categories")?.is_some() {
        return Ok(false);
    }
    let info = store.array(path).map(|array| array.info().clone());
    // What cannot be opened is read, or taken over, by others.
    Ok(info.is_ok_and(|info| !info.shape.is_empty() && !matches!(info.dtype, Dtype::Text | Dtype::Other(_))))
}

/// Texts of the type `str` of pandas are a plain array where none is missing; categories likewise.
fn make_plain(column: &mut ColumnData) {
    match column {
        ColumnData::Texts { values, na } if *na == Some(NaValue::Nan) && values.iter().all(Option::is_some) => {
            *na = None;
        }
        ColumnData::Categorical { levels, .. } => make_plain(levels),
        _ => {}
    }
}

/// Writes a store again with some elements changed: each of `changes` stands at its path, and everything else is taken
/// over untouched, known here or not.
///
/// Paths of changes are those of elements (`obs`, `uns/markers`, `layers/norm`), not of parts of elements. The sink is
/// empty and of the format of the store; it is not finished here.
pub fn rewrite(
    run: &Run,
    store: &dyn Store,
    sink: &dyn Sink,
    changes: &[(&str, ItemRef<'_>)],
    storage: Storage,
) -> Result<()> {
    changes.iter().try_for_each(|(path, item)| item.check(path)).map_err(|f| f.at(sink.place()))?;
    let elements = Elements { run, sink, storage, task: None };
    rewrite_group(&elements, store, "", changes)
        .and_then(|written| {
            let mut new = changes.iter().filter(|(path, _)| !written.contains(*path));
            new.try_for_each(|(path, item)| elements.item(path, item))
        })
        .map_err(|f| located(f, sink.place()))
}

/// Writes a group again; gives the paths of the changes that were in it.
fn rewrite_group(
    elements: &Elements<'_>,
    store: &dyn Store,
    group: &str,
    changes: &[(&str, ItemRef<'_>)],
) -> Result<HashSet<String>> {
    let mut written = HashSet::new();
    for name in KNOWN {
        if let Some(value) = store.attr(group, name)? {
            elements.sink.set(group, name, &value)?;
        }
    }
    for name in store.list(group)? {
        elements.run.check()?;
        let path = join(group, &name);
        let below = format!("{path}/");
        if let Some((_, item)) = changes.iter().find(|(changed, _)| *changed == path) {
            elements.item(&path, item)?;
            written.insert(path);
        } else if changes.iter().any(|(changed, _)| changed.starts_with(&below)) {
            elements.sink.group(&path)?;
            written.extend(rewrite_group(elements, store, &path, changes)?);
        } else if !elements.sink.adopt(store, &path, &path)? {
            elements.copy(store, &path, &path)?;
        }
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_plain_where_none_is_missing() {
        let texts = |values: &[Option<&str>], na| ColumnData::Texts {
            values: values.iter().map(|v| v.map(ToOwned::to_owned)).collect(),
            na,
        };
        let plain = |mut column: ColumnData| {
            make_plain(&mut column);
            column
        };
        assert_eq!(plain(texts(&[Some("a")], Some(NaValue::Nan))), texts(&[Some("a")], None));
        for kept in [texts(&[None], Some(NaValue::Nan)), texts(&[Some("a")], Some(NaValue::Na))] {
            assert_eq!(plain(kept.clone()), kept);
        }
    }
}
