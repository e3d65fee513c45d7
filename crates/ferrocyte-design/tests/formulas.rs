//! Columns of formulas as R's documented rules give them, and the messages of formulas that do not fit their cells.

#![allow(clippy::unwrap_used)]

use ferrocyte_base::{Kind, Result};
use ferrocyte_data::{Factor, Frame, ObsColumn};
use ferrocyte_design::{Aliased, BindOptions, Design, Model, alias};

/// 24 cells: factors `a` (2), `b` (3), `c` (2) crossed, numbers `x` and `y`, a label per cell.
fn obs() -> Frame {
    let n = 24;
    let factor = |f: &dyn Fn(usize) -> String| ObsColumn::Factor(Factor::from_texts((0..n).map(|i| Some(f(i)))));
    let mut obs = Frame::new(n);
    obs.insert("a", factor(&|i| format!("a{}", i % 2 + 1))).unwrap();
    obs.insert("b", factor(&|i| format!("b{}", i / 2 % 3 + 1))).unwrap();
    obs.insert("c", factor(&|i| format!("c{}", i / 6 % 2 + 1))).unwrap();
    obs.insert("cell type", factor(&|i| ["B cells", "NK"][i / 12].to_owned())).unwrap();
    obs.insert("barcode", factor(&|i| format!("{i:02}"))).unwrap();
    obs.insert("x", ObsColumn::Number((0..n).map(|i| 1.0 + (i * i % 7) as f64).collect())).unwrap();
    obs.insert("y", ObsColumn::Number((0..n).map(|i| (i * i * i % 11) as f64).collect())).unwrap();
    obs.insert("plate", ObsColumn::Number((0..n).map(|i| [10.0, 2.0, 0.5][i % 3]).collect())).unwrap();
    obs
}

fn bind(formula: &str, obs: &Frame) -> Result<Design> {
    Design::bind(&Model::parse(formula, &[])?, obs, None, &BindOptions::default())
}

fn drop_aliased(formula: &str, obs: &Frame) -> Design {
    let model = Model::parse(formula, &[]).unwrap();
    Design::bind(&model, obs, None, &BindOptions { aliased: Aliased::Drop, ..BindOptions::default() }).unwrap()
}

fn refused(formula: &str, obs: &Frame) -> String {
    bind(formula, obs).unwrap_err().to_string()
}

#[test]
fn columns_are_named_and_ordered_as_in_r() {
    let cases = [
        ("~ 1", "(Intercept)"),
        ("~ a + b", "(Intercept) aa2 bb2 bb3"),
        ("~ 0 + a + b", "aa1 aa2 bb2 bb3"),
        ("~ 0 + x + b + a", "x bb1 bb2 bb3 aa2"),
        ("~ a*b", "(Intercept) aa2 bb2 bb3 aa2:bb2 aa2:bb3"),
        ("~ a:b - 1", "aa1:bb1 aa2:bb1 aa1:bb2 aa2:bb2 aa1:bb3 aa2:bb3"),
        ("~ a + a:b", "(Intercept) aa2 aa1:bb2 aa2:bb2 aa1:bb3 aa2:bb3"),
        ("~ b + a:b", "(Intercept) bb2 bb3 bb1:aa2 bb2:aa2 bb3:aa2"),
        ("~ a*b - a", "(Intercept) bb2 bb3 aa2:bb1 aa2:bb2 aa2:bb3"),
        ("~ x*a", "(Intercept) x aa2 x:aa2"),
        ("~ a + a:x", "(Intercept) aa2 aa1:x aa2:x"),
        ("~ x:a", "(Intercept) x:aa1 x:aa2"),
        ("~ x:y + log(x) + I(x^2) + sqrt(y)", "(Intercept) log(x) I(x^2) sqrt(y) x:y"),
        ("~ a*b*c", "(Intercept) aa2 bb2 bb3 cc2 aa2:bb2 aa2:bb3 aa2:cc2 bb2:cc2 bb3:cc2 aa2:bb2:cc2 aa2:bb3:cc2"),
        (
            "~ a*b + c:a:b",
            "(Intercept) aa2 bb2 bb3 aa2:bb2 aa2:bb3 aa1:bb1:cc2 aa2:bb1:cc2 aa1:bb2:cc2 aa2:bb2:cc2 aa1:bb3:cc2 aa2:bb3:cc2",
        ),
        ("~ factor(plate)", "(Intercept) plate2 plate10"),
        ("~ factor(a) + a:x", "(Intercept) aa2 aa1:x aa2:x"),
    ];
    for (formula, expected) in cases {
        let design = bind(formula, &obs()).unwrap();
        assert_eq!(design.fixed_names().join(" "), expected, "{formula}");
    }
    let design = bind("~ `cell type`*a", &obs()).unwrap();
    assert_eq!(design.fixed_names(), ["(Intercept)", "`cell type`NK", "aa2", "`cell type`NK:aa2"]);
    assert_eq!(design.coefficients().resolve("a[a2]:cell type[NK]").unwrap(), 3);
}

