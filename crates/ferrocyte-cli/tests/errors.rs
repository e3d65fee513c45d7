//! Each kind of error: its exact text, its exit code, and nothing left behind.

use crate::support::{FORMULA, Folder, golden};

#[track_caller]
fn fails(folder: &Folder, args: &[&str], code: i32, expected: &str) {
    let before = folder.names();
    let left = folder.run(args);
    assert_eq!((left.code, left.err.as_str(), left.out.as_str()), (code, expected, ""), "{args:?}");
    assert_eq!(folder.names(), before, "{args:?} left something behind");
}

#[track_caller]
fn fit_fails(formula: &str, more: &[&str], code: i32, expected: &str) {
    let args = [&["lmm", "fit", "study.h5ad", "--formula", formula, "-o", "t.tsv"], more].concat();
    fails(&Folder::new(), &args, code, expected);
}

#[test]
fn what_is_missing_from_the_study_is_named() {
    fit_fails(
        "~ cls + trtt + (1 | sam)",
        &[],
        1,
        "error: study.h5ad: obs: there is no column `trtt`\nhint: did you mean `trt`, `time`?\n",
    );
    fit_fails(
        FORMULA,
        &["--layer", "counts"],
        1,
        "error: study.h5ad: there is no matrix `counts`\nhint: its matrices: `X`\n",
    );
    fit_fails(
        "~ cls + trt + (1 | sam)",
        &["--contrast", "trt:C:A"],
        1,
        "error: factor `trt`: there is no level `C`\nhint: did you mean `A`, `B`? Its levels are `A`, `B`\n",
    );
}

#[test]
fn values_that_are_no_counts_are_refused() {
    let folder = Folder::new();
    let (bytes, gene, cell) = with_a_half(&std::fs::read(golden("cells/io/nocompress_ad013.h5ad")).unwrap());
    std::fs::write(folder.path("logged.h5ad"), bytes).unwrap();
    let fit = ["lmm", "fit", "logged.h5ad", "--formula", "~ 1 + (1 | flag)", "-o", "t.tsv"];
    let expected = format!(
        "error: X of logged.h5ad: a count transform needs counts, but cell `cell_{cell:03}` has 0.5 for gene `{gene}`, which is \
         not a whole number\nhint: give the layer that holds counts, or transform=\"none\" to model these values as \
         they are\n"
    );
    fails(&folder, &fit, 1, &expected);
}

/// An uncompressed study whose last count is replaced by 0.5, with the gene and the cell of that count.
fn with_a_half(study: &[u8]) -> (Vec<u8>, String, usize) {
    use ferrocyte_data::{RowChunks, Values};
    let file = ferrocyte_io::H5ad::open(golden("cells/io/nocompress_ad013.h5ad")).unwrap();
    let mut matrix = file.matrix("X").unwrap();
    let rows = 0..matrix.n_rows();
    let block = matrix.read(&ferrocyte_base::Run::new(), rows).unwrap();
    let Values::F32(counts) = block.values() else { panic!("the counts are 32-bit floats") };
    let last = counts.len() - 1;
    let stored: Vec<u8> = counts.iter().flat_map(|c| c.to_le_bytes()).collect();
    let start = study.windows(stored.len()).position(|bytes| bytes == stored).unwrap();
    let mut changed = study.to_vec();
    changed[start + 4 * last..start + 4 * last + 4].copy_from_slice(&0.5_f32.to_le_bytes());
    let gene = file.var_names("X").unwrap()[block.indices()[last] as usize].clone();
    let cell = block.pointers().partition_point(|&p| p <= last) - 1;
    (changed, gene, cell)
}

#[test]
fn a_job_that_does_not_fit_its_memory_is_refused_before_work() {
    let left =
        Folder::new().run(&["lmm", "fit", "study.h5ad", "--formula", FORMULA, "-o", "t.tsv", "--max-memory", "9K"]);
    assert!(left.code == 1 && left.err.starts_with("error: the sums need 1 MiB"), "{}", left.err);
}

#[test]
fn formulas_are_pointed_into() {
    fit_fails(
        "~ cls + time^2 + (1 | sam)",
        &[],
        1,
        "error: formula: `^` cannot stand here\n    ~ cls + time^2 + (1 | sam)\n                ^\n\
         hint: write crossings out, as in `a*b*c`; for a power of a number write `I(age^2)`\n",
    );
    fit_fails(
        "~ cls",
        &[],
        1,
        "error: formula: the model has no random term\n\
         hint: add the unit that was sampled or treated, e.g. (1 | sample)\n",
    );
}

