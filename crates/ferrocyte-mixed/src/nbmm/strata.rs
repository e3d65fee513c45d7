//! What the strata of a gene say at one tau: looked up in curves where points are nodes, else summed over the points.
//!
//! With the curve F of the cells and P of the counts ([`crate::nbmm::curves`]), both at `t = ln tau + predictor`, a stratum
//! has the log density `Y predictor - A` with `A = F / tau + P`, and with derivatives in t:
//!
//! ```text
//! residual                 Y - A'
//! minus its derivative     A''
//! its derivative, ln tau   (F' - F'') / tau - P''
//! score of ln tau          (F - F') / tau - P'
//! ```

#![allow(clippy::inline_always)]

use crate::nbmm::curves::Basis;
use crate::nbmm::effect::EffectLaw;
use crate::nbmm::marginal::{Marginal, Scratch};
use crate::nbmm::sweep::{LANES, Lanes, OfDonor, OfStratum, slope, sweep};

/// Newton's method for the mode of a donor ends with a step below this.
const MODE_STEP: f64 = 1e-6;

/// Its longest step, and the most steps.
const LONGEST: f64 = 2.0;
const MOST_STEPS: usize = 60;

/// The strata of a gene at one tau.
#[derive(Debug, Clone, Copy)]
pub(in crate::nbmm) struct Strata<'a> {
    pub(in crate::nbmm) marginal: Marginal<'a>,
    tau: f64,
    ln_tau: f64,
    tables: Option<Tables<'a>>,
}

/// The curves of all strata.
#[derive(Debug, Clone, Copy)]
struct Tables<'a> {
    basis: &'a Basis,
    cells: &'a [f64],
    counts: &'a [f64],
    /// Both together at this tau; empty where they are looked up one by one.
    combined: &'a [f64],
}

impl<'a> Strata<'a> {
    /// At `tau`, with the curves of cells and counts `combined` where no derivatives in tau are wanted.
    #[inline(always)]
    pub(in crate::nbmm) fn new(marginal: Marginal<'a>, tau: f64, combined: &'a [f64]) -> Self {
        let curves = marginal.ground.curves.as_ref().filter(|_| tau > 0.0);
        let tables = curves.map(|c| Tables { basis: &c.basis, cells: &c.cells, counts: marginal.curves, combined });
        Self { marginal, tau, ln_tau: tau.ln(), tables }
    }

    /// Several strata, one in each lane, at the nodes `effects`; `present` is zero in the lanes that have none. What they
    /// say is appended to `of_strata`, node by node, and added to `of_donors`. `D`: with derivatives in tau.
    #[inline(always)]
    pub(in crate::nbmm) fn side_by_side<const D: bool>(
        &self,
        (strata, present, eta): (&[usize; LANES], &Lanes, &Lanes),
        effects: &[Lanes],
        of_strata: &mut Vec<OfStratum>,
        of_donors: &mut [OfDonor],
    ) {
        let Some(tables) = &self.tables else {
            return self.one_after_another::<D>((strata, present, eta), effects, of_strata, of_donors);
        };
        for (w, donors) in effects.iter().zip(of_donors) {
            let mut predictor = [0.0; LANES];
            for q in 0..LANES {
                predictor[q] = eta[q] + w[q];
            }
            let mut sums = OfDonor::default();
            let mut of = self.look::<D>(tables, strata, &predictor, &mut sums);
            for q in 0..LANES {
                of.residual[q] *= present[q];
                of.weight[q] *= present[q];
                of.cross[q] *= present[q];
                donors.value[q] += present[q] * sums.value[q];
                donors.first[q] += present[q] * sums.first[q];
                donors.second[q] += present[q] * sums.second[q];
            }
            of_strata.push(of);
        }
    }

