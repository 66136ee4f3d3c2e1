//! Limits of the JSON that the engine forwards to plugins.

use connector_core::{Payload, PluginOptions};
use serde_json::json;

use crate::support::{Host, Notes, settle};

fn nested(depth: usize) -> String {
    format!("{}{}", "[".repeat(depth), "]".repeat(depth))
}

#[tokio::test(start_paused = true)]
async fn deep_nesting_and_long_numbers_do_not_reach_a_plugin() {
    let host = Host::new().await;
    let (caller, _callers) = host.add_scripted("caller", &[], false).await;
    let (mut target, _targets) = host.add_scripted("target", &["m"], false).await;
    target.send(json!({"action": "on", "name": "caller", "key": "e"}));
    settle().await;
    let mut caller = caller;
    for (args, why) in [
        (nested(100_000), "JSON nested deeper than 1000 levels"),
        (format!("[{}]", "7".repeat(1001)), "a number with more than 1000 consecutive digits"),
    ] {
        caller.send_text(format!(r#"{{"action":"request","id":1,"name":"target","key":"m","payload":{args}}}"#));
        let response = caller.recv().await;
        let error = format!("Cannot call m of target from caller, because the arguments contain {why}");
        assert_eq!((&response["id"], &response["error"]), (&json!(1), &json!(error)));
        caller.send_text(format!(r#"{{"action":"emit","key":"e","payload":{args}}}"#));
        assert_eq!(target.all().await, Vec::<serde_json::Value>::new());
    }
    caller.send_text(format!(r#"{{"action":"emit","key":"e","payload":{}}}"#, nested(1000)));
    settle().await;
    assert_eq!(target.recv_text().await.matches('[').count(), 1000);
    assert!(host.engine.link_state("target").unwrap().borrow().is_up());
}

#[tokio::test(start_paused = true)]
async fn a_result_or_error_beyond_the_callers_limits_becomes_an_error() {
    let host = Host::new().await;
    let options = PluginOptions::default().max_depth(10);
    let (mut caller, _callers) = host.add_scripted_with(options, "caller", &[], false).await;
    let (mut target, _targets) = host.add_scripted("target", &["m"], false).await;
    for member in ["payload", "error"] {
        caller.send(json!({"action": "request", "id": 1, "name": "target", "key": "m", "payload": []}));
        let id = target.recv().await["id"].clone();
        target.send_text(format!(
            r#"{{"action":"response","id":{id},"name":"target","key":"m","{member}":{}}}"#,
            nested(11)
        ));
        let error = caller.recv().await["error"].as_str().unwrap().to_owned();
        assert!(error.ends_with("cannot be forwarded: it contains JSON nested deeper than 10 levels"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn plugins_in_the_process_receive_everything() {
    let (host, notes) = (Host::new().await, Notes::default());
    let noted = notes.clone();
    let plugin = connector_core::Plugin::new("one").method("m", move |args: connector_core::Rest| {
        let noted = noted.clone();
        async move { noted.add(args.0[0].to_json().unwrap().len()) }
    });
    host.engine.register(plugin).unwrap();
    let args = Payload::from_json(format!("[{}]", nested(2000))).unwrap();
    host.local.call::<()>("one", "m", args).await.unwrap();
    assert_eq!(notes.take(), [4000]);
}
