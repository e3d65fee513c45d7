//! [`AnnDataTree::select`]: some cells and genes of an annotated matrix in memory.

use ferrocyte_base::{Fault, Result};
use ferrocyte_data::Factor;

use crate::element::columns::ColumnData;
use crate::element::tree::{AnnDataTree, Items};
use crate::element::{Entries, FrameData, Item, NdArray, Records, Sparse};
use crate::h5ad::matrix::MatrixKind;
use crate::store::Numbers;

impl AnnDataTree {
    /// Keeps the cells and genes at these positions, each in the order given, in every part that has them. Of categories
    /// of cells and genes those stay that are used. `raw` keeps all its genes.
    ///
    /// What is not an array, a table or a sparse matrix is left as it is.
    ///
    /// # Errors
    /// Positions beyond the cells or genes; a sparse matrix whose parts do not fit.
    pub fn select(&mut self, cells: &[usize], genes: &[usize]) -> Result<()> {
        for (what, rows, n) in [("cell", cells, self.obs.n_rows()), ("gene", genes, self.var.n_rows())] {
            if let Some(row) = rows.iter().find(|&&row| row >= n) {
                return Err(Fault::bad_input(format!("{what} {row} is asked for, there are {n}")));
            }
        }
        let (cells, genes) = (Some(cells), Some(genes));
        self.obs = self.obs.take(cells.unwrap_or_default());
        self.var = self.var.take(genes.unwrap_or_default());
        if let Some(x) = &mut self.x {
            *x = cut(x, cells, genes)?;
        }
        cut_all(&mut self.layers, cells, genes)?;
        cut_all(&mut self.obsm, cells, None)?;
        cut_all(&mut self.varm, genes, None)?;
        cut_all(&mut self.obsp, cells, cells)?;
        cut_all(&mut self.varp, genes, genes)?;
        if let Some(raw) = &mut self.raw {
            raw.x = cut(&raw.x, cells, None)?;
        }
        Ok(())
    }
}

fn cut_all(items: &mut Items, rows: Option<&[usize]>, columns: Option<&[usize]>) -> Result<()> {
    items.iter_mut().try_for_each(|(name, item)| {
        *item = cut(item, rows, columns).map_err(|fault| fault.at(name.as_str()))?;
        Ok(())
    })
}

/// Some rows and columns of an item; `None` is all.
fn cut(item: &Item, rows: Option<&[usize]>, columns: Option<&[usize]>) -> Result<Item> {
    let all_rows = || rows.unwrap_or_default();
    Ok(match item {
        Item::Array(array) => Item::Array(array.cut(rows, columns)),
        Item::Sparse(matrix) => Item::Sparse(matrix.cut(rows, columns)?),
        Item::Frame(frame) => Item::Frame(frame.take(all_rows())),
        Item::Column(column) => Item::Column(column.take(all_rows())),
        Item::Records(records) => Item::Records(records.take(all_rows())),
        other => other.clone(),
    })
}

impl Entries {
    fn take(&self, places: &[usize]) -> Self {
        let texts = |texts: &[String]| places.iter().map(|&i| texts[i].clone()).collect();
        match self {
            Self::Numbers(numbers) => Self::Numbers(numbers.take(places)),
            Self::Texts(v) => Self::Texts(texts(v)),
            Self::Fixed { texts: v, width } => Self::Fixed { texts: texts(v), width: *width },
        }
    }
}

