//! [`GeneSets`]: sets of genes as positions.

use std::ops::Index;

use ferrocyte_base::{Fault, Result};

/// Named sets of genes, each given by the positions of its genes.
///
/// ```
/// use ferrocyte_limma::sets::GeneSets;
/// let sets = GeneSets::new(vec!["cycle".into()], &[vec![4, 0]], 5)?;
/// assert_eq!((sets.len(), &sets[0]), (1, &[4, 0][..]));
/// assert!(GeneSets::new(vec!["cycle".into()], &[vec![5]], 5).is_err());
/// # Ok::<(), ferrocyte_base::Fault>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GeneSets {
    names: Vec<String>,
    starts: Vec<usize>,
    genes: Vec<usize>,
}

impl GeneSets {
    /// Sets with their names; `n_genes` are there.
    ///
    /// # Errors
    /// Where a set is empty, names a gene twice, or a position is beyond the genes.
    pub fn new(names: Vec<String>, sets: &[Vec<usize>], n_genes: usize) -> Result<Self> {
        if names.len() != sets.len() {
            return Err(Fault::bad_input(format!("{} names for {} sets", names.len(), sets.len())).at("sets"));
        }
        let mut seen = vec![usize::MAX; n_genes];
        for (s, (name, set)) in names.iter().zip(sets).enumerate() {
            if set.is_empty() {
                return Err(Fault::bad_input(format!("set `{name}` is empty")).at("sets").hint("leave it out"));
            }
            for &gene in set {
                if gene >= n_genes {
                    return Err(Fault::bad_input(format!(
                        "position {gene} in set `{name}`, but there are {n_genes} genes"
                    ))
                    .at("sets")
                    .hint("positions begin at 0"));
                }
                if seen[gene] == s {
                    return Err(Fault::bad_input(format!("set `{name}` holds position {gene} twice")).at("sets"));
                }
                seen[gene] = s;
            }
        }
        let starts = std::iter::once(0)
            .chain(sets.iter().scan(0, |end, set| {
                *end += set.len();
                Some(*end)
            }))
            .collect();
        Ok(Self { names, starts, genes: sets.concat() })
    }

    /// Number of sets.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Names of the sets.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Numbers of genes.
    pub fn sizes(&self) -> Vec<usize> {
        self.iter().map(<[usize]>::len).collect()
    }

    /// The sets in their order.
    pub fn iter(&self) -> impl Iterator<Item = &[usize]> {
        (0..self.len()).map(|s| &self[s])
    }

    /// The genes that are in any set, rising, and all sets as positions among these.
    pub(super) fn compact(&self, n_genes: usize) -> (Vec<usize>, Self) {
        let mut place = vec![usize::MAX; n_genes];
        self.genes.iter().for_each(|&g| place[g] = 0);
        let used: Vec<usize> = (0..n_genes).filter(|&g| place[g] == 0).collect();
        used.iter().enumerate().for_each(|(to, &from)| place[from] = to);
        let genes = self.genes.iter().map(|&g| place[g]).collect();
        (used, Self { names: self.names.clone(), starts: self.starts.clone(), genes })
    }
}

impl Index<usize> for GeneSets {
    type Output = [usize];

    fn index(&self, s: usize) -> &[usize] {
        &self.genes[self.starts[s]..self.starts[s + 1]]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(n: usize) -> Vec<String> {
        (0..n).map(|s| format!("s{s}")).collect()
    }

    #[test]
    fn compact_keeps_the_genes_of_sets() -> Result<()> {
        let sets = GeneSets::new(named(3), &[vec![7, 2], vec![2], vec![9, 7]], 10)?;
        let (used, compact) = sets.compact(10);
        assert_eq!(used, [2, 7, 9]);
        assert_eq!(compact.iter().collect::<Vec<_>>(), [&[1, 0][..], &[0], &[2, 1]]);
        assert_eq!(sets.sizes(), [2, 1, 2]);
        Ok(())
    }

    #[test]
    fn what_is_no_set_is_refused() {
        assert!(GeneSets::new(named(1), &[vec![]], 3).is_err_and(|f| f.to_string().contains("s0")));
        assert!(GeneSets::new(named(1), &[vec![1, 1]], 3).is_err_and(|f| f.to_string().contains("twice")));
        assert!(GeneSets::new(named(2), &[vec![1]], 3).is_err());
    }
}
