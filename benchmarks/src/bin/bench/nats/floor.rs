//! What the client library does alone: requests and replies, and messages that are published one way.

use async_nats::{Client, ConnectOptions};
use examples::{Done, report, stdin_ended};
use futures_util::StreamExt;

use super::broker::Broker;
use crate::Workload;
use crate::measure::{self, Result, Server};

/// The library drops what is over this number, and nothing here limits the sender.
const UNREAD: usize = 1 << 23;

/// Answers each request with its text, and publishes as many texts as `fire` says.
pub(crate) async fn serve() -> Done {
    let broker = Broker::start()?;
    let client = async_nats::connect(broker.url()).await?;
    let (mut echo, mut fire) = (client.subscribe("echo").await?, client.subscribe("fire").await?);
    client.flush().await?;
    report(broker.url());
    let answering = async {
        loop {
            tokio::select! {
                Some(message) = echo.next() => {
                    if let Some(reply) = message.reply {
                        client.publish(reply, message.payload).await?;
                    }
                }
                Some(message) = fire.next() => {
                    let (n, text): (usize, String) = serde_json::from_slice(&message.payload)?;
                    for _ in 0..n {
                        client.publish("tick", text.clone().into()).await?;
                    }
                }
            }
        }
    };
    tokio::select! {
        done = answering => done,
        () = stdin_ended() => Ok(()),
    }
}

pub(crate) async fn measure(workload: Workload) -> Done {
    let server = Server::start("nats-floor", workload.rt).await?;
    let client = ConnectOptions::new().subscription_capacity(UNREAD).connect(&server.address).await?;
    measure::run("nats-floor", &workload, &Bare(client), server.pid()).await
}

struct Bare(Client);

impl measure::Peer for Bare {
    async fn echo(&self, text: String) -> Result<String> {
        let back = self.0.request("echo", text.into()).await?;
        Ok(String::from_utf8(back.payload.into())?)
    }

    async fn events(&self, n: usize, text: &str) -> Result<()> {
        let mut ticks = self.0.subscribe("tick").await?;
        let fire = serde_json::to_vec(&(n, text))?;
        self.0.publish("fire", fire.into()).await?;
        for _ in 0..n {
            let tick = ticks.next().await.ok_or("the connection was lost")?;
            if tick.payload != text.as_bytes() {
                return Err("the event was changed".into());
            }
        }
        Ok(())
    }
}