#[test]
fn rows_hold_the_products_of_their_variables() {
    let obs = obs();
    let design = bind("~ a:x + log(y + 1):b + (1 | c) + (0 + x | a:b)", &obs).unwrap();
    assert_eq!(
        design.fixed_names(),
        ["(Intercept)", "aa1:x", "aa2:x", "log(y + 1):bb1", "log(y + 1):bb2", "log(y + 1):bb3"]
    );
    let names: Vec<&str> = design.components().iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["c", "a:b:x"]);
    assert_eq!(design.components()[1].columns[..3], ["aa1:bb1:x", "aa2:bb1:x", "aa1:bb2:x"]);
    assert_eq!((design.n_fixed(), design.n_random()), (6, 8));
    let numeric: Vec<bool> = (0..14).map(|j| design.is_numeric(j)).collect();
    assert_eq!(numeric, [false, true, true, true, true, true, false, false, true, true, true, true, true, true]);
    let mut row = Vec::new();
    // Cell 9: a2, b2, c2, x = 5, y = 3.
    design.row(9, f64::NAN, &mut row);
    assert_eq!(row, [(0, 1.0), (2, 5.0), (4, 4_f64.ln()), (7, 1.0), (11, 5.0)]);
}

#[test]
fn a_missing_libsize_waits_for_totals() {
    let obs = obs();
    let model = Model::parse("~ log(libsize/x):a + b + (1 | c)", &[]).unwrap();
    let rows = [9, 4, 5, 6, 7, 8, 10, 11];
    let design = Design::bind(&model, &obs, Some(&rows), &BindOptions::default()).unwrap();
    assert!(design.needs_totals());
    assert_eq!((design.obs_row(0), design.n_rows()), (9, 8));
    let mut row = Vec::new();
    design.row(0, 50.0, &mut row);
    assert_eq!(row, [(0, 1.0), (1, 1.0), (4, 10_f64.ln()), (6, 1.0)]);
    design.row(0, 0.0, &mut row);
    assert!(row.iter().any(|(_, x)| !x.is_finite()));
    let fault = design.totals_fault(&[("AACT-1".to_owned(), 0.0)], 3);
    assert_eq!(fault.to_string(), "design: `log(libsize/x)` is not finite in 3 cells: `AACT-1` (total 0) and 2 more");
}

#[test]
fn levels_that_no_cell_has_are_dropped_and_named() {
    let obs = obs();
    let rows: Vec<usize> = (0..24).filter(|i| i / 2 % 3 != 0).collect();
    let design =
        Design::bind(&Model::parse("~ b + (1 | a:b)", &[]).unwrap(), &obs, Some(&rows), &BindOptions::default())
            .unwrap();
    assert_eq!(design.fixed_names(), ["(Intercept)", "bb3"]);
    assert_eq!(design.dropped_levels(), [("b".to_owned(), vec!["b1".to_owned()])]);
    assert_eq!(design.components()[0].columns, ["aa1:bb2", "aa2:bb2", "aa1:bb3", "aa2:bb3"]);
}

