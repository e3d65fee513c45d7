//! New questions to saved sums: sub-models, some of the genes, more genes. None needs a cell.
//!
//! If the columns of another model are combinations of those at hand, [X Z]\_new = [X Z] L, then its sums are L'SL and
//! L's of the saved S = [X Z]'[X Z] and s = [X Z]'y. Which L, if any, is found from the names of the columns
//! ([`SavedDesign`]).

use ferrocyte_base::{Fault, Result, Run, listing, nearest};
use ferrocyte_design::{Derived, Model, SavedDesign};
use ferrocyte_math::linalg::Matrix;

use super::{Component, GroupSums, Sums};
use crate::lmm::options::AliasedChoice;

/// Columns of a new design as weighted sums of saved ones.
type Map = [Vec<(usize, f64)>];

/// The squared length of a column, as a fraction of that of its pieces, below which it is zero.
const CANCELLED: f64 = 1e-12;

impl Sums {
    /// The sums of another model of the same cells and genes, whose columns are combinations of those of these sums:
    /// any of its terms, coded in any way, and factors moved from the random to the fixed side and back.
    ///
    /// What is not in these sums is refused by name, and so are groups and fixed effects as in [`super::sums`]: with
    /// groups, a group that cannot answer says why and stops no other; dependent columns are refused or left out.
    /// Equal to the sums of that model collected from the cells, up to rounding. Cells that were left out for want of a
    /// value of the richer model stay out.
    pub fn submodel(&self, run: &Run, model: &Model, aliased: AliasedChoice) -> Result<Self> {
        if self.formula.is_empty() {
            return Err(Fault::unsupported("sums from arrays do not know their formula")
                .at("formula")
                .hint("make the arrays of the other model, or collect sums from the cells"));
        }
        if model.display() == self.formula {
            return Ok(self.clone());
        }
        let saved = saved_model(&self.formula)?;
        let mut new = Self { formula: model.display(), groups: Vec::new(), ..self.without_groups() };
        for group in &self.groups {
            let asked = if group.refused.is_empty() {
                group.submodel(&saved, model, aliased)
            } else {
                Ok((group.clone(), Vec::new()))
            };
            match asked {
                Ok((group, warnings)) => {
                    new.warnings.extend(warnings);
                    new.groups.push(group);
                }
                Err(fault) if self.groups_by.is_empty() => return Err(fault),
                Err(fault) => {
                    let refused = GroupSums { refused: fault.to_string(), ..group.clone() };
                    new.warnings.push(format!("group `{}` cannot be fitted: {fault}", group.label));
                    new.groups.push(refused);
                }
            }
        }
        if let Some(first) = new.groups.first().filter(|_| new.groups.iter().all(|g| !g.refused.is_empty())) {
            let message = format!("the model can be fitted to no group; the first says: {}", first.refused);
            return Err(Fault::bad_input(message).at("formula"));
        }
        let variables = model.variables();
        if !variables.iter().any(|v| v == "libsize") {
            new.libsize = String::new();
        }
        new.replication.retain(|(variable, _)| variables.contains(variable));
        new.warnings.extend(self.left_out(&new));
        new.warnings[self.warnings.len()..].iter().for_each(|warning| run.warn(warning));
        Ok(new)
    }

    /// A warning for each random term that a sub-model lacks: what it stood for is then taken for independent cells.
    fn left_out(&self, new: &Self) -> Vec<String> {
        let names = |s: &Self| -> Vec<String> {
            let mut names: Vec<String> = s.groups.iter().flat_map(|g| &g.components).map(|c| c.name.clone()).collect();
            names.dedup();
            names
        };
        let (asked, formula) = (names(new), &new.formula);
        let mut missing = names(self);
        missing.retain(|name| !asked.contains(name));
        let warning = |name| format!("`{formula}` leaves out the random term of `{name}` that the sums were made with");
        missing.into_iter().map(warning).collect()
    }

