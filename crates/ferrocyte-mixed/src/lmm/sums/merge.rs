//! Adding sums: of the blocks of one pass, of shards, of studies; and refusing those that do not belong together.
//!
//! Every block of [`CUT`](ferrocyte_data::CUT) rows is summed by itself and rounded; blocks are then added with a high
//! and a low part ([`ferrocyte_math::exact`]), that is, exactly for numbers such as these. So the whole study in one
//! call, and its shards by any plan, merged in any order, give the same bits. Low parts are kept while rows of a source
//! are missing, and let go with the last of them.

use std::borrow::Cow;

use ferrocyte_base::{Fault, Result, listing};
use ferrocyte_math::exact;

use super::{GroupSums, Sums, SumsInput};

/// What a part was made of, and how messages call it.
#[derive(Debug, Clone)]
pub struct PartRows {
    /// The file, or its place among those given.
    pub place: String,
    /// The rows of sources in it.
    pub inputs: Vec<SumsInput>,
}

/// The low parts of the arrays of a group, in the order of [`GroupSums::arrays`]. Absent where all are zero.
pub(super) type Low = Option<Box<[Vec<f64>; N_ARRAYS]>>;

/// Number of arrays of real numbers in a group.
pub(super) const N_ARRAYS: usize = 7;

/// The first so many of them are shared by all genes.
const N_SHARED: usize = 3;

/// The sums of a block of cells for one gene.
pub(super) struct GeneSums<'a> {
    /// X'y.
    pub(super) xy: &'a [f64],
    /// Z'y.
    pub(super) zy: &'a [f64],
    /// y'y.
    pub(super) y_norm: f64,
    /// Sum of y.
    pub(super) y_sum: f64,
    /// Number of cells with a value other than zero.
    pub(super) n_expressing: f64,
}

impl GroupSums {
    /// The arrays whose entries are rounded sums.
    pub(super) fn arrays(&self) -> [&[f64]; N_ARRAYS] {
        [self.xx.entries(), self.zx.entries(), self.zz.entries(), &self.xy, &self.zy, &self.y_norm, &self.y_sum]
    }

    fn arrays_mut(&mut self) -> [&mut [f64]; N_ARRAYS] {
        [
            self.xx.entries_mut(),
            self.zx.entries_mut(),
            self.zz.entries_mut(),
            &mut self.xy,
            &mut self.zy,
            &mut self.y_norm,
            &mut self.y_sum,
        ]
    }

    /// Adds what all genes share of the sums of a block of cells. Where there are several blocks, they are added with
    /// a high and a low part.
    pub(super) fn add_cross(&mut self, block: &Self, several: bool) {
        self.n_cells += block.n_cells;
        self.add_arrays(several, 0, &block.arrays()[..N_SHARED]);
    }

    /// Adds the sums of a block of cells for one gene, likewise.
    pub(super) fn add_gene(&mut self, gene: usize, block: &GeneSums<'_>, several: bool) {
        self.n_expressing[gene] += block.n_expressing;
        let nothing: &[f64] = &[];
        let arrays = [nothing, nothing, nothing, block.xy, block.zy, &[block.y_norm], &[block.y_sum]];
        self.add_arrays(several, gene, &arrays);
    }

    /// Adds `arrays`, in the order of [`GroupSums::arrays`], to those of `gene`.
    fn add_arrays(&mut self, several: bool, gene: usize, arrays: &[&[f64]]) {
        let mut low = self.low.take();
        if several && low.is_none() {
            low = Some(Box::new(self.arrays().map(|array| vec![0.0; array.len()])));
        }
        for (k, (mine, theirs)) in self.arrays_mut().into_iter().zip(arrays).enumerate() {
            let range = gene * theirs.len()..(gene + 1) * theirs.len();
            let mine = &mut mine[range.clone()];
            match &mut low {
                Some(low) => {
                    for ((high, low), &x) in mine.iter_mut().zip(&mut low[k][range]).zip(*theirs) {
                        (*high, *low) = exact::add((*high, *low), (x, 0.0));
                    }
                }
                None => mine.copy_from_slice(theirs),
            }
        }
        self.low = low;
    }

