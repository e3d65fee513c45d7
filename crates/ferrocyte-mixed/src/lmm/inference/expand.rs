//! Many contrasts in a word: all pairs of the levels of a factor, a difference at every level of another.

use ferrocyte_base::{Fault, Result, Run, listing};

use crate::lmm::fit::Fit;
use crate::lmm::inference::Contrast;

/// Stands for every level of a factor that has no level of that name.
const ALL: &str = "all";

/// Contrasts that can be formed nowhere are named up to this many.
const NAMED: usize = 5;

impl Fit {
    /// The difference of two levels at each of the settings of the factors that interact with it: `at` gives values
    /// for each, where `all` stands for every level. Where there are several factors, the first varies slowest.
    ///
    /// Differences that can be formed in no group (a combination of levels without cells) are left out with a warning,
    /// unless all are.
    pub fn differences(
        &self,
        run: &Run,
        variable: &str,
        level: &str,
        reference: &str,
        at: &[(String, Vec<String>)],
    ) -> Result<Vec<Contrast>> {
        let contrasts = self.settings(at)?.into_iter().map(|at| Contrast::Difference {
            variable: variable.to_owned(),
            level: level.to_owned(),
            reference: reference.to_owned(),
            at,
        });
        self.formed(run, contrasts.collect())
    }

    /// All differences of two levels of a factor, later level minus earlier, at each setting of `at` as in
    /// [`Fit::differences`].
    pub fn pairwise(&self, run: &Run, variable: &str, at: &[(String, Vec<String>)]) -> Result<Vec<Contrast>> {
        let levels = self.levels(variable)?;
        let mut contrasts = Vec::new();
        for at in self.settings(at)? {
            for (i, reference) in levels.iter().enumerate() {
                contrasts.extend(levels[i + 1..].iter().map(|level| Contrast::Difference {
                    variable: variable.to_owned(),
                    level: level.clone(),
                    reference: reference.clone(),
                    at: at.clone(),
                }));
            }
        }
        if contrasts.is_empty() {
            return Err(Fault::bad_input("there is no pair of levels to compare").at(format!("factor `{variable}`")));
        }
        self.formed(run, contrasts)
    }

    /// The levels of a factor over all groups, the reference level first.
    fn levels(&self, variable: &str) -> Result<Vec<String>> {
        let mut levels: Vec<String> = Vec::new();
        self.refuse_impossible(|group| group.coefficients.levels(variable).map(|_| ()))?;
        for group in self.groups.iter().filter(|g| g.refused.is_empty()) {
            for level in group.coefficients.levels(variable).unwrap_or_default() {
                if !levels.contains(level) {
                    levels.push(level.clone());
                }
            }
        }
        Ok(levels)
    }

    /// Every combination of the values of `at`.
    fn settings(&self, at: &[(String, Vec<String>)]) -> Result<Vec<Vec<(String, String)>>> {
        let mut settings = vec![Vec::new()];
        for (name, values) in at {
            let wanted = match values.as_slice() {
                [word] if word == ALL => {
                    let levels = self.levels(name).map_err(|f| f.at("at"))?;
                    if levels.contains(word) { vec![word.clone()] } else { levels }
                }
                [] => return Err(Fault::bad_input("there is no value").at(format!("at `{name}`"))),
                values => values.to_vec(),
            };
            settings = settings
                .iter()
                .flat_map(|set: &Vec<(String, String)>| {
                    wanted.iter().map(move |value| {
                        let mut set = set.clone();
                        set.push((name.clone(), value.clone()));
                        set
                    })
                })
                .collect();
        }
        Ok(settings)
    }

    /// The contrasts that can be formed in some group; an error when there is none.
    fn formed(&self, run: &Run, contrasts: Vec<Contrast>) -> Result<Vec<Contrast>> {
        let single = contrasts.len() == 1;
        let (mut kept, mut lost, mut first) = (Vec::new(), Vec::new(), None);
        for contrast in contrasts {
            match self.refuse_impossible(|group| contrast.weights(group).map(|_| ())) {
                // A single one is tested whatever it is: the test says what is wrong with it.
                Err(fault) if !single => {
                    lost.push(contrast.name());
                    first = first.or(Some(fault));
                }
                _ => kept.push(contrast),
            }
        }
        match first {
            Some(fault) if kept.is_empty() => Err(fault),
            Some(fault) => {
                run.warn(&format!("no group can form {}: {fault}", listing(&lost, NAMED)));
                Ok(kept)
            }
            None => Ok(kept),
        }
    }
}