    /// The header.
    fn without_groups(&self) -> Self {
        Self {
            genes: self.genes.clone(),
            transform: self.transform,
            formula: self.formula.clone(),
            groups_by: self.groups_by.clone(),
            libsize: self.libsize.clone(),
            genes_from: self.genes_from.clone(),
            warnings: self.warnings.clone(),
            replication: self.replication.clone(),
            inputs: self.inputs.clone(),
            groups: Vec::new(),
        }
    }

    /// The same sums of some genes, by position, in the order given.
    pub fn select_genes(&self, genes: &[usize]) -> Result<Self> {
        let m = self.n_genes();
        if let Some(gene) = genes.iter().find(|&&g| g >= m) {
            return Err(Fault::bad_input(format!("gene {gene} was selected, but there are {m} genes")).at("genes"));
        }
        let mut seen = vec![false; m];
        for &gene in genes {
            if std::mem::replace(&mut seen[gene], true) {
                let message = format!("`{}` (gene {gene}) was selected twice", self.genes[gene]);
                return Err(Fault::bad_input(message).at("genes"));
            }
        }
        if genes.is_empty() {
            return Err(Fault::bad_input("no gene is selected").at("genes"));
        }
        let mut new = self.without_groups();
        new.genes = genes.iter().map(|&g| self.genes[g].clone()).collect();
        new.genes_from = String::new();
        new.groups = self.groups.iter().map(|group| group.with_genes(genes)).collect();
        Ok(new)
    }

    /// The positions of the genes of these names; one that does not exist is refused with the nearest names, and so is
    /// one that several genes have.
    pub fn find_genes<S: AsRef<str>>(&self, names: &[S]) -> Result<Vec<usize>> {
        let mut places: std::collections::HashMap<&str, Vec<usize>> = std::collections::HashMap::new();
        for (i, gene) in self.genes.iter().enumerate() {
            places.entry(gene).or_default().push(i);
        }
        let find = |name: &S| {
            let name = name.as_ref();
            match places.get(name).map(Vec::as_slice) {
                Some([one]) => Ok(*one),
                Some(several) => Err(Fault::bad_input(format!("{} genes are called `{name}`", several.len()))
                    .at("genes")
                    .hint("select by position, or by one truth value per gene")),
                None => {
                    let near = nearest(name, &self.genes, 3);
                    let fault = Fault::missing(format!("there is no gene `{name}`")).at("genes");
                    Err(if near.is_empty() {
                        fault
                    } else {
                        fault.hint(format!("did you mean {}?", listing(&near, 3)))
                    })
                }
            }
        };
        names.iter().map(find).collect()
    }

    /// These sums and those of other genes of the same cells under the same model.
    ///
    /// Refused by the first difference: sums of other cells, models or options; genes that are in both.
    pub fn concat_genes(&mut self, other: &Self) -> Result<()> {
        let alike = Self { genes: self.genes.clone(), ..other.without_groups() };
        let alike = Self { groups: other.groups.iter().map(|g| g.with_genes(&[])).collect(), ..alike };
        self.check_alike(&alike)?;
        let differ = |what: &str| {
            Fault::bad_input(format!("{what} differ: blocks of genes must come from the same cells"))
                .at("genes")
                .hint("sums of other cells are added: `merge`")
        };
        if self.inputs != other.inputs {
            return Err(differ("the rows of the sources"));
        }
        let twins: Vec<&String> = {
            let mine: std::collections::HashSet<&String> = self.genes.iter().collect();
            other.genes.iter().filter(|gene| mine.contains(gene)).collect()
        };
        if !twins.is_empty() {
            return Err(Fault::bad_input(format!("genes are in both: {}", listing(&twins, 5))).at("genes"));
        }
        for (mine, theirs) in self.groups.iter().zip(&other.groups) {
            if mine.n_cells != theirs.n_cells || mine.xx != theirs.xx || mine.zx != theirs.zx || mine.zz != theirs.zz {
                return Err(differ("the design's cross-products"));
            }
        }
        for (mine, theirs) in self.groups.iter_mut().zip(&other.groups) {
            mine.append_genes(theirs);
        }
        self.genes.extend(other.genes.iter().cloned());
        if self.genes_from != other.genes_from {
            self.genes_from = String::new();
        }
        Ok(())
    }
}

