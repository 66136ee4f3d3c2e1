use connector_core::Plugin;

#[derive(serde::Serialize)]
struct Point {
    x: i32,
}

async fn origin() -> Point {
    Point { x: 0 }
}

fn main() {
    let _ = Plugin::new("map").method("origin", origin);
}