#[test]
fn all_problems_come_in_one_message() {
    let mut obs = obs();
    let mut x: Vec<f64> = (0..24).map(f64::from).collect();
    (x[3], x[4], x[5]) = (f64::NAN, f64::NAN, f64::INFINITY);
    obs.insert("x", ObsColumn::Number(x)).unwrap();
    obs.insert("one", ObsColumn::Factor(Factor::from_texts(vec![Some("stim"); 24]))).unwrap();
    let mut age: Vec<Option<&str>> = [Some("old"), Some("young")].repeat(12);
    age[7] = None;
    obs.insert("age", ObsColumn::Factor(Factor::from_texts(age))).unwrap();
    assert_eq!(
        refused("~ log(x) + one + age + a + a:age + log(a) + bb + (1 | barcode) + (b || c)", &obs),
        "design: 9 problems\n  \
         - obs column `x`: 2 cells have no value (of 24) (leave these cells out, or fill the values in)\n  \
         - obs column `x`: infinite in 1 cell (of 24) (leave these cells out, or mend the values)\n  \
         - `log(x)` is -inf in 1 cell (obs row 0; x = 0 in the first) (leave these cells out, or mend the values)\n  \
         - `one` has one level left, `stim` (leave it out of the model, or add cells of another level)\n  \
         - obs column `age`: 1 cell has no value (of 24) (leave these cells out, or fill the values in)\n  \
         - `log(a)`: obs column `a` holds labels, expected numbers (make the column numeric, or use it as a factor)\n  \
         - obs has no column `bb` (did you mean `b`, `a`, `c`?)\n  \
         - random term `(1 | barcode)`: every cell has a level of its own (group cells by a label that several of them share)\n  \
         - `(0 + b | c)`: `b` holds labels, and slopes are numbers (write `(1 | c:b)`)"
    );
    let fault = bind("~ bb", &obs).unwrap_err();
    assert_eq!((fault.to_string().as_str(), fault.kind()), ("design: obs has no column `bb`", Kind::MissingKey));
    assert_eq!(fault.way_out(), Some("did you mean `b`, `a`, `c`?"));
}

#[test]
fn missing_values_and_aliased_columns_are_said_together() {
    let mut obs = obs();
    let mut twice: Vec<f64> = (0..24).map(|i| 2.0 * (1.0 + (i * i % 7) as f64)).collect();
    twice[0] = f64::NAN;
    obs.insert("twice", ObsColumn::Number(twice)).unwrap();
    assert_eq!(
        refused("~ x + twice + a", &obs),
        "design: 2 problems\n  \
         - obs column `twice`: 1 cell has no value (of 24) (leave these cells out, or fill the values in)\n  \
         - aliased column `twice`: equals 2*`x` (leave a term out, or have aliased columns dropped)"
    );
}

/// 8 donors, 4 cells each; the first four donors are controls.
fn study() -> Frame {
    let n = 32;
    let factor = |f: &dyn Fn(usize) -> String| ObsColumn::Factor(Factor::from_texts((0..n).map(|i| Some(f(i)))));
    let mut obs = Frame::new(n);
    obs.insert("donor", factor(&|i| format!("P{}", i / 4 + 1))).unwrap();
    obs.insert("condition", factor(&|i| if i < 16 { "ctrl" } else { "stim" }.to_owned())).unwrap();
    obs.insert("cls", factor(&|i| if i == 31 { "7".to_owned() } else { format!("{}", i % 2 + 5) })).unwrap();
    obs.insert("age", ObsColumn::Number((0..n).map(|i| (30 + i / 4 * i / 4 % 11) as f64).collect())).unwrap();
    obs.insert("same", ObsColumn::Number(vec![3.5; n])).unwrap();
    obs.insert("zero", ObsColumn::Number(vec![0.0; n])).unwrap();
    obs.insert("seconds", ObsColumn::Number((0..n).map(|i| 1.7e9 + (i * i % 5) as f64).collect())).unwrap();
    let age = (0..n).map(|i| [31.0, 40.0, 38.0, 29.0, 51.0, 33.0, 45.0, 60.0][i / 4]).collect();
    obs.insert("age", ObsColumn::Number(age)).unwrap();
    obs
}

#[test]
fn aliased_columns_are_named_with_the_reason() {
    let cases = [
        (
            "~ donor + condition",
            "design: aliased column `conditionstim`: equals the sum of `donorP5`, `donorP6`, `donorP7`, `donorP8`: \
             each `donor` has one `condition`, and both are fixed effects",
        ),
        (
            "~ condition + donor",
            "design: aliased column `donorP8`: equals `conditionstim` - `donorP5` - `donorP6` - `donorP7`: \
             each `donor` has one `condition`, and both are fixed effects",
        ),
        ("~ cls*condition", "design: aliased column `cls7:conditionstim`: equals `cls7`: both mark the same cells"),
        ("~ condition + same", "design: aliased column `same`: equals 3.5*`(Intercept)`: it is 3.5 in every cell"),
        ("~ condition + zero", "design: aliased column `zero`: `zero` is 0 in every cell"),
        (
            "~ seconds",
            "design: aliased column `seconds`: equals 1.7e+09*`(Intercept)`: its spread is too small beside its size, \
             subtract a typical value from it",
        ),
    ];
    for (formula, expected) in cases {
        assert_eq!(refused(formula, &study()), expected, "{formula}");
    }
    assert!(
        refused("~ donor + age", &study())
            .ends_with("it is the same in all cells of each `donor`, and `donor` is a fixed effect")
    );
    assert!(bind("~ I(seconds - 1.7e9)", &study()).is_ok());
    // A type that one arm does not have.
    let rows: Vec<usize> = (0..32).filter(|&i| i < 30).chain([31]).collect();
    let model = Model::parse("~ cls:condition", &[]).unwrap();
    let fault = Design::bind(&model, &study(), Some(&rows), &BindOptions::default()).unwrap_err();
    assert!(
        fault.message().contains("aliased column `cls7:conditionctrl`: no cell has cls=7 and condition=ctrl"),
        "{fault}"
    );
}

