//! A program that ends of its own will, and in order.

use std::time::Duration;

use connector_core::{LinkEnd, Plugin};
use transport_ipc::{Channel, ChannelKind, child};

use crate::support::*;

const IS_CHILD: &str = "GRACEFUL_CHILD";

/// This program is its own child; it stops once it was called.
#[tokio::test]
async fn its_host_sees_that_the_link_was_closed_on_every_channel() {
    if std::env::var_os(IS_CHILD).is_some() {
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let plugin = Plugin::new("p").method("echo", move || {
            let stop = stop.clone();
            async move {
                stop.send_replace(true);
                tokio::time::sleep(Duration::from_millis(50)).await;
                "done"
            }
        });
        let mut stopped = stopped;
        let stopping = async move { drop(stopped.wait_for(|stop| *stop).await) };
        let end = Channel::find().unwrap().serve(plugin).until(stopping).await;
        assert!(matches!(end, LinkEnd::Disconnected), "{end:?}");
        return;
    }
    for channel in [ChannelKind::Stdio, ChannelKind::Node, ChannelKind::Local] {
        let host = Host::new().await;
        let test = "graceful::its_host_sees_that_the_link_was_closed_on_every_channel";
        host.activate(child("p", this_program(test).channel(channel).env(IS_CHILD, "1"))).await.unwrap();
        let downs = host.local.events("manager", "linkDown", 8).unwrap();
        let mut downs = downs;
        assert_eq!(host.call().await.unwrap(), "done", "what ran has ended");
        let Some(connector_core::Event::Args(why)) = soon(downs.recv()).await else { panic!("{channel:?}") };
        let why = serde_text(&why);
        assert!(why.contains("closed by the other end") && why.contains("exit status: 0"), "{channel:?}: {why}");
        let state = host.down().await.to_string();
        assert!(state.contains("closed by the other end") || state.contains("not to be started"), "{state}");
    }
}

fn serde_text(args: &connector_core::Rest) -> String {
    format!("{args:?}")
}

/// What is owed is lost with it, exit code 0 or not.
#[tokio::test]
async fn one_that_owes_an_answer_has_lost_its_link() {
    let host = Host::new().await;
    host.activate(child("p", shell(&format!("{HANDSHAKE}exit 0")))).await.unwrap();
    let error = host.call().await.unwrap_err().to_string();
    assert!(error.contains("ended with exit status: 0") && !error.contains("closed by"), "{error}");
}