#[test]
fn files_are_named_with_their_fault() {
    let folder = Folder::new();
    folder.write("notes.txt", "not a study\n");
    for verb in [&["lmm", "fit", "none.h5ad", "--formula", FORMULA, "-o", "t.tsv"][..], &["info", "none.h5ad"]] {
        fails(&folder, verb, 1, "error: none.h5ad: there is no such file\n");
    }
    fails(
        &folder,
        &["lmm", "sums", "notes.txt", "--formula", FORMULA, "-o", "s.npz"],
        1,
        "error: notes.txt: a header line, but no rows of numbers\nhint: a study is an .h5ad file, a 10x .h5 file or folder, \
         a .mtx file, or a table of cells x genes\n",
    );
    fails(&folder, &["lmm", "test", "none.npz", "-o", "t.tsv"], 1, "error: none.npz: there is no such file\n");
    folder.sums("s.npz", &[]);
    folder.done(&["lmm", "fit", "s.npz", "-o", "f.npz"]);
    fails(
        &folder,
        &["lmm", "fit", "f.npz", "-o", "t.tsv"],
        1,
        "error: f.npz: a part of kind `lmm.sums` was expected, found `lmm.fit`\n\
         hint: a saved fit is tested by `ferrocyte lmm test`\n",
    );
    fails(
        &folder,
        &["merge", "s.npz", "f.npz", "-o", "m.npz"],
        1,
        "error: f.npz: parts of kind `lmm.fit` cannot be added\n\
         hint: sums can: they are made by `ferrocyte lmm sums`\n",
    );
}

