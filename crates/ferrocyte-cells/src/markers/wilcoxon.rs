//! The rank-sum test of every gene, for all groups from one sort.
//!
//! Of each gene only the values that are not 0 are sorted: the zeros are one run of ties between the negative and the
//! positive values, whose length is known. Rank sums are multiples of a half and exact. (F. Wilcoxon 1945; for ties
//! W. H. Kruskal 1952.)

use ferrocyte_base::{Result, Run};
use ferrocyte_data::{Codes, RowBlock, RowChunks, Summary, Values, fold};
use ferrocyte_math::normal;

use super::{Plan, Test};
use crate::by_gene::widen;
use crate::moments::Moments;

/// Compares every group of the plan with its other side.
pub(super) fn compare(
    run: &Run,
    source: &mut dyn RowChunks,
    plan: &Plan,
    moments: &Moments,
    tie_correct: bool,
) -> Result<Vec<Test>> {
    let first = 0..source.n_rows().min(1);
    let single = matches!(source.read(run, first)?.values(), Values::F32(_));
    let ranks =
        if single { ranks::<u64>(run, source, plan, moments)? } else { ranks::<u128>(run, source, plan, moments)? };
    let tests = plan.compared.iter().enumerate().map(|(i, &group)| {
        let n1 = plan.counts[group] as f64;
        let n2: f64 = plan.others(group).iter().map(|&other| plan.counts[other] as f64).sum();
        let scores: Vec<f64> = ranks
            .iter()
            .map(|gene| {
                let (sum, ties) = gene[i];
                z_score(sum, ties, n1, n2, tie_correct)
            })
            .collect();
        Test { ln_p: scores.iter().map(|&z| normal::ln_two_sided(z)).collect(), scores }
    });
    Ok(tests.collect())
}

/// `(R1 - n1 (N + 1) / 2) / sqrt(T n1 n2 (N + 1) / 12)`, with `T = 1 - ties / (N^3 - N)` if ties are allowed for.
fn z_score(rank_sum: f64, ties: f64, n1: f64, n2: f64, tie_correct: bool) -> f64 {
    let n = n1 + n2;
    let factor = if tie_correct { 1.0 - ties / (n * n * n - n) } else { 1.0 };
    let z = (rank_sum - 0.5 * n1 * (n + 1.0)) / (factor * n1 * n2 * (n + 1.0) / 12.0).sqrt();
    if z.is_finite() { z } else { 0.0 }
}

/// A value and the group of its cell in one number that sorts by value.
trait Key: Copy + Ord + Send + Sync + Default {
    /// Packs a value and a group below 2^32.
    fn pack(value: f64, group: u32) -> Self;
    /// The group.
    fn group(self) -> usize;
    /// The part that sorts by value.
    fn order(self) -> u64;
    /// Where zero stands among [`Key::order`].
    const ZERO: u64;
    /// Sorts by value, then by group.
    fn sort(keys: &mut Vec<Self>, _room: &mut Vec<Self>) {
        keys.sort_unstable();
    }
}

/// 32-bit values.
impl Key for u64 {
    const ZERO: u64 = 1 << 31;
    fn pack(value: f64, group: u32) -> Self {
        let bits = (value as f32).to_bits();
        // Negative numbers sort by their size, backwards.
        let order = if bits >> 31 == 1 { !bits } else { bits | 1 << 31 };
        u64::from(order) << 32 | u64::from(group)
    }
    fn group(self) -> usize {
        (self & 0xffff_ffff) as usize
    }
    fn order(self) -> u64 {
        self >> 32
    }
    fn sort(keys: &mut Vec<Self>, room: &mut Vec<Self>) {
        /// Fewer are compared faster than counted.
        const FEW: usize = 800;
        if keys.len() < FEW {
            keys.sort_unstable();
            return;
        }
        by_digits(keys, room);
        // Values that are equal are few and come in the order of cells.
        for tied in keys.chunk_by_mut(|a, b| a.order() == b.order()) {
            if tied.len() > 1 {
                tied.sort_unstable();
            }
        }
    }
}

