//! From sums to the count models of every gene.

use ferrocyte_base::{Fault, Provenance, Result, Run, Value, listing};
use ferrocyte_data::{Additive, Part};
use ferrocyte_math::linalg::Matrix;
use ferrocyte_math::normal;
use ferrocyte_math::variance_prior::Prior;

use crate::nbmm::gene::GeneFit;
use crate::nbmm::ground::Ground;
use crate::nbmm::marginal::{Marginal, Place, Rule, Scratch};
use crate::nbmm::moderation::Moderation;
use crate::nbmm::options::{Effect, Family, FitOptions, Method};
use crate::nbmm::status::{Outcome, Outcomes};
use crate::nbmm::sums::{GroupSums, Sums};
use crate::nbmm::top::Rules;

const KIND: &str = "nbmm.fit";
const LAYOUT: i64 = 1;

/// Genes per block: the unit in which work is divided.
pub(in crate::nbmm) const BLOCK: usize = 16;

/// Count models of all genes in all groups.
#[derive(Debug)]
pub struct Fit {
    sums: Sums,
    options: FitOptions,
    /// One per group of the sums, in their order.
    pub groups: Vec<GroupFit>,
}

/// The count models of all genes in one group.
#[derive(Debug)]
pub struct GroupFit {
    /// The level of the grouping column; empty where there are no groups.
    pub label: String,
    /// Why the model was not fitted; empty where it was.
    pub refused: String,
    /// One per gene, in the order of the sums.
    pub genes: Vec<GeneFit>,
    /// Why tests of this group are not moderated; empty where they are or were not asked to be.
    pub not_moderated: String,
    pub(in crate::nbmm) moderation: Option<Moderation>,
}

/// The likelihood of a gene at given parameters.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// Log-likelihood with all constants.
    pub log_likelihood: f64,
    /// Its gradient in the coefficients, ln tau, ln s2.
    pub gradient: Vec<f64>,
    /// Minus its second derivatives, row by row.
    pub information: Vec<f64>,
    /// Posterior mean of the effect of each donor.
    pub effects: Vec<f64>,
}

impl GroupSums {
    /// The likelihood of a gene at `coefficients`, `tau` and `s2` (either may be zero), with `quad` nodes for the effect
    /// of a donor.
    pub fn evaluate(
        &self,
        gene: usize,
        (coefficients, tau, s2): (&[f64], f64, f64),
        options: &FitOptions,
        quad: usize,
    ) -> Result<Evaluation> {
        if coefficients.len() != self.n_fixed() || gene >= self.histograms.len() {
            return Err(Fault::bad_input(format!(
                "expected a gene below {} and {} coefficients, found gene {gene} and {} coefficients",
                self.histograms.len(),
                self.n_fixed(),
                coefficients.len()
            )));
        }
        if !(tau >= 0.0 && s2 >= 0.0) || quad == 0 {
            return Err(Fault::bad_input(format!(
                "tau = {tau}, s2 = {s2}, {quad} nodes: none may be negative, nor nodes none"
            )));
        }
        let counts = self.counts(gene);
        let ground = Ground::new(self.layout.clone());
        let curves = ground.curves_of(&counts);
        let marginal = Marginal { ground: &ground, counts: &counts, curves: &curves, effect: options.effect };
        let at = Place { coefficients: coefficients.to_vec(), tau, s2 };
        let found = marginal.look(&at, &Rule::new(quad), true, &mut Scratch::default());
        Ok(Evaluation {
            log_likelihood: found.value,
            gradient: found.gradient,
            information: found.information.into_entries(),
            effects: found.effects,
        })
    }

    /// The maximum-likelihood fits of all genes under the design of `ground`, which has the strata of these sums.
    fn fit_all(&self, run: &Run, what: &str, ground: &Ground, options: &FitOptions) -> Result<Vec<GeneFit>> {
        let rules = Rules::new(options);
        run.map_blocks(what, self.histograms.len(), BLOCK, |gene| {
            let mut scratch = Scratch::default();
            GeneFit::new(ground, &self.counts(gene), options, &rules, &mut scratch)
        })
    }
}

