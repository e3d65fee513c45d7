//! What the genes of a group share once their sums are reduced, and how one gene is estimated from it.

use std::ops::Range;

use ferrocyte_base::{Result, Run};

use crate::lmm::canonical::{Canonical, Spectrum};
use crate::lmm::one::{Profile, fit_block};
use crate::lmm::options::{FitOptions, Method, Negative};
use crate::lmm::several::{Gene, Likelihood, Several};
use crate::lmm::status::Outcome;
use crate::lmm::sums::GroupSums;

/// Genes of a block.
pub(in crate::lmm) const GENE_BLOCK: usize = 256;

/// What is left of a gene counts as nothing below this share of y'y.
const NOTHING: f64 = 1e-12;

/// What contrasts are computed from.
#[derive(Debug)]
pub(in crate::lmm) struct Core {
    pub(in crate::lmm) method: Method,
    pub(in crate::lmm) shared: Canonical,
    pub(in crate::lmm) structure: Structure,
    /// Ordinary least squares, genes × p.
    pub(in crate::lmm) b_ols: Vec<f64>,
    /// One component: w = U'z; several: z in the basis of [`Several`]. genes × q.
    pub(in crate::lmm) z: Vec<f64>,
    /// Residual sums of squares.
    pub(in crate::lmm) rss: Vec<f64>,
}

/// The route by which variance components are estimated.
#[derive(Debug)]
pub(in crate::lmm) enum Structure {
    One { spectrum: Spectrum, profile: Profile },
    Several(Several),
}

impl Core {
    pub(in crate::lmm) fn p(&self) -> usize {
        self.shared.p()
    }

    pub(in crate::lmm) fn q(&self) -> usize {
        self.shared.q()
    }

    pub(in crate::lmm) fn n_genes(&self) -> usize {
        self.rss.len()
    }

    /// Genes that one thread works on at a time: with one component they share matrix products, with several buffers.
    pub(in crate::lmm) fn gene_block(&self) -> usize {
        match self.structure {
            Structure::One { .. } => GENE_BLOCK,
            Structure::Several(_) => 16,
        }
    }

    /// n - p.
    pub(in crate::lmm) fn residual_df(&self) -> f64 {
        self.shared.n - self.p() as f64
    }

    pub(in crate::lmm) fn z_of(&self, gene: usize) -> &[f64] {
        &self.z[gene * self.q()..(gene + 1) * self.q()]
    }

    /// Reduces the sums of a group.
    pub(in crate::lmm) fn new(run: &Run, sums: &GroupSums, method: Method) -> Result<Self> {
        let shared = Canonical::new(sums)?;
        let structure = if sums.components.len() == 1 {
            let spectrum = Spectrum::new(&shared)?;
            let profile = Profile::new(method, &spectrum.lambda, &spectrum.mu, shared.n, shared.p());
            Structure::One { spectrum, profile }
        } else {
            Structure::Several(Several::new(&shared, method)?)
        };
        let (p, q, m) = (shared.p(), shared.q(), sums.y_norm.len());
        let blocks = run.map_ranges("reducing", m, GENE_BLOCK, |genes| {
            let mut reduced = shared.reduce(
                &sums.xy[genes.start * p..genes.end * p],
                &sums.zy[genes.start * q..genes.end * q],
                &sums.y_norm[genes],
            );
            let z = match &structure {
                Structure::One { spectrum, .. } => spectrum.rotate(&reduced.z),
                Structure::Several(several) => {
                    several.enter(&mut reduced.z);
                    reduced.z
                }
            };
            Ok((reduced.b_ols, z, reduced.rss))
        })?;
        let (mut b_ols, mut z, mut rss) = (Vec::with_capacity(m * p), Vec::with_capacity(m * q), Vec::with_capacity(m));
        for (b, zb, r) in blocks {
            b_ols.extend(b);
            z.extend(zb);
            rss.extend(r);
        }
        Ok(Self { method, shared, structure, b_ols, z, rss })
    }

    /// Outcomes that are known before any estimation.
    pub(in crate::lmm) fn decided(&self, gene: usize, y: Responses<'_>, min_cells: u64) -> Option<Outcome> {
        let (rss, y_norm) = (self.rss[gene], y.norm[gene]);
        if y_norm == 0.0 {
            return Some(Outcome::AllZero);
        }
        if y.n_expressing[gene] < min_cells as f64 {
            return Some(Outcome::FewCells);
        }
        if rss <= NOTHING * y_norm {
            return Some(Outcome::ConstantGivenX);
        }
        let (left, rank) = match &self.structure {
            Structure::One { spectrum, .. } => (spectrum.residual(self.z_of(gene), rss), spectrum.rank),
            Structure::Several(several) => (rss - several.explained(self.z_of(gene)), several.rank()),
        };
        (rank > 0 && left <= NOTHING * y_norm).then_some(Outcome::NoResidual)
    }