/// Sorts by the upper 32 bits: three rounds, each of which lays the keys into the order of a digit and leaves equal ones
/// as they stand.
fn by_digits(keys: &mut Vec<u64>, room: &mut Vec<u64>) {
    const BITS: u32 = 11;
    const SHIFTS: [u32; 3] = [32, 32 + BITS, 32 + 2 * BITS];
    let digit = |key: u64, shift: u32| (key >> shift) as usize & ((1 << BITS) - 1);
    let mut counts = vec![[0_u32; 1 << BITS]; 3];
    for &key in keys.iter() {
        for (counts, shift) in counts.iter_mut().zip(SHIFTS) {
            counts[digit(key, shift)] += 1;
        }
    }
    room.resize(keys.len(), 0);
    for (counts, shift) in counts.iter_mut().zip(SHIFTS) {
        if counts.iter().any(|&n| n as usize == keys.len()) {
            // All have the same digit.
            continue;
        }
        let mut next = 0;
        for count in counts.iter_mut() {
            next += std::mem::replace(count, next);
        }
        for &key in keys.iter() {
            let place = &mut counts[digit(key, shift)];
            room[*place as usize] = key;
            *place += 1;
        }
        std::mem::swap(keys, room);
    }
}

/// 64-bit values.
impl Key for u128 {
    const ZERO: u64 = 1 << 63;
    fn pack(value: f64, group: u32) -> Self {
        let bits = value.to_bits();
        let order = if bits >> 63 == 1 { !bits } else { bits | 1 << 63 };
        u128::from(order) << 32 | u128::from(group)
    }
    fn group(self) -> usize {
        (self & 0xffff_ffff) as usize
    }
    fn order(self) -> u64 {
        (self >> 32) as u64
    }
}

/// Rank sum and ties, `sum of t^3 - t`, of each comparison, for every gene.
fn ranks<K: Key>(
    run: &Run,
    source: &mut dyn RowChunks,
    plan: &Plan,
    moments: &Moments,
) -> Result<Vec<Vec<(f64, f64)>>> {
    let n_genes = source.n_cols();
    let stored: Vec<usize> = (0..n_genes)
        .map(|gene| (0..plan.counts.len()).map(|group| moments.group(group)[gene].detected as usize).sum())
        .collect();
    // Half of the memory, so that a thread has room to sort.
    let fitting = (run.memory_bytes() / 2 / size_of::<K>() as u64) as usize;
    let mut results = Vec::with_capacity(n_genes);
    let mut start = 0;
    while start < n_genes {
        let mut end = start + 1;
        let mut size = stored[start];
        while end < n_genes && size + stored[end] <= fitting {
            size += stored[end];
            end += 1;
        }
        let mut columns = Columns::<K>::new(&plan.labels.codes, start, &stored[start..end]);
        fold(run, source, &mut [&mut columns])?;
        let comparison = Comparison::new(plan);
        let parts = run.map_ranges("ranking", end - start, 16, |genes| {
            let (mut values, mut room) = (Vec::new(), Vec::new());
            let rank = |gene| {
                values.clear();
                values.extend_from_slice(columns.gene(gene));
                K::sort(&mut values, &mut room);
                comparison.rank(&values)
            };
            Ok(genes.map(rank).collect::<Vec<_>>())
        })?;
        results.extend(parts.into_iter().flatten());
        start = end;
    }
    Ok(results)
}

/// The values of some genes that are not 0, gene after gene.
struct Columns<'a, K> {
    codes: &'a Codes,
    first: usize,
    starts: Vec<usize>,
    next: Vec<usize>,
    values: Vec<K>,
}

impl<'a, K: Key> Columns<'a, K> {
    fn new(codes: &'a Codes, first: usize, stored: &[usize]) -> Self {
        let mut starts = vec![0];
        let mut total = 0;
        for n in stored {
            total += n;
            starts.push(total);
        }
        let next = starts[..stored.len()].to_vec();
        Self { codes, first, starts, next, values: vec![K::default(); total] }
    }

    fn gene(&self, gene: usize) -> &[K] {
        &self.values[self.starts[gene]..self.starts[gene + 1]]
    }
}

