//! Attacks on a socket.io server.

use futures_util::future::join_all;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::connections::{ARRIVALS, PLAIN_GET, SILENT, half_frames_at};
use super::load::Operation::Join;
use super::raw::{self, Socket, request};
use super::verdict::Side::Stranger;
use super::victim::Kind::{Socketio, SocketioToken};
use super::{Case, FOUND, Result, Target};

pub(super) const CASES: &[Case] = &[
    SILENT.at("silent-socketio", Socketio),
    SILENT.at("silent-token-socketio", SocketioToken),
    ARRIVALS.at("arrivals-socketio", Socketio),
    Case::new("pings-socketio", Socketio, Stranger, 128, &pings).about("128 links that only answer pings"),
    Case::new("half-frames-socketio", Socketio, Stranger, 100, &half_frames)
        .about("100 websockets with an unfinished 16 MiB frame"),
    Case::new("bodies-socketio", Socketio, Stranger, 200, &bodies).about("200 POSTs without their bodies"),
    Case::new("sessions-socketio", Socketio, Stranger, 0, &sessions)
        .about("long-polling sessions, opened and abandoned at full speed over 8 connections")
        .politely(Join),
    Case::new("wrong-token-socketio", SocketioToken, Stranger, 16, &wrong_token)
        .about("16 clients with a wrong token at full speed")
        .politely(Join),
    PLAIN_GET.at("plain-get-socketio", Socketio),
];

const WEBSOCKET: &str = "/socket.io/?EIO=4&transport=websocket";

/// An engine's end of a link, after the handshake.
pub(super) async fn engine(url: &str) -> Result<Socket> {
    let mut link = Socket::dial(&format!("{url}{WEBSOCKET}")).await?;
    link.send("40").await?;
    while !link.receive().await?.starts_with("40") {}
    let handshake = request(0, "victim", "handshake", r#"["victim",null]"#);
    link.send(format!(r#"42["message",{handshake}]"#)).await?;
    while !link.receive().await?.contains("response") {}
    Ok(link)
}

/// Connects to the namespace, but never answers the plugin's handshake. Answers engine.io's pings.
async fn pings(target: Target) -> Result<impl Send> {
    let mut links = JoinSet::new();
    for _ in 0..target.n {
        let Ok(mut link) = Socket::dial(&format!("{}{WEBSOCKET}", target.url)).await else { continue };
        if link.send("40").await.is_err() {
            continue;
        }
        target.count();
        links.spawn(async move {
            while let Ok(packet) = link.receive().await {
                if packet == "2" && link.send("3").await.is_err() {
                    break;
                }
            }
        });
    }
    Ok(links)
}

async fn half_frames(target: Target) -> Result<Vec<Socket>> {
    half_frames_at(&format!("{}{WEBSOCKET}", target.url), &target).await
}

async fn bodies(target: Target) -> Result<impl Send> {
    let host = raw::authority(&target.url);
    let mut open = Vec::new();
    for _ in 0..target.n {
        let Ok((mut stream, answer)) = raw::http(&target.url, &get(host)).await else { continue };
        let Some(sid) = session(&answer) else { continue };
        let post = format!(
            "POST /socket.io/?EIO=4&transport=polling&sid={sid} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1000000\r\n\r\n"
        );
        if tokio::io::AsyncWriteExt::write_all(&mut stream, post.as_bytes()).await.is_ok() {
            target.count();
            open.push(stream);
        }
    }
    Ok(open)
}

async fn sessions(target: Target) -> Result<()> {
    let connections = (0..8).map(|_| async {
        let host = raw::authority(&target.url);
        let mut connection = None;
        while Instant::now() < target.until {
            let answer = match &mut connection {
                None => raw::http(&target.url, &get(host)).await.map(|(stream, answer)| {
                    connection = Some(stream);
                    answer
                }),
                Some(stream) => raw::exchange(stream, &get(host)).await,
            };
            match answer.ok().as_deref().and_then(session) {
                Some(_) => target.count(),
                None => connection = None,
            }
        }
    });
    join_all(connections).await;
    Ok(())
}

async fn wrong_token(target: Target) -> Result<()> {
    let clients = (0..target.n).map(|_| async {
        while Instant::now() < target.until {
            let Ok(mut link) = Socket::dial(&format!("{}{WEBSOCKET}", target.url)).await else { continue };
            // engine.io's open packet, then the namespace's answer.
            if link.receive().await.is_err() || link.send(r#"40{"token":"wrong"}"#).await.is_err() {
                continue;
            }
            if link.receive().await.is_ok_and(|answer| answer.starts_with("40")) {
                return Err(format!("{FOUND}a wrong token was accepted"));
            }
            target.count();
        }
        Ok(())
    });
    join_all(clients).await.into_iter().collect::<Result<Vec<()>>>()?;
    Ok(())
}

fn get(host: &str) -> String {
    format!("GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: {host}\r\n\r\n")
}

/// The id of the session that a response opens.
fn session(answer: &str) -> Option<&str> {
    let (_, rest) = answer.split_once(r#""sid":""#)?;
    Some(rest.split_once('"')?.0)
}
