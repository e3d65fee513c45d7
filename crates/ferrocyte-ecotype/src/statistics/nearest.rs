//! [`Tree`]: the nearest of some points, exactly, for points that are asked for one at a time.

use std::cmp::Ordering;

/// Points below which all are looked at.
const LEAF: usize = 16;

/// A tree of points that halves them along their widest coordinate.
#[derive(Debug, Clone)]
pub struct Tree {
    points: Vec<f64>,
    d: usize,
    /// Points in the order of the leaves.
    order: Vec<usize>,
    root: Node,
}

#[derive(Debug, Clone)]
enum Node {
    Leaf(usize, usize),
    Split { axis: usize, at: f64, below: Box<Node>, above: Box<Node> },
}

/// A point and its squared distance; nearer ones come first, of equal ones the first point.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Near(f64, usize);

impl Near {
    fn order(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0).then(self.1.cmp(&other.1))
    }
}

impl Tree {
    /// A tree of `points`, `d` coordinates each.
    pub fn new(points: Vec<f64>, d: usize) -> Self {
        let n = points.len().checked_div(d).unwrap_or(0);
        let mut order: Vec<usize> = (0..n).collect();
        let root = build(&points, d, &mut order, 0);
        Self { points, d, order, root }
    }

    /// The `k` points nearest to a place, with their distances, from near to far; of equally near ones the first.
    pub fn nearest(&self, place: &[f64], k: usize) -> Vec<(usize, f64)> {
        let mut found: Vec<Near> = Vec::with_capacity(k + 1);
        if k > 0 {
            self.search(&self.root, place, k, &mut found);
        }
        found.into_iter().map(|near| (near.1, near.0.sqrt())).collect()
    }

    fn search(&self, node: &Node, place: &[f64], k: usize, found: &mut Vec<Near>) {
        match node {
            Node::Leaf(start, end) => {
                for &i in &self.order[*start..*end] {
                    let point = &self.points[i * self.d..(i + 1) * self.d];
                    let near = Near(point.iter().zip(place).map(|(a, b)| (a - b) * (a - b)).sum(), i);
                    if found.len() == k && found.last().is_some_and(|last| last.order(&near) == Ordering::Less) {
                        continue;
                    }
                    let at = found.partition_point(|other| other.order(&near) == Ordering::Less);
                    found.insert(at, near);
                    found.truncate(k);
                }
            }
            Node::Split { axis, at, below, above } => {
                let off = place[*axis] - at;
                let (first, second) = if off <= 0.0 { (below, above) } else { (above, below) };
                self.search(first, place, k, found);
                // Equal distances count, since the first point wins them.
                if found.len() < k || found.last().is_none_or(|last| off * off <= last.0) {
                    self.search(second, place, k, found);
                }
            }
        }
    }
}

fn build(points: &[f64], d: usize, order: &mut [usize], start: usize) -> Node {
    let end = start + order.len();
    if order.len() <= LEAF {
        return Node::Leaf(start, end);
    }
    let spread = |axis: usize| {
        let values = order.iter().map(|&i| points[i * d + axis]);
        let (least, most) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), x| (a.min(x), b.max(x)));
        most - least
    };
    let axis = (0..d).fold(0, |best, axis| if spread(axis) > spread(best) { axis } else { best });
    let half = order.len() / 2;
    order.select_nth_unstable_by(half, |&a, &b| points[a * d + axis].total_cmp(&points[b * d + axis]));
    let at = points[order[half] * d + axis];
    let (low, high) = order.split_at_mut(half);
    Node::Split {
        axis,
        at,
        below: Box::new(build(points, d, low, start)),
        above: Box::new(build(points, d, high, start + half)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrocyte_math::random::Stream;

    #[test]
    fn finds_what_looking_at_all_finds() {
        let mut draws = Stream::new(1, 0);
        for (n, d) in [(3, 2), (500, 2), (300, 5)] {
            // A coarse grid has many equal distances.
            let points: Vec<f64> = (0..n * d).map(|_| (draws.uniform() * 12.0).floor()).collect();
            let tree = Tree::new(points.clone(), d);
            for _ in 0..50 {
                let place: Vec<f64> = (0..d).map(|_| (draws.uniform() * 12.0).floor()).collect();
                let mut all: Vec<Near> =
                    (0..n).map(|i| Near((0..d).map(|c| (points[i * d + c] - place[c]).powi(2)).sum(), i)).collect();
                all.sort_by(Near::order);
                let expected: Vec<(usize, f64)> = all.iter().take(7).map(|near| (near.1, near.0.sqrt())).collect();
                assert_eq!(tree.nearest(&place, 7), expected);
            }
        }
        assert!(Tree::new(Vec::new(), 2).nearest(&[0.0, 0.0], 3).is_empty());
    }
}
