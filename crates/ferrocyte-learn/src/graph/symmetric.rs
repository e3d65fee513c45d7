//! An undirected graph from weights that nearest neighbours have from one side only.

use ferrocyte_base::{Result, Run};

use super::Graph;
use crate::Neighbours;

/// Rows that are merged together.
const BLOCK: usize = 1024;

/// The graph whose edge between two points has the weight `both(there, back)` of the weights in either direction,
/// 0 where one is not the other's neighbour. Edges of weight 0 are left out.
///
/// `weights` belongs to the neighbours entry by entry; what it has for the points themselves is not looked at.
pub(super) fn symmetric(
    run: &Run,
    neighbours: &Neighbours,
    weights: &[f32],
    both: impl Fn(f32, f32) -> f32 + Sync,
) -> Result<Graph> {
    let (n, k) = (neighbours.n(), neighbours.k());
    // Back: for each point, who has it for a neighbour, in rising order since they are visited so.
    let mut starts = vec![0_usize; n + 1];
    neighbours.indices().iter().for_each(|j| starts[*j as usize + 1] += 1);
    for i in 0..n {
        starts[i + 1] += starts[i];
    }
    let mut next = starts.clone();
    let mut back = vec![(0_u32, 0.0_f32); n * k];
    for (t, (j, w)) in neighbours.indices().iter().zip(weights).enumerate() {
        let at = &mut next[*j as usize];
        back[*at] = ((t / k) as u32, *w);
        *at += 1;
    }
    let blocks = run.map_quietly(n, BLOCK, |range| {
        let (mut lengths, mut columns, mut values) = (Vec::with_capacity(range.len()), Vec::new(), Vec::new());
        let mut there = Vec::with_capacity(k);
        for i in range {
            there.clear();
            there.extend(neighbours.row(i).iter().copied().zip(weights[i * k..(i + 1) * k].iter().copied()));
            there.sort_unstable_by_key(|x| x.0);
            let before = columns.len();
            merge(&there, &back[starts[i]..starts[i + 1]], |j, a, b| {
                // The lower point's weight first at both ends, so that both get the same bits.
                let weight = if (i as u32) < j { both(a, b) } else { both(b, a) };
                if j != i as u32 && weight > 0.0 {
                    columns.push(j);
                    values.push(weight);
                }
            });
            lengths.push(columns.len() - before);
        }
        Ok((lengths, columns, values))
    })?;
    drop(back);
    Ok(Graph::from_rows(blocks))
}

/// Goes through two lists in rising order at once.
fn merge(a: &[(u32, f32)], b: &[(u32, f32)], mut each: impl FnMut(u32, f32, f32)) {
    let (mut s, mut t) = (0, 0);
    while s < a.len() || t < b.len() {
        let next_a = a.get(s).map_or(u32::MAX, |x| x.0);
        let next_b = b.get(t).map_or(u32::MAX, |x| x.0);
        let j = next_a.min(next_b);
        let (mut there, mut back) = (0.0, 0.0);
        if next_a == j {
            there = a[s].1;
            s += 1;
        }
        if next_b == j {
            back = b[t].1;
            t += 1;
        }
        each(j, there, back);
    }
}
