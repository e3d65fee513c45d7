//! `fe.io.write_h5ad` and its like: items of Python, borrowed for the time of a call, on their way to a file.
//!
//! The package describes an item by a tuple whose first entry is its kind ([`Held::new`]). Arrays of numpy come flat,
//! contiguous and in a type that is stored as it is: they are borrowed, never copied. Texts are those of Python.

use std::borrow::Cow;
use std::path::Path;

use ferrocyte_base::{Fault, Run};
use ferrocyte_io::{
    Attr, Codes, ColumnRef, Entries, EntriesRef, Field, Folder, FolderKind, FrameRef, Hdf5, ItemRef, MatrixKind,
    NaValue, Numbers, NumbersRef, Packing, Records, SparseRef, Storage, Store, Texts, TextsRef, create_sink,
    write_borrowed,
};
use numpy::PyReadonlyArray1;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;

use crate::faults::{OrRaise, to_exception};
use crate::monitor::{Means, attended};

/// Writes an item as a whole file: checked, then written beside its place, then put there.
#[pyfunction]
pub(crate) fn io_write(
    py: Python<'_>,
    path: &str,
    item: &Bound<'_, PyAny>,
    compression: Option<&str>,
    level: u8,
    means: Means,
) -> PyResult<()> {
    let held = Held::new(item)?;
    let storage = storage(compression, level).or_raise(py)?;
    let item = held.lend().or_raise(py)?;
    attended(py, &means, |run: &Run| {
        let sink = create_sink(Path::new(path))?;
        write_borrowed(run, &*sink, "", &item, storage)?;
        run.check()?;
        sink.finish()
    })
}

fn storage(compression: Option<&str>, level: u8) -> ferrocyte_base::Result<Storage> {
    match compression {
        None => Ok(Storage::NONE),
        Some("gzip") => Ok(Storage::gzip(level)),
        Some("lzf") => Ok(Storage { packing: Packing::Lzf, shuffle: true }),
        Some("zstd") => Ok(Storage { packing: Packing::Zstd(level), shuffle: true }),
        Some(other) => Err(Fault::bad_input(format!("compression `{other}` is unknown")).hint("gzip, lzf or none")),
    }
}

/// Declares the borrowed arrays, and how they are lent.
macro_rules! arrays {
    ($($variant:ident($t:ty)),+) => {
        /// An array of numpy of one axis, borrowed: it cannot be written through numpy until it is dropped.
        #[derive(FromPyObject)]
        enum Array<'py> { $($variant(PyReadonlyArray1<'py, $t>)),+ }

        impl<'py> Array<'py> {
            fn of(array: &Bound<'py, PyAny>) -> PyResult<Self> {
                array.extract().map_err(|_| {
                    let dtype = array.getattr("dtype").map_or_else(|_| "no numpy array".to_owned(), |d| d.to_string());
                    to_exception(array.py(), &Fault::internal(format!("numbers cannot be {dtype}")))
                })
            }

            fn lend(&self) -> ferrocyte_base::Result<NumbersRef<'_>> {
                match self {
                    $(Self::$variant(array) => {
                        let lent = array.as_slice().map(NumbersRef::$variant);
                        lent.map_err(|_| Fault::internal("an array is not contiguous"))
                    })+
                }
            }

            fn copied(&self) -> ferrocyte_base::Result<Numbers> {
                match self {
                    $(Self::$variant(array) => {
                        let copied = array.as_slice().map(|values| Numbers::$variant(values.to_vec()));
                        copied.map_err(|_| Fault::internal("an array is not contiguous"))
                    })+
                }
            }
        }
    };
}

arrays!(Bool(bool), I8(i8), I16(i16), I32(i32), I64(i64), U8(u8), U16(u16), U32(u32), U64(u64), F32(f32), F64(f64));

/// Texts of Python, of which some may be `None`.
#[derive(Debug)]
struct Strings(Vec<Option<PyBackedStr>>);

impl Texts for Strings {
    fn n_rows(&self) -> usize {
        self.0.len()
    }
    fn text(&self, row: usize) -> Option<&str> {
        self.0[row].as_deref()
    }
}

impl Strings {
    fn of(texts: &Bound<'_, PyAny>) -> PyResult<Self> {
        texts.try_iter()?.map(|text| text?.extract()).collect::<PyResult<_>>().map(Self)
    }

    fn lend(&self) -> TextsRef<'_> {
        TextsRef::Lent(self)
    }
}

