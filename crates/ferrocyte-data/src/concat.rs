//! [`ConcatRows`]: the rows of several matrices as those of one, their genes matched by name.

use std::collections::HashMap;
use std::ops::Range;

use ferrocyte_base::{Fault, Result, Run, listing};

use crate::{CsrBuilder, RowBlock, RowChunks};

/// Which names several lists have in common, or all together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Join {
    /// The names that all lists have, in the order of the first.
    Inner,
    /// The names of all lists, sorted by their bytes.
    Outer,
}

impl Join {
    /// The words by which fronts name them.
    pub const WORDS: [&'static str; 2] = ["inner", "outer"];

    /// The join of a word.
    pub fn from_word(word: &str) -> Result<Self> {
        match word {
            "inner" => Ok(Self::Inner),
            "outer" => Ok(Self::Outer),
            other => Err(Fault::bad_input(format!("there is no join `{other}`"))
                .at("join")
                .hint(format!("it is one of {}", listing(&Self::WORDS, 9)))),
        }
    }

    /// The word of this join.
    pub fn word(self) -> &'static str {
        match self {
            Self::Inner => "inner",
            Self::Outer => "outer",
        }
    }
}

/// The columns of several matrices as those of one: their names, and where each column of each matrix goes.
///
/// ```
/// use ferrocyte_data::{Join, JoinedColumns};
/// let names = [vec!["B".to_owned(), "A".to_owned()], vec!["C".to_owned(), "B".to_owned()]];
/// let union = JoinedColumns::of(Join::Outer, &names, &["a.h5ad", "b.h5ad"])?;
/// assert_eq!(union.names, ["A", "B", "C"]);
/// assert_eq!(union.places, [vec![1, 0], vec![2, 1]]);
/// assert_eq!(JoinedColumns::of(Join::Inner, &names, &["a.h5ad", "b.h5ad"])?.names, ["B"]);
/// # Ok::<(), ferrocyte_base::Fault>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinedColumns {
    /// The names of the columns of the whole.
    pub names: Vec<String>,
    /// Of each matrix, the new number of each of its columns; `u32::MAX` for those that are left out.
    pub places: Vec<Vec<u32>>,
}

impl JoinedColumns {
    /// Joins the names of the columns of several matrices; `labels` name the matrices in faults. A name that stands
    /// twice in one matrix cannot be matched and is refused.
    pub fn of<S: AsRef<str>>(join: Join, names: &[Vec<String>], labels: &[S]) -> Result<Self> {
        let mut holders: HashMap<&str, (usize, usize)> = HashMap::new();
        for (part, list) in names.iter().enumerate() {
            for name in list {
                let (held, last) = holders.entry(name).or_insert((0, usize::MAX));
                if *last == part {
                    return Err(Fault::bad_input(format!("gene `{name}` stands there twice"))
                        .at(labels.get(part).map_or("a matrix", AsRef::as_ref))
                        .hint("make the names unique"));
                }
                (*held, *last) = (*held + 1, part);
            }
        }
        let joined: Vec<&str> = match join {
            Join::Outer => {
                let mut all: Vec<&str> = holders.keys().copied().collect();
                all.sort_unstable();
                all
            }
            Join::Inner => {
                let first = names.first().into_iter().flatten().map(String::as_str);
                first.filter(|name| holders[name].0 == names.len()).collect()
            }
        };
        if u32::try_from(joined.len()).is_err() {
            return Err(Fault::too_large(format!("{} genes, at most 4294967295 are possible", joined.len())));
        }
        let place: HashMap<&str, u32> = joined.iter().enumerate().map(|(i, &name)| (name, i as u32)).collect();
        let places = names
            .iter()
            .map(|list| list.iter().map(|name| place.get(name.as_str()).copied().unwrap_or(u32::MAX)).collect());
        Ok(Self { places: places.collect(), names: joined.iter().map(|&name| name.to_owned()).collect() })
    }
}

/// The rows of several matrices, one after the other, as those of one. What a matrix has no column for is 0.
pub struct ConcatRows<'a> {
    parts: Vec<Part<'a>>,
    n_cols: usize,
}

/// One of the matrices.
struct Part<'a> {
    source: Box<dyn RowChunks + 'a>,
    /// Where its rows stand in the whole.
    rows: Range<usize>,
    /// The new number of each of its columns; none where they keep theirs.
    places: Option<Vec<u32>>,
}

impl<'a> ConcatRows<'a> {
    /// Matrices whose columns go where `columns` says.
    pub fn new(sources: Vec<Box<dyn RowChunks + 'a>>, columns: &JoinedColumns) -> Result<Self> {
        let n_cols = columns.names.len();
        if sources.len() != columns.places.len() {
            let message = format!("{} matrices, but the columns of {}", sources.len(), columns.places.len());
            return Err(Fault::bad_input(message));
        }
        let mut parts: Vec<Part<'a>> = Vec::with_capacity(sources.len());
        for (source, places) in sources.into_iter().zip(&columns.places) {
            if source.n_cols() != places.len() {
                let message = format!("{} columns, but {} names", source.n_cols(), places.len());
                return Err(Fault::bad_input(message).at(source.name()));
            }
            let start = parts.last().map_or(0, |part| part.rows.end);
            let rows = start..start + source.n_rows();
            let same = places.len() == n_cols && places.iter().enumerate().all(|(i, &place)| place as usize == i);
            parts.push(Part { source, rows, places: (!same).then(|| places.clone()) });
        }
        Ok(Self { parts, n_cols })
    }
}

