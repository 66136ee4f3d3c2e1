//! Attacks on an STP hub.

use std::time::Duration;

use futures_util::future::{join_all, try_join_all};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout, timeout_at};

use super::load::Operation::Join;
use super::raw::Socket;
use super::verdict::Side::{Peer, Session, Stranger};
use super::victim::Kind::Hub;
use super::{Case, FOUND, Result, Target, text};

pub(super) const CASES: &[Case] = &[
    Case::new("idle-hub", Hub, Stranger, 4200, &idle).about("4,200 idle websockets at a hub").politely(Join),
    Case::new("list-hub", Hub, Stranger, 4, &list)
        .about("$hub.list by 4 unregistered clients, where solvables have 4 MB"),
    Case::new("list-registered-hub", Hub, Peer, 4, &list_registered).about("the same by 4 services"),
    Case::new("slow-requests-hub", Hub, Peer, 17_000, &slow_requests)
        .about("17,000 requests of one service that their service does not answer, beside another asker"),
    Case::new("queues-hub", Hub, Session, 24, &queues)
        .about("24 services of one session that do not read, each flooded with informs of 256 KiB by one sender"),
];

async fn queues(target: Target) -> Result<impl Send> {
    let url = format!("{}/queues", target.url);
    let mut held = Vec::new();
    let mut senders = Vec::new();
    for n in 0..target.n {
        held.push(register(&url, "Deaf", &[format!("A{n}")]).await?);
        senders.push(register(&url, "Sender", &[]).await?);
    }
    let flooding = senders.into_iter().enumerate().map(async |(n, mut sender)| {
        let inform = json!({ "method": format!("A{n}"), "params": "x".repeat(256 << 10) }).to_string();
        while Instant::now() < target.until {
            timeout_at(target.until, sender.send(inform.clone())).await.unwrap_or(Ok(()))?;
            target.count();
        }
        Ok::<_, String>(sender)
    });
    let senders = try_join_all(flooding).await?;
    Ok((held, senders))
}

async fn idle(target: Target) -> Result<Vec<Socket>> {
    let mut open = Vec::new();
    while open.len() < target.n && Instant::now() < target.until {
        let batch = join_all((0..100).map(|_| Socket::dial(&target.url))).await;
        let before = open.len();
        open.extend(batch.into_iter().flatten());
        target.count_all(open.len() - before);
    }
    Ok(open)
}

fn api_request(cookie: usize, message: &Value) -> String {
    json!({
        "method": "Request",
        "params": { "jsonRequest": message.to_string(), "cookie": cookie, "timeout": 30 }
    })
    .to_string()
}

/// Registers, first without solvables: a hub takes little from a connection that has not registered.
pub(super) async fn register(url: &str, name: &str, solvables: &[String]) -> Result<Socket> {
    let mut service = Socket::dial(url).await?;
    for solvables in [&[][..], solvables] {
        let params = json!({ "serviceName": name, "language": "raw", "solvables": solvables });
        service.send(api_request(0, &json!({ "method": "Register", "params": params }))).await?;
        service.receive().await?;
    }
    Ok(service)
}

async fn list(target: Target) -> Result<impl Send> {
    let others = others(&target.url).await?;
    let clients = try_join_all((0..target.n).map(|_| Socket::dial(&target.url))).await?;
    let clients = try_join_all(clients.into_iter().map(|client| ask_for_lists(client, &target))).await?;
    match clients.iter().any(|(_, listed)| *listed) {
        true => Err(format!("{FOUND}sessions were listed to a client that has not registered")),
        false => Ok((others, clients)),
    }
}

async fn list_registered(target: Target) -> Result<impl Send> {
    let others = others(&target.url).await?;
    let clients = try_join_all((0..target.n).map(|_| register(&target.url, "Lister", &[]))).await?;
    let clients = try_join_all(clients.into_iter().map(|client| ask_for_lists(client, &target))).await?;
    Ok((others, clients))
}

/// The name of others' services.
const OTHER: &str = "Unrelated";

/// Services of others, which fill the lists.
async fn others(url: &str) -> Result<Vec<Socket>> {
    let solvables: Vec<_> = (0..1000).map(|n| format!("{n:01000}")).collect();
    try_join_all((0..4).map(|_| register(url, OTHER, &solvables))).await
}

/// Asks at full speed. Returns whether a list had a service of another session.
async fn ask_for_lists(mut client: Socket, target: &Target) -> Result<(Socket, bool)> {
    let mut listed = false;
    while Instant::now() < target.until {
        client.send(api_request(1, &json!({ "method": "$hub.list" }))).await?;
        target.count();
        // A hub need not answer every request.
        let Ok(answer) = timeout_at(target.until, client.receive()).await else { break };
        listed |= answer?.contains(OTHER);
    }
    Ok((client, listed))
}

/// The polite asker has a separate session, so that this measures what sessions cost each other, and a second asker in
/// the flooded session checks that it is let through.
async fn slow_requests(target: Target) -> Result<impl Send> {
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
    // Until the hub refuses some, or has read them all.
    let _ = timeout(Duration::from_secs(2), asker.receive()).await;
    other.send(api_request(1, &json!({ "method": "Slow", "params": "polite" }))).await?;
    let answer = timeout(Duration::from_secs(2), other.receive()).await;
    let answer = answer.map_err(|_| format!("{FOUND}another asker has no answer after 2 s"))??;
    let answer: Value = serde_json::from_str(&answer).map_err(text)?;
    match answer["params"]["success"] == true {
        true => Ok((reading, asker, other)),
        false => Err(format!("{FOUND}another asker was refused: {}", answer["params"]["result"])),
    }
}
