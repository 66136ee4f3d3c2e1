//! Raw HTTP requests.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{read_head, soon};

pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The head in lower case.
    pub(crate) head: String,
    pub(crate) body: String,
}

/// Sends one request on a separate connection.
pub(crate) async fn request(to: SocketAddr, method: &str, target: &str, headers: &str, body: &str) -> Answer {
    soon(async {
        let mut socket = TcpStream::connect(to).await.unwrap();
        let head = format!(
            "{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n",
            body.len()
        );
        // The answer may arrive before the whole request is sent.
        let (mut reading, mut writing) = socket.split();
        let text = head + body;
        let sending = async {
            let _ = writing.write_all(text.as_bytes()).await;
            std::future::pending::<()>().await;
        };
        let answer = async {
            let mut bytes = Vec::new();
            let _ = reading.read_to_end(&mut bytes).await;
            String::from_utf8(bytes).unwrap()
        };
        let answer = tokio::select! { answer = answer => answer, () = sending => unreachable!() };
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
        Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    })
    .await
}

/// A scripted engine that uses long polling.
pub(crate) struct Polling {
    pub(crate) to: SocketAddr,
    pub(crate) sid: String,
}

impl Polling {
    /// Opens a session, before its CONNECT.
    pub(crate) async fn open(to: SocketAddr) -> Polling {
        let answer = request(to, "GET", "/socket.io/?EIO=4&transport=polling", "", "").await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let open: serde_json::Value = serde_json::from_str(answer.body.strip_prefix('0').unwrap()).unwrap();
        Polling { to, sid: open["sid"].as_str().unwrap().to_owned() }
    }

    pub(crate) async fn connect(to: SocketAddr) -> Polling {
        let polling = Polling::open(to).await;
        assert_eq!(polling.post("40").await.body, "ok");
        assert!(polling.packets().await[0].starts_with("40{"));
        polling
    }

    fn target(&self) -> String {
        format!("/socket.io/?EIO=4&transport=polling&sid={}", self.sid)
    }

    pub(crate) async fn post(&self, body: &str) -> Answer {
        request(self.to, "POST", &self.target(), "Content-Type: text/plain\r\n", body).await
    }

    pub(crate) async fn poll(&self) -> Answer {
        request(self.to, "GET", &self.target(), "", "").await
    }

    /// The next packets, without pings. Answers pings.
    pub(crate) async fn packets(&self) -> Vec<String> {
        loop {
            let answer = self.poll().await;
            assert_eq!(answer.status, 200, "{}", answer.body);
            let mut packets: Vec<String> = answer.body.split('\u{1e}').map(str::to_owned).collect();
            if packets.iter().any(|packet| packet == "2") {
                self.post("3").await;
                packets.retain(|packet| packet != "2");
            }
            if !packets.is_empty() {
                return packets;
            }
        }
    }

    /// Opens a websocket to upgrade this session.
    pub(crate) async fn upgrade(&self) -> super::Ws {
        let mut socket = TcpStream::connect(self.to).await.unwrap();
        socket.write_all(super::upgrade(&format!("&sid={}", self.sid), "").as_bytes()).await.unwrap();
        let head = read_head(&mut socket).await;
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        super::as_ws(socket, tokio_tungstenite::tungstenite::protocol::Role::Client).await
    }
}