impl<K: Key> Summary for Columns<'_, K> {
    fn observe(&mut self, _run: &Run, block: &RowBlock<'_>) -> Result<()> {
        let (low, high) = (self.first as u32, (self.first + self.next.len()) as u32);
        let mut values = Vec::new();
        for (row, bounds) in block.pointers().windows(2).enumerate() {
            let group = self.codes.get(block.start() + row);
            let columns = &block.indices()[bounds[0]..bounds[1]];
            let from = columns.partition_point(|&c| c < low);
            let to = columns.partition_point(|&c| c < high);
            widen(block.values(), bounds[0] + from..bounds[0] + to, &mut values);
            for (&column, &value) in columns[from..to].iter().zip(&values) {
                if value != 0.0 {
                    let slot = &mut self.next[(column - low) as usize];
                    self.values[*slot] = K::pack(value, group);
                    *slot += 1;
                }
            }
        }
        Ok(())
    }
}

/// What the ranks of a gene are needed for.
struct Comparison<'a> {
    plan: &'a Plan,
    n: usize,
}

/// A run of equal values: the cells of each group in it, of groups that have some.
struct Tied<'a> {
    /// Groups with their cells.
    members: &'a [(usize, f64)],
    /// Cells of all groups.
    size: f64,
}

impl<'a> Comparison<'a> {
    fn new(plan: &'a Plan) -> Self {
        Self { plan, n: plan.counts.iter().sum() }
    }

    /// Rank sums and ties of a gene from its sorted values.
    fn rank<K: Key>(&self, values: &[K]) -> Vec<(f64, f64)> {
        match self.plan.reference {
            None => self.against_rest(values),
            Some(reference) => self.against(reference, values),
        }
    }

