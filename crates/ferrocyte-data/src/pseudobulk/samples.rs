//! [`Samples`]: which cell belongs to which sample, and what is known of each sample.

use std::collections::BTreeMap;

use ferrocyte_base::{Fault, Result, listing};

use crate::{Codes, Factor, Frame, ObsColumn};

/// A sample that was left out because it has few cells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TooFew {
    /// Its name.
    pub sample: String,
    /// Its level of the grouping column; empty without one.
    pub group: String,
    /// How many cells it has.
    pub n_cells: usize,
}

/// The samples of a study: combinations of levels of some columns of obs, and of a grouping such as the cell type.
///
/// They come by group, and within a group in the order of the levels.
///
/// ```
/// use ferrocyte_data::{Factor, Frame, ObsColumn, Samples};
/// let texts = |all: &str| ObsColumn::Factor(Factor::from_texts(all.split(' ').map(Some)));
/// let mut obs = Frame::new(4);
/// obs.insert("donor", texts("d1 d1 d2 d2"))?;
/// obs.insert("sex", texts("F F M M"))?;
/// obs.insert("batch", texts("x y x y"))?;
/// let samples = Samples::of(&obs, &["donor".to_owned()], None, 2)?;
/// assert_eq!(samples.names, ["d1", "d2"]);
/// // What does not vary within samples is known of them.
/// assert!(samples.table.get("sex").is_some() && samples.table.get("batch").is_none());
/// assert_eq!(samples.varying, ["batch"]);
/// # Ok::<(), ferrocyte_base::Fault>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Samples {
    /// The sample of each cell, [`Factor::MISSING`] for a cell of none.
    pub codes: Codes,
    /// Names: the levels, joined by `_`. Unique within a group.
    pub names: Vec<String>,
    /// The group of each sample, if there are groups; levels that no cell has are left out, those whose samples all
    /// have too few cells are not.
    pub groups: Option<Factor>,
    /// Cells of each sample.
    pub n_cells: Vec<usize>,
    /// Columns of obs that do not vary within samples, sample by sample.
    pub table: Frame,
    /// Columns of obs that vary within samples, and so say nothing of them.
    pub varying: Vec<String>,
    /// Samples with fewer cells than asked for.
    pub left_out: Vec<TooFew>,
    /// Cells without a value in a column that makes samples.
    pub n_unassigned: usize,
}

impl Samples {
    /// The samples that the columns `by` make of the cells of `obs`, each level of `groups` apart; those with fewer
    /// than `min_cells` cells are left out.
    pub fn of(obs: &Frame, by: &[String], groups: Option<&str>, min_cells: usize) -> Result<Self> {
        if by.is_empty() {
            return Err(Fault::bad_input("no column says which cells make a sample")
                .at("by")
                .hint("such as by=[\"donor\", \"condition\"]"));
        }
        let factors: Vec<Factor> = groups
            .into_iter()
            .chain(by.iter().map(String::as_str))
            .map(|name| as_factor(obs, name))
            .collect::<Result<_>>()?;
        let keys = Keys::of(&factors)?;
        let mut cells: BTreeMap<u64, (usize, usize)> = BTreeMap::new();
        for i in 0..obs.n_rows() {
            if let Some(key) = keys.of_row(i) {
                cells.entry(key).or_insert((i, 0)).1 += 1;
            }
        }
        let has_groups = usize::from(groups.is_some());
        let mut place: BTreeMap<u64, u32> = BTreeMap::new();
        let (mut names, mut firsts, mut n_cells, mut group_codes) = (vec![], vec![], vec![], vec![]);
        let mut left_out = Vec::new();
        for (&key, &(first, n)) in &cells {
            let levels: Vec<&str> = factors.iter().filter_map(|f| f.level(first)).collect();
            let name = levels[has_groups..].join("_");
            if n < min_cells {
                let group = if has_groups == 1 { levels[0].to_owned() } else { String::new() };
                left_out.push(TooFew { sample: name, group, n_cells: n });
                continue;
            }
            place.insert(key, names.len() as u32);
            names.push(name);
            firsts.push(first);
            n_cells.push(n);
            group_codes.push(factors[0].codes.get(first));
        }
        if names.is_empty() {
            return Err(Fault::bad_input(format!("no sample has {min_cells} cells or more"))
                .at(format!("pseudobulk by {}", listing(by, 9)))
                .hint("allow fewer cells (min_cells), or make samples by fewer columns"));
        }
        let codes: Codes = (0..obs.n_rows())
            .map(|i| keys.of_row(i).and_then(|key| place.get(&key).copied()).unwrap_or(Factor::MISSING))
            .collect();
        let (table, varying) = known(obs, &codes, &firsts)?;
        Ok(Self {
            groups: groups.map(|_| present(&factors[0], group_codes)),
            n_unassigned: obs.n_rows() - cells.values().map(|&(_, n)| n).sum::<usize>(),
            codes,
            names,
            n_cells,
            table,
            varying,
            left_out,
        })
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

/// The combination of levels of a row as one number, whose order is that of the levels, the first factor first.
struct Keys<'a>(Vec<(&'a Factor, u64)>);