/// The model of a header's formula, whose terms of R formulas stand apart.
fn saved_model(formula: &str) -> Result<Model> {
    let mut pieces = formula.split("; random ");
    let fixed = pieces.next().unwrap_or_default();
    let random: Vec<String> = pieces.map(str::to_owned).collect();
    Model::parse(fixed, &random)
}

impl GroupSums {
    /// The sums of a sub-model of this group, and what is to be said about it.
    fn submodel(&self, saved: &Model, model: &Model, aliased: AliasedChoice) -> Result<(Self, Vec<String>)> {
        let components: Vec<(String, Vec<String>)> =
            self.components.iter().map(|c| (c.name.clone(), c.columns.clone())).collect();
        let design = SavedDesign { model: saved, coefficients: &self.coefficients, components: &components };
        let Derived { mut coefficients, components, mut columns } = design.derive(model)?;
        let p = coefficients.len();
        let cross = self.cross();
        clear_zeros(&mut columns, &cross);
        let aliases = coefficients.find_aliases(quadratic(&columns[..p], &cross).entries());
        let place = if self.label.is_empty() { String::new() } else { format!("group `{}`: ", self.label) };
        let mut warnings = Vec::new();
        if let Some((_, first)) = aliases.first() {
            if aliased == AliasedChoice::Refuse {
                let message = format!("aliased column `{}`: {}", first.name, first.why);
                return Err(Fault::bad_input(message)
                    .at("design")
                    .hint("leave a term out, or have aliased columns dropped"));
            }
            warnings.extend(aliases.iter().map(|(_, a)| format!("{place}`{}` is left out: it {}", a.name, a.why)));
            coefficients.leave_out(&aliases);
            let mut column = 0;
            columns.retain(|_| {
                column += 1;
                aliases.iter().all(|(alias, _)| alias.column != column - 1)
            });
        }
        let components = components.into_iter().map(|(name, columns)| Component { name, columns }).collect();
        Ok((self.mapped(coefficients, components, &columns, &cross), warnings))
    }

    /// [X Z]'[X Z].
    fn cross(&self) -> Matrix {
        let (p, q) = (self.n_fixed(), self.n_random());
        let mut cross = Matrix::zeros(p + q, p + q);
        for i in 0..p + q {
            for j in 0..p + q {
                cross[(i, j)] = match (i.checked_sub(p), j.checked_sub(p)) {
                    (None, None) => self.xx[(i, j)],
                    (Some(i), None) => self.zx[(i, j)],
                    (None, Some(j)) => self.zx[(j, i)],
                    (Some(i), Some(j)) => self.zz[(i, j)],
                };
            }
        }
        cross
    }

    /// The sums of the design whose columns, fixed before random, are `map` of these.
    fn mapped(
        &self,
        coefficients: ferrocyte_design::Coefficients,
        components: Vec<Component>,
        map: &Map,
        cross: &Matrix,
    ) -> Self {
        let m = self.y_norm.len();
        let mut new = Self::empty(&self.label, coefficients, components, m);
        let (p, q, old_p, old_q) = (new.n_fixed(), new.n_random(), self.n_fixed(), self.n_random());
        let products = quadratic(map, cross);
        for i in 0..p + q {
            for j in 0..p + q {
                let x = products[(i, j)];
                match (i.checked_sub(p), j.checked_sub(p)) {
                    (None, None) => new.xx[(i, j)] = x,
                    (Some(i), None) => new.zx[(i, j)] = x,
                    (Some(i), Some(j)) => new.zz[(i, j)] = x,
                    (None, Some(_)) => {}
                }
            }
        }
        for gene in 0..m {
            let (x, z) = (&self.xy[gene * old_p..(gene + 1) * old_p], &self.zy[gene * old_q..(gene + 1) * old_q]);
            let sum = |column: &Vec<(usize, f64)>| -> f64 {
                column.iter().map(|&(j, w)| w * if j < old_p { x[j] } else { z[j - old_p] }).sum()
            };
            let (fixed, random) = map.split_at(p);
            fixed.iter().zip(&mut new.xy[gene * p..(gene + 1) * p]).for_each(|(c, out)| *out = sum(c));
            random.iter().zip(&mut new.zy[gene * q..(gene + 1) * q]).for_each(|(c, out)| *out = sum(c));
        }
        new.n_cells = self.n_cells;
        new.y_norm.clone_from(&self.y_norm);
        new.y_sum.clone_from(&self.y_sum);
        new.n_expressing.clone_from(&self.n_expressing);
        new
    }

