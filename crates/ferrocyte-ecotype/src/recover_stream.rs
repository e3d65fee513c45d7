//! Recovery of cells that pass in blocks: [`recover_stream`], with the bits of [`crate::recover`].
//!
//! The study is passed four times: whether values look like counts, means, spreads (where genes are standardised), and
//! scores. In memory are one block, the results, and in compat mode the chunks that are not complete yet.

use std::ops::Range;

use ferrocyte_base::{Result, Run};
use ferrocyte_data::{RowChunks, rows_per_block};

use crate::expression::{Expression, Normalize, NotFinite, Strange, looks_like_counts};
use crate::model::Model;
use crate::predict::stream::{Complete, Scored, Scorer};
use crate::predict::{PredictOptions, Reason};
use crate::recover::{RecoverOptions, Recovered, begin, genes_of_models};
use crate::train::Mode;

/// How values are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// What is done to values before all else.
    pub normalize: Normalize,
    /// What is done with values that are not finite.
    pub nan: NotFinite,
    /// Whether values that look like counts become `log2(x + 1)`.
    pub auto_log: bool,
}

/// Labels the cells of a study by the models of their types: in memory where it fits into half of that of the run (12
/// bytes for each value that is stored), else as they pass. The bits are the same.
///
/// # Errors
/// What [`Expression::collect`] and [`crate::recover`] refuse.
pub fn recover_from(
    run: &Run,
    source: &mut dyn RowChunks,
    names: (Vec<String>, Vec<String>),
    reading: Reading,
    cell_types: &[String],
    models: &[Model],
    options: &RecoverOptions,
) -> Result<Recovered> {
    let bytes = source.n_stored().map(|stored| 8 * source.n_rows() as u64 + 12 * stored);
    if bytes.is_none_or(|bytes| bytes > run.memory_bytes() / 2) {
        return recover_stream(run, source, names, reading, cell_types, models, options);
    }
    let mut x = Expression::collect(run, source, names.0, names.1, reading.nan)?;
    if reading.normalize == Normalize::Log1pCp10k {
        warn_of_empty(run, x.log_normalize()?);
    }
    crate::recover(run, &x, cell_types, models, reading.auto_log, options)
}

fn warn_of_empty(run: &Run, empty: usize) {
    if empty > 0 {
        run.warn(&format!("{empty} cells have no counts and stay 0"));
    }
}

/// Labels the cells of a stream by the models of their types, as [`crate::recover`] does.
///
/// # Errors
/// What [`Expression::collect`] and [`crate::recover`] refuse.
pub fn recover_stream(
    run: &Run,
    source: &mut dyn RowChunks,
    names: (Vec<String>, Vec<String>),
    reading: Reading,
    cell_types: &[String],
    models: &[Model],
    options: &RecoverOptions,
) -> Result<Recovered> {
    let (cells, genes) = names;
    crate::expression::check_names("cells", &cells, source.n_rows())?;
    crate::expression::check_names("genes", &genes, source.n_cols())?;
    let mut out = begin(run, cells, cell_types, models)?;
    let kept = genes_of_models(&genes, models);
    let mut study = Study { source, cells: out.cells.clone(), genes, kept, reading, logged: false };
    out.logged = study.survey(run)?;
    let known: Vec<String> = study.kept.iter().map(|&gene| study.genes[gene].clone()).collect();
    let mut types = of_types(run, &known, cell_types, models, options, &mut out);
    let code = |cell: usize| types_of(&types, &cell_types[cell]);
    let codes: Vec<Option<usize>> = (0..cell_types.len()).map(code).collect();
    study.pass(run, |start, x| {
        (0..x.n_cells()).for_each(|cell| {
            if let Some(t) = codes[start + cell] {
                types[t].add(x, cell);
            }
        });
        Ok(())
    })?;
    types.iter_mut().for_each(Scorer::turn);
    if options.scale {
        study.pass(run, |start, x| {
            (0..x.n_cells()).for_each(|cell| {
                if let Some(t) = codes[start + cell] {
                    types[t].add_squares(x, cell);
                }
            });
            Ok(())
        })?;
    }
    types.iter_mut().try_for_each(|scorer| scorer.ready(run))?;
    out.iterations = types.iter().map(|scorer| (scorer.model.cell_type.clone(), Vec::new())).collect();
    let mut pending: Vec<(usize, Complete)> = Vec::new();
    study.pass(run, |start, x| {
        for t in 0..types.len() {
            let cells: Vec<usize> = (0..x.n_cells()).filter(|&cell| codes[start + cell] == Some(t)).collect();
            if options.mode == Mode::Exact {
                out.put(types[t].model, types[t].optimal(run, x, start, &cells)?);
            } else {
                pending.extend(types[t].wait(x, start, &cells).into_iter().map(|chunk| (t, chunk)));
            }
        }
        if pending.len() >= run.n_threads() { finish(run, &types, &mut pending, &mut out) } else { Ok(()) }
    })?;
    finish(run, &types, &mut pending, &mut out)?;
    out.label_cells(options);
    Ok(out)
}

