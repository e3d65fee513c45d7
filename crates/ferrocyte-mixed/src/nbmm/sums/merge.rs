//! Adding the sums of disjoint cells, and refusing those that do not belong together.

use std::borrow::Cow;

use ferrocyte_base::{Fault, Result};

use super::{GroupSums, PointSums, Sums};
use crate::lmm::PartRows;
use crate::lmm::sums::merge::{check_overlap, in_order, join_inputs, missing_rows, refuse_gaps};

impl Sums {
    /// The sums of all parts, added in the order of their rows, each read once: `read(i)` gives the part of which
    /// `rows[i]` tells the rows.
    ///
    /// Refused by name: parts of different studies, genes, models or options; parts that share rows; rows between parts
    /// that are in none. Sums of parts are those of the whole up to rounding (1e-12).
    pub fn merge_all<'a>(rows: &[PartRows], mut read: impl FnMut(usize) -> Result<Cow<'a, Self>>) -> Result<Self> {
        let mut whole: Option<Self> = None;
        for i in in_order(rows)? {
            let next = read(i)?;
            match &mut whole {
                None => whole = Some(next.into_owned()),
                Some(whole) => whole.add(&next).map_err(|f| f.at(rows[i].place.as_str()))?,
            }
        }
        let whole = whole.ok_or_else(|| Fault::bad_input("there is no part to merge").at("merge"))?;
        refuse_gaps(&whole.inputs)?;
        Ok(whole)
    }

    /// The rows of sources that no part has seen, for people; empty when all were seen.
    pub fn missing_rows(&self) -> Vec<String> {
        missing_rows(&self.inputs)
    }

    /// Adds the sums of other cells; refuses strangers by the first difference.
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

    fn check_alike(&self, other: &Self) -> Result<()> {
        let differ = |what: &str| {
            Err(Fault::bad_input(format!("{what} differ"))
                .at("merge")
                .hint("only parts of one study made with the same options can be merged"))
        };
        if self.genes != other.genes {
            return differ("the genes");
        }
        if (&self.formula, &self.groups_by) != (&other.formula, &other.groups_by) {
            return differ("the models");
        }
        if self.offset != other.offset {
            return differ("the offsets");
        }
        if self.groups.len() != other.groups.len() {
            return differ("the groups");
        }
        for (mine, theirs) in self.groups.iter().zip(&other.groups) {
            if mine.label != theirs.label || mine.coefficients != theirs.coefficients || mine.donors != theirs.donors {
                return differ("the designs");
            }
            let (a, b) = (&mine.layout, &theirs.layout);
            if (&a.x, &a.donors, &a.points, &a.offsets) != (&b.x, &b.donors, &b.points, &b.offsets) {
                return differ("the strata or the nodes of the offset");
            }
        }
        Ok(())
    }
}

impl GroupSums {
    fn add(&mut self, other: &Self) {
        self.n_cells += other.n_cells;
        self.layout.cells.iter_mut().zip(&other.layout.cells).for_each(|(a, b)| *a += b);
        match (&mut self.points, &other.points) {
            (PointSums::Dense(mine), PointSums::Dense(theirs)) => {
                mine.iter_mut().zip(theirs).for_each(|(a, b)| *a += b);
            }
            (PointSums::Listed(mine), PointSums::Listed(theirs)) => {
                for (mine, theirs) in mine.iter_mut().zip(theirs) {
                    mine.extend(theirs);
                    mine.sort_unstable_by_key(|(point, _)| *point);
                }
            }
            // The paths are those of the layouts, which are alike.
            _ => {}
        }
        for (mine, theirs) in self.histograms.iter_mut().zip(&other.histograms) {
            for &(y, n) in theirs {
                match mine.binary_search_by_key(&y, |(y, _)| *y) {
                    Ok(at) => mine[at].1 += n,
                    Err(at) => mine.insert(at, (y, n)),
                }
            }
        }
    }
}
