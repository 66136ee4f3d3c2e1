//! Attacks on an STP hub.

use futures_util::future::{join_all, try_join_all};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::raw::Socket;
use super::verdict::Side::{Peer, Stranger};
use super::victim::Kind::Hub;
use super::{Attack, Case, FOUND, Result, Target, text};

pub(super) const CASES: &[Case] = &[
    Case::new("idle-hub", Hub, Stranger, 4200, idle).about("4,200 idle websockets at a hub"),
    Case::new("list-hub", Hub, Stranger, 4, list).about("$hub.list by 4 unregistered clients, with 16 MB of solvables"),
    Case::new("slow-requests-hub", Hub, Peer, 17_000, slow_requests)
        .about("17,000 requests of one service that their service does not answer, beside another asker"),
];

fn idle(target: Target) -> Attack {
    Box::pin(async move {
        let mut open = Vec::new();
        while open.len() < target.n && Instant::now() < target.until {
            let batch = join_all((0..100).map(|_| Socket::dial(&target.url))).await;
            let before = open.len();
            open.extend(batch.into_iter().flatten());
            (before..open.len()).for_each(|_| target.count());
        }
        Ok(Box::new(open) as _)
    })
}

fn api_request(cookie: usize, message: &Value) -> String {
    json!({
        "method": "Request",
        "params": { "jsonRequest": message.to_string(), "cookie": cookie, "timeout": 30 }
    })
    .to_string()
}

async fn register(url: &str, name: &str, solvables: &[String]) -> Result<Socket> {
    let mut service = Socket::dial(url).await?;
    let params = json!({ "serviceName": name, "language": "raw", "solvables": solvables });
    service.send(api_request(0, &json!({ "method": "Register", "params": params }))).await?;
    service.receive().await?;
    Ok(service)
}

fn list(target: Target) -> Attack {
    Box::pin(async move {
        // Registered services of others, 1 MB of names each.
        let solvables: Vec<_> = (0..1000).map(|n| format!("{n:01000}")).collect();
        let others = (0..16).map(|_| register(&target.url, "Other", &solvables));
        let others = try_join_all(others).await?;
        let clients = (0..target.n).map(|_| async {
            let mut client = Socket::dial(&target.url).await?;
            while Instant::now() < target.until {
                client.send(api_request(1, &json!({ "method": "$hub.list" }))).await?;
                let answer = client.receive().await?;
                target.count();
                let answer: Value = serde_json::from_str(&answer).map_err(text)?;
                if answer["params"]["success"] == true {
                    return Err(format!("{FOUND}the sessions were listed to a client that has not registered"));
                }
            }
            Ok(client)
        });
        let clients = join_all(clients).await.into_iter().collect::<Result<Vec<_>>>()?;
        Ok(Box::new((others, clients)) as _)
    })
}

/// The polite asker has a session of its own, so that this measures what sessions cost each other, and a second asker in
/// the flooded session checks that it is let through.
fn slow_requests(target: Target) -> Attack {
    Box::pin(async move {
        let url = format!("{}/flooded", target.url);
        let mut solver = register(&url, "Solver", &["Slow".to_owned()]).await?;
        let mut asker = register(&url, "Asker", &[]).await?;
        let mut other = register(&url, "Other", &[]).await?;
        let reading = tokio::spawn(async move {
            // Answers only the other asker.
            while let Ok(text) = solver.receive().await {
                if text.contains("polite") {
                    let frame: Value = serde_json::from_str(&text).unwrap_or_default();
                    let params = json!({ "cookie": frame["params"]["cookie"], "success": true, "result": [] });
                    let answer = json!({ "method": "RequestResponse", "params": params });
                    if solver.send(answer.to_string()).await.is_err() {
                        break;
                    }
                }
            }
        });
        for n in 0..target.n {
            asker.send(api_request(n, &json!({ "method": "Slow" }))).await?;
            target.count();
        }
        other.send(api_request(1, &json!({ "method": "Slow", "params": "polite" }))).await?;
        let answer = tokio::time::timeout(std::time::Duration::from_secs(2), other.receive()).await;
        let answer = answer.map_err(|_| format!("{FOUND}another asker has no answer after 2 s"))??;
        let answer: Value = serde_json::from_str(&answer).map_err(text)?;
        match answer["params"]["success"] == true {
            true => Ok(Box::new((reading, asker, other)) as _),
            false => Err(format!("{FOUND}another asker was refused: {}", answer["params"]["result"])),
        }
    })
}