fn types_of(types: &[Scorer<'_>], name: &str) -> Option<usize> {
    types.iter().position(|scorer| scorer.model.cell_type == name)
}

/// A scorer for each type that has a model and enough cells; says why the others have none.
fn of_types<'a>(
    run: &Run,
    genes: &[String],
    cell_types: &[String],
    models: &'a [Model],
    options: &RecoverOptions,
    out: &mut Recovered,
) -> Vec<Scorer<'a>> {
    let predicting = PredictOptions {
        mode: options.mode,
        scale: options.scale,
        sum_to_one: true,
        cells_per_run: options.cells_per_run,
    };
    let mut types = Vec::new();
    for model in models {
        let cells: Vec<usize> = (0..cell_types.len()).filter(|&cell| cell_types[cell] == model.cell_type).collect();
        if cells.is_empty() || out.too_few(run, model, &cells, options) {
            continue;
        }
        let found = Scorer::new(run, genes, model, predicting);
        let reason = if found.is_some() { Reason::FewGenes } else { Reason::FewModelGenes };
        cells.iter().for_each(|&cell| out.reason[cell] = reason);
        types.extend(found);
    }
    types
}

/// Scores chunks that are complete.
fn finish(run: &Run, types: &[Scorer<'_>], pending: &mut Vec<(usize, Complete)>, out: &mut Recovered) -> Result<()> {
    let of = |range: Range<usize>| {
        let (t, chunk) = &pending[range.start];
        types[*t].updated(chunk)
    };
    let found: Vec<(Vec<Scored>, usize)> = run.map_quietly(pending.len(), 1, of)?;
    for ((t, _), (scores, iterations)) in pending.drain(..).zip(found) {
        out.put(types[t].model, scores);
        out.iterations[t].1.push(iterations);
    }
    Ok(())
}

/// A study that passes block by block.
struct Study<'a> {
    source: &'a mut dyn RowChunks,
    cells: Vec<String>,
    /// All genes, and the places of those that models use.
    genes: Vec<String>,
    kept: Vec<usize>,
    reading: Reading,
    /// Whether logarithms are taken.
    logged: bool,
}

