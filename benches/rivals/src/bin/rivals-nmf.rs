//! Runs the factorisations of bixverse on a matrix that `benches/nmf_work.py` wrote, through its public functions.
//!
//! `rivals-nmf FOLDER K SHORT LONG THREADS`: prints lines `cpu MS` and `wall MS`, milliseconds for each iteration of one
//! factorisation of sparse values of 32 bits: what LONG iterations take more than SHORT, the least of several runs.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use bixverse_methods::methods::nmf_hals::sparse::SparseInput;
use bixverse_methods::methods::nmf_hals::{HalsOpts, NmfInit, nmf_hals};
use bixverse_methods::prelude::CompressedSparseData2;
use cpu_time::ProcessTime;
use rivals::Result;

/// Repeats end after this time.
const ENOUGH: Duration = Duration::from_secs(4);

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, numbers @ ..] = arguments.as_slice() else {
        return Err("usage: rivals-nmf FOLDER K SHORT LONG THREADS".into());
    };
    let numbers: Vec<usize> = numbers.iter().map(|word| word.parse()).collect::<std::result::Result<_, _>>()?;
    let [k, short, long, threads] = numbers[..] else { return Err("expected four numbers".into()) };
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    let input = SparseInput::<f32, f32>::from_primary(&read(folder.as_ref())?)?;
    let run = |iterations| -> Result<(f64, f64)> {
        // Never checked, so that all iterations are made.
        let options = HalsOpts::new(iterations, 0.0, 1e-10, usize::MAX, NmfInit::Random { seed: 1 });
        let (cpu, wall) = (ProcessTime::now(), Instant::now());
        nmf_hals(&input, k, &options, 0)?;
        Ok((cpu.elapsed().as_secs_f64(), wall.elapsed().as_secs_f64()))
    };
    let (began, mut least) = (Instant::now(), [[f64::INFINITY; 2]; 2]);
    while began.elapsed() < ENOUGH {
        for (of, iterations) in least.iter_mut().zip([short, long]) {
            let (cpu, wall) = run(iterations)?;
            *of = [of[0].min(cpu), of[1].min(wall)];
        }
    }
    let each = |at: usize| 1e3 * (least[1][at] - least[0][at]) / (long - short) as f64;
    println!("cpu {}\nwall {}", each(0), each(1));
    Ok(())
}

/// Columns of 32-bit values: `shape.txt` (rows, columns), `data.f32`, `indices.u32`, `indptr.u32`.
fn read(folder: &Path) -> Result<CompressedSparseData2<f32>> {
    let [rows, columns] = rivals::sizes(folder)?;
    let words = |name: &str| -> Result<Vec<[u8; 4]>> { Ok(fs::read(folder.join(name))?.as_chunks::<4>().0.to_vec()) };
    let whole = |name: &str| -> Result<Vec<u32>> { Ok(words(name)?.into_iter().map(u32::from_le_bytes).collect()) };
    let data: Vec<f32> = words("data.f32")?.into_iter().map(f32::from_le_bytes).collect();
    let (indices, indptr) = (whole("indices.u32")?, whole("indptr.u32")?);
    Ok(CompressedSparseData2::new_csc(&data, &indices, &indptr, None, (rows, columns)))
}
