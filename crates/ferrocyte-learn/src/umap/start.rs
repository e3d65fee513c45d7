//! Where points are before they move.

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_math::linalg::{Matrix, symmetric_eigen};
use ferrocyte_math::random::Stream;

use super::spectral::slowest;
use super::{Start, UmapOptions};
use crate::graph::Components;
use crate::{Graph, Points};

/// Starts reach from 0 to this along each axis.
const SIZE: f64 = 10.0;

/// Noise that keeps points apart that have one place.
const NOISE: f64 = 1e-4;

/// Places of all points, point after point, from 0 to 10 along each axis.
pub(super) fn places(run: &Run, graph: &Graph, start: Start<'_>, options: &UmapOptions) -> Result<Vec<f32>> {
    let (n, dims) = (graph.n(), options.dims);
    let mut draws = Stream::new(options.seed, 0);
    let mut places = match start {
        Start::Random => (0..n * dims).map(|_| (2.0 * draws.uniform() - 1.0) * SIZE).collect(),
        Start::Given(points) => {
            if (points.n(), points.d()) != (n, dims) {
                let found = format!("{} x {}", points.n(), points.d());
                return Err(Fault::bad_input(format!("a start of {n} x {dims} numbers was expected, found {found}")));
            }
            points.values().to_vec()
        }
        Start::Spectral => spectral(run, graph, None, options, &mut draws)?,
        Start::SpectralOf(points) => {
            if points.n() != n {
                return Err(Fault::bad_input(format!("{n} points were expected, found {}", points.n())));
            }
            spectral(run, graph, Some(points), options, &mut draws)?
        }
    };
    if !matches!(start, Start::Random) {
        let largest = places.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
        let scale = if largest > 0.0 { SIZE / largest } else { 1.0 };
        places.iter_mut().for_each(|x| *x = *x * scale + NOISE * draws.normal());
    }
    for axis in 0..dims {
        let along = || places.iter().skip(axis).step_by(dims).copied();
        let (low, high) = (along().fold(f64::INFINITY, f64::min), along().fold(f64::NEG_INFINITY, f64::max));
        let scale = if high > low { SIZE / (high - low) } else { 0.0 };
        places.iter_mut().skip(axis).step_by(dims).for_each(|x| *x = (*x - low) * scale);
    }
    Ok(places.into_iter().map(|x| x as f32).collect())
}

/// Eigenvectors of each component, around a place for each.
fn spectral(
    run: &Run,
    graph: &Graph,
    points: Option<Points<'_>>,
    options: &UmapOptions,
    draws: &mut Stream,
) -> Result<Vec<f64>> {
    let (n, dims) = (graph.n(), options.dims);
    let components = Components::of(graph);
    if components.n() <= 1 {
        return part(run, graph, SIZE, options, draws);
    }
    run.info(&format!("the graph has {} components, which are laid out one by one", components.n()));
    let centres = centres(&components, points, dims)?;
    let room = rooms(&centres, dims);
    let mut places = vec![0.0; n * dims];
    for (c, room) in room.iter().enumerate() {
        let members = components.points(c);
        let inside = part(run, &graph.induced(&members)?, *room, options, draws)?;
        for (i, row) in members.iter().zip(inside.chunks_exact(dims)) {
            for (axis, x) in row.iter().enumerate() {
                places[*i as usize * dims + axis] = centres[c * dims + axis] + x;
            }
        }
    }
    Ok(places)
}

/// One component, at most `reach` away from 0 along each axis.
fn part(run: &Run, graph: &Graph, reach: f64, options: &UmapOptions, draws: &mut Stream) -> Result<Vec<f64>> {
    let (n, dims) = (graph.n(), options.dims);
    if n <= 1 {
        return Ok(vec![0.0; n * dims]);
    }
    if n < 2 * dims || n <= dims + 1 {
        return Ok((0..n * dims).map(|_| (2.0 * draws.uniform() - 1.0) * reach).collect());
    }
    let mut places = slowest(run, graph, dims, options.seed)?;
    let largest = places.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
    places.iter_mut().for_each(|x| *x *= reach / largest);
    Ok(places)
}

/// A place for each component: the ends of the axes, or where these are too few the components' centres among
/// the points, in the directions in which they differ most, or without points a spiral of equal areas.
fn centres(components: &Components, points: Option<Points<'_>>, dims: usize) -> Result<Vec<f64>> {
    let m = components.n();
    let mut out = vec![0.0; m * dims];
    if m <= 2 * dims {
        (0..m).for_each(|c| out[c * dims + c % dims] = if c < dims { 1.0 } else { -1.0 });
        return Ok(out);
    }
    if let Some(points) = points.filter(|p| p.d() >= dims) {
        return by_principal_axes(&means(components, points), m, points.d(), dims);
    }
    let golden = std::f64::consts::PI * (3.0 - 5.0_f64.sqrt());
    for c in 0..m {
        let (radius, angle) = (((c as f64 + 0.5) / m as f64).sqrt(), golden * c as f64);
        out[c * dims] = radius * angle.cos();
        if dims > 1 {
            out[c * dims + 1] = radius * angle.sin();
        }
    }
    Ok(out)
}

/// The mean point of each component, less the mean of these means.
fn means(components: &Components, points: Points<'_>) -> Vec<f64> {
    let (m, d) = (components.n(), points.d());
    let mut means = vec![0.0; m * d];
    for (i, c) in components.labels.iter().enumerate() {
        let c = *c as usize;
        let share = 1.0 / components.sizes[c] as f64;
        means[c * d..(c + 1) * d].iter_mut().zip(points.row(i)).for_each(|(s, x)| *s += share * x);
    }
    for t in 0..d {
        let middle = (0..m).map(|c| means[c * d + t]).sum::<f64>() / m as f64;
        (0..m).for_each(|c| means[c * d + t] -= middle);
    }
    means
}

/// Rows of `d` numbers along the `dims` directions in which they differ most.
fn by_principal_axes(rows: &[f64], m: usize, d: usize, dims: usize) -> Result<Vec<f64>> {
    let mut products = Matrix::zeros(d, d);
    for row in rows.chunks_exact(d) {
        for s in 0..d {
            for t in 0..=s {
                products[(s, t)] += row[s] * row[t];
            }
        }
    }
    let (_, vectors) = symmetric_eigen(&products)?;
    let along = |c: usize, axis: usize| (0..d).map(|t| rows[c * d + t] * vectors[(t, d - 1 - axis)]).sum::<f64>();
    Ok((0..m * dims).map(|at| along(at / dims, at % dims)).collect())
}

/// Half of the distance from each centre to the next.
fn rooms(centres: &[f64], dims: usize) -> Vec<f64> {
    let rows: Vec<&[f64]> = centres.chunks_exact(dims).collect();
    let apart = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| (x - y) * (x - y)).sum::<f64>().sqrt();
    (0..rows.len())
        .map(|c| {
            let others = (0..rows.len()).filter(|o| *o != c).map(|o| apart(rows[c], rows[o]));
            0.5 * others.fold(f64::INFINITY, f64::min)
        })
        .collect()
}
