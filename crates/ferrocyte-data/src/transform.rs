//! [`Transform`]: what is done to a count before it is modelled, and the guard that it is a count.

use ferrocyte_base::{Fault, Result, Run, listing};

use crate::{RowBlock, RowChunks, Values};

/// The default target of [`Transform::LogNorm`]: counts per ten thousand.
pub const LOGNORM_TARGET: f64 = 1e4;

/// What is done to each stored value. All transforms map 0 to 0, so that sums touch stored values only.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Transform {
    /// The value as it is (already logged data, proportions, intensities).
    None,
    /// ln(1 + count).
    Log1p,
    /// log2(1 + count).
    Log2p1,
    /// ln(1 + count × target / total of the cell over all genes).
    LogNorm {
        /// The total to which each cell is scaled.
        target: f64,
    },
}

impl Transform {
    /// The words by which fronts name the transforms.
    pub const WORDS: [&'static str; 4] = ["none", "log1p", "log2p1", "lognorm"];

    /// The transform of a word (`lognorm` with [`LOGNORM_TARGET`]).
    pub fn from_word(word: &str) -> Result<Self> {
        match word {
            "none" => Ok(Self::None),
            "log1p" => Ok(Self::Log1p),
            "log2p1" => Ok(Self::Log2p1),
            "lognorm" => Ok(Self::LogNorm { target: LOGNORM_TARGET }),
            other => Err(Fault::bad_input(format!("there is no transform `{other}`"))
                .at("transform")
                .hint(format!("it is one of {}", listing(&Self::WORDS, 9)))),
        }
    }

    /// The word of this transform.
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Log1p => "log1p",
            Self::Log2p1 => "log2p1",
            Self::LogNorm { .. } => "lognorm",
        }
    }

    /// The unit of transformed values, for tables and figures.
    pub fn unit(self) -> String {
        match self {
            Self::None => "value".to_owned(),
            Self::Log1p => "ln(1 + count)".to_owned(),
            Self::Log2p1 => "log2(1 + count)".to_owned(),
            Self::LogNorm { target } => format!("ln(1 + count x {target} / total)"),
        }
    }

    /// What turns differences of transformed values into log2, and the unit they then have; `None` where no logarithm
    /// is taken.
    pub fn in_log2(self) -> Option<(f64, String)> {
        match self {
            Self::None => None,
            Self::Log1p => Some((std::f64::consts::LOG2_E, "log2(1 + count)".to_owned())),
            Self::Log2p1 => Some((1.0, self.unit())),
            Self::LogNorm { target } => Some((std::f64::consts::LOG2_E, format!("log2(1 + count x {target} / total)"))),
        }
    }

    /// Whether it expects counts.
    pub fn wants_counts(self) -> bool {
        self != Self::None
    }

    /// The transformed value of `count` in a cell with the given total over all genes.
    #[inline]
    pub fn apply(self, count: f64, total: f64) -> f64 {
        match self {
            Self::None => count,
            Self::Log1p => count.ln_1p(),
            Self::Log2p1 => count.ln_1p() * std::f64::consts::LOG2_E,
            Self::LogNorm { target } => (count * (target / total)).ln_1p(),
        }
    }
}

/// Whether all values are finite, not negative and whole. The usual answer, so without early exits: several values at
/// a time.
#[expect(clippy::needless_bitwise_bool, clippy::manual_range_contains, reason = "no branch, so that lanes fill")]
pub(crate) fn all_counts(values: &Values<'_>) -> bool {
    // From these on there are whole numbers only; below, adding them rounds to one.
    const WHOLE_F32: f32 = 8_388_608.0;
    const WHOLE_F64: f64 = 4_503_599_627_370_496.0;
    match values {
        Values::F32(v) => v.iter().fold(true, |all, &v| {
            all & (v >= 0.0) & (v < f32::INFINITY) & ((v >= WHOLE_F32) | ((v + WHOLE_F32) - WHOLE_F32 == v))
        }),
        Values::F64(v) => v.iter().fold(true, |all, &v| {
            all & (v >= 0.0) & (v < f64::INFINITY) & ((v >= WHOLE_F64) | ((v + WHOLE_F64) - WHOLE_F64 == v))
        }),
    }
}

/// The first stored value of a block that cannot be a count.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GuardFinding {
    /// Its row in the source.
    pub row: usize,
    /// Its column.
    pub column: usize,
    /// The value: negative or not whole.
    pub value: f64,
}

impl GuardFinding {
    /// Looks through a block. Infinite and NaN values are left to the check for those.
    pub fn in_block(block: &RowBlock<'_>) -> Option<Self> {
        fn position<T: Copy + Into<f64>>(values: &[T]) -> Option<usize> {
            values.iter().position(|&v| {
                let v: f64 = v.into();
                v < 0.0 || (v.is_finite() && v != v.trunc())
            })
        }
        if all_counts(block.values()) {
            return None;
        }
        let k = match block.values() {
            Values::F32(v) => position(v),
            Values::F64(v) => position(v),
        }?;
        let row = block.pointers().partition_point(|&p| p <= k) - 1;
        Some(Self { row: block.start() + row, column: block.indices()[k] as usize, value: block.values().get(k) })
    }

