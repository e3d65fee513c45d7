//! Sums as a part file, and back.

use ferrocyte_base::{Fault, Result, Value};
use ferrocyte_data::{Additive, Part};
use ferrocyte_design::Coefficients;
use ferrocyte_math::linalg::Matrix;

use super::{GroupSums, PointSums, Sums};
use crate::lmm::SumsInput;
use crate::nbmm::layout::Layout;
use crate::nbmm::nodes::OffsetNodes;

const KIND: &str = "nbmm.sums";
const LAYOUT: i64 = 1;

/// Lists of different lengths as one array and where each begins.
struct Ragged<'a>(&'a str);

impl Ragged<'_> {
    fn push(&self, part: &mut Part, group: usize, lists: &[Vec<(u64, f64)>]) {
        let mut starts = vec![0];
        lists.iter().for_each(|list| starts.push(starts[starts.len() - 1] + list.len() as i64));
        let keys: Vec<i64> = lists.iter().flatten().map(|(key, _)| *key as i64).collect();
        let values: Vec<f64> = lists.iter().flatten().map(|(_, value)| *value).collect();
        let n = keys.len();
        part.push_i64(format!("{}_starts_{group}", self.0), &[starts.len()], starts);
        part.push_i64(format!("{}_keys_{group}", self.0), &[n], keys);
        part.push_f64(format!("{}_values_{group}", self.0), &[n], values);
    }

    fn read(&self, part: &Part, group: usize, n_genes: usize) -> Result<Vec<Vec<(u64, f64)>>> {
        let starts = part.i64(&format!("{}_starts_{group}", self.0), &[n_genes + 1])?;
        let n = starts.last().copied().unwrap_or(0) as usize;
        let keys = part.i64(&format!("{}_keys_{group}", self.0), &[n])?;
        let values = part.f64(&format!("{}_values_{group}", self.0), &[n])?;
        if starts.windows(2).any(|pair| pair[0] > pair[1]) || starts[0] != 0 || keys.iter().any(|&k| k < 0) {
            return Err(broken("the lists"));
        }
        Ok(starts
            .windows(2)
            .map(|pair| (pair[0] as usize..pair[1] as usize).map(|i| (keys[i] as u64, values[i])).collect())
            .collect())
    }
}

fn broken(what: &str) -> Fault {
    Fault::bad_file(format!("{what} cannot be read")).at(format!("part of kind `{KIND}`"))
}

impl Additive for Sums {
    fn merge(&mut self, other: &Self) -> Result<()> {
        self.add(other)
    }

    fn to_part(&self) -> Part {
        let mut part = Part::new(KIND, LAYOUT, self.header());
        for (i, group) in self.groups.iter().enumerate().filter(|(_, g)| g.refused.is_empty()) {
            let layout = &group.layout;
            let (strata, points) = (layout.n_strata(), layout.offsets.len());
            part.push_f64(format!("X_{i}"), &[strata, layout.n_fixed()], layout.x.entries().to_vec());
            let whole = |all: &[usize]| all.iter().map(|&n| n as i64).collect::<Vec<i64>>();
            part.push_i64(format!("donors_{i}"), &[layout.donors.len()], whole(&layout.donors));
            part.push_i64(format!("points_{i}"), &[strata + 1], whole(&layout.points));
            part.push_f64(format!("offsets_{i}"), &[points], layout.offsets.clone());
            part.push_f64(format!("cells_{i}"), &[points], layout.cells.clone());
            match &group.points {
                PointSums::Dense(all) => part.push_f64(format!("counts_{i}"), &[self.n_genes(), points], all.clone()),
                PointSums::Listed(lists) => {
                    let wide: Vec<Vec<(u64, f64)>> =
                        lists.iter().map(|list| list.iter().map(|&(k, y)| (u64::from(k), y)).collect()).collect();
                    Ragged("counts").push(&mut part, i, &wide);
                }
            }
            Ragged("histogram").push(&mut part, i, &group.histograms);
        }
        part
    }

    fn from_part(part: &Part) -> Result<Self> {
        part.expect(KIND, LAYOUT)?;
        let list = |key: &str| part.header.get(key).and_then(Value::as_list).ok_or_else(|| broken("the header"));
        let inputs = list("inputs")?.iter().map(SumsInput::from_value).collect::<Option<_>>();
        let replication = list("replication")?
            .iter()
            .map(|pair| pair.as_texts().and_then(|p| <[String; 2]>::try_from(p).ok()).map(|[a, b]| (a, b)))
            .collect::<Option<_>>();
        let mut sums = Self {
            genes: part.texts("genes")?,
            formula: part.text("formula")?.to_owned(),
            groups_by: part.text("groups_by")?.to_owned(),
            offset: part.text("offset")?.to_owned(),
            genes_from: part.text("mask_var")?.to_owned(),
            warnings: part.texts("warnings")?,
            replication: replication.ok_or_else(|| broken("the list of unreplicated factors"))?,
            inputs: inputs.ok_or_else(|| broken("the list of inputs"))?,
            groups: Vec::new(),
        };
        for (i, header) in list("groups")?.iter().enumerate() {
            sums.groups.push(group_from(part, header, i, sums.genes.len())?);
        }
        Ok(sums)
    }
}

