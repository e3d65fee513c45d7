//! Sub-models of a saved design: their columns, cell by cell, are those of the design bound to the cells.

#![allow(clippy::unwrap_used, missing_docs)]

use ferrocyte_base::Result;
use ferrocyte_data::{Factor, Frame, ObsColumn};
use ferrocyte_design::{Aliased, BindOptions, Derived, Design, Model, SavedDesign};

/// 96 cells: types x conditions x donors with one combination of type and condition absent, and two covariates.
fn obs() -> Frame {
    let n = 96;
    let labels = |text: &dyn Fn(usize) -> String| ObsColumn::Factor(Factor::from_texts((0..n).map(|i| Some(text(i)))));
    let condition = |i: usize| if i % 3 == 2 && i % 2 == 1 { "ctrl" } else { ["ctrl", "stim"][i % 2] };
    let mut obs = Frame::new(n);
    obs.insert("cell type", labels(&|i| ["B", "NK", "T"][i % 3].to_owned())).unwrap();
    obs.insert("condition", labels(&|i| condition(i).to_owned())).unwrap();
    obs.insert("donor", labels(&|i| format!("P{}", i / 6 % 4))).unwrap();
    obs.insert("sample", labels(&|i| format!("P{}{}", i / 6 % 4, condition(i)))).unwrap();
    obs.insert("batch", labels(&|i| (i % 5 + 1).to_string())).unwrap();
    obs.insert("age", ObsColumn::Number((0..n).map(|i| 20.0 + (i * 7 % 31) as f64).collect())).unwrap();
    obs.insert("run", ObsColumn::Number((0..n).map(|i| (i % 4) as f64).collect())).unwrap();
    obs
}

fn bind(formula: &str) -> Result<(Model, Design)> {
    let model = Model::parse(formula, &[])?;
    let design = Design::bind(&model, &obs(), None, &BindOptions { aliased: Aliased::Drop, ..BindOptions::default() })?;
    Ok((model, design))
}

fn components(design: &Design) -> Vec<(String, Vec<String>)> {
    design.components().iter().map(|c| (c.name.clone(), c.columns.clone())).collect()
}

fn derive(saved: &str, asked: &str) -> Result<Derived> {
    let (model, design) = bind(saved)?;
    let components = components(&design);
    let saved = SavedDesign { model: &model, coefficients: design.coefficients(), components: &components };
    saved.derive(&Model::parse(asked, &[])?)
}

/// The rows of [X Z], dense.
fn rows(design: &Design) -> Vec<Vec<f64>> {
    let mut row = Vec::new();
    let dense = |i: usize| {
        design.row(i, 1.0, &mut row);
        let mut dense = vec![0.0; design.n_fixed() + design.n_random()];
        row.iter().for_each(|&(j, x)| dense[j as usize] = x);
        dense
    };
    (0..design.n_rows()).map(dense).collect()
}