#[test]
fn aliased_columns_can_be_dropped() {
    let design = drop_aliased("~ donor + condition + cls + cls:condition + (1 | cls)", &study());
    let names: Vec<&str> = design.aliased().iter().map(|a| a.name.as_str()).collect();
    assert_eq!(names, ["conditionstim", "conditionstim:cls7"]);
    assert_eq!(design.n_fixed(), 11);
    assert_eq!(design.fixed_names().last().unwrap(), "conditionstim:cls6");
    // Columns close ranks, and none is left that depends on others.
    let p = design.n_fixed();
    let mut xx = vec![0.0; p * p];
    let mut row = Vec::new();
    for i in 0..design.n_rows() {
        design.row(i, f64::NAN, &mut row);
        let random: Vec<u32> = row.iter().map(|e| e.0).filter(|&j| j as usize >= p).collect();
        assert!(random.len() == 1 && (random[0] as usize) < p + 3);
        row.retain(|e| (e.0 as usize) < p);
        for &(a, x) in &row {
            for &(b, y) in &row {
                xx[a as usize * p + b as usize] += x * y;
            }
        }
    }
    assert!(alias::find(&xx, p).is_empty());
    let fault = design.coefficients().resolve("conditionstim").unwrap_err();
    assert!(fault.message().starts_with("`conditionstim` has no estimate, its column was dropped: equals the sum"));
    let at = [("cls".to_owned(), "5".to_owned())];
    assert!(design.coefficients().difference("condition", "stim", "ctrl", &at).is_err());
}

#[test]
fn the_units_of_a_covariate_do_not_matter() {
    for scale in [1e-6, 1.0, 1e6, 1e9] {
        let mut obs = obs();
        let scaled = (0..24).map(|i| scale * (1.0 + (i * i % 7) as f64)).collect();
        obs.insert("x", ObsColumn::Number(scaled)).unwrap();
        assert!(bind("~ x*a + I(x^2) + b", &obs).is_ok(), "{scale}");
        assert!(refused("~ x*a + I(x*3) + b", &obs).contains("aliased column `I(x * 3)`: equals 3*`x`"), "{scale}");
    }
}

#[test]
fn designs_that_cannot_be_fitted_are_refused() {
    assert_eq!(refused("~ 0 + (1 | a)", &obs()), "design: the model has no fixed effect");
    assert_eq!(refused("~ barcode", &obs()), "design: the model has 24 fixed columns and only 24 cells");
    let model = Model::parse("~ a", &["~ 0 + x".to_owned()]).unwrap();
    let fault = Design::bind(&model, &obs(), None, &BindOptions::default()).unwrap_err();
    assert_eq!(fault.to_string(), "design: random term `~ 0 + x`: no variable of it holds labels");
    assert_eq!(fault.way_out(), Some("write `~ 0 + factor(x)` or `(1 | x)` if the numbers are labels"));
    let model = Model::parse("~ 1", &[]).unwrap();
    let fault = Design::bind(&model, &obs(), Some(&[]), &BindOptions::default()).unwrap_err();
    assert_eq!(fault.to_string(), "design: there are no cells");
    let fault = Design::bind(&model, &obs(), Some(&[24]), &BindOptions::default()).unwrap_err();
    assert_eq!(fault.to_string(), "obs: row 24 is outside the 24 rows");
    // Two columns of one name: factor `ab` level `c`, factor `a` level `bc`.
    let mut twins = Frame::new(4);
    for (name, texts) in [("ab", ["c", "b", "c", "b"]), ("a", ["b", "bc", "bc", "b"])] {
        twins.insert(name, ObsColumn::Factor(Factor::from_texts(texts.map(Some)))).unwrap();
    }
    assert_eq!(refused("~ ab + a", &twins), "design: columns share a name: `abc`");
}