    /// Adds the sums of other cells under the same model.
    pub(super) fn add(&mut self, other: &Self) {
        self.n_cells += other.n_cells;
        self.n_expressing.iter_mut().zip(&other.n_expressing).for_each(|(a, b)| *a += b);
        let mut low = self.low.take().unwrap_or_else(|| Box::new(self.arrays().map(|array| vec![0.0; array.len()])));
        let arrays = self.arrays_mut().into_iter().zip(low.iter_mut()).zip(other.arrays());
        for (k, ((mine, my_low), theirs)) in arrays.enumerate() {
            let their_low = other.low.as_ref().map(|low| &low[k]);
            for (i, ((high, low), &x)) in mine.iter_mut().zip(my_low).zip(theirs).enumerate() {
                (*high, *low) = exact::add((*high, *low), (x, their_low.map_or(0.0, |low| low[i])));
            }
        }
        self.low = Some(low);
    }

    /// Refuses sums of another model by the first difference.
    fn check_alike(&self, other: &Self) -> Result<()> {
        let place = if self.label.is_empty() { "the sums".to_owned() } else { format!("group `{}`", self.label) };
        if self.coefficients != other.coefficients {
            let (mine, theirs) = (self.coefficients.names(), other.coefficients.names());
            let odd = mine.iter().find(|n| !theirs.contains(n)).or_else(|| theirs.iter().find(|n| !mine.contains(n)));
            return Err(Fault::bad_input(match odd {
                Some(name) => format!("only one of the two has the coefficient `{name}`"),
                None => "the coefficients stand in another order".to_owned(),
            })
            .at(place)
            .hint("make all parts with the same formula and the same levels"));
        }
        if self.components != other.components {
            return Err(Fault::bad_input("the random effects differ")
                .at(place)
                .hint("make all parts with the same formula and the same levels"));
        }
        Ok(())
    }
}

impl Sums {
    /// The sums of all parts, added in the order of their rows, each read once: `read(i)` gives the part of which
    /// `rows[i]` tells the rows.
    ///
    /// Refused by name: parts of different studies, genes, models or options; parts that share rows; rows between parts
    /// that are in none. Rows missing at the ends may come with another merge ([`Sums::missing_rows`]).
    pub fn merge_all<'a>(rows: &[PartRows], mut read: impl FnMut(usize) -> Result<Cow<'a, Self>>) -> Result<Self> {
        let mut whole: Option<Self> = None;
        for i in in_order(rows)? {
            let next = read(i)?;
            match &mut whole {
                None => whole = Some(next.into_owned()),
                Some(whole) => whole.add(&next).map_err(|f| f.at(rows[i].place.as_str()))?,
            }
        }
        let mut whole = whole.ok_or_else(|| Fault::bad_input("there is no part to merge").at("merge"))?;
        refuse_gaps(&whole.inputs)?;
        whole.settle();
        Ok(whole)
    }

    /// Adds the sums of other cells, low parts and all; refuses strangers by the first difference.
    pub(super) fn add(&mut self, other: &Self) -> Result<()> {
        self.check_alike(other)?;
        check_overlap(&self.inputs, &other.inputs)?;
        for (mine, theirs) in self.groups.iter_mut().zip(&other.groups) {
            mine.add(theirs);
        }
        join_inputs(&mut self.inputs, &other.inputs);
        for warning in &other.warnings {
            if !self.warnings.contains(warning) {
                self.warnings.push(warning.clone());
            }
        }
        Ok(())
    }

    /// Lets go of low parts once all rows are there, and of those that are zero.
    pub(super) fn settle(&mut self) {
        let complete = self.missing_rows().is_empty();
        for group in &mut self.groups {
            let needed = |low: &[Vec<f64>; N_ARRAYS]| low.iter().flatten().any(|&x| x != 0.0);
            if complete || !group.low.as_deref().is_some_and(needed) {
                group.low = None;
            }
        }
    }

    /// Refuses sums of other genes, options or models by the first difference.
    pub(super) fn check_alike(&self, other: &Self) -> Result<()> {
        let differ = |what: &str, mine: &str, theirs: &str| {
            Fault::bad_input(format!("{what} differs: `{mine}` here, `{theirs}` there"))
                .hint("only parts of one study made with the same options can be merged")
        };
        if self.genes != other.genes {
            let at = self.genes.iter().zip(&other.genes).position(|(a, b)| a != b);
            return Err(match at {
                Some(i) => differ(&format!("gene {i}"), &self.genes[i], &other.genes[i]),
                None => differ("the number of genes", &self.genes.len().to_string(), &other.genes.len().to_string()),
            });
        }
        for (what, mine, theirs) in [
            ("the transform", self.transform.unit(), other.transform.unit()),
            ("the formula", self.formula.clone(), other.formula.clone()),
            ("the grouping column", self.groups_by.clone(), other.groups_by.clone()),
            ("the source of `libsize`", self.libsize.clone(), other.libsize.clone()),
        ] {
            if mine != theirs {
                return Err(differ(what, &mine, &theirs));
            }
        }
        let labels = |s: &Self| s.groups.iter().map(|g| g.label.clone()).collect::<Vec<_>>();
        if labels(self) != labels(other) {
            return Err(differ("the list of groups", &listing(&labels(self), 20), &listing(&labels(other), 20)));
        }
        self.groups.iter().zip(&other.groups).try_for_each(|(mine, theirs)| mine.check_alike(theirs))
    }

    /// The rows of sources that no part has seen, for people; empty when all were seen.
    pub fn missing_rows(&self) -> Vec<String> {
        missing_rows(&self.inputs)
    }
}

