//! Kernels: what each variance parameter multiplies, within one individual.
//!
//! S_i = Σ_k θ_k F_k + diag(noise). Every F is a short sum of x y' with x, y a unit vector or the vector of ones, so that
//! traces and products are look-ups in [I, 1]' A [I, 1], the matrix A with a row and a column of sums.

use super::options::Model;

/// One F: pairs (x, y) of cell types, where the number of cell types itself stands for the vector of ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kernel {
    /// Its name in results: `hom2`, `V`, `V[B]`, `V[B,T]`.
    pub(super) name: String,
    /// F = Σ x y'.
    pub(super) terms: Vec<(usize, usize)>,
}

/// The kernels of a model over `types`, in the order of its parameters: hom2, then the diagonal of V, then its lower
/// triangle row by row.
pub(super) fn kernels(model: Model, types: &[String]) -> Vec<Kernel> {
    let c = types.len();
    let shared = Kernel { name: "hom2".to_owned(), terms: vec![(c, c)] };
    let own = |a: usize| Kernel { name: format!("V[{}]", types[a]), terms: vec![(a, a)] };
    match model {
        Model::Hom => vec![shared],
        Model::Iid => vec![shared, Kernel { name: "V".to_owned(), terms: (0..c).map(|a| (a, a)).collect() }],
        Model::Free => std::iter::once(shared).chain((0..c).map(own)).collect(),
        Model::Full => {
            let pairs = lower_triangle(c)
                .map(|(a, b)| Kernel { name: format!("V[{},{}]", types[a], types[b]), terms: vec![(a, b), (b, a)] });
            (0..c).map(own).chain(pairs).collect()
        }
    }
}

/// Pairs (a, b) with b < a, row by row.
pub(super) fn lower_triangle(c: usize) -> impl Iterator<Item = (usize, usize)> {
    (1..c).flat_map(|a| (0..a).map(move |b| (a, b)))
}

/// The covariance V over cell types that the parameters mean, C × C row-major.
pub(super) fn covariance(model: Model, theta: &[f64], c: usize) -> Vec<f64> {
    let mut v = vec![0.0; c * c];
    match model {
        Model::Hom => {}
        Model::Iid => (0..c).for_each(|a| v[a * c + a] = theta[1]),
        Model::Free => (0..c).for_each(|a| v[a * c + a] = theta[1 + a]),
        Model::Full => {
            (0..c).for_each(|a| v[a * c + a] = theta[a]);
            for (place, (a, b)) in lower_triangle(c).enumerate() {
                v[a * c + b] = theta[c + place];
                v[b * c + a] = theta[c + place];
            }
        }
    }
    v
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_come_in_their_order() {
        let types: Vec<String> = ["B", "NK", "T"].map(str::to_owned).into();
        let names = |model| kernels(model, &types).into_iter().map(|k| k.name).collect::<Vec<_>>();
        assert_eq!(names(Model::Free), ["hom2", "V[B]", "V[NK]", "V[T]"]);
        assert_eq!(names(Model::Full), ["V[B]", "V[NK]", "V[T]", "V[NK,B]", "V[T,B]", "V[T,NK]"]);
        let v = covariance(Model::Full, &[1.0, 2.0, 3.0, 0.1, 0.2, 0.3], 3);
        assert_eq!(v, [1.0, 0.1, 0.2, 0.1, 2.0, 0.3, 0.2, 0.3, 3.0]);
        assert_eq!(covariance(Model::Iid, &[9.0, 2.0], 2), [2.0, 0.0, 0.0, 2.0]);
    }
}
