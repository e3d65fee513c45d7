//! [`plan`]: where a study is cut into shards, so that any number of workers gives the same bits.

use std::ops::Range;

use ferrocyte_base::{Fault, Result};

/// Shards begin and end at multiples of this number of rows. Part of the answer: sums are rounded here, and added
/// exactly from here on. Changing it changes the last bits of sums of more rows than this.
pub const CUT: usize = 65_536;

/// `n_rows` rows in `n_shards` ranges that follow each other, cut at multiples of [`CUT`] and alike in size.
///
/// Refuses more shards than there are blocks of [`CUT`] rows, so that no worker has nothing to do.
///
/// ```
/// use ferrocyte_data::plan;
/// assert_eq!(plan(200_000, 2)?, [0..131_072, 131_072..200_000]);
/// assert_eq!(plan(1_000, 1)?, [0..1_000]);
/// assert!(plan(200_000, 5).is_err());
/// # Ok::<(), ferrocyte_base::Fault>(())
/// ```
pub fn plan(n_rows: usize, n_shards: usize) -> Result<Vec<Range<usize>>> {
    let n_cuts = n_rows.div_ceil(CUT);
    if n_shards == 0 || n_shards > n_cuts.max(1) {
        let most = n_cuts.max(1);
        let blocks = if most == 1 { "one block".to_owned() } else { format!("{most} blocks") };
        return Err(Fault::bad_input(format!("{n_rows} cells are {blocks} of {CUT}, and cannot be {n_shards} shards"))
            .at("shards")
            .hint(format!("ask for 1 to {most}; a shard is a number of whole blocks")));
    }
    let bound = |shard: usize| (shard * n_cuts / n_shards * CUT).min(n_rows);
    Ok((0..n_shards).map(|shard| bound(shard)..bound(shard + 1)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_cover_all_rows_once_at_cuts() -> Result<()> {
        for n_rows in [1, CUT - 1, CUT, CUT + 1, 10 * CUT, 10 * CUT + 7, 999_999] {
            for n_shards in 1..=n_rows.div_ceil(CUT) {
                let ranges = plan(n_rows, n_shards)?;
                assert_eq!((ranges.len(), ranges[0].start, ranges[n_shards - 1].end), (n_shards, 0, n_rows));
                assert!(ranges.windows(2).all(|w| w[0].end == w[1].start && w[0].end % CUT == 0));
                let blocks = ranges.iter().map(|r| r.len().div_ceil(CUT));
                let (least, most) = (blocks.clone().min(), blocks.max());
                assert!(least >= Some(1) && most <= least.map(|b| b + 1), "{n_rows} in {n_shards}");
            }
        }
        Ok(())
    }

    #[test]
    fn shards_without_rows_are_refused_with_the_number_that_would_do() {
        let fault = |n, k| plan(n, k).err().map(|f| (f.to_string(), f.way_out().unwrap_or_default().to_owned()));
        let (message, hint) = fault(100_000, 3).unwrap_or_default();
        assert_eq!(message, "shards: 100000 cells are 2 blocks of 65536, and cannot be 3 shards");
        assert_eq!(hint, "ask for 1 to 2; a shard is a number of whole blocks");
        assert!(fault(100_000, 0).is_some() && fault(0, 2).is_some());
        assert_eq!(plan(0, 1).ok(), Some(std::iter::once(0..0).collect()));
    }
}
