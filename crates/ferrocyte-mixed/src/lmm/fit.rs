//! From sums to variance components of every gene.

use ferrocyte_base::{Fault, Kind, Provenance, Result, Run, Value, listing};
use ferrocyte_data::{Additive, Part};
use ferrocyte_design::Coefficients;

use crate::lmm::core::{Core, Responses};
use crate::lmm::moderated::Moderated;
use crate::lmm::options::{FitOptions, Method, Negative};
use crate::lmm::status::Outcome;
use crate::lmm::sums::{Component, GroupSums, Sums};

const KIND: &str = "lmm.fit";
const LAYOUT: i64 = 1;

/// Linear mixed models of all genes in all groups.
#[derive(Debug)]
pub struct Fit {
    sums: Sums,
    options: FitOptions,
    /// One per group of the sums, in their order.
    pub groups: Vec<GroupFit>,
}

/// The linear mixed models of all genes in one group.
#[derive(Debug)]
pub struct GroupFit {
    /// The level of the grouping column; empty where there are no groups.
    pub label: String,
    /// The fixed effects.
    pub coefficients: Coefficients,
    /// The random-effect components.
    pub components: Vec<Component>,
    /// Number of cells.
    pub n_cells: u64,
    /// Number of units (levels with cells) of each component.
    pub n_units: Vec<usize>,
    /// Why the model was not fitted; empty where it was.
    pub refused: String,
    /// What became of each gene.
    pub outcomes: Vec<Outcome>,
    /// Variance components s_1, .., s_k, s_0 of each gene, genes × (k + 1); NaN without estimate.
    pub theta: Vec<f64>,
    /// Log-likelihood of each gene; REML's compares only between models with the same fixed effects.
    pub log_likelihood: Vec<f64>,
    /// Evaluations of the gradient.
    pub evaluations: Vec<u32>,
    /// The components that tests use, genes × (k + 1): those of the fit, or the fit with components at zero or above
    /// where the outcome says so.
    pub(in crate::lmm) theta_tested: Vec<f64>,
    pub(in crate::lmm) core: Option<Core>,
    pub(in crate::lmm) moderation: Option<Moderated>,
    /// Why tests of this group are not moderated; empty where they are or were not asked to be.
    pub not_moderated: String,
}

impl GroupFit {
    /// A group without a fit, its sums' reason kept.
    fn refused(sums: &GroupSums, n_genes: usize) -> Self {
        Self {
            label: sums.label.clone(),
            coefficients: sums.coefficients.clone(),
            components: sums.components.clone(),
            n_cells: sums.n_cells,
            n_units: sums.n_units(),
            refused: sums.refused.clone(),
            outcomes: vec![Outcome::GroupNotFitted; n_genes],
            theta: Vec::new(),
            log_likelihood: vec![f64::NAN; n_genes],
            evaluations: vec![0; n_genes],
            theta_tested: Vec::new(),
            core: None,
            moderation: None,
            not_moderated: String::new(),
        }
    }

    /// Fits one group; `counts`: whether the values are transformed counts, never negative.
    pub(in crate::lmm) fn new(run: &Run, sums: &GroupSums, options: &FitOptions, counts: bool) -> Result<Self> {
        let n_genes = sums.y_norm.len();
        let mut group = Self::refused(sums, n_genes);
        if !sums.refused.is_empty() {
            return Ok(group);
        }
        let core = match Core::new(run, sums, options.method) {
            Ok(core) => core,
            // Merged parts are checked here only; a group of several stops no other.
            Err(fault) if !sums.label.is_empty() && fault.kind() == Kind::BadInput => {
                group.refused = fault.to_string();
                return Ok(group);
            }
            Err(fault) => return Err(fault),
        };
        let blocks = run.map_ranges("fitting", n_genes, core.gene_block(), |genes| {
            let y = Responses { norm: &sums.y_norm, n_expressing: &sums.n_expressing };
            core.estimate(run, genes, y, options)
        })?;
        group.outcomes.clear();
        group.log_likelihood.clear();
        group.evaluations.clear();
        for block in blocks {
            group.theta.extend(block.theta);
            group.theta_tested.extend(block.tested);
            group.outcomes.extend(block.outcomes);
            group.log_likelihood.extend(block.log_likelihood);
            group.evaluations.extend(block.evaluations);
        }
        group.core = Some(core);
        group.moderate(run, sums, options, counts)?;
        Ok(group)
    }

    /// Learns the distribution of the variance components over genes, where that is asked for and possible.
    fn moderate(&mut self, run: &Run, sums: &GroupSums, options: &FitOptions, counts: bool) -> Result<()> {
        let Some(core) = &self.core else { return Ok(()) };
        if !options.moderate {
            return Ok(());
        }
        match Moderated::new(run, core, sums, &self.outcomes, counts)? {
            Ok(moderation) => self.moderation = Some(moderation),
            Err(reason) => self.not_moderated = reason,
        }
        Ok(())
    }

    /// Number of variance components, the residual not counted.
    pub fn n_components(&self) -> usize {
        self.components.len()
    }