#[test]
fn columns_are_those_of_the_model_bound_to_the_cells() -> Result<()> {
    let rich = "~ age + `cell type`*condition + donor + age:donor + (1 | sample) + (1 | batch)";
    let crossed = "~ 0 + `cell type`:donor + condition + (1 | batch:donor) + (0 + age | sample)";
    for (saved, asked) in [
        (rich, "~ age + condition + (1 | sample)"),
        (rich, "~ `cell type` + condition + (1 | batch) + (1 | sample)"),
        (rich, "~ 0 + condition + age + (1 | sample)"),
        (rich, "~ 0 + `cell type` + (1 | sample)"),
        (rich, "~ 0 + donor + donor:age + (1 | batch)"),
        (rich, "~ condition + (1 | donor)"),
        (rich, "~ factor(batch) + condition + (1 | sample)"),
        (rich, "~ condition + sample + (1 | batch)"),
        (rich, "~ age + (0 + age | donor)"),
        (crossed, "~ `cell type` + donor + condition + (1 | batch:donor)"),
        (crossed, "~ 1 + age:sample + (1 | `cell type`)"),
        ("~ factor(run) + (1 | sample)", "~ 0 + factor(run) + (1 | sample)"),
    ] {
        let asked = if asked.contains('|') { asked.to_owned() } else { format!("{asked} + (1 | sample)") };
        let (_, source) = bind(saved)?;
        let derived = derive(saved, &asked)?;
        let model = Model::parse(&asked, &[])?;
        // Columns that only the cells show to be dependent are compared too.
        let names = derived.coefficients.names().to_vec();
        let (_, expected) = bind(&asked)?;
        let kept: Vec<usize> =
            expected.fixed_names().iter().map(|n| names.iter().position(|m| m == n).unwrap()).collect();
        for (from, to) in derived.components.iter().zip(expected.components()) {
            assert_eq!(from.1.len(), to.columns.len(), "{asked}");
        }
        let p = names.len();
        let random: usize = derived.components.iter().map(|c| c.1.len()).sum();
        let wanted: Vec<usize> = kept.into_iter().chain(p..p + random).collect();
        for (cell, (from, to)) in rows(&source).iter().zip(rows(&expected)).enumerate() {
            for (&column, x) in wanted.iter().zip(to) {
                let made: f64 = derived.columns[column].iter().map(|&(j, w)| w * from[j]).sum();
                assert!((made - x).abs() < 1e-9, "{} of {saved}: cell {cell}, column {column}", model.display());
            }
        }
    }
    Ok(())
}

#[test]
fn interactions_of_random_terms_may_be_written_either_way() -> Result<()> {
    let derived = derive("~ age + (1 | batch:donor)", "~ age + (1 | donor:batch)")?;
    assert_eq!(derived.components[0].0, "batch:donor");
    assert!(derived.columns.iter().enumerate().all(|(j, column)| *column == [(j, 1.0)]));
    Ok(())
}

#[test]
fn the_same_model_is_itself() -> Result<()> {
    let formula = "~ age + `cell type`*condition + (1 | sample)";
    let (_, design) = bind(formula)?;
    let derived = derive(formula, formula)?;
    assert_eq!(derived.components, components(&design));
    // The combination that no cell has was left out of the one and is a column of zeros in the other.
    assert_eq!(derived.coefficients.len(), design.n_fixed() + 1);
    assert_eq!(derived.columns.iter().filter(|c| c.is_empty()).count(), 1);
    Ok(())
}

#[test]
fn what_is_not_there_is_named() {
    let rich = "~ log(age) + condition + donor + factor(run) + (1 | batch)";
    for (asked, message) in [
        ("~ sex + (1 | batch)", "formula: `sex` is not in the sums; they were made with "),
        ("~ age + (1 | batch)", "formula: `age` is not in the sums; "),
        ("~ log(age):donor + (1 | batch)", "formula: the column `log(age):donorP0` is not in the sums; "),
        ("~ condition*donor + (1 | batch)", "formula: the column `conditionstim:donorP1` is not in the sums; "),
        ("~ condition + (1 | sample)", "formula: the random term `(1 | sample)` is not in the sums; "),
        ("~ condition + (1 | batch:donor)", "formula: the random term `(1 | batch:donor)` is not in the sums; "),
        ("~ condition + (0 + age | donor)", "formula: the random term `(0 + age | donor)` is not in the sums; "),
        ("~ condition", "formula: the model has no random term"),
        ("~ 0 + (1 | batch)", "formula: the model has no fixed effect"),
        ("~ run + (1 | batch)", "formula: the sums do not know whether `run` holds numbers or labels"),
        ("~ batch + (1 | donor)", "formula: the sums do not know whether `batch` holds numbers or labels"),
    ] {
        let fault = derive(rich, asked).unwrap_err();
        assert!(fault.to_string().starts_with(message), "{asked}: {fault}");
        assert!(fault.way_out().is_some(), "{asked}");
    }
}