impl Study<'_> {
    /// Looks at all values: refuses what is not finite, and tells whether logarithms are taken from here on.
    fn survey(&mut self, run: &Run) -> Result<bool> {
        let (mut strange, mut empty) = (Strange::default(), 0);
        let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
        self.blocks(run, &mut strange, &mut empty, |_, x| {
            let range = x.range();
            (least, most) = (least.min(range.0), most.max(range.1));
            Ok(())
        })?;
        strange.verdict(run, self.reading.nan, &self.source.name(), &self.cells, &self.genes)?;
        warn_of_empty(run, empty);
        self.logged = self.reading.auto_log && looks_like_counts((least, most));
        Ok(self.logged)
    }

    /// Hands on all cells, as they are scored: the number of the first of a block, and the block.
    fn pass(&mut self, run: &Run, each: impl FnMut(usize, &Expression) -> Result<()>) -> Result<()> {
        self.blocks(run, &mut Strange::default(), &mut 0, each)
    }

    fn blocks(
        &mut self,
        run: &Run,
        strange: &mut Strange,
        empty: &mut usize,
        mut each: impl FnMut(usize, &Expression) -> Result<()>,
    ) -> Result<()> {
        let n = self.source.n_rows();
        let task = run.task("reading", n as u64);
        let (step, mut start) = (rows_per_block(run, self.source), 0);
        while start < n {
            run.check()?;
            let end = (start + step).min(n);
            let mut x = Expression::of_genes(self.genes.clone());
            x.append(&self.source.read(run, start..end)?, start, strange);
            x.name_cells(&self.cells[start..end]);
            if self.reading.normalize == Normalize::Log1pCp10k {
                *empty += x.log_normalize()?;
            }
            let mut x = x.take_genes(&self.kept);
            if self.logged {
                x.log2();
            }
            each(start, &x)?;
            task.advance((end - start) as u64);
            start = end;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::{Labels, TrainOptions, train};
    use ferrocyte_data::Csr;

    /// Counts of 300 cells of three types, one of which has few cells, and 12 genes.
    fn study() -> (Vec<f64>, Vec<String>, Vec<String>) {
        let value = |i: usize, g: usize| match (i * 37 + g * 11 + i * g) % 9 {
            0..3 => 0.0,
            n => n as f64 * if g % 2 == i / 2 % 2 { 20.0 } else { 1.0 },
        };
        let mut values: Vec<f64> = (0..300).flat_map(|i| (0..12).map(move |g| value(i, g))).collect();
        values[5 * 12..6 * 12].fill(0.0);
        let cell_type = |i: usize| {
            if i.is_multiple_of(50) {
                "few"
            } else if i.is_multiple_of(2) {
                "B"
            } else {
                "T"
            }
        };
        let label = |i: usize| if (i / 2).is_multiple_of(2) { "SE1" } else { "SE2" };
        (values, (0..300).map(|i| cell_type(i).to_owned()).collect(), (0..300).map(|i| label(i).to_owned()).collect())
    }

    fn names() -> (Vec<String>, Vec<String>) {
        let of = |prefix: &str, n: usize| (0..n).map(|i| format!("{prefix}{i}")).collect();
        (of("c", 300), of("g", 12))
    }

    fn csr(values: &[f64]) -> (Vec<f64>, Vec<u32>, Vec<i64>) {
        let (mut data, mut indices, mut pointers) = (Vec::new(), Vec::new(), vec![0]);
        for row in values.chunks_exact(12) {
            for (g, &x) in row.iter().enumerate().filter(|(_, x)| **x != 0.0) {
                data.push(x);
                indices.push(g as u32);
            }
            pointers.push(data.len() as i64);
        }
        (data, indices, pointers)
    }

    #[test]
    fn what_passes_in_blocks_has_the_bits_of_what_is_in_memory() -> Result<()> {
        let (values, cell_type, label) = study();
        let (data, indices, pointers) = csr(&values);
        for (normalize, mode, scale) in [
            (Normalize::None, Mode::Exact, true),
            (Normalize::Log1pCp10k, Mode::Exact, true),
            (Normalize::None, Mode::Exact, false),
            (Normalize::None, Mode::Compat, true),
            (Normalize::Log1pCp10k, Mode::Compat, false),
        ] {
            let run = Run::new();
            let source = || Csr::new(300, 12, &data[..], &indices[..], &pointers[..]);
            let (cells, genes) = names();
            let mut x = Expression::collect(&run, &mut source()?, cells, genes, NotFinite::Error)?;
            if normalize == Normalize::Log1pCp10k {
                x.log_normalize()?;
            }
            let labels = Labels { cell_type: &cell_type, label: &label, sample: None };
            let models =
                train(&run, &mut x.clone(), &labels, true, &TrainOptions { scale, ..TrainOptions::default() })?.models;
            let options = RecoverOptions { mode, scale, cells_per_run: 40, ..RecoverOptions::default() };
            let expected = crate::recover(&run, &x, &cell_type, &models, true, &options)?;
            assert!(expected.reason.contains(&Reason::Ok) && expected.reason.contains(&Reason::UnknownType));
            let reading = Reading { normalize, nan: NotFinite::Error, auto_log: true };
            for run in [Run::new().threads(1), Run::new().threads(3), Run::new().memory(1 << 14)] {
                let found = recover_stream(&run, &mut source()?, names(), reading, &cell_type, &models, &options)?;
                assert_eq!(found, expected, "{normalize:?} {mode:?} {scale}");
                let found = recover_from(&run, &mut source()?, names(), reading, &cell_type, &models, &options)?;
                assert_eq!(found, expected, "{normalize:?} {mode:?} {scale}");
            }
        }
        Ok(())
    }

    #[test]
    fn what_is_not_finite_is_refused_or_counts_as_0() -> Result<()> {
        let (mut values, cell_type, label) = study();
        let labels = Labels { cell_type: &cell_type, label: &label, sample: None };
        let (cells, genes) = names();
        let rows: Vec<Vec<f64>> = values.chunks_exact(12).map(<[f64]>::to_vec).collect();
        let models = train(
            &Run::new(),
            &mut Expression::from_rows(cells, genes, &rows)?,
            &labels,
            true,
            &TrainOptions::default(),
        )?
        .models;
        values[7 * 12 + 3] = f64::NAN;
        let (data, indices, pointers) = csr(&values);
        let found = |nan| {
            let mut source = Csr::new(300, 12, &data[..], &indices[..], &pointers[..])?;
            let reading = Reading { normalize: Normalize::None, nan, auto_log: true };
            let options = RecoverOptions::default();
            recover_stream(&Run::new(), &mut source, names(), reading, &cell_type, &models, &options)
        };
        assert!(found(NotFinite::Error).is_err_and(|f| f.message().contains("gene `g3` in cell `c7`")));
        assert!(found(NotFinite::Zero)?.scores.entries().iter().all(|x| x.is_finite()));
        Ok(())
    }
}