    /// The sums of some genes.
    fn with_genes(&self, genes: &[usize]) -> Self {
        let (p, q) = (self.n_fixed(), self.n_random());
        let rows = |array: &[f64], width: usize| -> Vec<f64> {
            genes.iter().flat_map(|&g| &array[g * width..(g + 1) * width]).copied().collect()
        };
        let mut low = self.low.clone();
        if let Some(low) = &mut low {
            for (array, width) in low.iter_mut().skip(3).zip([p, q, 1, 1]) {
                *array = rows(array, width);
            }
        }
        Self {
            label: self.label.clone(),
            coefficients: self.coefficients.clone(),
            components: self.components.clone(),
            n_cells: self.n_cells,
            xx: self.xx.clone(),
            zx: self.zx.clone(),
            zz: self.zz.clone(),
            xy: rows(&self.xy, p),
            zy: rows(&self.zy, q),
            y_norm: rows(&self.y_norm, 1),
            y_sum: rows(&self.y_sum, 1),
            n_expressing: rows(&self.n_expressing, 1),
            refused: self.refused.clone(),
            low,
        }
    }

    /// Appends the sums of other genes of the same cells.
    fn append_genes(&mut self, other: &Self) {
        if self.low.is_some() || other.low.is_some() {
            let zeros = |group: &Self| Box::new(group.arrays().map(|array| vec![0.0; array.len()]));
            let theirs = other.low.clone().unwrap_or_else(|| zeros(other));
            let mut mine = self.low.take().unwrap_or_else(|| zeros(self));
            mine.iter_mut().zip(theirs.iter()).skip(3).for_each(|(a, b)| a.extend(b));
            self.low = Some(mine);
        }
        for (mine, theirs) in [
            (&mut self.xy, &other.xy),
            (&mut self.zy, &other.zy),
            (&mut self.y_norm, &other.y_norm),
            (&mut self.y_sum, &other.y_sum),
            (&mut self.n_expressing, &other.n_expressing),
        ] {
            mine.extend(theirs);
        }
    }
}

/// Empties the columns that are zero in every cell but for rounding: differences of sums that cancel.
fn clear_zeros(map: &mut Map, cross: &Matrix) {
    for column in map.iter_mut().filter(|c| c.len() > 1) {
        let size: f64 = column.iter().map(|&(j, w)| w.abs() * cross[(j, j)].sqrt()).sum();
        let left = quadratic(std::slice::from_ref(column), cross)[(0, 0)];
        if left <= CANCELLED * size * size {
            column.clear();
        }
    }
}

/// L'SL for the columns of L, symmetric to the bit.
fn quadratic(map: &Map, cross: &Matrix) -> Matrix {
    let mut out = Matrix::zeros(map.len(), map.len());
    for (i, column) in map.iter().enumerate() {
        let mut row = vec![0.0; cross.n_rows()];
        for &(a, w) in column {
            row.iter_mut().zip(cross.row(a)).for_each(|(sum, x)| *sum += w * x);
        }
        for (j, other) in map.iter().enumerate().take(i + 1) {
            let x: f64 = other.iter().map(|&(b, w)| w * row[b]).sum();
            out[(i, j)] = x;
            out[(j, i)] = x;
        }
    }
    out
}