impl Sums {
    fn header(&self) -> Value {
        let group = |g: &GroupSums| {
            let range = g.nodes.as_ref().map_or((0.0, 0.0), OffsetNodes::range);
            Value::map([
                ("label", Value::from(g.label.as_str())),
                ("n_cells", Value::Int(g.n_cells as i64)),
                ("refused", Value::from(g.refused.as_str())),
                ("coefficients", g.coefficients.to_value()),
                ("unit", Value::from(g.unit.as_str())),
                ("donors", Value::list(g.donors.iter().map(String::as_str))),
                ("strata", Value::from(g.n_strata())),
                ("points", Value::from(g.layout.offsets.len())),
                ("nodes", Value::from(g.nodes.as_ref().map_or(0, OffsetNodes::len))),
                ("lowest_ln_offset", Value::from(range.0)),
                ("highest_ln_offset", Value::from(range.1)),
            ])
        };
        Value::map([
            ("genes", Value::list(self.genes.iter().map(String::as_str))),
            ("formula", Value::from(self.formula.as_str())),
            ("groups_by", Value::from(self.groups_by.as_str())),
            ("offset", Value::from(self.offset.as_str())),
            ("mask_var", Value::from(self.genes_from.as_str())),
            ("warnings", Value::list(self.warnings.iter().map(String::as_str))),
            (
                "replication",
                Value::List(self.replication.iter().map(|(a, b)| Value::list([a.as_str(), b.as_str()])).collect()),
            ),
            ("inputs", Value::List(self.inputs.iter().map(SumsInput::to_value).collect())),
            ("groups", Value::List(self.groups.iter().map(group).collect())),
        ])
    }
}

fn group_from(part: &Part, header: &Value, i: usize, n_genes: usize) -> Result<GroupSums> {
    let text = |key: &str| header.get(key).and_then(Value::as_str).ok_or_else(|| broken("a group of the header"));
    let number = |key: &str| -> Result<usize> {
        let found = header.get(key).and_then(Value::as_i64).and_then(|n| usize::try_from(n).ok());
        found.ok_or_else(|| broken("a group of the header"))
    };
    let real = |key: &str| header.get(key).and_then(Value::as_f64).ok_or_else(|| broken("a group of the header"));
    let n_cells = number("n_cells")? as u64;
    let refused = text("refused")?;
    if !refused.is_empty() {
        return GroupSums::refused(text("label")?, n_cells, refused.to_owned());
    }
    let coefficients = Coefficients::from_value(header.get("coefficients").ok_or_else(|| broken("the coefficients"))?)?;
    let donors = header.get("donors").and_then(Value::as_texts).ok_or_else(|| broken("the donors"))?;
    let (strata, points, n_nodes) = (number("strata")?, number("points")?, number("nodes")?);
    let p = coefficients.len();
    let rising = |name: &str, n: usize, end: usize| -> Result<Vec<usize>> {
        let found: Vec<usize> = part.i64(&format!("{name}_{i}"), &[n])?.iter().map(|&x| x.max(0) as usize).collect();
        let sound = found.first() == Some(&0) && found.last() == Some(&end) && found.windows(2).all(|w| w[0] <= w[1]);
        if sound { Ok(found) } else { Err(broken("the strata")) }
    };
    let layout = Layout {
        x: Matrix::from_rows(strata, p, part.f64(&format!("X_{i}"), &[strata, p])?.to_vec()),
        donors: rising("donors", donors.len() + 1, strata)?,
        points: rising("points", strata + 1, points)?,
        offsets: part.f64(&format!("offsets_{i}"), &[points])?.to_vec(),
        cells: part.f64(&format!("cells_{i}"), &[points])?.to_vec(),
    };
    let nodes = (n_nodes > 0)
        .then(|| Ok::<_, Fault>(OffsetNodes::new(real("lowest_ln_offset")?, real("highest_ln_offset")?, Some(n_nodes))))
        .transpose()?;
    let point_sums = if nodes.is_some() {
        PointSums::Dense(part.f64(&format!("counts_{i}"), &[n_genes, points])?.to_vec())
    } else {
        let lists = Ragged("counts").read(part, i, n_genes)?;
        if lists.iter().flatten().any(|(k, _)| *k >= points as u64) {
            return Err(broken("the counts"));
        }
        PointSums::Listed(lists.into_iter().map(|l| l.into_iter().map(|(k, y)| (k as u32, y)).collect()).collect())
    };
    Ok(GroupSums {
        label: text("label")?.to_owned(),
        coefficients,
        unit: text("unit")?.to_owned(),
        donors,
        n_cells,
        nodes,
        refused: String::new(),
        layout,
        points: point_sums,
        histograms: Ragged("histogram").read(part, i, n_genes)?,
    })
}
