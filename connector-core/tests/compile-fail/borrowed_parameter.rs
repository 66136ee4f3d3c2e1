use connector_core::Plugin;

fn main() {
    let _ = Plugin::new("greeter").method("greet", |name: &str| async move { format!("Hello, {name}!") });
}
