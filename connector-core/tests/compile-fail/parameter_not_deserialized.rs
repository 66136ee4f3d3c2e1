use connector_core::Plugin;

struct Point;

async fn show(_to: String, _point: Point) {}

fn main() {
    let _ = Plugin::new("map").method("show", show);
}
