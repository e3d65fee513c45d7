//! Terms that more of some genes have than chance would give: over-representation.

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_math::hypergeometric::Urn;
use ferrocyte_math::moving_average::tricube_moving_average;
use ferrocyte_math::{ranks, wallenius};

/// Terms that are tested at a time.
const TERMS: usize = 64;

/// The least share of selected genes that a trend is shrunk towards.
const LEAST_SHARE: f64 = 1e-5;

/// Which genes have which terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotation {
    n_genes: usize,
    /// Genes of each term, rising.
    terms: Vec<Vec<usize>>,
}

impl Annotation {
    /// Pairs of gene and term, both by position; a pair that comes again counts once.
    ///
    /// # Errors
    /// Where a position is out of range.
    pub fn new(n_genes: usize, n_terms: usize, pairs: impl Iterator<Item = (usize, usize)>) -> Result<Self> {
        let mut terms = vec![Vec::new(); n_terms];
        for (gene, term) in pairs {
            if gene >= n_genes || term >= n_terms {
                return Err(Fault::bad_input(format!(
                    "gene {gene} and term {term}, but there are {n_genes} genes and {n_terms} terms"
                ))
                .at("annotation"));
            }
            terms[term].push(gene);
        }
        for genes in &mut terms {
            genes.sort_unstable();
            genes.dedup();
        }
        Ok(Self { n_genes, terms })
    }
}

/// Tests of terms.
#[derive(Debug, Clone, PartialEq)]
pub struct Enrichment {
    /// Genes of each term.
    pub n_genes: Vec<usize>,
    /// Selected genes of each term, for each selection.
    pub n_selected: Vec<Vec<usize>>,
    /// Probability of as many by chance, for each selection.
    pub p_value: Vec<Vec<f64>>,
}

/// Tests whether selected genes have a term more often than others.
///
/// Without `chances` every gene is as likely to be selected: the hypergeometric distribution. With them (one per gene, as
/// from [`goana_trend`]) the genes of a term are drawn with the odds of their mean chance against that of the other genes:
/// Wallenius' distribution (M. D. Young et al., *Gene ontology analysis for RNA-seq: accounting for selection bias*, 2010).
///
/// # Errors
/// Where a selected gene is out of range, or a chance is not between 0 and 1.
pub fn over_representation(
    run: &Run,
    annotation: &Annotation,
    selections: &[Vec<usize>],
    chances: Option<&[f64]>,
) -> Result<Enrichment> {
    let n = annotation.n_genes;
    if let Some(chances) = chances {
        if chances.len() != n {
            return Err(Fault::bad_input(format!("{} chances for {n} genes", chances.len())).at("prior_prob"));
        }
        if let Some(g) = chances.iter().position(|p| !(*p > 0.0 && *p <= 1.0)) {
            return Err(Fault::bad_input(format!("the chance of gene {} is {}", g + 1, chances[g]))
                .at("prior_prob")
                .hint("expected numbers above 0, at most 1"));
        }
    }
    let mut out =
        Enrichment { n_genes: annotation.terms.iter().map(Vec::len).collect(), n_selected: vec![], p_value: vec![] };
    for selection in selections {
        let mut selected = vec![false; n];
        for &g in selection {
            *selected.get_mut(g).ok_or_else(|| Fault::bad_input(format!("gene {g} of {n}")).at("de"))? = true;
        }
        let drawn = selected.iter().filter(|s| **s).count() as u64;
        let tests = run.map_blocks("testing terms", annotation.terms.len(), TERMS, |t| {
            let genes = &annotation.terms[t];
            let count = genes.iter().filter(|&&g| selected[g]).count();
            let urn = Urn { marked: genes.len() as u64, unmarked: (n - genes.len()) as u64, drawn };
            let ln_p = match chances.map(|chances| odds(genes, chances)) {
                None => urn.ln_upper(count as u64),
                Some(odds) => wallenius::ln_upper(&urn, count as u64, odds),
            };
            Ok((count, ln_p.exp()))
        })?;
        let (counts, p_values) = tests.into_iter().unzip();
        out.n_selected.push(counts);
        out.p_value.push(p_values);
    }
    Ok(out)
}

/// Mean chance of these genes over the mean chance of the others; 1 where there are no others.
fn odds(genes: &[usize], chances: &[f64]) -> f64 {
    let total: f64 = chances.iter().sum();
    let inside: f64 = genes.iter().map(|&g| chances[g]).sum();
    let others = (chances.len() - genes.len()) as f64;
    if genes.is_empty() || others == 0.0 { 1.0 } else { inside / genes.len() as f64 * others / (total - inside) }
}

