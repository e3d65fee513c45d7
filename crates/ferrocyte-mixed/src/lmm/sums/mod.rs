//! The additive sums: all that a linear mixed model needs of the cells.
//!
//! Per group: n, X'X, Z'X, Z'Z once, and per gene X'y, Z'y, y'y. They add over disjoint cells (shards, machines) and
//! are concatenated over genes. Everything after them costs nothing per cell.

pub(crate) mod add;
mod ask;
pub(crate) mod cells;
mod collect;
mod mask;
pub(crate) mod merge;

pub use collect::{CellName, SumsOptions, sums};
pub use mask::GeneMask;
pub use merge::PartRows;

use ferrocyte_base::{Fault, Input, Provenance, Result, Value};
use ferrocyte_data::{Additive, Part, Transform};
use ferrocyte_design::Coefficients;
use ferrocyte_math::linalg::Matrix;

use merge::{Low, N_ARRAYS};

const KIND: &str = "lmm.sums";
const LAYOUT: i64 = 1;

/// The names of a group's arrays in a part, in the order of [`GroupSums::arrays`].
const ARRAYS: [&str; N_ARRAYS] = ["XX", "ZX", "ZZ", "XY", "ZY", "Ynorm", "Ysum"];

/// Ends the name of the low part of an array.
const LOW: &str = "_low";

/// A variance component: random effects that share one variance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// What groups the cells: `sample`, `donor:batch`, `sample:time`.
    pub name: String,
    /// The names of the random effects, one per column of Z.
    pub columns: Vec<String>,
}

/// The sums of one group of cells (of all cells, where there are no groups).
#[derive(Debug, Clone, PartialEq)]
pub struct GroupSums {
    /// The level of the grouping column; empty where there are no groups.
    pub label: String,
    /// Names and terms of the fixed effects, p of them.
    pub coefficients: Coefficients,
    /// The random-effect components, with q columns in all.
    pub components: Vec<Component>,
    /// Number of cells.
    pub n_cells: u64,
    /// X'X, p × p.
    pub xx: Matrix,
    /// Z'X, q × p.
    pub zx: Matrix,
    /// Z'Z, q × q.
    pub zz: Matrix,
    /// X'y, genes × p.
    pub xy: Vec<f64>,
    /// Z'y, genes × q.
    pub zy: Vec<f64>,
    /// y'y, one per gene.
    pub y_norm: Vec<f64>,
    /// Sum of y, one per gene.
    pub y_sum: Vec<f64>,
    /// Number of cells with a value other than zero, one per gene.
    pub n_expressing: Vec<f64>,
    /// Why the model cannot be fitted to this group; empty where it can.
    pub refused: String,
    /// What rounding would take from the arrays, while rows are still to come.
    low: Low,
}

/// Rows of a source that went into sums.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SumsInput {
    /// The source: `X of study.h5ad`.
    pub name: String,
    /// Its fingerprint; empty where there is none.
    pub fingerprint: String,
    /// First row, and the row after the last.
    pub rows: (usize, usize),
    /// Number of rows of the whole source.
    pub n_rows: usize,
}

impl SumsInput {
    pub(crate) fn to_value(&self) -> Value {
        Value::map([
            ("name", Value::from(self.name.as_str())),
            ("fingerprint", Value::from(self.fingerprint.as_str())),
            ("first_row", Value::from(self.rows.0)),
            ("end_row", Value::from(self.rows.1)),
            ("n_rows", Value::from(self.n_rows)),
        ])
    }

    pub(crate) fn from_value(value: &Value) -> Option<Self> {
        let number = |key: &str| usize::try_from(value.get(key)?.as_i64()?).ok();
        Some(Self {
            name: value.get("name")?.as_str()?.to_owned(),
            fingerprint: value.get("fingerprint")?.as_str()?.to_owned(),
            rows: (number("first_row")?, number("end_row")?),
            n_rows: number("n_rows")?,
        })
    }

    fn same_source(&self, other: &Self) -> bool {
        self.name == other.name && self.fingerprint == other.fingerprint && self.n_rows == other.n_rows
    }

    /// The rows for people: `rows 0:400 of X of study.h5ad`.
    pub fn describe(&self) -> String {
        if self.rows == (0, self.n_rows) {
            self.name.clone()
        } else {
            format!("rows {}:{} of {}", self.rows.0, self.rows.1, self.name)
        }
    }
}