    /// Calls `f` with each run of equal values, zeros among them, from the smallest.
    fn runs<K: Key>(&self, values: &[K], mut f: impl FnMut(&Tied<'_>)) {
        let n_groups = self.plan.counts.len();
        let mut zeros: Vec<f64> = self.plan.counts.iter().map(|&n| n as f64).collect();
        values.iter().for_each(|v| zeros[v.group()] -= 1.0);
        let zeros: Vec<(usize, f64)> = (0..n_groups).map(|g| (g, zeros[g])).filter(|(_, n)| *n > 0.0).collect();
        let n_zeros = (self.n - values.len()) as f64;
        let split = values.partition_point(|v| v.order() < K::ZERO);
        let mut members: Vec<(usize, f64)> = Vec::new();
        let mut each = |part: &[K], f: &mut dyn FnMut(&Tied<'_>)| {
            for run in part.chunk_by(|a, b| a.order() == b.order()) {
                members.clear();
                // Sorted by group within a run.
                for cells in run.chunk_by(|a, b| a.group() == b.group()) {
                    members.push((cells[0].group(), cells.len() as f64));
                }
                f(&Tied { members: &members, size: run.len() as f64 });
            }
        };
        each(&values[..split], &mut f);
        if n_zeros > 0.0 {
            f(&Tied { members: &zeros, size: n_zeros });
        }
        each(&values[split..], &mut f);
    }

    fn against_rest<K: Key>(&self, values: &[K]) -> Vec<(f64, f64)> {
        let mut sums = vec![0.0; self.plan.counts.len()];
        let (mut below, mut ties) = (0.0, 0.0);
        self.runs(values, |tied| {
            let rank = below + 0.5 * (tied.size + 1.0);
            tied.members.iter().for_each(|&(group, n)| sums[group] += n * rank);
            below += tied.size;
            ties += cubic(tied.size);
        });
        self.plan.compared.iter().map(|&group| (sums[group], ties)).collect()
    }

    /// Each group is ranked with the reference alone: its cells among themselves have the ranks 1 to n, and every cell
    /// of the reference below one, or half of one beside it, adds to that.
    fn against<K: Key>(&self, reference: usize, values: &[K]) -> Vec<(f64, f64)> {
        let n_groups = self.plan.counts.len();
        let (mut above, mut extra_ties) = (vec![0.0; n_groups], vec![0.0; n_groups]);
        let (mut below, mut own_ties) = (0.0, 0.0);
        self.runs(values, |tied| {
            let of_reference = tied.members.iter().find(|(group, _)| *group == reference).map_or(0.0, |m| m.1);
            for &(group, n) in tied.members {
                above[group] += n * (below + 0.5 * of_reference);
                extra_ties[group] += cubic(n + of_reference) - cubic(of_reference);
            }
            below += of_reference;
            own_ties += cubic(of_reference);
        });
        let of_group = |&group: &usize| {
            let n = self.plan.counts[group] as f64;
            (0.5 * n * (n + 1.0) + above[group], own_ties + extra_ties[group])
        };
        self.plan.compared.iter().map(of_group).collect()
    }
}

fn cubic(t: f64) -> f64 {
    t * t * t - t
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Names;
    use crate::markers::{MarkerOptions, Method, markers};
    use ferrocyte_data::{Dense, Factor};
    use ferrocyte_math::ranks::average;

    #[test]
    fn keys_sort_by_value() {
        let values = [f64::NEG_INFINITY, -3.5, -1e-30, 0.0, 1e-30, 0.1, 7.0];
        for w in values.windows(2) {
            assert!(u64::pack(w[0], 9) < u64::pack(w[1], 0) && u128::pack(w[0], 9) < u128::pack(w[1], 0));
        }
        assert_eq!((u64::pack(0.0, 5).order(), u128::pack(0.0, 5).order()), (u64::ZERO, u128::ZERO));
        assert_eq!((u64::pack(-2.0, 5).group(), u128::pack(2.0, 7).group()), (5, 7));
    }

    #[test]
    fn many_keys_are_sorted_as_few() {
        let mut stream = ferrocyte_math::random::Stream::new(3, 0);
        for distinct in [4.0, 1e9] {
            let key = |_| u64::pack((stream.uniform() * distinct).floor() / 7.0 - 0.2, (stream.uniform() * 5.0) as u32);
            let mut keys: Vec<u64> = (0..3000).map(key).collect();
            let mut expected = keys.clone();
            expected.sort_unstable();
            u64::sort(&mut keys, &mut Vec::new());
            assert_eq!(keys, expected);
        }
    }

    /// Ranks of the dense values, negative ones among them.
    #[test]
    fn scores_are_those_of_plain_ranks() -> Result<()> {
        let n = 60;
        let values: Vec<f64> =
            (0..n * 3).map(|i| if i % 3 == 0 { 0.0 } else { f64::from((i * i % 11) as u32) - 3.0 }).collect();
        let words: Vec<Option<&str>> = (0..n).map(|i| [Some("a"), Some("b"), Some("c"), None][i * 7 % 4]).collect();
        let labels = Factor::from_texts(words.iter().copied());
        for reference in [None, Some("b".to_owned())] {
            for tie_correct in [false, true] {
                let options =
                    MarkerOptions { reference: reference.clone(), tie_correct, ..MarkerOptions::new(Method::Wilcoxon) };
                let mut source = Dense::row_major(n, 3, &values)?;
                let found = markers(&Run::new(), &mut source, &Names::default(), &labels, &options)?;
                for group in &found {
                    for gene in 0..3 {
                        let used: Vec<usize> = (0..n)
                            .filter(|&i| {
                                reference.is_none()
                                    || words[i] == reference.as_deref()
                                    || words[i] == Some(&group.group)
                            })
                            .collect();
                        let x: Vec<f64> = used.iter().map(|&i| values[i * 3 + gene]).collect();
                        let ranks = average(&x);
                        let own: Vec<f64> = used
                            .iter()
                            .zip(&ranks)
                            .filter(|(i, _)| words[**i] == Some(&group.group))
                            .map(|(_, r)| *r)
                            .collect();
                        let mut ties = 0.0;
                        let mut sorted = x.clone();
                        sorted.sort_by(f64::total_cmp);
                        sorted.chunk_by(|a, b| a == b).for_each(|run| ties += cubic(run.len() as f64));
                        let (n1, n2) = (own.len() as f64, (used.len() - own.len()) as f64);
                        let z = z_score(own.iter().sum(), ties, n1, n2, tie_correct);
                        assert_eq!(group.scores[gene], z, "{reference:?} {gene}");
                    }
                }
            }
        }
        Ok(())
    }
}