/// The design in which the contrast c is zero: a map from its p - 1 coefficients to the p of the model.
pub(in crate::nbmm) fn without(contrast: &[f64]) -> Matrix {
    let p = contrast.len();
    let size = |i: usize| contrast[i].abs();
    let pivot = (0..p).max_by(|&a, &b| size(a).total_cmp(&size(b))).unwrap_or(0);
    let mut map = Matrix::zeros(p, p.saturating_sub(1));
    for (k, j) in (0..p).filter(|&j| j != pivot).enumerate() {
        map[(j, k)] = 1.0;
        map[(pivot, k)] = -contrast[j] / contrast[pivot];
    }
    map
}

impl GroupFit {
    fn new(run: &Run, sums: &GroupSums, options: &FitOptions, n_genes: usize) -> Result<Self> {
        let genes = if sums.refused.is_empty() {
            sums.fit_all(run, "fitting", &Ground::new(sums.layout.clone()), options)?
        } else {
            vec![GeneFit::none(Outcome::GroupNotFitted, sums.n_fixed()); n_genes]
        };
        let mut fit = Self {
            label: sums.label.clone(),
            refused: sums.refused.clone(),
            genes,
            not_moderated: String::new(),
            moderation: None,
        };
        if options.moderate && fit.refused.is_empty() {
            match Moderation::new(run, sums, &fit.genes, options)? {
                Ok(moderation) => fit.moderation = Some(moderation),
                Err(reason) => fit.not_moderated = reason,
            }
        }
        Ok(fit)
    }

    /// A few words on what the tests are made of: the priors, or why there are none.
    pub fn moderation_note(&self) -> String {
        self.moderation.as_ref().map_or_else(|| self.not_moderated.clone(), Moderation::describe)
    }

    /// The priors of ln tau and of ln s2; none where tests are not moderated, or tau is zero.
    pub fn priors(&self) -> (Option<&Prior>, Option<&Prior>) {
        let moderation = self.moderation.as_ref();
        (moderation.and_then(|m| m.tau.as_ref()), moderation.map(|m| &m.s2))
    }

    /// Moderated ln tau and ln s2 of a gene; NaN where there are none.
    pub fn moderated(&self, gene: usize) -> (f64, f64) {
        let profile = self.moderation.as_ref().and_then(|m| m.genes[gene].as_ref());
        profile.map_or((f64::NAN, f64::NAN), |p| (p.ln_tau, p.ln_s2))
    }

    /// How many genes have each combination of outcomes, the most frequent first.
    pub fn outcome_counts(&self) -> Vec<(Outcomes, usize)> {
        let mut counts: Vec<(Outcomes, usize)> = Vec::new();
        for gene in &self.genes {
            match counts.iter_mut().find(|(o, _)| *o == gene.outcomes) {
                Some((_, n)) => *n += 1,
                None => counts.push((gene.outcomes, 1)),
            }
        }
        counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.word().cmp(&b.0.word())));
        counts
    }
}

impl Fit {
    /// Fits every gene of every group of `sums`. No gene and no group stops the others.
    pub fn new(run: &Run, sums: Sums, options: FitOptions) -> Result<Self> {
        if options.quad.is_some_and(|q| !(1..=61).contains(&q)) {
            return Err(Fault::bad_input(format!("{} nodes, expected 1 to 61", options.quad.unwrap_or(0))).at("quad"));
        }
        let missing = sums.missing_rows();
        if !missing.is_empty() {
            run.warn(&format!("the sums lack {}", missing.join(", ")));
        }
        let n_genes = sums.n_genes();
        let groups =
            sums.groups.iter().map(|g| GroupFit::new(run, g, &options, n_genes)).collect::<Result<Vec<_>>>()?;
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
            .provenance("nbmm.fit")
            .option("re", self.options.effect.word())
            .option("family", self.options.family.word())
            .option("method", self.options.method.word())
            .option("moderate", self.options.moderate)
            .option("min_count", self.options.min_count as i64)
            .option("quad", self.options.quad.map_or(0, |q| q as i64))
    }

