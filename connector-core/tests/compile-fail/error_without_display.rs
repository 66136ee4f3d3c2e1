use connector_core::Plugin;

#[derive(Debug)]
struct DividedByZero;

async fn divide(a: f64, b: f64) -> Result<f64, DividedByZero> {
    if b == 0.0 { Err(DividedByZero) } else { Ok(a / b) }
}

fn main() {
    let _ = Plugin::new("calculator").method("divide", divide);
}
