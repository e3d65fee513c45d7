//! Each community put together again from single points, of what is well connected within it.

use ferrocyte_math::random::Stream;

use super::compact;
use super::level::{Level, Reached};

/// Groups within the communities of `labels`, numbered from 0 without gaps, and how many there are.
///
/// Points are visited in random order. One that is still alone and well connected to the rest of its community, which
/// is to say by at least `resolution k (K - k) / 2m` for degrees k and K, joins a group of the community that is well
/// connected too and that it loses nothing by joining: a gain g, in units of weight, has probability in proportion to
/// `exp(g / randomness)`, staying alone being a gain of 0 (V. A. Traag, L. Waltman and N. J. van Eck, 2019).
pub(super) fn refine(
    level: &Level,
    labels: &[u32],
    n_labels: usize,
    resolution: f64,
    randomness: f64,
    draws: &mut Stream,
) -> (Vec<u32>, usize) {
    let n = level.n();
    let pull = if level.total > 0.0 { resolution / level.total } else { 0.0 };
    let mut community_degrees = vec![0.0; n_labels];
    labels.iter().zip(&level.degrees).for_each(|(c, k)| community_degrees[*c as usize] += k);
    let mut groups: Vec<u32> = (0..n as u32).collect();
    let mut degrees = level.degrees.clone();
    // The weight by which each group is joined to the rest of its community.
    let mut outwards: Vec<f64> = (0..n)
        .map(|i| {
            level.row(i).iter().filter(|(j, _)| labels[*j as usize] == labels[i]).map(|(_, w)| f64::from(*w)).sum()
        })
        .collect();
    let mut alone = vec![true; n];
    let mut reached = Reached::new(n);
    let mut choices: Vec<(u32, f64)> = Vec::new();
    for i in draws.permutation(n) {
        if !alone[i] {
            continue;
        }
        let (community, k) = (labels[i], level.degrees[i]);
        let whole = community_degrees[community as usize];
        let well_connected = |weight: f64, k: f64| weight >= pull * k * (whole - k);
        if !well_connected(outwards[i], k) {
            continue;
        }
        for (j, w) in level.row(i) {
            if labels[*j as usize] == community {
                reached.add(groups[*j as usize], *w);
            }
        }
        choices.clear();
        for g in reached.found() {
            let at = *g as usize;
            let gain = reached.weight(*g) - pull * k * degrees[at];
            if gain >= 0.0 && well_connected(outwards[at], degrees[at]) {
                choices.push((*g, gain));
            }
        }
        if let Some(g) = choose(&choices, randomness, draws) {
            let weight = reached.weight(g);
            let at = g as usize;
            groups[i] = g;
            alone[i] = false;
            alone[at] = false;
            degrees[at] += k;
            outwards[at] += outwards[i] - 2.0 * weight;
        }
        reached.clear();
    }
    let n_groups = compact(&mut groups);
    (groups, n_groups)
}

/// A group, or none, by the weights of their gains.
fn choose(choices: &[(u32, f64)], randomness: f64, draws: &mut Stream) -> Option<u32> {
    // Relative to the largest gain, which may be that of none, so that nothing overflows.
    let largest = choices.iter().fold(0.0_f64, |m, c| m.max(c.1));
    if randomness == 0.0 {
        return choices.iter().find(|c| c.1 == largest).map(|c| c.0);
    }
    let weight = |gain: f64| ((gain - largest) / randomness).exp();
    let total: f64 = choices.iter().map(|c| weight(c.1)).sum::<f64>() + weight(0.0);
    if choices.is_empty() {
        return None;
    }
    let mut rest = draws.uniform() * total;
    for (group, gain) in choices {
        rest -= weight(*gain);
        if rest < 0.0 {
            return Some(*group);
        }
    }
    None
}