impl<'a> Keys<'a> {
    fn of(factors: &'a [Factor]) -> Result<Self> {
        let mut stride = Some(1_u64);
        let mut keys = Vec::with_capacity(factors.len());
        for factor in factors.iter().rev() {
            keys.push((factor, stride.unwrap_or(0)));
            stride = stride.and_then(|s| s.checked_mul(factor.levels.len().max(1) as u64));
        }
        keys.reverse();
        let fault = || Fault::too_large("more combinations of levels than can be counted").at("by");
        stride.map(|_| Self(keys)).ok_or_else(fault)
    }

    /// `None` where a level is missing.
    fn of_row(&self, row: usize) -> Option<u64> {
        let code = |factor: &Factor| Some(factor.codes.get(row)).filter(|&code| code != Factor::MISSING);
        self.0.iter().map(|&(factor, stride)| code(factor).map(|code| u64::from(code) * stride)).sum()
    }
}

/// The levels that cells have, and codes of samples into them.
fn present(factor: &Factor, codes: Vec<u32>) -> Factor {
    let counts = factor.counts();
    let mut place = vec![Factor::MISSING; counts.len()];
    let mut levels = Vec::new();
    for (old, level) in factor.levels.iter().enumerate().filter(|&(old, _)| counts[old] > 0) {
        place[old] = levels.len() as u32;
        levels.push(level.clone());
    }
    Factor { levels, codes: codes.into_iter().map(|code| place[code as usize]).collect() }
}

/// A column as a factor; numbers become levels in their order.
fn as_factor(obs: &Frame, name: &str) -> Result<Factor> {
    match obs.column(name)? {
        ObsColumn::Factor(factor) => Ok(factor.clone()),
        ObsColumn::Number(values) => {
            let mut distinct: Vec<f64> = values.iter().copied().filter(|v| !v.is_nan()).collect();
            distinct.sort_by(f64::total_cmp);
            distinct.dedup();
            if distinct.len() > obs.n_rows() / 2 && distinct.len() > 1000 {
                return Err(Fault::bad_input(format!("{} different numbers make no samples", distinct.len()))
                    .at(format!("obs column `{name}`")));
            }
            let code = |v: &f64| {
                distinct.binary_search_by(|d| d.total_cmp(v)).map_or(Factor::MISSING, |position| position as u32)
            };
            Ok(Factor {
                codes: values.iter().map(code).collect(),
                levels: distinct.iter().map(f64::to_string).collect(),
            })
        }
    }
}

/// The columns that do not vary within samples, and the names of those that do.
fn known(obs: &Frame, codes: &Codes, firsts: &[usize]) -> Result<(Frame, Vec<String>)> {
    let same = |column: &ObsColumn, i: usize, j: usize| match column {
        ObsColumn::Number(values) => values[i].to_bits() == values[j].to_bits(),
        ObsColumn::Factor(factor) => factor.codes.get(i) == factor.codes.get(j),
    };
    let first_rows = obs.take(firsts);
    let (mut table, mut varying) = (Frame::new(firsts.len()), Vec::new());
    for name in obs.names() {
        let column = obs.column(name)?;
        let constant = (0..codes.len())
            .filter(|&i| codes.get(i) != Factor::MISSING)
            .all(|i| same(column, i, firsts[codes.get(i) as usize]));
        if constant {
            table.insert(name, first_rows.column(name)?.clone())?;
        } else {
            varying.push(name.to_owned());
        }
    }
    Ok((table, varying))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn obs() -> Result<Frame> {
        let texts = |all: &str| ObsColumn::Factor(Factor::from_texts(all.split(' ').map(|t| (t != "-").then_some(t))));
        let mut obs = Frame::new(6);
        obs.insert("type", texts("T B T T B -"))?;
        obs.insert("donor", ObsColumn::Number(vec![2.0, 2.0, 10.0, 2.0, 10.0, 2.0]))?;
        obs.insert("age", ObsColumn::Number(vec![f64::NAN, f64::NAN, 40.0, f64::NAN, 40.0, f64::NAN]))?;
        Ok(obs)
    }

    #[test]
    fn samples_come_by_group_then_level() -> Result<()> {
        let samples = Samples::of(&obs()?, &["donor".to_owned()], Some("type"), 1)?;
        assert_eq!(samples.names, ["2", "10", "2", "10"]);
        assert_eq!(samples.n_cells, [1, 1, 2, 1]);
        assert_eq!(samples.codes, [2, 0, 3, 2, 1, Factor::MISSING]);
        assert_eq!(samples.groups.as_ref().map(|g| g.codes.clone()), Some(vec![0, 0, 1, 1].into()));
        assert!(samples.table.get("age").is_some() && samples.n_unassigned == 1);
        Ok(())
    }

    #[test]
    fn few_cells_are_told() -> Result<()> {
        let samples = Samples::of(&obs()?, &["donor".to_owned()], Some("type"), 2)?;
        assert_eq!(samples.names, ["2"]);
        let told: Vec<(&str, &str, usize)> =
            samples.left_out.iter().map(|t| (t.group.as_str(), t.sample.as_str(), t.n_cells)).collect();
        assert_eq!(told, [("B", "2", 1), ("B", "10", 1), ("T", "10", 1)]);
        let fault = Samples::of(&obs()?, &["donor".to_owned()], Some("type"), 3).err();
        assert!(fault.is_some_and(|f| f.to_string().contains("no sample has 3 cells")));
        assert!(Samples::of(&obs()?, &[], None, 1).is_err());
        Ok(())
    }
}