    /// As a fault about `source`, with the name of the cell (or its row); `alternative` names a matrix that does hold
    /// counts.
    pub fn fault(self, source: &str, cell: &str, gene: &str, alternative: Option<&str>) -> Fault {
        let what = if self.value < 0.0 { "negative" } else { "not a whole number" };
        let hint = match alternative {
            Some(name) => {
                format!("{name} holds counts: use that, or transform=\"none\" to model these values as they are")
            }
            None => {
                "give the layer that holds counts, or transform=\"none\" to model these values as they are".to_owned()
            }
        };
        Fault::bad_input(format!(
            "a count transform needs counts, but cell `{cell}` has {} for gene `{gene}`, which is {what}",
            self.value
        ))
        .at(source.to_owned())
        .hint(hint)
    }
}

/// Checks, on the first rows of `source`, that it can hold counts; if not, names the first of `alternatives` that can.
///
/// This is the cheap look before long work; every later value is checked as it is read. `cell_name` gives the name of
/// a row.
pub fn guard_counts(
    run: &Run,
    source: &mut dyn RowChunks,
    genes: &[String],
    cell_name: &dyn Fn(usize) -> String,
    alternatives: &mut [Box<dyn RowChunks + '_>],
) -> Result<()> {
    const ROWS: usize = 1024;
    let rows = 0..source.n_rows().min(ROWS);
    let name = source.name();
    let Some(finding) = GuardFinding::in_block(&source.read(run, rows)?) else { return Ok(()) };
    let mut alternative = None;
    for other in alternatives {
        let rows = 0..other.n_rows().min(ROWS);
        let holds_counts = {
            let block = other.read(run, rows)?;
            !block.values().is_empty() && GuardFinding::in_block(&block).is_none()
        };
        if holds_counts {
            alternative = Some(other.name());
            break;
        }
    }
    let gene = genes.get(finding.column).map_or("?", String::as_str);
    Err(finding.fault(&name, &cell_name(finding.row), gene, alternative.as_deref()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Csr;

    #[test]
    fn words_round_trip() -> Result<()> {
        for word in Transform::WORDS {
            assert_eq!(Transform::from_word(word)?.word(), word);
        }
        assert!(Transform::from_word("log").is_err());
        Ok(())
    }

    #[test]
    fn transforms_by_their_formulas() {
        assert_eq!(Transform::Log1p.apply(0.0, 5.0), 0.0);
        assert!((Transform::Log2p1.apply(3.0, 5.0) - 2.0).abs() < 1e-15);
        assert!((Transform::LogNorm { target: 100.0 }.apply(2.0, 50.0) - 5.0_f64.ln()).abs() < 1e-15);
    }

    #[test]
    fn counts_are_told_from_other_values() {
        let f32s = |v: &[f32]| all_counts(&Values::F32(v.to_vec().into()));
        let f64s = |v: &[f64]| all_counts(&Values::F64(v.to_vec().into()));
        assert!(f32s(&[0.0, -0.0, 1.0, 255.0, 8_388_607.0, 16_777_216.0, f32::MAX]) && f32s(&[]));
        assert!(f64s(&[0.0, 3.0, 4_503_599_627_370_495.0, 9_007_199_254_740_993.0, f64::MAX]));
        for bad in [0.5, -1.0, 1e-30, 4_194_304.5, f32::NAN, f32::INFINITY] {
            assert!(!f32s(&[1.0, bad]), "{bad}");
        }
        for bad in [0.5, -1.0, 1e-300, 2_251_799_813_685_248.5, f64::NAN, f64::INFINITY] {
            assert!(!f64s(&[1.0, bad]), "{bad}");
        }
    }

    #[test]
    fn the_guard_names_the_matrix_that_holds_counts() -> Result<()> {
        let logged = [0.0_f32, 0.693];
        let counts = [0.0_f32, 1.0];
        let (indices, pointers) = ([0_i32, 1], [0_i32, 1, 2]);
        let mut source = Csr::new(2, 2, &logged, &indices, &pointers)?;
        let mut others: Vec<Box<dyn RowChunks + '_>> = vec![Box::new(Csr::new(2, 2, &counts, &indices, &pointers)?)];
        let genes = ["g1".to_owned(), "g2".to_owned()];
        let fault = guard_counts(&Run::new(), &mut source, &genes, &|row| format!("c{row}"), &mut others).err();
        let fault = fault.ok_or_else(|| Fault::internal("the guard let logged values pass"))?;
        assert!(fault.to_string().contains("cell `c1` has 0.69") && fault.to_string().contains("`g2`"), "{fault}");
        assert!(fault.way_out().is_some_and(|h| h.starts_with("a sparse matrix (CSR) holds counts")));
        Ok(())
    }
}