#[test]
fn arguments_that_make_no_sense_are_usage() {
    let more = "\nFor more information, try '--help'.\n";
    fit_fails(
        FORMULA,
        &["--method", "reml"],
        2,
        &format!("error: invalid value 'reml' for '--method <METHOD>'\n  [possible values: REML, ML]\n{more}"),
    );
    fit_fails(
        FORMULA,
        &["--contrast", "trt:B"],
        2,
        "error: contrast: `trt:B` has 2 parts between colons, expected 3\n\
         hint: write VARIABLE:LEVEL:REFERENCE, as in condition:stim:ctrl; where names hold colons, use --test\n",
    );
    fit_fails(
        FORMULA,
        &["--threads", "two"],
        2,
        "error: threads: expected a whole number, found `two`\nhint: 0 takes all processors\n",
    );
    fit_fails(
        FORMULA,
        &["--max-memory", "lots"],
        2,
        "error: max_memory: expected a size, found `lots`\nhint: write 500M, 4G or a number of bytes\n",
    );
    fit_fails(
        "~ 1 + (1 | sam)",
        &[],
        2,
        "error: test: the model has no coefficient but the intercept\n\
         hint: name what is tested: --test \"(Intercept)\"\n",
    );
    let folder = Folder::new();
    let fit = |out: &'static str| ["lmm", "fit", "study.h5ad", "--formula", FORMULA, "-o", out];
    fails(
        &folder,
        &["lmm", "fit", "study.h5ad", "-o", "t.tsv"],
        2,
        "error: formula: a study needs a model, none was given\n\
         hint: give one, as in --formula \"~ condition + (1 | sample)\"\n",
    );
    fails(
        &folder,
        &fit("table.parquet"),
        2,
        "error: output: the ending of `table.parquet` does not tell what to write\n\
         hint: end it in .npz, .tsv, .csv or .jsonl, tables also with .gz\n",
    );
    fails(&folder, &fit("there/t.tsv"), 2, "error: output: there is no folder `there`\nhint: make it first\n");
    fails(
        &folder,
        &[&fit("fit.npz")[..], &["--df", "residual"]].concat(),
        2,
        "error: --df: tests are asked for, but no table\n\
         hint: add --table, or test the fit with `ferrocyte lmm test`\n",
    );
    fails(
        &folder,
        &["lmm", "sums", "study.h5ad", "--formula", FORMULA, "--rows", "900:1100", "-o", "s.npz"],
        2,
        "error: rows: `900:1100` are no rows of 1000\nhint: write A:B with 0 <= A < B <= 1000\n",
    );
    folder.sums("s.npz", &[]);
    fails(
        &folder,
        &["lmm", "fit", "s.npz", "--groups", "cls", "-o", "t.tsv"],
        2,
        "error: --groups: this was decided when `s.npz` was made\nhint: leave it out, or start from the study\n",
    );
    fails(
        &folder,
        &["lmm", "fit", "s.npz", "--formula", "~ batch + (1 | sam)", "-o", "t.tsv"],
        1,
        "error: s.npz: formula: `batch` is not in the sums; they were made with \
         `~ log(libsize) + cls + cls:trt + (1 | sam)`\nhint: leave it out, or make sums of a model that has it\n",
    );
    fails(
        &folder,
        &["lmm", "fit", "s.npz", "--formula", "~ cls + (1 | sam)", "--na", "drop", "-o", "t.tsv"],
        2,
        "error: --na: this was decided when `s.npz` was made\nhint: leave it out, or start from the study\n",
    );
    let shard =
        |more: &[&'static str]| [&["lmm", "sums", "study.h5ad", "--formula", FORMULA, "-o", "x.npz"], more].concat();
    fails(
        &folder,
        &shard(&["--shard", "1/2"]),
        1,
        "error: shards: 1000 cells are one block of 65536, and cannot be 2 shards\n\
         hint: ask for 1 to 1; a shard is a number of whole blocks\n",
    );
    fails(
        &folder,
        &shard(&["--shard", "0/1"]),
        2,
        "error: shard: there is no shard 0 of 1\nhint: shards count from 1: 1/4, 2/4, 3/4, 4/4\n",
    );
    fails(
        &folder,
        &shard(&["--shard", "1/1", "--rows", "0:10"]),
        2,
        "error: shard: rows and a shard are both asked for\nhint: give --rows or --shard\n",
    );
    fails(
        &folder,
        &["merge", "s.npz", "-o", "s.npz"],
        2,
        "error: output: `s.npz` is an input\nhint: give the output another name\n",
    );
}

#[test]
fn config_files_are_checked() {
    let folder = Folder::new();
    let fit = ["lmm", "fit", "study.h5ad", "--config", "run.toml", "-o", "t.tsv"];
    fails(&folder, &fit, 2, "error: run.toml: there is no such file\n");
    folder.write("run.toml", "formul = '~ cls'\n");
    fails(&folder, &fit, 2, "error: run.toml: there is no option `formul`\nhint: did you mean `formula`?\n");
    folder.write("run.toml", "formula = '~ cls + (1 | sam)'\nmethod = 'reml'\n");
    fails(&folder, &fit, 2, "error: run.toml: method: there is no choice `reml`\nhint: it is one of `REML`, `ML`\n");
    folder.write("run.toml", "formula = '~ cls + (1 | sam)'\n\nmethod REML\n");
    let left = folder.run(&fit);
    assert!(left.err.starts_with("error: run.toml: line 3: not TOML: "), "{}", left.err);
    folder.write("run.toml", "formula = ['a', 'b']\n");
    fails(
        &folder,
        &fit,
        2,
        "error: run.toml: formula: `[\"a\", \"b\"]` is not a single value\nhint: give a text, a number, true or false\n",
    );
}

#[test]
fn errors_are_json_when_asked_for() {
    let folder = Folder::new();
    let left = folder.run(&["lmm", "fit", "study.h5ad", "--formula", "~ clss + (1 | sam)", "-o", "t.tsv", "--json"]);
    assert_eq!(left.code, 1);
    let [error] = left.messages().try_into().unwrap();
    assert_eq!(
        error,
        serde_json::json!({
            "level": "error", "kind": "missing_key", "place": "study.h5ad: obs",
            "message": "there is no column `clss`", "hint": "did you mean `cls`?", "exit_code": 1
        })
    );
    let left = folder.run(&["lmm", "fit", "study.h5ad", "--json"]);
    let [error] = left.messages().try_into().unwrap();
    assert_eq!((left.code, &error["kind"], &error["exit_code"]), (2, &"usage".into(), &2.into()));
    assert_eq!(error["message"], "the following required arguments were not provided: --output <OUT>");
    let left = folder.run(&["--json", "lmm", "fit", "study.h5ad", "--method", "x", "-o", "t.tsv"]);
    assert_eq!(left.messages()[0]["hint"], "[possible values: REML, ML]");
}

#[test]
fn parts_that_do_not_fit_together_are_refused() {
    let folder = Folder::new();
    folder.sums("a.npz", &["--rows", "0:400"]);
    folder.sums("b.npz", &["--rows", "300:1000"]);
    folder.sums("c.npz", &["--rows", "600:1000"]);
    fails(
        &folder,
        &["merge", "b.npz", "a.npz", "-o", "m.npz"],
        1,
        "error: b.npz: merge: rows 0:400 of X of study.h5ad and rows 300:1000 of X of study.h5ad overlap\n\
         hint: each cell may be in one part only\n",
    );
    fails(
        &folder,
        &["merge", "c.npz", "a.npz", "-o", "m.npz"],
        1,
        "error: merge: rows 400:600 of X of study.h5ad are in no part\nhint: give the parts that have them too\n",
    );
    folder.done(&["lmm", "sums", "study.h5ad", "--formula", "~ cls + (1 | sam)", "--rows", "400:", "-o", "d.npz"]);
    let left = folder.run(&["merge", "a.npz", "d.npz", "-o", "m.npz"]);
    let expected = format!(
        "error: d.npz: the formula differs: `{FORMULA}` here, `~ cls + (1 | sam)` there\n\
         hint: only parts of one study made with the same options can be merged\n"
    );
    assert_eq!((left.code, left.err), (1, expected));
}
