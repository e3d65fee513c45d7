//! [`Design`]: a model bound to cells, as the sparse rows of [X Z].

use ferrocyte_base::Fault;

use crate::Coefficients;
use crate::alias::AliasReport;
use crate::columns::{BoundFactor, BoundNumber, Operand, Values};

/// What to do with fixed columns that depend on columns before them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Aliased {
    /// Refuse the design, naming them and why.
    #[default]
    Refuse,
    /// Leave them out; [`Design::aliased`] lists them.
    Drop,
    /// Keep them: whoever uses the columns finds out which can be estimated.
    Keep,
}

/// What the rows of the table are, for messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rows {
    /// Cells, whose table is obs.
    #[default]
    Cells,
    /// Samples.
    Samples,
}

impl Rows {
    /// A number of them, in words.
    pub(crate) fn count(self, n: usize) -> String {
        format!("{n} {}{}", self.one(), if n == 1 { "" } else { "s" })
    }

    /// One of them.
    pub(crate) fn one(self) -> &'static str {
        match self {
            Self::Cells => "cell",
            Self::Samples => "sample",
        }
    }

    /// Their table, as the subject of a sentence.
    pub(crate) fn named(self) -> &'static str {
        match self {
            Self::Cells => "obs",
            Self::Samples => "the table of samples",
        }
    }

    /// Their table, before the word column.
    pub(crate) fn table(self) -> &'static str {
        match self {
            Self::Cells => "obs",
            Self::Samples => "sample",
        }
    }
}

/// Options of [`Design::bind`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BindOptions {
    /// What to do with aliased columns.
    pub aliased: Aliased,
    /// What the rows are.
    pub rows_are: Rows,
}

/// A variance component: a block of columns of Z with one variance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// The grouping and what varies over it: `sample`, `donor:batch`, `sample:time`.
    pub name: String,
    /// The names of its columns: `sampleA1`, `sampleA1:time`.
    pub columns: Vec<String>,
    /// The grouping, among the factors of the design.
    pub(crate) grouping: usize,
}

/// The place of a column that was dropped.
pub(crate) const DROPPED: u32 = u32::MAX;

/// A term as a block of columns: at most one of them is not zero in a cell.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    /// Its first column, counted before any was dropped.
    pub(crate) first: usize,
    /// The factors: which, how many columns apart its levels are, and whether the first level has no column.
    pub(crate) factors: Vec<(usize, usize, bool)>,
    /// The numbers that multiply the indicator.
    pub(crate) numbers: Vec<usize>,
}

/// A model bound to the cells of a study or of one group: the rows of the fixed columns X (n x p) and the random
/// columns Z (n x q), computed when they are asked for.
///
/// A column is R's: `(Intercept)`, `log(libsize)`, `conditionstim`, `cell_typeB:conditionstim`; factors follow R's
/// coding rule. Unused levels are dropped. If the model uses `libsize` and obs has no such column, rows need each
/// cell's total.
///
/// ```
/// use ferrocyte_data::{Factor, Frame, ObsColumn};
/// use ferrocyte_design::{BindOptions, Design, Model};
/// let texts = |all: [&'static str; 4]| ObsColumn::Factor(Factor::from_texts(all.map(Some)));
/// let mut obs = Frame::new(4);
/// obs.insert("condition", texts(["ctrl", "ctrl", "stim", "stim"]))?;
/// obs.insert("sample", texts(["s1", "s1", "s2", "s2"]))?;
/// let model = Model::parse("~ log(libsize) + condition + (1 | sample)", &[])?;
/// let design = Design::bind(&model, &obs, None, &BindOptions::default())?;
/// assert_eq!(design.fixed_names(), ["(Intercept)", "log(libsize)", "conditionstim"]);
/// assert_eq!(design.components()[0].columns, ["samples1", "samples2"]);
/// let mut row = Vec::new();
/// design.row(2, 1000.0, &mut row);
/// assert_eq!(row, [(0, 1.0), (1, 1000_f64.ln()), (2, 1.0), (4, 1.0)]);
/// # Ok::<(), ferrocyte_base::Fault>(())
/// ```
#[derive(Debug, Clone)]
pub struct Design {
    pub(crate) n: usize,
    pub(crate) rows: Option<Vec<usize>>,
    pub(crate) factors: Vec<BoundFactor>,
    pub(crate) numbers: Vec<BoundNumber>,
    /// Columns that deferred numbers read.
    pub(crate) raw: Vec<Vec<f64>>,
    /// Blocks of X, then of Z.
    pub(crate) blocks: Vec<Block>,
    /// The place in [X Z] of each column of the blocks.
    pub(crate) places: Vec<u32>,
    pub(crate) coefficients: Coefficients,
    pub(crate) components: Vec<Component>,
    /// For each column of [X Z], whether a number is in it.
    pub(crate) numeric: Vec<bool>,
    pub(crate) dropped_levels: Vec<(String, Vec<String>)>,
    pub(crate) aliased: Vec<AliasReport>,
    pub(crate) text: String,
}