/// How likely each gene is to be selected, given a covariate such as its mean expression or length.
///
/// `selected`: positions of the selected genes. Their share among genes with a similar covariate, shrunk towards the share
/// among all that have one as if `n_prior` further selected genes were spread evenly. A gene without a covariate (NaN) has the share
/// among all.
///
/// # Errors
/// Where a position is out of range.
pub fn goana_trend(selected: &[usize], covariate: &[f64], n_prior: f64) -> Result<Vec<f64>> {
    let n = covariate.len();
    let mut marks = vec![0.0; n];
    for &g in selected {
        *marks.get_mut(g).ok_or_else(|| Fault::bad_input(format!("gene {g} of {n}")).at("index_de"))? = 1.0;
    }
    let there: Vec<usize> = (0..n).filter(|&g| !covariate[g].is_nan()).collect();
    let share = |selected: f64, of: usize| (selected / of as f64).max(LEAST_SHARE);
    let mut out = vec![share(marks.iter().sum(), n); n];
    let values: Vec<f64> = there.iter().map(|&g| covariate[g]).collect();
    let order = ranks::rising(&values);
    let ordered: Vec<f64> = order.iter().map(|&i| marks[there[i]]).collect();
    let n_selected: f64 = ordered.iter().sum();
    let span = (1.0 - 0.5 * (n_selected - 20.0) / 180.0).clamp(0.5, 1.0);
    let prior = n_prior * share(n_selected, there.len());
    for (&i, smooth) in order.iter().zip(tricube_moving_average(&ordered, span)) {
        out[there[i]] = (prior + smooth * n_selected) / (n_prior + n_selected);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn annotation() -> Result<Annotation> {
        let pairs = (0..20).map(|g| (g, 0)).chain((15..30).map(|g| (g, 1))).chain([(3, 0), (59, 2)]);
        Annotation::new(60, 4, pairs)
    }

    #[test]
    fn terms_by_counting() -> Result<()> {
        let found = over_representation(&Run::new(), &annotation()?, &[(0..12).collect(), vec![59]], None)?;
        assert_eq!(found.n_genes, [20, 15, 1, 0]);
        assert_eq!(found.n_selected, [vec![12, 0, 0, 0], vec![0, 0, 1, 0]]);
        // All 12 from 20 of 60.
        let expected: f64 = (0..12).map(|i| f64::from(20 - i) / f64::from(60 - i)).product();
        assert!((found.p_value[0][0] / expected - 1.0).abs() < 1e-12);
        assert_eq!((found.p_value[0][1], found.p_value[0][3]), (1.0, 1.0));
        assert!((found.p_value[1][2] - 1.0 / 60.0).abs() < 1e-15);
        assert!(over_representation(&Run::new(), &annotation()?, &[vec![60]], None).is_err());
        Ok(())
    }

    #[test]
    fn likely_genes_prove_less() -> Result<()> {
        let run = Run::new();
        let selection = [(0..12).chain(40..45).collect::<Vec<_>>()];
        let even = over_representation(&run, &annotation()?, &selection, Some(&[0.3; 60]))?;
        let plain = over_representation(&run, &annotation()?, &selection, None)?;
        for (a, b) in even.p_value[0].iter().zip(&plain.p_value[0]) {
            assert!((a / b - 1.0).abs() < 1e-10, "{a} {b}");
        }
        let chances: Vec<f64> = (0..60).map(|g| if g < 20 { 0.6 } else { 0.2 }).collect();
        let biased = over_representation(&run, &annotation()?, &selection, Some(&chances))?;
        assert!(biased.p_value[0][0] > 10.0 * plain.p_value[0][0]);
        assert!(over_representation(&run, &annotation()?, &selection, Some(&[0.0; 60])).is_err());
        Ok(())
    }

    #[test]
    fn the_trend_follows_the_covariate() -> Result<()> {
        let mut covariate: Vec<f64> = (0..500).map(|g| f64::from((g * 7) % 500)).collect();
        let selected: Vec<usize> = (0..500).filter(|&g| covariate[g] > 400.0).collect();
        covariate[3] = f64::NAN;
        let chances = goana_trend(&selected, &covariate, 10.0)?;
        let high = (0..500).find(|&g| covariate[g] == 480.0).unwrap_or_default();
        let low = (0..500).find(|&g| covariate[g] == 20.0).unwrap_or_default();
        assert!(chances[high] > 0.5 && chances[low] < 0.1);
        assert!((chances[3] - selected.len() as f64 / 500.0).abs() < 1e-15);
        Ok(())
    }
}
