//! A native child that prints to its standard output by mistake. This program starts itself as the child.
#![cfg(all(unix, feature = "client", feature = "plugin"))]
#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "the test prints and starts itself")]

use std::time::Duration;

use connector_core::{Engine, LinkEnd, Plugin};
use tokio::time::timeout;
use transport_ipc::{Channel, Program, child};

const LIMIT: Duration = Duration::from_secs(30);
const IS_CHILD: &str = "STRAY_PRINTS_CHILD";

#[tokio::test]
async fn stray_prints_do_not_corrupt_the_wire() {
    if std::env::var_os(IS_CHILD).is_some() {
        // The test harness has already printed to the channel; those lines are skipped, too.
        let plugin = Plugin::new("p").method("loud", |text: String| async move {
            println!("debug: {text}");
            print!("{{\"action\":\"half a mess");
            use std::io::Write;
            std::io::stdout().flush().map(|()| text)
        });
        let end = Channel::find().unwrap().serve(plugin).await;
        assert!(matches!(end, LinkEnd::Closed { .. }), "{end:?}");
        return;
    }
    let engine = Engine::new();
    let local = engine.register(Plugin::new("local")).unwrap();
    engine.manager().activate("local").await.unwrap();
    let this_test = ["--exact", "stray_prints_do_not_corrupt_the_wire", "--nocapture"];
    let program = Program::new(std::env::current_exe().unwrap()).args(this_test).env(IS_CHILD, "1");
    engine.register(child("p", program)).unwrap();
    timeout(LIMIT, engine.manager().activate("p")).await.unwrap().unwrap();
    for text in ["one", "two\nlines", "three"] {
        let back: String = timeout(LIMIT, local.call("p", "loud", (text,))).await.unwrap().unwrap();
        assert_eq!(back, text);
    }
    timeout(LIMIT, engine.shutdown()).await.unwrap();
}
