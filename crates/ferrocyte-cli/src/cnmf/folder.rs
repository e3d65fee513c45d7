//! [`Folder`]: a run of consensus factorisations on disk, in the layout of the program `cnmf`.
//!
//! Tables are text, and data frames as `.npz` in `cnmf_tmp`; matrices are .h5ad. What is read may have been written by
//! either program. Names of files say what they are; only here are they spelled.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use ferrocyte_base::{Fault, Result, listing};
use ferrocyte_io::{NamedForm, NamedMatrix, read_named_npz, write_atomically, write_matrix_tsv, write_named_npz};
use ferrocyte_learn::nmf::{Replicate, Stop};
use ferrocyte_programs::{FactoriseOptions, Replica, ReplicaSummary};
use serde_json::json;

/// Where a run lives: `OUTPUT_DIR/NAME`.
#[derive(Debug, Clone)]
pub struct Folder {
    root: PathBuf,
    name: String,
}

impl Folder {
    /// The folder of a run; nothing is looked at yet.
    ///
    /// # Errors
    /// A name that is empty or holds a separator of folders.
    pub fn new(output_dir: &Path, name: &str) -> Result<Self> {
        if name.is_empty() || name.contains(['/', '\\']) {
            return Err(Fault::bad_input(format!("`{name}` is no name of a run")).at("name"));
        }
        Ok(Self { root: output_dir.join(name), name: name.to_owned() })
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A file beside the results.
    pub fn file(&self, rest: &str) -> PathBuf {
        self.root.join(format!("{}.{rest}", self.name))
    }

    /// A file of the work in between.
    pub fn between(&self, rest: &str) -> PathBuf {
        self.root.join("cnmf_tmp").join(format!("{}.{rest}", self.name))
    }

    /// A data frame of the work in between.
    pub(super) fn frame(&self, table: &str) -> PathBuf {
        self.between(&format!("{table}.df.npz"))
    }

    /// The spectra of one replicate.
    pub(super) fn spectra(&self, k: usize, iter: usize) -> PathBuf {
        self.frame(&format!("spectra.k_{k}.iter_{iter}"))
    }

    /// The spectra of all replicates of one k.
    pub(super) fn merged(&self, k: usize) -> PathBuf {
        self.frame(&format!("spectra.k_{k}.merged"))
    }

    /// Makes the folders.
    pub(super) fn make(&self) -> Result<()> {
        let path = self.root.join("cnmf_tmp");
        fs::create_dir_all(&path).map_err(|e| {
            Fault::bad_file(format!("the folder cannot be made: {e}")).at(path.display().to_string()).because(e)
        })
    }

    /// Writes text, in one piece.
    pub(super) fn write_text(path: &Path, text: &str) -> Result<()> {
        write_atomically(path, |file| {
            file.write_all(text.as_bytes()).map_err(|e| Fault::bad_file(format!("cannot be written: {e}")).because(e))
        })
    }

    /// Writes a table as text and as a data frame.
    pub(super) fn write_table(&self, rest: &str, frame: &str, matrix: &NamedMatrix) -> Result<PathBuf> {
        let numbered_rows = matrix.row_names.iter().all(|name| name.parse::<i64>().is_ok());
        write_named_npz(&self.frame(frame), matrix, NamedForm { numbered_rows, whole_numbers: false })?;
        let path = self.file(rest);
        write_matrix_tsv(&path, matrix)?;
        Ok(path)
    }

    /// Removes the files of the work in between whose names begin so: they belong to what is made anew.
    pub(super) fn forget(&self, begin: &str) -> Result<()> {
        for path in self.between_files(begin)? {
            fs::remove_file(&path).map_err(|e| {
                Fault::bad_file(format!("cannot be removed: {e}")).at(path.display().to_string()).because(e)
            })?;
        }
        Ok(())
    }

    fn between_files(&self, begin: &str) -> Result<Vec<PathBuf>> {
        let folder = self.root.join("cnmf_tmp");
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(Fault::bad_file(format!("cannot be read: {e}")).at(folder.display().to_string())),
        };
        let begin = format!("{}.{begin}", self.name);
        let mine = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&begin));
        let mut found: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(mine).collect();
        found.sort();
        Ok(found)
    }

    /// Writes the table of jobs; `completed` says which are made.
    pub(super) fn write_jobs(&self, jobs: &[Replicate]) -> Result<()> {
        let values = jobs.iter().flat_map(|j| [j.components as f64, j.index as f64, f64::from(j.seed), 0.0]).collect();
        let matrix = NamedMatrix {
            row_names: (0..jobs.len()).map(|i| i.to_string()).collect(),
            column_names: ["n_components", "iter", "nmf_seed", "completed"].map(str::to_owned).to_vec(),
            values,
        };
        write_named_npz(&self.frame("nmf_params"), &matrix, NamedForm { numbered_rows: true, whole_numbers: true })
    }

    /// The table of jobs.
    ///
    /// # Errors
    /// None was prepared, or it is damaged.
    pub fn jobs(&self) -> Result<Vec<Replicate>> {
        let path = self.frame("nmf_params");
        if !path.exists() {
            let message = format!("nothing is prepared in `{}`", self.root.display());
            return Err(Fault::missing(message).hint("call prepare first, with the same output directory and name"));
        }
        let table = read_named_npz(&path)?;
        let column =
            |name: &str| {
                table.column_names.iter().position(|c| c == name).ok_or_else(|| {
                    Fault::bad_file(format!("there is no column `{name}`")).at(path.display().to_string())
                })
            };
        let (k, iter, seed) = (column("n_components")?, column("iter")?, column("nmf_seed")?);
        let job = |i: usize| {
            let row = table.row(i);
            Replicate { components: row[k] as usize, index: row[iter] as usize, seed: row[seed] as u32 }
        };
        Ok((0..table.row_names.len()).map(job).collect())
    }

    /// Writes how replicates are made, in the YAML that the peer reads.
    pub(super) fn write_fit(&self, fit: &FactoriseOptions) -> Result<()> {
        let solver = if fit.loss == ferrocyte_learn::nmf::Loss::FROBENIUS { "cd" } else { "mu" };
        let loss = match fit.loss.value() {
            2.0 => "frobenius".to_owned(),
            1.0 => "kullback-leibler".to_owned(),
            0.0 => "itakura-saito".to_owned(),
            beta => format!("{beta:?}"),
        };
        let text = format!(
            "alpha_H: {:?}\nalpha_W: {:?}\nbeta_loss: {loss}\ninit: {}\nl1_ratio: 0.0\nmax_iter: {}\nsolver: {solver}\ntol: 0.0001\n",
            fit.alpha_spectra,
            fit.alpha_usage,
            fit.init.word(),
            fit.max_iterations
        );
        Self::write_text(&self.between("nmf_idvrun_params.yaml"), &text)
    }

    /// How replicates are made.
    ///
    /// # Errors
    /// The file is missing or says what is not understood.
    pub fn fit(&self) -> Result<FactoriseOptions> {
        let path = self.between("nmf_idvrun_params.yaml");
        let place = path.display().to_string();
        let text = fs::read_to_string(&path)
            .map_err(|e| Fault::bad_file(format!("cannot be read: {e}")).at(place.clone()).because(e))?;
        let pairs: BTreeMap<&str, &str> = text
            .lines()
            .filter_map(|line| line.split_once(':'))
            .map(|(key, value)| (key.trim(), value.trim().trim_matches(['\'', '"'])))
            .collect();
        let mut fit = FactoriseOptions::default();
        let number = |key: &str, usual: f64| match pairs.get(key) {
            None => Ok(usual),
            Some(text) => text
                .parse::<f64>()
                .map_err(|e| Fault::bad_file(format!("`{key}` is no number: `{text}`")).at(place.clone()).because(e)),
        };
        fit.alpha_usage = number("alpha_W", 0.0)?;
        fit.alpha_spectra = number("alpha_H", 0.0)?;
        fit.max_iterations = number("max_iter", 1000.0)? as usize;
        if let Some(word) = pairs.get("beta_loss") {
            fit.loss = ferrocyte_learn::nmf::Loss::from_word(word).map_err(|f| f.at(place.clone()))?;
        }
        if let Some(word) = pairs.get("init") {
            fit.init = ferrocyte_programs::Init::from_word(word).map_err(|f| f.at(place.clone()))?;
        }
        Ok(fit)
    }

    /// Writes the spectra of a replica, and a line about it for the report. The file is the checkpoint.
    pub(super) fn write_replica(&self, genes: &[String], replica: &Replica, log: &Path) -> Result<()> {
        let r = replica.replicate;
        let matrix = NamedMatrix {
            row_names: (1..=r.components).map(|t| t.to_string()).collect(),
            column_names: genes.to_vec(),
            values: replica.spectra.clone(),
        };
        let line = json!({
            "k": r.components, "iter": r.index, "seed": r.seed, "n_iter": replica.iterations, "error": replica.error,
            "status": replica.stop.status().word,
        });
        let not_written = |e: std::io::Error| {
            Fault::bad_file(format!("cannot be written: {e}")).at(log.display().to_string()).because(e)
        };
        let mut file = fs::File::options().create(true).append(true).open(log).map_err(not_written)?;
        writeln!(file, "{line}").map_err(not_written)?;
        write_named_npz(
            &self.spectra(r.components, r.index),
            &matrix,
            NamedForm { numbered_rows: true, whole_numbers: false },
        )
    }

    /// Where one of several workers tells of its replicas.
    pub(super) fn log(&self, worker: usize, n_workers: usize) -> PathBuf {
        self.between(&format!("nmf_runs.{worker}_of_{n_workers}.jsonl"))
    }

    /// What is known of replicas that were made here, the last word of each. Those made by the peer tell nothing.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn told(&self) -> Result<Vec<ReplicaSummary>> {
        let mut found = BTreeMap::new();
        for path in self.between_files("nmf_runs.")? {
            let text = fs::read_to_string(&path).map_err(|e| {
                Fault::bad_file(format!("cannot be read: {e}")).at(path.display().to_string()).because(e)
            })?;
            // A line that was cut off by a crash tells nothing.
            for line in text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()) {
                let whole = |key: &str| line[key].as_u64();
                let stop = Stop::ALL.into_iter().find(|s| Some(s.status().word) == line["status"].as_str());
                if let (Some(k), Some(index), Some(seed), Some(n_iter), Some(stop)) =
                    (whole("k"), whole("iter"), whole("seed"), whole("n_iter"), stop)
                {
                    let (k, index) = (k as usize, index as usize);
                    let error = line["error"].as_f64().unwrap_or(f64::NAN);
                    let summary =
                        ReplicaSummary { k, index, seed: seed as u32, iterations: n_iter as usize, error, stop };
                    found.insert((k, index), summary);
                }
            }
        }
        Ok(found.into_values().collect())
    }

    /// Refuses files of replicates that the table of jobs does not have, and replicas of other seeds.
    pub(super) fn check_strangers(&self, jobs: &[Replicate]) -> Result<()> {
        let mut strangers = Vec::new();
        for path in self.between_files("spectra.k_")? {
            let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            if let Some((k, iter)) = replicate_of(&name)
                && !jobs.iter().any(|j| (j.components, j.index) == (k, iter))
            {
                strangers.push(name);
            }
        }
        for told in self.told()? {
            let same = |j: &&Replicate| (j.components, j.index) == (told.k, told.index);
            if jobs.iter().find(same).is_some_and(|j| j.seed != told.seed) && self.spectra(told.k, told.index).exists()
            {
                strangers.push(format!("k_{}.iter_{} with seed {}", told.k, told.index, told.seed));
            }
        }
        if strangers.is_empty() {
            return Ok(());
        }
        let message = format!("{} replicates belong to another job table: {}", strangers.len(), listing(&strangers, 5));
        Err(Fault::bad_input(message)
            .at(self.root.display().to_string())
            .hint("give this run another name, or remove cnmf_tmp and begin anew"))
    }

    /// The numbers of programs of which spectra are combined, rising.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn combined(&self) -> Result<Vec<usize>> {
        let of = |path: &PathBuf| {
            let name = path.file_name()?.to_string_lossy().into_owned();
            name.strip_suffix(".merged.df.npz")?.rsplit_once(".k_")?.1.parse().ok()
        };
        let mut ks: Vec<usize> = self.between_files("spectra.k_")?.iter().filter_map(of).collect();
        ks.sort_unstable();
        Ok(ks)
    }
}

