use ferrocyte_base::Run;
use ferrocyte_limma::*;
use ferrocyte_math::linalg::MatrixRef;
use std::time::Instant;
fn main() {
    let a: Vec<usize> = std::env::args().skip(1).map(|x| x.parse().unwrap()).collect();
    let (g, n) = (a[0], a[1]);
    let mut s = 12345u64;
    let mut u = || {
        s ^= s << 13;
        s ^= s >> 7;
        s ^= s << 17;
        (s >> 11) as f64 / (1u64 << 53) as f64
    };
    let mut c = vec![0.0; g * n];
    for i in 0..g {
        let mu = (u() * 10.0).exp() * 0.3;
        for j in 0..n {
            let z = (u() + u() + u() + u() - 2.0) * 1.0;
            c[i * n + j] = (mu * (0.5 * z).exp() * (0.5 + (j % 7) as f64 * 0.2) + u()).floor();
        }
    }
    let e = Expression::unnamed(MatrixRef::from_rows(g, n, &c));
    let run = Run::new().threads(1);
    for _ in 0..3 {
        let t = Instant::now();
        library_sizes(&run, &e).unwrap();
        print!("lib {:?} ", t.elapsed());
        for m in if a.len() > 2 { vec![NormMethod::TmmWsp,NormMethod::Rle,NormMethod::UpperQuartile] } else { vec![NormMethod::Tmm] } {
            let t = Instant::now();
            let f = norm_factors(&run, &e, None, &NormOptions { method: m, ..NormOptions::default() }).unwrap();
            print!("{} {:?} {} ", m.word(), t.elapsed(), f[0]);
        }
        let t = Instant::now();
        let k = filter_by_expr(&run, &e, None, Groups::None, &FilterOptions::default()).unwrap();
        println!("fbe {:?} {}", t.elapsed(), k.iter().filter(|x| **x).count());
    }
}