    /// Estimates a block of genes.
    pub(in crate::lmm) fn estimate(
        &self,
        run: &Run,
        genes: Range<usize>,
        y: Responses<'_>,
        options: &FitOptions,
    ) -> Result<BlockFit> {
        match &self.structure {
            Structure::One { profile, .. } => Ok(fit_block(self, profile, genes, y, options)),
            Structure::Several(several) => {
                let mut likelihood = Likelihood::new(several);
                let mut block = BlockFit::with_capacity(genes.len(), self.shared.dims.len() + 1);
                for gene in genes {
                    block.push(&self.estimate_several(run, &mut likelihood, gene, y, options)?);
                }
                Ok(block)
            }
        }
    }

    /// Estimates one gene with several components.
    fn estimate_several(
        &self,
        run: &Run,
        likelihood: &mut Likelihood<'_>,
        gene: usize,
        y: Responses<'_>,
        options: &FitOptions,
    ) -> Result<GeneFit> {
        if let Some(outcome) = self.decided(gene, y, options.min_cells) {
            return Ok(GeneFit::none(self.shared.dims.len(), outcome));
        }
        let gene = Gene { z: self.z_of(gene), rss: self.rss[gene] };
        let fit = likelihood.fit(run, gene, options.negative == Negative::Zero)?;
        let tested = if matches!(fit.outcome, Outcome::VNotPd | Outcome::NoStationary) {
            likelihood.fit(run, gene, true)?.theta
        } else {
            fit.theta.clone()
        };
        Ok(GeneFit {
            theta: fit.theta,
            tested,
            outcome: fit.outcome,
            log_likelihood: fit.log_likelihood,
            evaluations: fit.evaluations,
        })
    }
}

/// What the sums say of the values of all genes.
#[derive(Debug, Clone, Copy)]
pub(in crate::lmm) struct Responses<'a> {
    /// y'y.
    pub(in crate::lmm) norm: &'a [f64],
    /// Number of cells with a value.
    pub(in crate::lmm) n_expressing: &'a [f64],
}

/// The estimate of one gene.
pub(in crate::lmm) struct GeneFit {
    pub(in crate::lmm) theta: Vec<f64>,
    pub(in crate::lmm) tested: Vec<f64>,
    pub(in crate::lmm) outcome: Outcome,
    pub(in crate::lmm) log_likelihood: f64,
    pub(in crate::lmm) evaluations: u32,
}

impl GeneFit {
    /// That of a gene without variance components, `k` of them missing.
    pub(in crate::lmm) fn none(k: usize, outcome: Outcome) -> Self {
        let nan = vec![f64::NAN; k + 1];
        Self { theta: nan.clone(), tested: nan, outcome, log_likelihood: f64::NAN, evaluations: 0 }
    }
}

/// The estimates of a block of genes, one after the other: components as fitted and as tested (genes × (k + 1)),
/// outcomes, log-likelihoods, evaluations.
#[derive(Debug, Default)]
pub(in crate::lmm) struct BlockFit {
    pub(in crate::lmm) theta: Vec<f64>,
    pub(in crate::lmm) tested: Vec<f64>,
    pub(in crate::lmm) outcomes: Vec<Outcome>,
    pub(in crate::lmm) log_likelihood: Vec<f64>,
    pub(in crate::lmm) evaluations: Vec<u32>,
}

impl BlockFit {
    /// No genes yet, and room for some with `width` components.
    pub(in crate::lmm) fn with_capacity(genes: usize, width: usize) -> Self {
        Self {
            theta: Vec::with_capacity(genes * width),
            tested: Vec::with_capacity(genes * width),
            outcomes: Vec::with_capacity(genes),
            log_likelihood: Vec::with_capacity(genes),
            evaluations: Vec::with_capacity(genes),
        }
    }

    /// Adds a gene.
    pub(in crate::lmm) fn push(&mut self, fit: &GeneFit) {
        self.theta.extend(&fit.theta);
        self.tested.extend(&fit.tested);
        self.outcomes.push(fit.outcome);
        self.log_likelihood.push(fit.log_likelihood);
        self.evaluations.push(fit.evaluations);
    }
}