/// k and number of a file of spectra of one replicate.
fn replicate_of(name: &str) -> Option<(usize, usize)> {
    let (rest, iter) = name.strip_suffix(".df.npz")?.rsplit_once(".iter_")?;
    Some((rest.rsplit_once(".k_")?.1.parse().ok()?, iter.parse().ok()?))
}

/// A threshold as names of files have it: `0_5`, `2_0`.
pub fn threshold_word(threshold: f64) -> String {
    format!("{threshold:?}").replace('.', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_are_read_and_written() -> Result<()> {
        assert_eq!(replicate_of("run.a.spectra.k_7.iter_12.df.npz"), Some((7, 12)));
        assert_eq!(replicate_of("run.spectra.k_7.merged.df.npz"), None);
        assert_eq!((threshold_word(0.5), threshold_word(2.0)), ("0_5".into(), "2_0".into()));
        assert!(Folder::new(Path::new("."), "a/b").is_err() && Folder::new(Path::new("."), "").is_err());
        let folder = Folder::new(Path::new("out"), "run")?;
        assert!(folder.merged(7).ends_with("run/cnmf_tmp/run.spectra.k_7.merged.df.npz"));
        assert!(folder.jobs().is_err_and(|f| f.message().contains("nothing is prepared")));
        Ok(())
    }
}
