//! Proportions and doublets against the reference, and compositions of published studies.

use std::path::Path;

use ferrocyte_base::{Result, Run};
use ferrocyte_cells::Names;
use ferrocyte_cells::composition::{CompositionOptions, ShareTransform, TypesBySamples, composition};
use ferrocyte_cells::proportion::{Within, proportion};
use ferrocyte_cells::scrublet::{ScrubletOptions, score_of, scrublet};
use ferrocyte_data::Factor;
use ferrocyte_math::linalg::Matrix;

use crate::files::{Case, Matrix32, assert_near, data, number, numbers, texts};

#[test]
fn proportions_of_the_edge() -> Result<()> {
    for case in Case::with("edge.json") {
        let edge = &case.json("edge.json")["proportions"];
        let levels = texts(&edge["sample_categories"]);
        let samples = texts(&edge["sample"]);
        let codes: Vec<u32> =
            samples.iter().map(|s| levels.iter().position(|l| l == s).map_or(Factor::MISSING, |i| i as u32)).collect();
        let major = Factor { levels, codes: codes.into() };
        let minor = Factor::from_texts(edge["ct"].as_array().unwrap().iter().map(|v| v.as_str()));
        for word in ["False", "index", "columns", "all"] {
            let found = proportion(&major, &minor, Within::from_crosstab_word(word)?, false)?;
            let expected = &edge[word];
            assert_eq!((&found.majors, &found.minors), (&texts(&expected["index"]), &texts(&expected["columns"])));
            let values: Vec<f64> = expected["data"].as_array().unwrap().iter().flat_map(numbers).collect();
            assert_eq!(found.values, values, "{word}");
        }
    }
    Ok(())
}

/// A table with samples in rows: the groups, and types × samples.
fn study(path: &Path) -> Option<(Factor, Vec<String>, Matrix)> {
    let text = std::fs::read_to_string(path).ok()?;
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split('\t').collect()).collect();
    let group = rows[0].iter().position(|name| *name == "group")?;
    let types: Vec<usize> = (1..rows[0].len()).filter(|&j| rows[1][j].parse::<f64>().is_ok()).collect();
    let groups = Factor::from_texts(rows[1..].iter().map(|row| Some(row[group])));
    let mut counts = Matrix::zeros(types.len(), rows.len() - 1);
    for (i, &j) in types.iter().enumerate() {
        (1..rows.len()).for_each(|s| counts[(i, s - 1)] = rows[s][j].parse().unwrap());
    }
    Some((groups, types.iter().map(|&j| rows[0][j].to_owned()).collect(), counts))
}

#[test]
fn published_studies_are_compared() -> Result<()> {
    for name in ["covid_bal", "haber_intestine", "heart_development", "pbmc_breast_cancer"] {
        let path = data(&format!("composition/{name}.tsv"));
        let Some((groups, types, values)) = study(&path) else {
            eprintln!("passed over: {}", path.display());
            continue;
        };
        for transform in [ShareTransform::Logit, ShareTransform::Asin] {
            let options = CompositionOptions { groups: &groups, covariates: None, transform, robust: true };
            let cells = TypesBySamples { values: &values, types: &types, pseudo_total: None };
            let found = composition(&Run::new(), &cells, &options)?;
            assert_eq!(found.types.len() + found.left_out.len(), types.len());
            for (p, q) in found.p.iter().zip(&found.q) {
                assert!((0.0..=1.0).contains(p) && q >= p, "{name}");
            }
            // Mean shares of a group sum to 1.
            for j in 0..found.groups.len() {
                let sum: f64 = (0..found.types.len()).map(|i| found.means[(i, j)]).sum();
                assert!((sum - 1.0).abs() < 1e-12, "{name}");
            }
        }
    }
    Ok(())
}

#[test]
fn the_formula_of_doublet_scores() {
    for case in Case::with("scrublet_score_formula.tsv.gz") {
        let table = case.table("scrublet_score_formula.tsv.gz");
        let column = |name: &str| table.floats(name);
        let [k, rho, r, nd, se_rho] = ["k_adj", "rho", "r", "nd", "se_rho"].map(column);
        let found: Vec<(f64, f64)> = (0..k.len()).map(|i| score_of(nd[i], k[i], r[i], rho[i], se_rho[i])).collect();
        let (scores, errors): (Vec<f64>, Vec<f64>) = found.into_iter().unzip();
        assert_near("score", &scores, &column("score"), 1e-13, 0.0);
        assert_near("se", &errors, &column("se"), 1e-13, 0.0);
    }
}

#[test]
fn doublets_from_given_pairs() -> Result<()> {
    for case in Case::with("scrublet.npz") {
        let expected = case.npz("scrublet.npz");
        let all = Matrix32::read(&data("kang_ifnb_2k/kang_ifnb_2k_counts.h5ad"));
        let n = expected.get("obs_score").values.len();
        let cells = all.take(&(0..n).collect::<Vec<_>>(), &(0..all.genes.len()).collect::<Vec<_>>());
        let params = &case.json("metrics.json")["scrublet"]["params"];
        let parents = expected.get("parents");
        let options = ScrubletOptions {
            expected_rate: number(&params["expected_doublet_rate"]),
            se_rate: number(&params["stdev_doublet_rate"]),
            sim_ratio: number(&params["sim_doublet_ratio"]),
            n_comps: number(&params["n_prin_comps"]) as usize,
            n_neighbors: params["n_neighbors"].as_u64().map(|k| k as usize),
            log_transform: params["log_transform"].as_bool().unwrap_or(false),
            parents: Some(
                (0..parents.shape[0]).map(|i| (parents.row(i)[0] as u32, parents.row(i)[1] as u32)).collect(),
            ),
            ..ScrubletOptions::default()
        };
        let found = scrublet(&Run::new(), &mut cells.source(), &Names::default(), &options)?;
        for (what, ours, theirs) in [
            ("observed", &found.score, &expected.get("obs_score").values),
            ("simulated", &found.simulated, &expected.get("sim_score").values),
        ] {
            let same = ours.iter().zip(theirs).filter(|(a, b)| (*a - *b).abs() <= 1e-6).count();
            assert!(same as f64 >= 0.99 * theirs.len() as f64, "{what}: {same} of {} scores agree", theirs.len());
        }
        let threshold = found.threshold.unwrap_or(f64::NAN);
        assert_near("threshold", &[threshold], &expected.get("threshold").values, 1e-6, 0.0);
        let theirs: Vec<bool> = expected.get("predicted").values.iter().map(|&v| v != 0.0).collect();
        let same = found.is_doublet.iter().zip(&theirs).filter(|(a, b)| a == b).count();
        assert!(same as f64 >= 0.99 * theirs.len() as f64);
    }
    Ok(())
}