/// An item of Python with its arrays borrowed.
enum Held<'py> {
    Null,
    Number(Array<'py>),
    Text(Strings),
    Array(Vec<usize>, Array<'py>),
    Texts(Vec<usize>, Strings),
    Column(Column<'py>),
    Sparse { kind: MatrixKind, shape: (usize, usize), data: Array<'py>, indices: Array<'py>, indptr: Array<'py> },
    Frame { index_name: String, index: Column<'py>, columns: Vec<(String, Column<'py>)> },
    Records(Records),
    Folder { kind: FolderKind, attrs: Vec<(String, Attr)>, entries: Vec<(String, Held<'py>)> },
    Stored(Box<Hdf5>, String),
}

/// A column of a data frame, likewise.
enum Column<'py> {
    Numbers(Array<'py>),
    Nullable(Array<'py>, PyReadonlyArray1<'py, bool>),
    Texts(Strings, Option<NaValue>),
    Categorical { codes: Array<'py>, levels: Box<Column<'py>>, ordered: bool },
}

impl<'py> Held<'py> {
    /// Borrows an item: `("null",)`, `("number", array)`, `("text", str)`, `("array", shape, array)`, `("texts", shape,
    /// list)`, `("column", column)`, `("sparse", kind, shape, data, indices, indptr)`, `("frame", name of the index,
    /// index, [(name, column)])`, `("records", rows, [(name, shape, array or list)])`, `("folder", kind, attributes,
    /// [(name, item)])`, `("stored", file, element)`.
    fn new(object: &Bound<'py, PyAny>) -> PyResult<Self> {
        let part = |i: usize| object.get_item(i);
        let word: String = part(0)?.extract()?;
        Ok(match word.as_str() {
            "null" => Self::Null,
            "number" => Self::Number(Array::of(&part(1)?)?),
            "text" => Self::Text(Strings(vec![Some(part(1)?.extract()?)])),
            "array" => Self::Array(part(1)?.extract()?, Array::of(&part(2)?)?),
            "texts" => Self::Texts(part(1)?.extract()?, Strings::of(&part(2)?)?),
            "column" => Self::Column(Column::new(&part(1)?)?),
            "sparse" => Self::Sparse {
                kind: if part(1)?.extract::<String>()? == "csc" { MatrixKind::Csc } else { MatrixKind::Csr },
                shape: part(2)?.extract()?,
                data: Array::of(&part(3)?)?,
                indices: Array::of(&part(4)?)?,
                indptr: Array::of(&part(5)?)?,
            },
            "frame" => Self::Frame {
                index_name: part(1)?.extract()?,
                index: Column::new(&part(2)?)?,
                columns: named(&part(3)?, Column::new)?,
            },
            "records" => Self::Records(records(part(1)?.extract()?, &part(2)?)?),
            "folder" => Self::Folder {
                kind: folder_kind(&part(1)?.extract::<String>()?),
                attrs: named(&part(2)?, attribute)?,
                entries: named(&part(3)?, Self::new)?,
            },
            "stored" => {
                let (file, element): (String, String) = (part(1)?.extract()?, part(2)?.extract()?);
                let store = Hdf5::open(Path::new(&file)).or_raise(object.py())?;
                Self::Stored(Box::new(store), element)
            }
            other => return Err(unknown(object.py(), "items", other)),
        })
    }

    fn lend(&self) -> ferrocyte_base::Result<ItemRef<'_>> {
        Ok(match self {
            Self::Null => ItemRef::Null,
            Self::Number(number) => ItemRef::Scalar(EntriesRef::Numbers(number.lend()?)),
            Self::Text(text) => ItemRef::Scalar(EntriesRef::Texts(text.lend())),
            Self::Array(shape, numbers) => ItemRef::Array(shape.clone(), EntriesRef::Numbers(numbers.lend()?)),
            Self::Texts(shape, texts) => ItemRef::Array(shape.clone(), EntriesRef::Texts(texts.lend())),
            Self::Column(column) => ItemRef::Column(column.lend()?),
            Self::Sparse { kind, shape, data, indices, indptr } => ItemRef::Sparse(SparseRef {
                kind: *kind,
                shape: *shape,
                data: data.lend()?,
                indices: indices.lend()?,
                indptr: indptr.lend()?,
            }),
            Self::Frame { index_name, index, columns } => ItemRef::Frame(FrameRef {
                index_name: Cow::Borrowed(index_name),
                index: index.lend()?,
                columns: columns
                    .iter()
                    .map(|(name, column)| Ok((Cow::Borrowed(name.as_str()), column.lend()?)))
                    .collect::<ferrocyte_base::Result<_>>()?,
            }),
            Self::Records(records) => ItemRef::Records(Cow::Borrowed(records)),
            Self::Folder { kind, attrs, entries } => ItemRef::Folder(Folder {
                kind: *kind,
                attrs: attrs.clone(),
                entries: entries
                    .iter()
                    .map(|(name, item)| Ok((Cow::Borrowed(name.as_str()), item.lend()?)))
                    .collect::<ferrocyte_base::Result<_>>()?,
            }),
            Self::Stored(store, element) => ItemRef::Stored(&**store as &dyn Store, element),
        })
    }
}

impl<'py> Column<'py> {
    /// Borrows a column: `("numbers", array)`, `("nullable", array, mask)`, `("texts", list, "NaN", "NA" or None)`,
    /// `("categorical", codes, levels, ordered)`.
    fn new(object: &Bound<'py, PyAny>) -> PyResult<Self> {
        let part = |i: usize| object.get_item(i);
        let word: String = part(0)?.extract()?;
        Ok(match word.as_str() {
            "numbers" => Self::Numbers(Array::of(&part(1)?)?),
            "nullable" => Self::Nullable(Array::of(&part(1)?)?, part(2)?.extract()?),
            "texts" => {
                let na = match part(2)?.extract::<Option<String>>()?.as_deref() {
                    None => None,
                    Some("NA") => Some(NaValue::Na),
                    Some(_) => Some(NaValue::Nan),
                };
                Self::Texts(Strings::of(&part(1)?)?, na)
            }
            "categorical" => Self::Categorical {
                codes: Array::of(&part(1)?)?,
                levels: Box::new(Self::new(&part(2)?)?),
                ordered: part(3)?.extract()?,
            },
            other => return Err(unknown(object.py(), "columns", other)),
        })
    }

    fn lend(&self) -> ferrocyte_base::Result<ColumnRef<'_>> {
        Ok(match self {
            Self::Numbers(numbers) => ColumnRef::Numbers(numbers.lend()?),
            Self::Nullable(values, mask) => {
                let mask = mask.as_slice().map_err(|_| Fault::internal("a mask is not contiguous"))?;
                ColumnRef::NullableNumbers(values.lend()?, mask)
            }
            Self::Texts(texts, na) => ColumnRef::Texts(texts.lend(), *na),
            Self::Categorical { codes, levels, ordered } => ColumnRef::Categorical {
                codes: Codes::Stored(codes.lend()?),
                levels: Box::new(levels.lend()?),
                ordered: *ordered,
            },
        })
    }
}

/// A list of pairs of a name and something else.
fn named<'py, T>(
    pairs: &Bound<'py, PyAny>,
    each: impl Fn(&Bound<'py, PyAny>) -> PyResult<T>,
) -> PyResult<Vec<(String, T)>> {
    pairs
        .try_iter()?
        .map(|pair| pair.and_then(|pair| Ok((pair.get_item(0)?.extract()?, each(&pair.get_item(1)?)?))))
        .collect()
}

fn attribute(value: &Bound<'_, PyAny>) -> PyResult<Attr> {
    if let Ok(number) = value.extract::<i64>() {
        return Ok(Attr::Numbers(Numbers::I64(vec![number])));
    }
    match value.extract::<String>() {
        Ok(text) => Ok(Attr::Text(text)),
        Err(_) => value.extract::<Vec<String>>().map(Attr::Texts),
    }
}

/// Records are copied: they are small, and lie otherwise in numpy.
fn records(n_rows: usize, fields: &Bound<'_, PyAny>) -> PyResult<Records> {
    let field = |(name, shape, cells): (String, Vec<usize>, Bound<'_, PyAny>)| {
        let cells = match cells.extract::<Vec<String>>() {
            Ok(texts) => Entries::Texts(texts),
            Err(_) => Entries::Numbers(Array::of(&cells)?.copied().or_raise(cells.py())?),
        };
        Ok((name, Field { shape, cells }))
    };
    let fields: Vec<(String, Vec<usize>, Bound<'_, PyAny>)> = fields.extract()?;
    Ok(Records { n_rows, fields: fields.into_iter().map(field).collect::<PyResult<_>>()? })
}

fn folder_kind(word: &str) -> FolderKind {
    match word {
        "raw" => FolderKind::Raw,
        "anndata" => FolderKind::AnnData,
        "mudata" => FolderKind::MuData,
        "plain" => FolderKind::Plain,
        _ => FolderKind::Dict,
    }
}

fn unknown(py: Python<'_>, what: &str, word: &str) -> PyErr {
    to_exception(py, &Fault::internal(format!("{what} of kind `{word}` are unknown")))
}