/// The sums of a study: a header, and the sums of each group.
#[derive(Debug, Clone, PartialEq)]
pub struct Sums {
    /// The genes, in order; names may repeat.
    pub genes: Vec<String>,
    /// What was done to each count.
    pub transform: Transform,
    /// The model, in canonical text.
    pub formula: String,
    /// The grouping column; empty where there is none.
    pub groups_by: String,
    /// Where `libsize` came from: an obs column or the totals; empty where the model does not use it.
    pub libsize: String,
    /// The column of var that chose the genes; empty if all were taken or no name is known.
    pub genes_from: String,
    /// What was said while the design was made.
    pub warnings: Vec<String>,
    /// For each factor that varies within a unit without a term for what was treated: its name and what that costs.
    pub replication: Vec<(String, String)>,
    /// The sources, and which of their rows were observed.
    pub inputs: Vec<SumsInput>,
    /// The groups, in order of their levels.
    pub groups: Vec<GroupSums>,
}

impl GroupSums {
    /// Sums of zero cells.
    pub fn empty(label: &str, coefficients: Coefficients, components: Vec<Component>, n_genes: usize) -> Self {
        let p = coefficients.len();
        let q = components.iter().map(|c| c.columns.len()).sum();
        Self {
            label: label.to_owned(),
            coefficients,
            components,
            n_cells: 0,
            xx: Matrix::zeros(p, p),
            zx: Matrix::zeros(q, p),
            zz: Matrix::zeros(q, q),
            xy: vec![0.0; n_genes * p],
            zy: vec![0.0; n_genes * q],
            y_norm: vec![0.0; n_genes],
            y_sum: vec![0.0; n_genes],
            n_expressing: vec![0.0; n_genes],
            refused: String::new(),
            low: None,
        }
    }

    /// Number of fixed effects.
    pub fn n_fixed(&self) -> usize {
        self.coefficients.len()
    }

    /// Number of random effects, all components together.
    pub fn n_random(&self) -> usize {
        self.zz.n_rows()
    }

    /// The extents of the arrays, in their order, for `m` genes.
    fn shapes(&self, m: usize) -> [Vec<usize>; N_ARRAYS] {
        let (p, q) = (self.n_fixed(), self.n_random());
        [vec![p, p], vec![q, p], vec![q, q], vec![m, p], vec![m, q], vec![m], vec![m]]
    }

    /// Number of units behind each component: levels that have cells.
    pub fn n_units(&self) -> Vec<usize> {
        let mut from = 0;
        let mut units = Vec::new();
        for component in &self.components {
            let to = from + component.columns.len();
            units.push((from..to).filter(|&j| self.zz[(j, j)] > 0.0).count());
            from = to;
        }
        units
    }
}

impl Sums {
    /// Sums from arrays that were made elsewhere: one group.
    ///
    /// `y_sum` may be left empty: it is then taken from the column `(Intercept)`, or from indicators that add up to
    /// one in every cell, and is NaN where there are neither (only moderation uses it).
    pub fn from_arrays(genes: Vec<String>, transform: Transform, mut group: GroupSums) -> Result<Self> {
        let (m, p, q) = (genes.len(), group.n_fixed(), group.n_random());
        let d: usize = group.components.iter().map(|c| c.columns.len()).sum();
        if d != q {
            return Err(Fault::bad_input(format!("the components have {d} columns, Z'Z has {q}")).at("d"));
        }
        for (name, found, expected) in [
            ("XX", group.xx.entries().len(), p * p),
            ("ZX", group.zx.entries().len(), q * p),
            ("XY", group.xy.len(), m * p),
            ("ZY", group.zy.len(), m * q),
            ("Ynorm", group.y_norm.len(), m),
        ] {
            if found != expected {
                return Err(Fault::bad_input(format!(
                    "{found} numbers, expected {expected} ({m} genes, p = {p}, q = {q})"
                ))
                .at(name));
            }
        }
        for (name, values) in [
            ("XX", group.xx.entries()),
            ("ZX", group.zx.entries()),
            ("ZZ", group.zz.entries()),
            ("XY", &group.xy[..]),
            ("ZY", &group.zy[..]),
            ("Ynorm", &group.y_norm[..]),
        ] {
            let bad = values.iter().filter(|v| !v.is_finite()).count();
            if bad > 0 {
                return Err(Fault::bad_input(format!("{bad} numbers are missing or infinite")).at(name));
            }
        }
        if group.y_sum.is_empty() {
            group.y_sum = derive_y_sum(&group, m);
        }
        if group.n_expressing.is_empty() {
            group.n_expressing = vec![f64::NAN; m];
        }
        Ok(Self {
            genes,
            transform,
            formula: String::new(),
            groups_by: String::new(),
            libsize: String::new(),
            genes_from: String::new(),
            warnings: Vec::new(),
            replication: Vec::new(),
            inputs: Vec::new(),
            groups: vec![group],
        })
    }

    /// Number of genes.
    pub fn n_genes(&self) -> usize {
        self.genes.len()
    }

    /// Number of cells in all groups.
    pub fn n_cells(&self) -> u64 {
        self.groups.iter().map(|g| g.n_cells).sum()
    }

