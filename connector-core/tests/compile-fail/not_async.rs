use connector_core::Plugin;

fn add(a: i64, b: i64) -> i64 {
    a + b
}

fn main() {
    let _ = Plugin::new("calculator").method("add", add);
}
