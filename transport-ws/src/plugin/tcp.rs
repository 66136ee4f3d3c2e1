use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use connector_core::LinkEnd;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::net::{TcpStream, lookup_host};

/// When to try the next address beside one that does not answer (RFC 8305, section 5).
const HEAD_START: Duration = Duration::from_millis(250);

/// A connection to whichever address of `host` answers first, tried in the resolver's order.
pub(super) async fn connect(host: &str, port: u16) -> Result<TcpStream, LinkEnd> {
    let addrs: VecDeque<SocketAddr> = match lookup_host((host, port)).await {
        Ok(addrs) => addrs.collect(),
        Err(error) => {
            let text = format!("the name \"{host}\" cannot be resolved ({error}): check the url");
            return Err(LinkEnd::Refused(text));
        }
    };
    first(addrs).await.map_err(|error| match error {
        Some(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            LinkEnd::Refused(format!("nobody listens at {host}:{port} ({error}): is it running?"))
        }
        Some(error) => LinkEnd::lost(error),
        None => LinkEnd::Refused(format!("the name \"{host}\" has no address: check the url")),
    })
}

/// The first connection that is made; else the error that says most.
async fn first(mut addrs: VecDeque<SocketAddr>) -> Result<TcpStream, Option<io::Error>> {
    let mut tries = FuturesUnordered::new();
    let mut worst: Option<io::Error> = None;
    loop {
        if let Some(addr) = addrs.pop_front() {
            tries.push(TcpStream::connect(addr));
        }
        let tried = match addrs.is_empty() {
            true => tries.next().await,
            false => match tokio::time::timeout(HEAD_START, tries.next()).await {
                Ok(tried) => tried,
                Err(_) => continue,
            },
        };
        match tried {
            Some(Ok(stream)) => return Ok(stream),
            // That one address refuses says more than that another has no route.
            Some(Err(error)) if worst.is_none() || error.kind() == io::ErrorKind::ConnectionRefused => {
                worst = Some(error);
            }
            Some(Err(_)) => {}
            None if addrs.is_empty() => return Err(worst),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn every_address_is_tried() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let open = listener.local_addr().unwrap();
        let closed = {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            listener.local_addr().unwrap()
        };
        let stream = first([closed, open].into()).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), open);
        let error = first([closed, closed].into()).await.unwrap_err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert!(first([].into()).await.unwrap_err().is_none());
    }
}
