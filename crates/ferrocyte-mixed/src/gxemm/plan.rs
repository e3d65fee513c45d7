//! The way to the likelihood: which people, or which directions among them, are independent of each other.
//!
//! * Families: where the kinship has no entry between two sets of people, each is solved on its own.
//! * Few markers: see [`super::low_rank`].
//! * Eigen form: where people share environments and noise, V = a K + b I, and the eigenvectors of K turn it into numbers.
//!   One decomposition serves every trait, at O(n) a turn.
//!
//! Each may hold within the one before. What is left is [`Dense`]. The likelihood is that of the people as they are, since
//! rotations change no determinant; the numbers agree to rounding.

use std::borrow::Cow;
use std::collections::HashMap;

use ferrocyte_base::{Result, Run};
use ferrocyte_math::linalg::{Matrix, product, symmetric_eigen};

use super::dense::Dense;
use super::ground::Ground;
use super::kinship::{Kinship, ROUNDING, ROWS};
use super::low_rank::{Reflections, factor};
use super::model::Model;
use super::options::Route;
use super::piece::{Diagonal, Piece};

/// Fewer people than this are not looked at for few markers.
const SMALL: usize = 30;

/// One trait of more people than this is fitted sooner than their kinship is decomposed.
const ALONE: usize = 300;

/// So many traits are worth a decomposition of any size.
const SHARED: usize = 8;

/// Independent parts of a covariance, and how people are turned into them.
pub(super) struct Plan<'a> {
    /// The parts: first all directions that stand alone, where there are any.
    pub(super) pieces: Vec<Box<dyn Piece + 'a>>,
    /// Fixed effects of each part, rows × p: together Q, turned.
    pub(super) q: Vec<Matrix>,
    /// Upper triangle with `[1, X] = Q r`.
    pub(super) r: Matrix,
    /// The way in a word, or several joined by `+`.
    pub(super) route: String,
    /// Numbers in the largest matrix of work.
    pub(super) largest_part: usize,
    blocks: Vec<Block>,
    /// People × variances: the diagonals of the kernels.
    own: Matrix,
    n_alone: usize,
}

/// Some people, and how they are turned.
struct Block {
    rows: Vec<usize>,
    form: Form,
}

enum Form {
    /// Not at all.
    Plain,
    /// By eigenvectors, the rows of this.
    Turned(Matrix),
    /// By a rotation of each class, whose heads are turned once more, or make a matrix.
    Reduced { classes: Vec<Class>, inner: Option<Matrix> },
}

/// People of the same environments and noise.
struct Class {
    rows: Vec<usize>,
    turn: Reflections,
    /// Directions with kinship.
    height: usize,
}

/// What the blocks add up to while they are made.
#[derive(Default)]
struct Parts<'a> {
    /// Directions that stand alone × variances.
    alone: Vec<f64>,
    dense: Vec<Dense<'a>>,
    low_rank: bool,
    eigen: bool,
    indefinite: bool,
}

