//! What surrounds the work: help, completions, JSON, pipes, Ctrl-C.

use std::io::Read;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::{FORMULA, Folder};

#[test]
fn completions_come_for_every_shell() {
    let folder = Folder::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let left = folder.done(&["completions", shell]);
        assert!(left.out.contains("ferrocyte") && left.out.contains("formula"), "{shell}");
    }
    assert_eq!(folder.run(&["completions", "tcsh"]).code, 2);
}

#[test]
fn help_and_version_are_data() {
    let folder = Folder::new();
    let left = folder.done(&["lmm", "fit", "--help"]);
    assert!(left.out.contains("--method <METHOD>") && left.out.contains("[default: REML]"), "{}", left.out);
    let left = folder.done(&["--version"]);
    assert_eq!(left.out, format!("ferrocyte {}\n", env!("CARGO_PKG_VERSION")));
    let left = folder.run(&[]);
    assert!(left.code == 2 && left.out.is_empty() && left.err.contains("Usage: ferrocyte"), "{}", left.err);
}

#[test]
fn json_speaks_json_only() {
    let folder = Folder::new();
    let args = ["lmm", "fit", "study.h5ad", "--formula", "~ trt + (1 | sam)", "--groups", "cls", "--json", "-v"];
    let left = folder.done(&[&args[..], &["-o", "fit.npz", "--table", "t.tsv"]].concat());
    let summary: serde_json::Value = serde_json::from_str(&left.out).unwrap();
    assert_eq!(
        (&summary["command"], &summary["genes"], &summary["cells"]),
        (&"lmm fit".into(), &50.into(), &1000.into())
    );
    assert_eq!(summary["outputs"], serde_json::json!(["fit.npz", "t.tsv"]));
    assert_eq!((summary["groups"].as_array().unwrap().len(), summary["tests"].as_array().unwrap().len()), (4, 4));
    for message in left.messages() {
        assert!(["info", "warning"].iter().any(|level| message["level"] == *level), "{message}");
    }
    // Where the table takes stdout, it is JSON lines, and the summary joins the messages.
    let left = folder.done(&["lmm", "test", "fit.npz", "--test", "trtB", "-o", "-", "--json"]);
    assert_eq!(left.out.lines().count(), 4 * 50);
    assert!(left.out.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
    assert_eq!(left.messages().last().unwrap()["command"], "lmm test");
}

#[test]
fn info_tells_what_a_file_holds() {
    let folder = Folder::new();
    let left = folder.done(&["info", "study.h5ad"]);
    assert!(left.out.starts_with("study.h5ad: 1000 cells x 50 genes, "), "{}", left.out);
    assert!(left.out.contains("looks like counts") && left.out.contains("obs/sam"), "{}", left.out);
    let left = folder.done(&["info", "study.h5ad", "--json"]);
    let study: serde_json::Value = serde_json::from_str(&left.out).unwrap();
    assert_eq!(
        (&study["kind"], &study["cells"], &study["elements"][0]["element"]),
        (&"h5ad".into(), &1000.into(), &"X".into())
    );

    folder.sums("sums.npz", &["--rows", "0:500"]);
    let left = folder.done(&["info", "sums.npz"]);
    assert!(
        left.out.starts_with("sums.npz: lmm.sums, layout 1\nmade from rows 0:500 of X of study.h5ad ("),
        "{}",
        left.out
    );
    assert!(left.out.contains(&format!("lmm sums  {FORMULA}\n50 genes, 500 cells, ln(1 + count)\n")), "{}", left.out);
    folder.sums("sums.npz", &[]);
    folder.done(&["lmm", "fit", "sums.npz", "--method", "ML", "-o", "fit.npz"]);
    let left = folder.done(&["info", "fit.npz"]);
    assert!(left.out.contains("method = \"ML\"\n"), "{}", left.out);
    let part: serde_json::Value = serde_json::from_str(&folder.done(&["info", "fit.npz", "--json"]).out).unwrap();
    assert_eq!((&part["kind"], &part["arrays"][0]["name"]), (&"lmm.fit".into(), &"XX_0".into()));
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let folder = Folder::new();
    folder.sums("sums.npz", &[]);
    let mut command = folder.command(&["lmm", "test", "sums.npz", "-o", "-", "-q"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let status = child.wait().unwrap();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!((status.code(), said.as_str()), (Some(0), ""));
}

/// Sums whose fit takes minutes: thousands of genes, two large crossed components.
fn long_job(folder: &Folder) {
    use ferrocyte_data::{Additive, Transform};
    use ferrocyte_design::Coefficients;
    use ferrocyte_math::linalg::Matrix;
    use ferrocyte_math::random::Stream;
    use ferrocyte_mixed::lmm::{Component, GroupSums, Sums};

    const UNITS: usize = 150;
    const GENES: usize = 6_000;
    // One cell for each pair of a unit of the first and of the second component.
    let (n, q) = ((UNITS * UNITS) as f64, 2 * UNITS);
    let mut zz = vec![1.0; q * q];
    for i in 0..q {
        for j in 0..q {
            if (i < UNITS) == (j < UNITS) {
                zz[i * q + j] = if i == j { UNITS as f64 } else { 0.0 };
            }
        }
    }
    let component =
        |name: &str| Component { name: name.into(), columns: (0..UNITS).map(|i| format!("{name}{i}")).collect() };
    let coefficients = Coefficients::from_names(&["(Intercept)".to_owned()]).unwrap();
    let mut group = GroupSums::empty("", coefficients, vec![component("a"), component("b")], GENES);
    group.n_cells = n as u64;
    group.xx = Matrix::from_rows(1, 1, vec![n]);
    group.zx = Matrix::from_rows(q, 1, vec![UNITS as f64; q]);
    group.zz = Matrix::from_rows(q, q, zz);
    let mut stream = Stream::new(1, 0);
    for gene in 0..GENES {
        let effects: Vec<f64> = (0..q).map(|_| stream.normal()).collect();
        let (first, second) = effects.split_at(UNITS);
        let (a, b): (f64, f64) = (first.iter().sum(), second.iter().sum());
        let units = UNITS as f64;
        for i in 0..q {
            group.zy[gene * q + i] = units * effects[i] + if i < UNITS { b } else { a };
        }
        group.xy[gene] = units * (a + b);
        let squares: f64 = effects.iter().map(|x| x * x).sum();
        group.y_norm[gene] = units * squares + 2.0 * a * b + n;
        group.n_expressing[gene] = n;
    }
    group.y_sum.clone_from(&group.xy);
    let genes = (0..GENES).map(|g| format!("g{g}")).collect();
    let sums = Sums::from_arrays(genes, Transform::Log1p, group).unwrap();
    ferrocyte_io::write_part(&folder.path("long.npz"), &sums.to_part()).unwrap();
}

/// Waits until the process catches interrupts; a signal before that would end it at once.
fn wait_for_handler(pid: u32) {
    for _ in 0..1000 {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        if caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 2 != 0) {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("process {pid} never listened to interrupts");
}

#[test]
#[cfg(target_os = "linux")]
fn an_interrupt_stops_the_work_and_leaves_nothing() {
    let folder = Folder::new();
    long_job(&folder);
    let mut command =
        folder.command(&["lmm", "fit", "long.npz", "-o", "fit.npz", "--table", "t.tsv", "--threads", "2"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for_handler(child.id());
    // Into the fit: reading takes a fraction of a second.
    std::thread::sleep(Duration::from_millis(1500));
    assert!(child.try_wait().unwrap().is_none(), "the job is too short to be interrupted");
    let asked = Instant::now();
    let kill = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    let status = child.wait().unwrap();
    let took = asked.elapsed();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!((status.code(), said.as_str()), (Some(130), "error: interrupted\n"));
    assert_eq!(folder.names(), ["long.npz", "study.h5ad"]);
    // A busy machine may take longer than the second that it should; the job itself takes minutes.
    assert!(took < Duration::from_secs(10), "it took {took:?} to stop");
}
