//! Sketch-thru-Plan: two services of a session, one of which sends informs and requests to the other through a hub.
//!
//! `cargo run -p examples --example stp` prints:
//!
//! ```text
//! Map is in the session "exercise"
//! Tasks receives: recce
//! Map finds: recce
//! Map finds nothing: unknown task patrol
//! ```
#![allow(clippy::print_stdout, reason = "this program prints to the terminal")]

use std::error::Error;

use connector_core::stp::{StpClient, StpTimeout};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use transport_ws::stp::{StpHub, StpHubConfig, StpWsConnector};

#[derive(Serialize, Deserialize)]
struct Task {
    name: String,
}

/// Each handler receives the messages of one method. These methods are the service's solvables.
fn tasks(url: &str) -> StpClient {
    let stp = StpClient::new(StpWsConnector::new(url));
    stp.on("TaskAdded", |task: Task| println!("Tasks receives: {}", task.name));
    stp.answer("FindTask", |name: String| async move {
        if name == "recce" { Ok(Task { name }) } else { Err(format!("unknown task {name}")) }
    });
    stp
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let timeout = StpTimeout::from_seconds(10.0);
    let hub = StpHub::bind("127.0.0.1:0", StpHubConfig::default()).await?;
    let url = format!("{}/exercise", hub.url()); // the path names the session
    let (stop, stopped) = oneshot::channel();
    let hub = tokio::spawn(hub.serve_until(stopped));

    let (tasks, map) = (tasks(&url), StpClient::new(StpWsConnector::new(&url)));
    tasks.connect("Tasks", timeout, None, None).await?;
    let session = map.connect("Map", timeout, None, None).await?;
    println!("Map is in the session {session:?}");

    map.inform("TaskAdded", &Task { name: "recce".to_owned() }, timeout).await?;
    for task in map.request::<Task>("FindTask", "recce", timeout).await? {
        println!("Map finds: {}", task.name);
    }
    if let Err(error) = map.request::<Task>("FindTask", "patrol", timeout).await {
        println!("Map finds nothing: {error}");
    }

    let _ = stop.send(()); // the hub closes every connection
    Ok(hub.await?)
}