impl<'a> Plan<'a> {
    /// For the people of `ground`, of whom `n_traits` traits are to be fitted.
    pub(super) fn new(run: &Run, ground: &'a Ground<'a>, model: &Model, route: Route, n_traits: usize) -> Result<Self> {
        let n = ground.n();
        let sets = if route == Route::Dense { vec![(0..n).collect()] } else { components(&ground.kinship) };
        let n_sets = sets.len();
        let mut parts = Parts::default();
        let mut blocks = Vec::with_capacity(n_sets);
        for rows in sets {
            let form = match route {
                Route::Dense => parts.plain(ground, model, &rows),
                Route::Auto => parts.form(run, ground, model, &rows, n_traits)?,
            };
            blocks.push(Block { rows, form });
        }
        let k = model.len();
        let n_alone = parts.alone.len() / k;
        let mut words = Vec::new();
        let told = [("families", n_sets > 1), ("low_rank", parts.low_rank), ("eigen", parts.eigen)];
        words.extend(told.iter().filter(|t| t.1).map(|t| t.0));
        if words.is_empty() {
            words.push("dense");
        }
        let mut pieces: Vec<Box<dyn Piece + 'a>> = Vec::new();
        if n_alone > 0 {
            pieces.push(Box::new(Diagonal::new(Matrix::from_rows(n_alone, k, parts.alone), !parts.indefinite)));
        }
        let largest_part = parts.dense.iter().map(Piece::room).max().unwrap_or(0);
        pieces.extend(parts.dense.into_iter().map(|dense| Box::new(dense) as Box<dyn Piece + 'a>));
        let own = weights(ground, model, &ground.kinship.diagonal());
        let mut out = Self {
            pieces,
            q: Vec::new(),
            r: ground.r.clone(),
            route: words.join("+"),
            largest_part,
            blocks,
            own,
            n_alone,
        };
        out.q = out.turn(run, &ground.q)?;
        Ok(out)
    }

    /// Number of fixed effects.
    pub(super) fn p(&self) -> usize {
        self.r.n_rows()
    }

    /// Whether the kinship has no eigenvalue below zero, up to rounding.
    pub(super) fn is_semidefinite(&self, run: &Run) -> Result<bool> {
        for piece in &self.pieces {
            if !piece.is_semidefinite(run)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The largest variance of a person.
    pub(super) fn largest_variance(&self, theta: &[f64]) -> f64 {
        let of = |i: usize| self.own.row(i).iter().zip(theta).map(|(a, t)| a * t).sum::<f64>();
        (0..self.own.n_rows()).map(of).fold(0.0, f64::max)
    }

    /// Columns of people, turned: rows of each part.
    pub(super) fn turn(&self, run: &Run, x: &Matrix) -> Result<Vec<Matrix>> {
        let width = x.n_cols();
        let gather = |rows: &[usize]| {
            Matrix::from_rows(rows.len(), width, rows.iter().flat_map(|&i| x.row(i)).copied().collect())
        };
        let mut alone = Vec::with_capacity(self.n_alone * width);
        let mut dense = Vec::new();
        for block in &self.blocks {
            match &block.form {
                Form::Plain => dense.push(gather(&block.rows)),
                Form::Turned(vectors) => alone.extend(times(run, vectors, &gather(&block.rows))?.into_entries()),
                Form::Reduced { classes, inner } => {
                    let mut head = Vec::new();
                    for class in classes {
                        let mut part = gather(&class.rows);
                        class.turn.turn(&mut part);
                        let (with, without) = part.entries().split_at(class.height * width);
                        head.extend_from_slice(with);
                        alone.extend_from_slice(without);
                    }
                    let head = Matrix::from_rows(head.len() / width.max(1), width, head);
                    match inner {
                        Some(vectors) => alone.extend(times(run, vectors, &head)?.into_entries()),
                        None => dense.push(head),
                    }
                }
            }
        }
        let mut out = Vec::with_capacity(self.pieces.len());
        if self.n_alone > 0 {
            out.push(Matrix::from_rows(self.n_alone, width, alone));
        }
        out.extend(dense);
        Ok(out)
    }
}

impl<'a> Parts<'a> {
    /// One matrix of people as they are.
    fn plain(&mut self, ground: &'a Ground<'a>, model: &Model, rows: &[usize]) -> Form {
        let everyone = rows.len() == ground.n();
        let kinship =
            if everyone { Cow::Borrowed(ground.kinship.as_ref()) } else { Cow::Owned(ground.kinship.take(rows)) };
        self.dense.push(Dense::new(kinship, environments(ground, rows), noise(model, rows)));
        Form::Plain
    }

    /// The cheapest form of a set of people.
    fn form(
        &mut self,
        run: &Run,
        ground: &'a Ground<'a>,
        model: &Model,
        rows: &[usize],
        n_traits: usize,
    ) -> Result<Form> {
        let n = rows.len();
        if n == 1 {
            let kinship = ground.kinship.entry(rows[0], rows[0]);
            self.alone.extend(direction(ground, model, rows[0], kinship));
            return Ok(Form::Turned(Matrix::from_rows(1, 1, vec![1.0])));
        }
        let classes = classes(ground, model, rows);
        if n >= SMALL {
            let own;
            let kinship = if n == ground.n() {
                ground.kinship.as_ref()
            } else {
                own = ground.kinship.take(rows);
                &own
            };
            if let Some(factor) = factor(run, kinship, most(&classes, n / 2))? {
                return self.reduce(run, ground, model, rows, &classes, &factor);
            }
        }
        if classes.len() == 1 && (n <= ALONE || n_traits >= SHARED) {
            run.reserve("the eigenvectors of the kinship", 40 * (n as u64) * (n as u64))?;
            let vectors = self.decompose(ground, model, rows[0], ground.kinship.matrix(rows))?;
            self.eigen = true;
            return Ok(Form::Turned(vectors));
        }
        Ok(self.plain(ground, model, rows))
    }

    /// Eigenvectors (rows) of a kinship of people like person `i`; adds their directions.
    fn decompose(&mut self, ground: &Ground, model: &Model, i: usize, kinship: Matrix) -> Result<Matrix> {
        let mean = kinship.diagonal().iter().sum::<f64>() / kinship.n_rows() as f64;
        let (values, vectors) = symmetric_eigen(&kinship)?;
        drop(kinship);
        self.indefinite |= values.first().is_some_and(|least| *least < -ROUNDING * mean);
        for value in values {
            self.alone.extend(direction(ground, model, i, value));
        }
        Ok(vectors.transpose())
    }

    /// The form of few markers, with K = FF' among `rows`.
    fn reduce(
        &mut self,
        run: &Run,
        ground: &Ground,
        model: &Model,
        rows: &[usize],
        classes: &[Vec<usize>],
        factor: &Matrix,
    ) -> Result<Form> {
        self.low_rank = true;
        let mut out = Vec::with_capacity(classes.len());
        let mut heads = Vec::new();
        let mut of = Vec::new();
        for class in classes {
            let (turn, r) = Reflections::new(run, factor, class)?;
            let people: Vec<usize> = class.iter().map(|&at| rows[at]).collect();
            let height = r.n_rows();
            let noise_alone = direction(ground, model, people[0], 0.0);
            (height..people.len()).for_each(|_| self.alone.extend_from_slice(&noise_alone));
            of.extend(std::iter::repeat_n(people[0], height));
            heads.extend(r.into_entries());
            out.push(Class { rows: people, turn, height });
        }
        let heads = Matrix::from_rows(of.len(), factor.n_cols(), heads);
        let kinship = times(run, &heads, &heads.transpose())?;
        let inner = if classes.len() == 1 {
            self.eigen = true;
            Some(self.decompose(ground, model, of[0], kinship)?)
        } else {
            let kinship = Kinship::symmetric(of.len(), kinship.into_entries());
            self.dense.push(Dense::new(Cow::Owned(kinship), environments(ground, &of), noise(model, &of)));
            None
        };
        Ok(Form::Reduced { classes: out, inner })
    }
}

/// People that have kin among each other, in the order of the first of each set.
fn components(kinship: &Kinship) -> Vec<Vec<usize>> {
    let n = kinship.n();
    let mut left: Vec<usize> = (0..n).collect();
    let mut out = Vec::new();
    let mut buffer = Vec::new();
    while !left.is_empty() {
        let mut set = vec![left.remove(0)];
        let mut next = 0;
        while next < set.len() && !left.is_empty() {
            let row = kinship.rows(set[next]..set[next] + 1, &mut buffer);
            let (kin, others): (Vec<usize>, Vec<usize>) = left.iter().partition(|&&j| row[j] != 0.0);
            set.extend(kin);
            left = others;
            next += 1;
        }
        set.sort_unstable();
        out.push(set);
    }
    out
}

/// Places within `rows` of people with the same environments (where they matter) and noise.
fn classes(ground: &Ground, model: &Model, rows: &[usize]) -> Vec<Vec<usize>> {
    let mut known: HashMap<Vec<u64>, usize> = HashMap::new();
    let mut out: Vec<Vec<usize>> = Vec::new();
    let places = if model.genetic.len() > 1 { model.n_environments } else { 0 };
    for (at, &i) in rows.iter().enumerate() {
        let of = ground.z.row(i)[..places].iter().chain(model.noise.iter().map(|d| &d[i]));
        // Both zeros are the same number.
        let key: Vec<u64> = of.map(|x| (x + 0.0).to_bits()).collect();
        let class = *known.entry(key).or_insert(out.len());
        if class == out.len() {
            out.push(Vec::new());
        }
        out[class].push(at);
    }
    out
}

/// The most columns of F for which no more than `room` directions have kinship.
fn most(classes: &[Vec<usize>], room: usize) -> usize {
    let directions = |r: usize| classes.iter().map(|class| class.len().min(r)).sum::<usize>();
    (0..=room).rev().find(|&r| directions(r) <= room).unwrap_or(0)
}

/// The diagonals of the kernels in a direction of kinship `value` among people like `i`.
fn direction(ground: &Ground, model: &Model, i: usize, value: f64) -> Vec<f64> {
    let genetic = model
        .genetic
        .iter()
        .map(|places| value * places.iter().map(|&place| ground.place(i, place).powi(2)).sum::<f64>());
    genetic.chain(model.noise.iter().map(|d| d[i])).collect()
}

/// The same of everybody.
fn weights(ground: &Ground, model: &Model, diagonal: &[f64]) -> Matrix {
    let entries = diagonal.iter().enumerate().flat_map(|(i, &value)| direction(ground, model, i, value)).collect();
    Matrix::from_rows(diagonal.len(), model.len(), entries)
}

fn environments(ground: &Ground, rows: &[usize]) -> Matrix {
    let entries = rows.iter().flat_map(|&i| ground.z.row(i)).copied().collect();
    Matrix::from_rows(rows.len(), ground.z.n_cols(), entries)
}

fn noise(model: &Model, rows: &[usize]) -> Vec<Vec<f64>> {
    model.noise.iter().map(|d| rows.iter().map(|&i| d[i]).collect()).collect()
}

/// A · B on all threads.
fn times(run: &Run, a: &Matrix, b: &Matrix) -> Result<Matrix> {
    let (n, width) = (a.n_cols(), b.n_cols());
    let mut out = Matrix::zeros(a.n_rows(), width);
    run.for_each_chunk(out.entries_mut(), (ROWS * width).max(1), |k, part| {
        let first = k * ROWS;
        product(&a.entries()[first * n..(first + part.len() / width) * n], n, b, part);
    })?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_the_sets_without_kin_elsewhere() -> Result<()> {
        let n = 6;
        let of = [0, 1, 0, 2, 1, 0];
        let entries = (0..n * n).map(|k| f64::from(u8::from(of[k / n] == of[k % n]))).collect();
        let names: Vec<String> = (0..n).map(|i| format!("i{i}")).collect();
        let kinship = Kinship::new(n, entries, &names)?;
        assert_eq!(components(&kinship), [vec![0, 2, 5], vec![1, 4], vec![3]]);
        Ok(())
    }

    #[test]
    fn the_most_columns_leave_half_of_the_directions() {
        assert_eq!(most(&[vec![0; 50], vec![0; 50]], 50), 25);
        assert_eq!(most(&[vec![0; 90], vec![0; 10]], 50), 40);
        assert_eq!(most(&vec![vec![0; 1]; 100], 50), 0);
    }
}