/// The order in which parts are added: that of their rows. Strangers are refused.
pub(crate) fn in_order(rows: &[PartRows]) -> Result<Vec<usize>> {
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by(|&a, &b| keys(&rows[a]).cmp(keys(&rows[b])));
    let sorted: Vec<&PartRows> = order.iter().map(|&i| &rows[i]).collect();
    refuse_strangers(&sorted)?;
    Ok(order)
}

/// Refuses parts that share rows of one source.
pub(crate) fn check_overlap(mine: &[SumsInput], theirs: &[SumsInput]) -> Result<()> {
    for mine in mine {
        for theirs in theirs.iter().filter(|t| mine.same_source(t)) {
            if mine.rows.0 < theirs.rows.1 && theirs.rows.0 < mine.rows.1 {
                return Err(Fault::bad_input(format!("{} and {} overlap", mine.describe(), theirs.describe()))
                    .at("merge")
                    .hint("each cell may be in one part only"));
            }
        }
    }
    Ok(())
}

/// Joins rows that follow each other, and sorts the rest.
pub(crate) fn join_inputs(mine: &mut Vec<SumsInput>, theirs: &[SumsInput]) {
    mine.extend(theirs.iter().cloned());
    mine.sort_by(|a, b| (&a.name, a.rows).cmp(&(&b.name, b.rows)));
    let mut joined: Vec<SumsInput> = Vec::new();
    for input in mine.drain(..) {
        match joined.last_mut() {
            Some(last) if last.same_source(&input) && last.rows.1 == input.rows.0 => last.rows.1 = input.rows.1,
            _ => joined.push(input),
        }
    }
    *mine = joined;
}

/// The rows of sources that are not among these, for people.
pub(crate) fn missing_rows(inputs: &[SumsInput]) -> Vec<String> {
    let mut missing = Vec::new();
    let mut sources: Vec<&SumsInput> = Vec::new();
    for input in inputs {
        if !sources.iter().any(|s| s.same_source(input)) {
            sources.push(input);
        }
    }
    for source in sources {
        let mut next = 0;
        for input in inputs.iter().filter(|i| i.same_source(source)) {
            if input.rows.0 > next {
                missing.push(SumsInput { rows: (next, input.rows.0), ..source.clone() }.describe());
            }
            next = next.max(input.rows.1);
        }
        if next < source.n_rows {
            missing.push(SumsInput { rows: (next, source.n_rows), ..source.clone() }.describe());
        }
    }
    missing
}