impl NdArray {
    /// Some entries of the first axis and, if there are several, of the second.
    fn cut(&self, rows: Option<&[usize]>, columns: Option<&[usize]>) -> Self {
        let extent = |axis: usize| self.shape.get(axis).copied().unwrap_or(1);
        let all = |axis: usize| (0..extent(axis)).collect::<Vec<_>>();
        let (rows, n_columns) = (rows.map_or_else(|| all(0), <[usize]>::to_vec), extent(1));
        let columns = columns.map_or_else(|| all(1), <[usize]>::to_vec);
        let behind: usize = self.shape.iter().skip(2).product();
        let mut places = Vec::with_capacity(rows.len() * columns.len() * behind);
        for &row in &rows {
            for &column in &columns {
                let first = (row * n_columns + column) * behind;
                places.extend(first..first + behind);
            }
        }
        let mut shape = self.shape.clone();
        for (axis, n) in [rows.len(), columns.len()].into_iter().enumerate() {
            if let Some(slot) = shape.get_mut(axis) {
                *slot = n;
            }
        }
        Self { shape, cells: self.cells.take(&places) }
    }
}

impl Sparse {
    fn cut(&self, rows: Option<&[usize]>, columns: Option<&[usize]>) -> Result<Self> {
        let of_rows = self.kind != MatrixKind::Csc;
        let (lines, across) = if of_rows { (rows, columns) } else { (columns, rows) };
        let (n_lines, n_across) = if of_rows { self.shape } else { (self.shape.1, self.shape.0) };
        let damaged = |_| Fault::bad_file("pointers or indices are no positions");
        let bounds = self.indptr.clone().into_sizes().map_err(damaged)?;
        let indices = self.indices.clone().into_indices(n_across).map_err(damaged)?;
        let all: Vec<usize>;
        let lines = match lines {
            Some(lines) => lines,
            None => {
                all = (0..n_lines).collect();
                &all
            }
        };
        // Where each entry of the other axis goes; nowhere if it is left out.
        let mut place: Vec<u32> = (0..n_across as u32).collect();
        if let Some(across) = across {
            place.fill(u32::MAX);
            across.iter().enumerate().for_each(|(new, &old)| place[old] = new as u32);
        }
        let (mut kept, mut found, mut ends) = (Vec::new(), Vec::new(), vec![0_i64]);
        for &line in lines {
            for k in bounds[line]..bounds[line + 1] {
                let new = place[indices[k] as usize];
                if new != u32::MAX {
                    kept.push(k);
                    found.push(new as i32);
                }
            }
            ends.push(kept.len() as i64);
        }
        let (n, m) = (lines.len(), across.map_or(n_across, <[usize]>::len));
        let narrow = i32::try_from(kept.len()).is_ok();
        Ok(Self {
            kind: self.kind,
            shape: if of_rows { (n, m) } else { (m, n) },
            data: self.data.take(&kept),
            indices: Numbers::I32(found),
            indptr: if narrow {
                Numbers::I32(ends.into_iter().map(|e| e as i32).collect())
            } else {
                Numbers::I64(ends)
            },
        })
    }
}

impl FrameData {
    /// The rows at these positions; of categories those stay that are used.
    #[must_use]
    pub fn take(&self, rows: &[usize]) -> Self {
        Self {
            index_name: self.index_name.clone(),
            index: self.index.take(rows),
            columns: self.columns.iter().map(|(name, column)| (name.clone(), column.take(rows))).collect(),
        }
    }
}

impl ColumnData {
    /// The rows at these positions; of categories those stay that are used.
    #[must_use]
    pub fn take(&self, rows: &[usize]) -> Self {
        match self {
            Self::Numbers(values) => Self::Numbers(values.take(rows)),
            Self::NullableNumbers { values, missing } => {
                Self::NullableNumbers { values: values.take(rows), missing: rows.iter().map(|&i| missing[i]).collect() }
            }
            Self::Texts { values, na } => {
                Self::Texts { values: rows.iter().map(|&i| values[i].clone()).collect(), na: *na }
            }
            Self::Categorical { codes, levels, ordered } => {
                let codes: Vec<u32> = rows.iter().map(|&i| codes[i]).collect();
                let mut new = vec![Factor::MISSING; levels.len()];
                codes.iter().filter(|&&code| code != Factor::MISSING).for_each(|&code| new[code as usize] = 0);
                let used: Vec<usize> = (0..levels.len()).filter(|&level| new[level] == 0).collect();
                used.iter().enumerate().for_each(|(place, &level)| new[level] = place as u32);
                let renumbered = |&code: &u32| if code == Factor::MISSING { code } else { new[code as usize] };
                Self::Categorical {
                    codes: codes.iter().map(renumbered).collect(),
                    levels: Box::new(levels.take(&used)),
                    ordered: *ordered,
                }
            }
        }
    }
}

