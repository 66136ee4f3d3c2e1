use std::rc::Rc;

use connector_core::Plugin;

async fn count() -> usize {
    let counted = Rc::new(1);
    tokio::task::yield_now().await;
    Rc::strong_count(&counted)
}

fn main() {
    let _ = Plugin::new("counter").method("count", count);
}