/// What parts are put in order by.
fn keys(part: &PartRows) -> impl Iterator<Item = (&str, &str, (usize, usize))> {
    part.inputs.iter().map(|input| (input.name.as_str(), input.fingerprint.as_str(), input.rows))
}

/// Whole matrices of one name are different studies; pieces of one name with different content are a mistake.
fn refuse_strangers(parts: &[&PartRows]) -> Result<()> {
    let is_piece = |input: &SumsInput| input.rows != (0, input.n_rows);
    let all: Vec<(&SumsInput, &str)> =
        parts.iter().flat_map(|part| part.inputs.iter().map(|i| (i, part.place.as_str()))).collect();
    for (i, (mine, place)) in all.iter().enumerate() {
        let of_same_name = all[..i].iter().filter(|(other, _)| other.name == mine.name);
        for (other, first) in of_same_name {
            let differ = (&mine.fingerprint, mine.n_rows) != (&other.fingerprint, other.n_rows);
            if differ && (is_piece(mine) || is_piece(other)) {
                let (name, here, there) = (&mine.name, &mine.fingerprint, &other.fingerprint);
                let message = format!("made from another {name} than {first}: {here} here, {there} there");
                return Err(Fault::bad_input(message).at(*place).hint("merge parts of one study only"));
            }
        }
    }
    Ok(())
}

/// Refuses rows missing between parts. Those missing at the ends may come with another merge.
pub(crate) fn refuse_gaps(inputs: &[SumsInput]) -> Result<()> {
    for pair in inputs.windows(2) {
        let [left, right] = pair else { continue };
        if left.same_source(right) && left.rows.1 < right.rows.0 {
            let message = format!("rows {}:{} of {} are in no part", left.rows.1, right.rows.0, left.name);
            return Err(Fault::bad_input(message).at("merge").hint("give the parts that have them too"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(fingerprint: &str, from: usize, to: usize) -> SumsInput {
        SumsInput { name: "X of a.h5ad".into(), fingerprint: fingerprint.into(), rows: (from, to), n_rows: 90 }
    }

    #[test]
    fn gaps_are_named() {
        let text = |inputs: &[SumsInput]| refuse_gaps(inputs).err().map(|f| f.to_string());
        assert_eq!(text(&[piece("f", 10, 50)]), None);
        let gap = text(&[piece("f", 0, 40), piece("f", 50, 60)]);
        assert_eq!(gap.as_deref(), Some("merge: rows 40:50 of X of a.h5ad are in no part"));
    }

    #[test]
    fn pieces_of_different_matrices_are_strangers() {
        let part = |input: SumsInput, place: &str| PartRows { place: place.into(), inputs: vec![input] };
        let text = |a: SumsInput, b: SumsInput| {
            refuse_strangers(&[&part(a, "1.npz"), &part(b, "2.npz")]).err().map(|f| f.to_string())
        };
        assert_eq!(text(piece("f", 0, 40), piece("f", 40, 90)), None);
        assert_eq!(text(piece("f", 0, 90), piece("g", 0, 90)), None, "two studies, both whole");
        let stranger = text(piece("f", 0, 40), piece("g", 40, 90));
        assert_eq!(stranger.as_deref(), Some("2.npz: made from another X of a.h5ad than 1.npz: g here, f there"));
    }

    #[test]
    fn nothing_to_merge_is_said() {
        let fault = Sums::merge_all(&[], |_| Err(Fault::internal("there is nothing to read"))).err();
        assert_eq!(fault.map(|f| f.to_string()).as_deref(), Some("merge: there is no part to merge"));
    }
}