    /// The likelihood-ratio test of a contrast of coefficients in a group, both variances fitted anew where it is zero:
    /// per gene twice the difference of log-likelihoods and ln p.
    pub fn likelihood_ratio(&self, run: &Run, group: usize, contrast: &[f64]) -> Result<Vec<(f64, f64)>> {
        let Some(sums) = self.sums.groups.get(group).filter(|g| g.refused.is_empty()) else {
            return Ok(vec![(f64::NAN, f64::NAN); self.genes().len()]);
        };
        if self.options.method == Method::Reml {
            return Err(Fault::unsupported("restricted likelihoods of different fixed effects do not compare")
                .at("method")
                .hint("fit with method = \"ML\""));
        }
        if contrast.len() != sums.n_fixed() || contrast.iter().all(|&c| c == 0.0) {
            return Err(Fault::bad_input(format!(
                "expected {} weights, not all of them zero, found {}",
                sums.n_fixed(),
                contrast.len()
            ))
            .at("contrast"));
        }
        let ground = Ground::new(sums.layout.mapped(&without(contrast)));
        let null = sums.fit_all(run, "likelihood ratios", &ground, &self.options)?;
        Ok(self.groups[group]
            .genes
            .iter()
            .zip(&null)
            .map(|(fit, null)| {
                let lr = 2.0 * (fit.log_likelihood - null.log_likelihood);
                let ln_p = if lr.is_nan() { f64::NAN } else { normal::ln_two_sided(lr.max(0.0).sqrt()) };
                (lr, ln_p)
            })
            .collect())
    }

    /// A few lines for people: model, size, groups, outcomes, priors.
    pub fn describe(&self) -> String {
        let options = &self.options;
        let mut lines = vec![
            format!("nbmm fit  {}", self.sums.formula),
            format!(
                "{} genes, {} cells, {} effects of donors, {} by {}",
                self.sums.n_genes(),
                self.sums.n_cells(),
                options.effect.word(),
                options.family.word(),
                options.method.word()
            ),
        ];
        for (group, sums) in self.groups.iter().zip(&self.sums.groups) {
            let name = if group.label.is_empty() { String::new() } else { format!("{}: ", group.label) };
            if !group.refused.is_empty() {
                lines.push(format!("  {name}not fitted: {}", group.refused));
                continue;
            }
            let counts: Vec<String> = group.outcome_counts().iter().map(|(o, n)| format!("{n} {}", o.word())).collect();
            lines.push(format!("  {name}{}; {}", sums.describe(), listing(&counts, 6)));
            let note = group.moderation_note();
            if !note.is_empty() {
                lines.push(format!("    {note}"));
            }
        }
        let names = self.sums.groups.iter().find(|g| g.refused.is_empty()).map_or(&[][..], |g| g.coefficients.names());
        lines.push(format!("coefficients: {}", listing(names, 8)));
        lines.join("\n")
    }

    /// Header and arrays: the sums and the options. Everything else follows from them.
    pub fn to_part(&self) -> Part {
        let sums = self.sums.to_part();
        let options = &self.options;
        let header = Value::map([
            ("sums", sums.header),
            ("re", Value::from(options.effect.word())),
            ("family", Value::from(options.family.word())),
            ("method", Value::from(options.method.word())),
            ("moderate", Value::from(options.moderate)),
            ("min_count", Value::Int(options.min_count as i64)),
            ("quad", options.quad.map_or(Value::Null, |q| Value::Int(q as i64))),
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
            kind: "nbmm.sums".to_owned(),
            version: 1,
            header: part.header.get("sums").cloned().ok_or_else(broken)?,
            arrays: part.arrays.clone(),
        };
        let number = |key: &str| part.header.get(key).and_then(Value::as_i64);
        let options = FitOptions {
            effect: Effect::from_word(part.text("re")?)?,
            family: Family::from_word(part.text("family")?)?,
            method: Method::from_word(part.text("method")?)?,
            moderate: part.header.get("moderate").and_then(Value::as_bool).unwrap_or(true),
            min_count: part.int("min_count")?.unsigned_abs(),
            quad: number("quad").and_then(|q| usize::try_from(q).ok()),
        };
        Self::new(run, Sums::from_part(&sums)?, options)
    }
}