    /// What was done to what, so far; `method` names who did it.
    pub fn provenance(&self, method: &str) -> Provenance {
        let mut provenance = Provenance::new(method)
            .option("formula", self.formula.as_str())
            .option("groups", self.groups_by.as_str())
            .option("transform", self.transform.word())
            .option("libsize", self.libsize.as_str())
            .option("mask_var", self.genes_from.as_str());
        let inputs = self.inputs.iter().map(|i| Input { name: i.describe(), fingerprint: i.fingerprint.clone() });
        provenance.inputs = inputs.collect();
        provenance.warnings.clone_from(&self.warnings);
        provenance
    }

    /// A few lines for people: model, size, groups.
    pub fn describe(&self) -> String {
        let model = if self.formula.is_empty() { "(from arrays)" } else { &self.formula };
        let mut lines = vec![
            format!("lmm sums  {model}"),
            format!("{} genes, {} cells, {}", self.n_genes(), self.n_cells(), self.transform.unit()),
        ];
        for group in &self.groups {
            let name = if group.label.is_empty() { String::new() } else { format!("{}: ", group.label) };
            if group.refused.is_empty() {
                let units: Vec<String> =
                    group.components.iter().zip(group.n_units()).map(|(c, n)| format!("{n} x {}", c.name)).collect();
                let (cells, fixed) = (group.n_cells, group.n_fixed());
                lines.push(format!("  {name}{cells} cells, {fixed} fixed effects, {}", units.join(", ")));
            } else {
                lines.push(format!("  {name}{} cells, cannot be fitted: {}", group.n_cells, group.refused));
            }
        }
        lines.join("\n")
    }

    fn header(&self) -> Value {
        Value::map([
            ("genes", Value::list(self.genes.iter().map(String::as_str))),
            ("transform", Value::from(self.transform.word())),
            (
                "transform_target",
                if let Transform::LogNorm { target } = self.transform { Value::from(target) } else { Value::Null },
            ),
            ("formula", Value::from(self.formula.as_str())),
            ("groups_by", Value::from(self.groups_by.as_str())),
            ("libsize", Value::from(self.libsize.as_str())),
            ("mask_var", Value::from(self.genes_from.as_str())),
            ("warnings", Value::list(self.warnings.iter().map(String::as_str))),
            ("replication", pairs(&self.replication, ["variable", "warning"])),
            ("inputs", Value::List(self.inputs.iter().map(SumsInput::to_value).collect())),
            (
                "groups",
                Value::list(self.groups.iter().map(|g| {
                    Value::map([
                        ("label", Value::from(g.label.as_str())),
                        ("n_cells", Value::Int(g.n_cells as i64)),
                        ("refused", Value::from(g.refused.as_str())),
                        ("coefficients", g.coefficients.to_value()),
                        ("components", Value::list(g.components.iter().map(component_value))),
                    ])
                })),
            ),
        ])
    }
}

/// Pairs of texts as a list of maps with the given keys.
fn pairs(items: &[(String, String)], keys: [&str; 2]) -> Value {
    Value::list(
        items.iter().map(|(a, b)| Value::map([(keys[0], Value::from(a.as_str())), (keys[1], Value::from(b.as_str()))])),
    )
}

/// Back from [`pairs`].
fn from_pairs(value: Option<&Value>, keys: [&str; 2]) -> Option<Vec<(String, String)>> {
    let text = |v: &Value, key: &str| v.get(key)?.as_str().map(str::to_owned);
    value?.as_list()?.iter().map(|v| Some((text(v, keys[0])?, text(v, keys[1])?))).collect()
}

fn component_value(component: &Component) -> Value {
    Value::map([
        ("name", Value::from(component.name.as_str())),
        ("columns", Value::list(component.columns.iter().map(String::as_str))),
    ])
}

pub(in crate::lmm) fn component_from_value(value: &Value) -> Option<Component> {
    Some(Component { name: value.get("name")?.as_str()?.to_owned(), columns: value.get("columns")?.as_texts()? })
}

/// The sum of y from columns that add up to one in every cell.
fn derive_y_sum(group: &GroupSums, n_genes: usize) -> Vec<f64> {
    let (p, q) = (group.n_fixed(), group.n_random());
    if let Some(k) = group.coefficients.names().iter().position(|n| n == "(Intercept)") {
        return (0..n_genes).map(|g| group.xy[g * p + k]).collect();
    }
    let first = group.components.first().map_or(0, |c| c.columns.len());
    // Indicators: Z'Z diagonal with whole numbers that add up to the number of cells.
    let diagonal = (0..first).all(|i| (0..first).all(|j| i == j || group.zz[(i, j)] == 0.0));
    let total: f64 = (0..first).map(|i| group.zz[(i, i)]).sum();
    if first > 0 && diagonal && total == group.n_cells as f64 {
        return (0..n_genes).map(|g| group.zy[g * q..g * q + first].iter().sum()).collect();
    }
    vec![f64::NAN; n_genes]
}