    /// The same by sums over the points: for these the nodes are the lanes.
    #[inline(always)]
    fn one_after_another<const D: bool>(
        &self,
        (strata, present, eta): (&[usize; LANES], &Lanes, &Lanes),
        effects: &[Lanes],
        of_strata: &mut Vec<OfStratum>,
        of_donors: &mut [OfDonor],
    ) {
        let (first, n) = (of_strata.len(), effects.len());
        of_strata.resize(first + n, OfStratum::default());
        for q in (0..LANES).filter(|&q| present[q] > 0.0) {
            for block in (0..n).step_by(LANES) {
                let mut predictor = [0.0; LANES];
                for k in 0..LANES {
                    predictor[k] = eta[q] + effects[(block + k).min(n - 1)][q];
                }
                let mut sums = OfDonor::default();
                let of = sweep::<D>(self.marginal.points(strata[q]), self.tau, &predictor, &mut sums);
                for k in 0..LANES.min(n - block) {
                    let (here, donor) = (&mut of_strata[first + block + k], &mut of_donors[block + k]);
                    (here.residual[q], here.weight[q], here.cross[q]) = (of.residual[k], of.weight[k], of.cross[k]);
                    donor.value[q] += sums.value[k];
                    donor.first[q] += sums.first[k];
                    donor.second[q] += sums.second[k];
                }
            }
        }
    }

    /// The strata from `first` on, as many as a register has lanes or there are, each at its predictor.
    #[inline(always)]
    pub(in crate::nbmm) fn in_a_row<const D: bool>(
        &self,
        first: usize,
        eta: &[f64],
        donors: &mut OfDonor,
    ) -> OfStratum {
        let last = eta.len() - 1;
        if let Some(tables) = &self.tables {
            let (mut strata, mut predictor) = ([0; LANES], [0.0; LANES]);
            for q in 0..LANES {
                strata[q] = (first + q).min(last);
                predictor[q] = eta[strata[q]];
            }
            return self.look::<D>(tables, &strata, &predictor, donors);
        }
        let mut all = OfStratum::default();
        for q in 0..LANES.min(last + 1 - first) {
            let mut sums = OfDonor::default();
            let of = sweep::<D>(self.marginal.points(first + q), self.tau, &[eta[first + q]; LANES], &mut sums);
            (all.residual[q], all.weight[q], all.cross[q]) = (of.residual[0], of.weight[0], of.cross[0]);
            (donors.value[q], donors.first[q], donors.second[q]) = (sums.value[0], sums.first[0], sums.second[0]);
        }
        all
    }

    #[inline(always)]
    fn look<const D: bool>(
        &self,
        tables: &Tables<'_>,
        strata: &[usize; LANES],
        predictor: &Lanes,
        donor: &mut OfDonor,
    ) -> OfStratum {
        let width = tables.basis.width();
        let (mut starts, mut t, mut total) = ([0; LANES], [0.0; LANES], [0.0; LANES]);
        for q in 0..LANES {
            starts[q] = strata[q] * width;
            t[q] = self.ln_tau + predictor[q];
            total[q] = self.marginal.counts.strata[strata[q]];
        }
        let mut of = OfStratum::default();
        if !D {
            let [value, first, second] = tables.basis.look(tables.combined, &starts, &t);
            for q in 0..LANES {
                donor.value[q] += total[q] * predictor[q] - value[q];
                of.residual[q] = total[q] - first[q];
            }
            of.weight = second;
            return of;
        }
        let inverse = 1.0 / self.tau;
        let f = tables.basis.look(tables.cells, &starts, &t);
        let p = tables.basis.look(tables.counts, &starts, &t);
        for q in 0..LANES {
            let (f, f_1, f_2) = (f[0][q] * inverse, f[1][q] * inverse, f[2][q] * inverse);
            let (p, p_1, p_2) = (p[0][q], p[1][q], p[2][q]);
            donor.value[q] += total[q] * predictor[q] - (f + p);
            donor.first[q] += (f - f_1) - p_1;
            donor.second[q] += ((f_1 - f) + (f_1 - f)) + ((f_1 - f_2) + (p_1 - p_2));
            of.residual[q] = total[q] - (f_1 + p_1);
            of.weight[q] = f_2 + p_2;
            of.cross[q] = (f_1 - f_2) - p_2;
        }
        of
    }