impl Records {
    fn take(&self, rows: &[usize]) -> Self {
        let mut fields = self.fields.clone();
        for (_, field) in &mut fields {
            let width: usize = field.shape.iter().product();
            let places: Vec<usize> = rows.iter().flat_map(|&row| row * width..(row + 1) * width).collect();
            field.cells = field.cells.take(&places);
        }
        Self { n_rows: rows.len(), fields }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2 × 3 with 1 at (0, 0), 2 at (0, 2), 3 at (1, 1).
    fn matrix(kind: MatrixKind) -> Sparse {
        let (indices, indptr, data) = match kind {
            MatrixKind::Csc => (vec![0, 1, 0], vec![0, 1, 2, 3], vec![1.0, 3.0, 2.0]),
            _ => (vec![0, 2, 1], vec![0, 2, 3], vec![1.0, 2.0, 3.0]),
        };
        Sparse {
            kind,
            shape: (2, 3),
            data: Numbers::F32(data),
            indices: Numbers::I32(indices),
            indptr: Numbers::I64(indptr),
        }
    }

    #[test]
    fn sparse_matrices_either_way() -> Result<()> {
        let rows = matrix(MatrixKind::Csr).cut(Some(&[1, 0]), Some(&[0, 1]))?;
        assert_eq!((rows.shape, rows.data), ((2, 2), Numbers::F32(vec![3.0, 1.0])));
        assert_eq!((rows.indices, rows.indptr), (Numbers::I32(vec![1, 0]), Numbers::I32(vec![0, 1, 2])));
        let columns = matrix(MatrixKind::Csc).cut(Some(&[0]), None)?;
        assert_eq!((columns.shape, columns.data), ((1, 3), Numbers::F32(vec![1.0, 2.0])));
        assert_eq!((columns.indices, columns.indptr), (Numbers::I32(vec![0, 0]), Numbers::I32(vec![0, 1, 1, 2])));
        Ok(())
    }

    #[test]
    fn arrays_columns_and_records() {
        let array = NdArray { shape: vec![2, 2, 2], cells: Entries::Numbers(Numbers::I64((0..8).collect())) };
        assert_eq!(array.cut(Some(&[1]), None).cells, Entries::Numbers(Numbers::I64(vec![4, 5, 6, 7])));
        assert_eq!(array.cut(None, Some(&[1])).cells, Entries::Numbers(Numbers::I64(vec![2, 3, 6, 7])));
        let texts = |texts: &[&str]| ColumnData::Texts {
            values: texts.iter().map(|t| Some((*t).to_owned())).collect(),
            na: None,
        };
        let column = ColumnData::Categorical {
            codes: vec![2, 0, Factor::MISSING],
            levels: Box::new(texts(&["a", "b", "c"])),
            ordered: false,
        };
        let kept = ColumnData::Categorical {
            codes: vec![Factor::MISSING, 0],
            levels: Box::new(texts(&["c"])),
            ordered: false,
        };
        assert_eq!(column.take(&[2, 0]), kept);
        let field = crate::element::Field { shape: vec![2], cells: Entries::Numbers(Numbers::I8(vec![1, 2, 3, 4])) };
        let records = Records { n_rows: 2, fields: vec![("x".into(), field)] };
        assert_eq!(records.take(&[1]).fields[0].1.cells, Entries::Numbers(Numbers::I8(vec![3, 4])));
    }
}
