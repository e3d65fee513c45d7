//! [`DataFrame`]: a data frame in a file, whose columns are read when they are asked for.

use ferrocyte_base::{Fault, Result, listing, nearest};

use crate::element::columns::{
    ColumnData, ColumnKind, encoding, factor_codes, n_rows, read_array, read_column, tell_column,
};
use crate::element::{Entries, Field};
use crate::store::{Attr, Dtype, Node, Store};

/// A data frame in a file: where its columns are. Columns are read one by one, when asked for.
#[derive(Debug, Clone)]
pub(crate) struct DataFrame {
    path: String,
    index: String,
    pub(crate) columns: Vec<String>,
    pub(crate) n_rows: usize,
    layout: Layout,
}

/// How a data frame is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// A group with a node for each column, since anndata 0.7.
    Group,
    /// An array of records with a field for each column, before. Levels of codes stand in `uns`.
    Records,
}

impl DataFrame {
    /// Finds the columns of the data frame at a path and the number of its rows.
    pub(crate) fn open(store: &dyn Store, path: &str) -> Result<Self> {
        let place = |fault: Fault| fault.at(path).at(store.place());
        match store.node(path)? {
            Some(Node::Group) => {}
            Some(Node::Array) => return Self::open_records(store, path),
            None => return Err(place(Fault::bad_file("there is no such element").hint("is it an .h5ad file?"))),
        }
        match encoding(store, path)? {
            Some((kind, version)) if kind == "dataframe" && ["0.1.0", "0.2.0"].contains(&version.as_str()) => {}
            Some((kind, version)) => {
                let message = format!("encoding `{kind}` version `{version}` is not read as a data frame");
                return Err(place(Fault::unsupported(message)));
            }
            None => return Err(place(Fault::unsupported("a group without encoding-type is not read as a data frame"))),
        }
        let Some(Attr::Text(index)) = store.attr(path, "_index")? else {
            return Err(place(Fault::bad_file("attribute `_index` with the name of the index is absent")));
        };
        let columns = match store.attr(path, "column-order")? {
            Some(Attr::Texts(names)) => names,
            Some(Attr::Text(name)) => vec![name],
            // A frame without columns has an empty array of numbers here.
            Some(Attr::Numbers(none)) if none.is_empty() => Vec::new(),
            Some(Attr::Empty) => Vec::new(),
            _ => {
                return Err(place(Fault::bad_file("attribute `column-order` with the names of the columns is absent")));
            }
        };
        let n_rows = n_rows(store, &format!("{path}/{index}"))?;
        Ok(Self { path: path.to_owned(), index, columns, n_rows, layout: Layout::Group })
    }

    /// The same of an array of records, of which the field `index` (else the first one) has the names of the rows.
    fn open_records(store: &dyn Store, path: &str) -> Result<Self> {
        let place = |fault: Fault| fault.at(path).at(store.place());
        let array = store.array(path)?;
        let fields: Vec<String> = array.fields().into_iter().map(|field| field.name).collect();
        let index = ["index", "_index"].into_iter().find(|name| fields.iter().any(|field| field == name));
        let index = index.map(str::to_owned).or_else(|| fields.first().cloned());
        let (Some(index), &[n_rows]) = (index, array.info().shape.as_slice()) else {
            let found = (array.info().dtype.name(), &array.info().shape);
            let message = format!("a data frame was expected, found an array of {} of shape {:?}", found.0, found.1);
            return Err(place(Fault::bad_file(message)));
        };
        let columns = fields.into_iter().filter(|name| *name != index).collect();
        Ok(Self { path: path.to_owned(), index, columns, n_rows, layout: Layout::Records })
    }

    /// The names of the rows, as they are stored.
    pub(crate) fn index(&self, store: &dyn Store) -> Result<ColumnData> {
        self.stored(store, &self.index)
    }

    /// What the index is called.
    pub(crate) fn index_name(&self) -> &str {
        &self.index
    }

    /// Whether it is an array of records.
    pub(crate) fn is_records(&self) -> bool {
        self.layout == Layout::Records
    }