impl Design {
    /// R's names of the fixed columns, in R's order.
    pub fn fixed_names(&self) -> &[String] {
        self.coefficients.names()
    }

    /// The variance components, in the order of their columns.
    pub fn components(&self) -> &[Component] {
        &self.components
    }

    /// Number of fixed columns, p.
    pub fn n_fixed(&self) -> usize {
        self.coefficients.len()
    }

    /// Number of random columns, q.
    pub fn n_random(&self) -> usize {
        self.components.iter().map(|c| c.columns.len()).sum()
    }

    /// Number of bound cells, n.
    pub fn n_rows(&self) -> usize {
        self.n
    }

    /// The row of obs behind bound cell `i`.
    pub fn obs_row(&self, i: usize) -> usize {
        self.rows.as_ref().map_or(i, |rows| rows[i])
    }

    /// Whether column `column` of [X Z] depends on a number. The others depend on factors only and hold 0 or 1.
    pub fn is_numeric(&self, column: usize) -> bool {
        self.numeric[column]
    }

    /// Whether [`Design::row`] needs each cell's total: `libsize` is used and is no column of obs.
    pub fn needs_totals(&self) -> bool {
        self.numbers.iter().any(|n| matches!(n.values, Values::Deferred(_)))
    }

    /// The entries of row `i` of [X Z] that are not zero, as (column, value), ascending within X and within Z; `out`
    /// is cleared first. `total` is the cell's total and is not looked at unless [`Design::needs_totals`].
    ///
    /// Made to be called once per cell: no allocation (once `out` has grown), no hashing. With a total that the model
    /// cannot use (0 under `log(libsize)`) an entry is not finite: callers gather such cells and raise
    /// [`Design::totals_fault`].
    pub fn row(&self, i: usize, total: f64, out: &mut Vec<(u32, f64)>) {
        out.clear();
        for block in &self.blocks {
            let Some(column) = self.column_of(block, i) else { continue };
            let place = self.places[column];
            if place == DROPPED {
                continue;
            }
            let value: f64 = block.numbers.iter().map(|&number| self.number(number, i, total)).product();
            if value != 0.0 {
                out.push((place, value));
            }
        }
    }

    /// The column of a block in which cell `i` has its entry, unless the cell has a first level without one.
    fn column_of(&self, block: &Block, i: usize) -> Option<usize> {
        let mut column = block.first;
        for &(factor, stride, contrasts) in &block.factors {
            let code = self.factors[factor].codes.get(i) as usize;
            column += stride * code.checked_sub(usize::from(contrasts))?;
        }
        Some(column)
    }

    fn number(&self, number: usize, i: usize, total: f64) -> f64 {
        match &self.numbers[number].values {
            Values::Stored(values) => values[i],
            Values::Deferred(expression) => expression.value(&|operand| match *operand {
                Operand::Total => total,
                Operand::Column(c) => self.raw[c][i],
            }),
        }
    }

    /// The fault for cells whose total the model cannot use: the first few as (cell, total), and how many there are.
    pub fn totals_fault(&self, first: &[(String, f64)], count: usize) -> Fault {
        let waiting: Vec<&str> =
            self.numbers.iter().filter(|n| matches!(n.values, Values::Deferred(_))).map(|n| n.text.as_str()).collect();
        let shown: Vec<String> =
            first.iter().take(5).map(|(cell, total)| format!("`{cell}` (total {total})")).collect();
        let more = if count > shown.len() { format!(" and {} more", count - shown.len()) } else { String::new() };
        let cells = if count == 1 { "1 cell".to_owned() } else { format!("{count} cells") };
        Fault::bad_input(format!("`{}` is not finite in {cells}: {}{more}", waiting.join("`, `"), shown.join(", ")))
            .at("design")
            .hint("leave cells without counts out, or give obs a column `libsize`")
    }

    /// The levels that no bound cell has, by factor; they have no columns.
    pub fn dropped_levels(&self) -> &[(String, Vec<String>)] {
        &self.dropped_levels
    }

    /// The columns that were left out as aliased, and why (none unless [`Aliased::Drop`]).
    pub fn aliased(&self) -> &[AliasReport] {
        &self.aliased
    }

    /// Names, spellings and contrasts of the fixed effects.
    pub fn coefficients(&self) -> &Coefficients {
        &self.coefficients
    }

    /// The model's canonical text.
    pub fn display(&self) -> &str {
        &self.text
    }
}
