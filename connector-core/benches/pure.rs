//! The pure parts by time: `cargo bench -p connector-core --bench pure`.

mod cases;

use criterion::Criterion;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    for case in cases::cases() {
        let name = case.name.clone();
        let mut run = case.set_up();
        criterion.bench_function(&name, |bencher| bencher.iter(&mut run));
    }
    criterion.final_summary();
}