    /// The values of the index or of a column that exists.
    fn stored(&self, store: &dyn Store, name: &str) -> Result<ColumnData> {
        if self.layout == Layout::Group {
            return read_column(store, &format!("{}/{name}", self.path));
        }
        let field = store.array(&self.path)?.field(name, 0..self.n_rows).map_err(|f| f.at(store.place()))?;
        let place = |fault: Fault| fault.at(name).at(self.path.as_str()).at(store.place());
        match field {
            Field { shape, .. } if !shape.is_empty() => {
                Err(place(Fault::unsupported(format!("a column of elements of shape {shape:?} is not read"))))
            }
            Field { cells: Entries::Texts(texts) | Entries::Fixed { texts, .. }, .. } => {
                Ok(ColumnData::Texts { values: texts.into_iter().map(Some).collect(), na: None })
            }
            Field { cells: Entries::Numbers(codes), .. } => match levels_in_uns(store, name, &codes.dtype())? {
                Some(path) => {
                    let levels = read_levels(store, &path)?;
                    let codes = factor_codes(codes, levels.len()).map_err(place)?;
                    Ok(ColumnData::Categorical { codes, levels: Box::new(levels), ordered: false })
                }
                None => Ok(ColumnData::Numbers(codes)),
            },
        }
    }

    /// What a column holds.
    fn kind(&self, store: &dyn Store, name: &str) -> ColumnKind {
        if self.layout == Layout::Group {
            return tell_column(store, &format!("{}/{name}", self.path));
        }
        let tell = || -> Result<ColumnKind> {
            let fields = store.array(&self.path)?.fields();
            let dtype = fields.into_iter().find(|field| field.name == name).map(|field| field.dtype);
            Ok(match dtype {
                Some(Dtype::Bool) => ColumnKind::Bool,
                Some(Dtype::Text) => ColumnKind::Text,
                Some(dtype) if dtype.is_numeric() => match levels_in_uns(store, name, &dtype)? {
                    Some(path) => {
                        let n_levels = store.array(&path)?.info().shape.iter().product();
                        ColumnKind::Category { n_levels, ordered: false }
                    }
                    None => ColumnKind::Number(dtype.name().to_owned()),
                },
                other => {
                    ColumnKind::Unreadable(format!("elements of type {}", other.as_ref().map_or("none", Dtype::name)))
                }
            })
        };
        tell().unwrap_or_else(|fault| ColumnKind::Unreadable(fault.message().to_owned()))
    }

    /// The names of the rows.
    pub(crate) fn row_names(&self, store: &dyn Store) -> Result<Vec<String>> {
        let path = format!("{}/{}", self.path, self.index);
        let names = self.index(store)?.to_texts();
        let absent = names.iter().position(Option::is_none);
        names.into_iter().collect::<Option<Vec<String>>>().ok_or_else(|| {
            Fault::bad_input(format!("row {} has no name", absent.unwrap_or(0))).at(path).at(store.place())
        })
    }

    /// A column, or a fault with the nearest names.
    pub(crate) fn column(&self, store: &dyn Store, name: &str) -> Result<ColumnData> {
        if !self.columns.iter().any(|c| c == name) {
            let near = nearest(name, &self.columns, 3);
            let hint = if near.is_empty() {
                format!("the columns are {}", listing(&self.columns, 20))
            } else {
                format!("did you mean {}?", listing(&near, 3))
            };
            return Err(Fault::missing(format!("there is no column `{name}`"))
                .at(self.path.as_str())
                .at(store.place())
                .hint(hint));
        }
        let column = self.stored(store, name)?;
        if column.len() != self.n_rows {
            let message = format!("{} values for {} rows", column.len(), self.n_rows);
            let path = format!("{}/{name}", self.path);
            return Err(Fault::bad_file(message).at(path).at(store.place()).hint("the file is damaged"));
        }
        Ok(column)
    }

    /// What each column holds.
    pub(crate) fn kinds(&self, store: &dyn Store) -> Vec<(String, ColumnKind)> {
        self.columns.iter().map(|c| (c.clone(), self.kind(store, c))).collect()
    }
}

/// Where the levels of a column of codes stand, if it is one: anndata before 0.7 put them into `uns`.
fn levels_in_uns(store: &dyn Store, column: &str, dtype: &Dtype) -> Result<Option<String>> {
    let path = format!("uns/{column}_categories");
    let integers = dtype.is_numeric() && !matches!(dtype, Dtype::Bool | Dtype::F32 | Dtype::F64);
    Ok((integers && store.node(&path)? == Some(Node::Array)).then_some(path))
}

/// The levels of a column; a single one may stand without extents.
fn read_levels(store: &dyn Store, path: &str) -> Result<ColumnData> {
    let array = store.array(path)?;
    if !array.info().shape.is_empty() {
        return read_array(store, path);
    }
    let at = |fault: Fault| fault.at(store.place());
    Ok(match array.info().dtype {
        Dtype::Text => {
            ColumnData::Texts { values: array.texts(0..1).map_err(at)?.into_iter().map(Some).collect(), na: None }
        }
        _ => ColumnData::Numbers(array.numbers(0..1).map_err(at)?),
    })
}