impl Part<'_> {
    /// Those of the rows of the whole that are here.
    fn read(&mut self, run: &Run, rows: &Range<usize>, n_cols: usize) -> Result<RowBlock<'_>> {
        let here = rows.start.max(self.rows.start)..rows.end.min(self.rows.end);
        let block = self.source.read(run, here.start - self.rows.start..here.end - self.rows.start)?;
        let block = match &self.places {
            Some(places) => block.with_columns(places, n_cols)?,
            None => block,
        };
        Ok(block.renumbered(here.start))
    }

    fn touches(&self, rows: &Range<usize>) -> bool {
        self.rows.start < rows.end && rows.start < self.rows.end
    }
}

impl RowChunks for ConcatRows<'_> {
    fn n_rows(&self) -> usize {
        self.parts.last().map_or(0, |part| part.rows.end)
    }

    fn n_cols(&self) -> usize {
        self.n_cols
    }

    fn n_stored(&self) -> Option<u64> {
        // What is read, not what is kept: this is what decides the size of blocks.
        self.parts.iter().map(|part| part.source.n_stored()).sum()
    }

    fn name(&self) -> String {
        match self.parts.as_slice() {
            [] => "no matrices".to_owned(),
            [one] => one.source.name(),
            [first, rest @ ..] => format!("{} and {} more", first.source.name(), rest.len()),
        }
    }

    fn reads_ahead(&self) -> bool {
        self.parts.iter().any(|part| part.source.reads_ahead())
    }

    fn read(&mut self, run: &Run, rows: Range<usize>) -> Result<RowBlock<'_>> {
        let n_cols = self.n_cols;
        if rows.start > rows.end || rows.end > self.n_rows() {
            let message = format!("rows {}..{}, but there are {}", rows.start, rows.end, self.n_rows());
            return Err(Fault::bad_input(message).at(self.name()));
        }
        let mut touched: Vec<&mut Part<'_>> = self.parts.iter_mut().filter(|part| part.touches(&rows)).collect();
        if touched.len() <= 1 {
            return match touched.pop() {
                Some(part) => part.read(run, &rows, n_cols),
                // No rows, or rows of matrices without any.
                None => Ok(RowBlock::empty(rows.start, n_cols)),
            };
        }
        let mut whole = CsrBuilder::new(rows.len(), n_cols)?;
        for part in touched {
            let block = part.read(run, &rows, n_cols)?;
            let start = block.start() - rows.start;
            whole.append(&block.renumbered(start));
        }
        let (pointers, indices, values) = whole.finish().into_parts();
        RowBlock::new(rows.start, n_cols, pointers, indices.into(), values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Csr, OwnedCsr};

    fn names(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    /// Rows (1, 2, 0), (0, 0, 3) of genes b, a, d; and rows (4, 0), (5, 6) of genes d, c.
    fn parts<'a>() -> Result<Vec<Box<dyn RowChunks + 'a>>> {
        let first = Csr::new(2, 3, &[1.0_f32, 2.0, 3.0], &[0_i32, 1, 2], &[0_i32, 2, 3])?;
        let second = Csr::new(2, 2, &[4.0_f64, 5.0, 6.5], &[0_i64, 0, 1], &[0_i64, 1, 3])?;
        Ok(vec![Box::new(first), Box::new(second)])
    }

    fn dense(matrix: &OwnedCsr) -> Result<Vec<Vec<f64>>> {
        let block = matrix.block(0..matrix.n_rows())?;
        Ok((0..block.n_rows())
            .map(|i| {
                let mut row = vec![0.0; block.n_cols()];
                block.row(i).for_each(|(c, v)| row[c] = v);
                row
            })
            .collect())
    }

    #[test]
    fn genes_are_matched_by_name() -> Result<()> {
        let lists = [names("b a d"), names("d c")];
        for (join, genes, expected) in [
            (
                Join::Outer,
                "a b c d",
                [[2.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 3.0], [0.0, 0.0, 0.0, 4.0], [0.0, 0.0, 6.5, 5.0]].map(Vec::from),
            ),
            (Join::Inner, "d", [[0.0], [3.0], [4.0], [5.0]].map(Vec::from)),
        ] {
            let columns = JoinedColumns::of(join, &lists, &["one", "two"])?;
            assert_eq!(columns.names, names(genes));
            let mut whole = ConcatRows::new(parts()?, &columns)?;
            assert_eq!(dense(&OwnedCsr::collect(&Run::new(), &mut whole)?)?, expected);
            for start in 0..4 {
                for end in start..=4 {
                    let block = whole.read(&Run::new(), start..end)?;
                    let sums: Vec<f64> = expected[start..end].iter().map(|row| row.iter().sum()).collect();
                    assert_eq!((block.start(), block.row_sums()), (start, sums), "{start}..{end}");
                }
            }
        }
        Ok(())
    }

    #[test]
    fn what_cannot_be_matched_is_named() -> Result<()> {
        let twice = JoinedColumns::of(Join::Outer, &[names("a"), names("b c b")], &["one", "two"]);
        assert!(twice.is_err_and(|f| f.to_string() == "two: gene `b` stands there twice"));
        let columns = JoinedColumns::of(Join::Outer, &[names("a"), names("b")], &["one", "two"])?;
        assert!(ConcatRows::new(parts()?, &columns).is_err());
        Ok(())
    }
}