    /// How many genes have each outcome, in the order of [`Outcome::ALL`], those without genes left out.
    pub fn outcome_counts(&self) -> Vec<(Outcome, usize)> {
        Outcome::ALL
            .into_iter()
            .map(|o| (o, self.outcomes.iter().filter(|&&x| x == o).count()))
            .filter(|&(_, n)| n > 0)
            .collect()
    }

    /// A few words on what the tests are made of: `moderated` or why not.
    pub fn moderation_note(&self) -> String {
        match &self.moderation {
            Some(m) => m.describe(),
            None => self.not_moderated.clone(),
        }
    }
}

impl Fit {
    /// Fits every gene of every group of `sums`. No gene and no group stops the others.
    pub fn new(run: &Run, sums: Sums, options: FitOptions) -> Result<Self> {
        let counts = sums.transform.wants_counts();
        if options.min_cells > 0 && sums.groups.iter().any(|g| g.n_expressing.iter().any(|n| n.is_nan())) {
            return Err(Fault::bad_input("sums made from arrays do not know in how many cells a gene has a count")
                .at("min_cells")
                .hint("leave genes out of the arrays"));
        }
        let missing = sums.missing_rows();
        if !missing.is_empty() {
            run.warn(&format!("the sums lack {}", missing.join(", ")));
        }
        let groups = sums.groups.iter().map(|g| GroupFit::new(run, g, &options, counts)).collect::<Result<Vec<_>>>()?;
        for group in groups.iter().filter(|g| !g.not_moderated.is_empty()) {
            let place = if group.label.is_empty() { String::new() } else { format!("group `{}`: ", group.label) };
            run.info(&format!("{place}tests are not moderated: {}", group.not_moderated));
        }
        Ok(Self { sums, options, groups })
    }

    /// The sums that were fitted.
    pub fn sums(&self) -> &Sums {
        &self.sums
    }

    /// The options of the fit.
    pub fn options(&self) -> &FitOptions {
        &self.options
    }

    /// The genes, in order.
    pub fn genes(&self) -> &[String] {
        &self.sums.genes
    }

    /// What was done to what.
    pub fn provenance(&self) -> Provenance {
        self.sums
            .provenance("lmm.fit")
            .option("method", self.options.method.word())
            .option("negative", self.options.negative.word())
            .option("moderate", self.options.moderate)
            .option("min_cells", self.options.min_cells as i64)
    }

    /// A few lines for people: model, size, groups, outcomes.
    pub fn describe(&self) -> String {
        let mut lines = vec![format!(
            "lmm fit  {}\n{} genes, {} cells, {} by {}",
            if self.sums.formula.is_empty() { "(from sums)" } else { &self.sums.formula },
            self.sums.n_genes(),
            self.sums.n_cells(),
            self.sums.transform.unit(),
            self.options.method.word(),
        )];
        for group in &self.groups {
            let name = if group.label.is_empty() { String::new() } else { format!("{}: ", group.label) };
            if !group.refused.is_empty() {
                lines.push(format!("  {name}not fitted: {}", group.refused));
                continue;
            }
            let units: Vec<String> =
                group.components.iter().zip(&group.n_units).map(|(c, n)| format!("{n} x {}", c.name)).collect();
            let counts: Vec<String> =
                group.outcome_counts().iter().map(|(o, n)| format!("{n} {}", o.status().word)).collect();
            lines.push(format!("  {name}{} cells, {}; {}", group.n_cells, units.join(", "), counts.join(", ")));
            let note = group.moderation_note();
            if !note.is_empty() {
                lines.push(format!("    {note}"));
            }
        }
        let names = self.groups.iter().find(|g| g.refused.is_empty()).map_or(&[][..], |g| g.coefficients.names());
        lines.push(format!("coefficients: {}", listing(names, 8)));
        lines.join("\n")
    }

    /// Header and arrays: the sums and the estimates. Everything else follows from them.
    pub fn to_part(&self) -> Part {
        let sums = self.sums.to_part();
        let header = Value::map([
            ("sums", sums.header),
            ("method", Value::from(self.options.method.word())),
            ("negative", Value::from(self.options.negative.word())),
            ("moderate", Value::from(self.options.moderate)),
            ("min_cells", Value::Int(self.options.min_cells as i64)),
            ("provenance", self.provenance().to_value()),
        ]);
        let mut part = Part::new(KIND, LAYOUT, header);
        part.arrays = sums.arrays;
        part
    }

    /// Back from [`Fit::to_part`]: refitted from the sums, which gives the same bits.
    pub fn from_part(run: &Run, part: &Part) -> Result<Self> {
        part.expect(KIND, LAYOUT)?;
        let broken = || Fault::bad_file("the header lacks the sums").at(format!("part of kind `{KIND}`"));
        let sums = Part {
            kind: "lmm.sums".to_owned(),
            version: 1,
            header: part.header.get("sums").cloned().ok_or_else(broken)?,
            arrays: part.arrays.clone(),
        };
        let options = FitOptions {
            method: Method::from_word(part.text("method")?)?,
            negative: Negative::from_word(part.text("negative")?)?,
            moderate: part.header.get("moderate").and_then(Value::as_bool).unwrap_or(true),
            min_cells: part.header.get("min_cells").and_then(Value::as_i64).unwrap_or(0).unsigned_abs(),
        };
        Self::new(run, Sums::from_part(&sums)?, options)
    }
}