impl Additive for Sums {
    fn merge(&mut self, other: &Self) -> Result<()> {
        self.add(other)?;
        self.settle();
        Ok(())
    }

    fn to_part(&self) -> Part {
        let mut part = Part::new(KIND, LAYOUT, self.header());
        let m = self.n_genes();
        for (i, g) in self.groups.iter().enumerate() {
            let shapes = g.shapes(m);
            for (k, array) in g.arrays().into_iter().enumerate() {
                part.push_f64(format!("{}_{i}", ARRAYS[k]), &shapes[k], array.to_vec());
            }
            part.push_f64(format!("n_expressing_{i}"), &[m], g.n_expressing.clone());
            for (k, low) in g.low.iter().flat_map(|low| low.iter()).enumerate() {
                part.push_f64(format!("{}{LOW}_{i}", ARRAYS[k]), &shapes[k], low.clone());
            }
        }
        part
    }

    fn from_part(part: &Part) -> Result<Self> {
        part.expect(KIND, LAYOUT)?;
        let broken = |what: &str| {
            Fault::bad_file(format!("{what} of the header cannot be read")).at(format!("part of kind `{KIND}`"))
        };
        let genes = part.texts("genes")?;
        let m = genes.len();
        let transform = match (
            Transform::from_word(part.text("transform")?)?,
            part.header.get("transform_target").and_then(Value::as_f64),
        ) {
            (Transform::LogNorm { .. }, Some(target)) => Transform::LogNorm { target },
            (transform, _) => transform,
        };
        let inputs = part
            .header
            .get("inputs")
            .and_then(Value::as_list)
            .and_then(|l| l.iter().map(SumsInput::from_value).collect())
            .ok_or_else(|| broken("the list of inputs"))?;
        let replication = from_pairs(part.header.get("replication"), ["variable", "warning"])
            .ok_or_else(|| broken("the list of unreplicated factors"))?;
        let mut groups = Vec::new();
        for (i, g) in part
            .header
            .get("groups")
            .and_then(Value::as_list)
            .ok_or_else(|| broken("the list of groups"))?
            .iter()
            .enumerate()
        {
            let coefficients =
                Coefficients::from_value(g.get("coefficients").ok_or_else(|| broken("the list of coefficients"))?)?;
            let components: Vec<Component> = g
                .get("components")
                .and_then(Value::as_list)
                .and_then(|l| l.iter().map(component_from_value).collect())
                .ok_or_else(|| broken("the list of components"))?;
            let label = g.get("label").and_then(Value::as_str).ok_or_else(|| broken("the label of a group"))?;
            let mut group = GroupSums::empty(label, coefficients, components, 0);
            group.n_cells =
                g.get("n_cells").and_then(Value::as_i64).ok_or_else(|| broken("the number of cells"))? as u64;
            g.get("refused").and_then(Value::as_str).unwrap_or_default().clone_into(&mut group.refused);
            let (p, q, shapes) = (group.n_fixed(), group.n_random(), group.shapes(m));
            let array = |k: usize, suffix: &str| {
                part.f64(&format!("{}{suffix}_{i}", ARRAYS[k]), &shapes[k]).map(<[f64]>::to_vec)
            };
            group.xx = Matrix::from_rows(p, p, array(0, "")?);
            group.zx = Matrix::from_rows(q, p, array(1, "")?);
            group.zz = Matrix::from_rows(q, q, array(2, "")?);
            (group.xy, group.zy) = (array(3, "")?, array(4, "")?);
            (group.y_norm, group.y_sum) = (array(5, "")?, array(6, "")?);
            group.n_expressing = part.f64(&format!("n_expressing_{i}"), &[m])?.to_vec();
            let first_low = format!("{}{LOW}_{i}", ARRAYS[0]);
            if part.arrays.iter().any(|a| a.name == first_low) {
                let low: Vec<Vec<f64>> = (0..N_ARRAYS).map(|k| array(k, LOW)).collect::<Result<_>>()?;
                group.low = <[Vec<f64>; N_ARRAYS]>::try_from(low).ok().map(Box::new);
            }
            groups.push(group);
        }
        Ok(Self {
            genes,
            transform,
            formula: part.text("formula")?.to_owned(),
            groups_by: part.text("groups_by")?.to_owned(),
            libsize: part.text("libsize")?.to_owned(),
            genes_from: part.header.get("mask_var").and_then(Value::as_str).unwrap_or_default().to_owned(),
            warnings: part.texts("warnings")?,
            replication,
            inputs,
            groups,
        })
    }
}
