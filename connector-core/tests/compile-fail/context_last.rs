use connector_core::{Context, Plugin};

async fn greet(name: String, ctx: Context) -> String {
    format!("Hello, {name}, says {}", ctx.from())
}

fn main() {
    let _ = Plugin::new("greeter").method("greet", greet);
}