    /// The modes of the integrands of all donors, and minus their second derivatives there, into `scratch`.
    #[inline(always)]
    pub(in crate::nbmm) fn find_modes(&self, law: &EffectLaw, scratch: &mut Scratch) {
        for mode in scratch.modes.iter_mut().filter(|m| !m.is_finite()) {
            *mode = 0.0;
        }
        match &self.tables {
            Some(tables) => self.all_modes(tables, law, scratch),
            None => {
                for donor in 0..scratch.modes.len() {
                    self.one_mode(law, scratch, donor);
                }
            }
        }
    }

    /// All donors at once, those that have arrived left out.
    #[inline(always)]
    fn all_modes(&self, tables: &Tables<'_>, law: &EffectLaw, scratch: &mut Scratch) {
        let donors = &self.marginal.layout().donors;
        let Scratch { modes, curvatures, eta, moving, pending, slopes, .. } = scratch;
        moving.clear();
        for donor in 0..modes.len() {
            if donors[donor] < donors[donor + 1] {
                moving.push(donor);
            }
        }
        for _ in 0..MOST_STEPS {
            if moving.is_empty() {
                break;
            }
            pending.clear();
            slopes.clear();
            for (i, &donor) in moving.iter().enumerate() {
                let density = law.density(modes[donor]);
                slopes.push([density.slope, density.curvature]);
                for c in donors[donor]..donors[donor + 1] {
                    pending.push((c, i));
                }
            }
            for block in pending.chunks(LANES) {
                let (mut strata, mut predictor) = ([block[0].0; LANES], [0.0; LANES]);
                for q in 0..block.len() {
                    let (c, i) = block[q];
                    strata[q] = c;
                    predictor[q] = eta[c] + modes[moving[i]];
                }
                let of = self.slopes(tables, &strata, &predictor);
                for q in 0..block.len() {
                    let slope = &mut slopes[block[q].1];
                    slope[0] += of[0][q];
                    slope[1] += of[1][q];
                }
            }
            let mut kept = 0;
            for i in 0..moving.len() {
                let (donor, [gradient, curvature]) = (moving[i], slopes[i]);
                let step = (gradient / curvature).clamp(-LONGEST, LONGEST);
                modes[donor] += step;
                curvatures[donor] = curvature;
                if step.abs() >= MODE_STEP {
                    moving[kept] = donor;
                    kept += 1;
                }
            }
            moving.truncate(kept);
        }
    }

    /// Slopes and curvatures of strata.
    #[inline(always)]
    fn slopes(&self, tables: &Tables<'_>, strata: &[usize; LANES], predictor: &Lanes) -> [Lanes; 2] {
        let mut nothing = OfDonor::default();
        let of = if tables.combined.is_empty() {
            self.look::<true>(tables, strata, predictor, &mut nothing)
        } else {
            self.look::<false>(tables, strata, predictor, &mut nothing)
        };
        [of.residual, of.weight]
    }

    /// One donor, by sums over its points.
    #[inline(always)]
    fn one_mode(&self, law: &EffectLaw, scratch: &mut Scratch, donor: usize) {
        let donors = &self.marginal.layout().donors;
        let mut w = scratch.modes[donor];
        let mut curvature = 1.0;
        for _ in 0..MOST_STEPS {
            let density = law.density(w);
            let mut gradient = density.slope;
            curvature = density.curvature;
            for c in donors[donor]..donors[donor + 1] {
                let (first, second) = slope(self.marginal.points(c), self.tau, scratch.eta[c] + w);
                gradient += first;
                curvature += second;
            }
            let step = (gradient / curvature).clamp(-LONGEST, LONGEST);
            w += step;
            if !(step.abs() >= MODE_STEP) {
                break;
            }
        }
        (scratch.modes[donor], scratch.curvatures[donor]) = (w, curvature);
    }
}
