use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use connector_core::ConnectError;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::net::{TcpStream, lookup_host};

/// The delay before the next address is tried in parallel (RFC 8305, section 5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Connects to the first address of `host` that answers. Addresses are tried in the resolver's order.
pub(super) async fn connect(host: &str, port: u16) -> Result<TcpStream, ConnectError> {
    let addrs: VecDeque<SocketAddr> = match lookup_host((host, port)).await {
        Ok(addrs) => addrs.collect(),
        Err(error) => {
            let text = format!("cannot resolve the host name \"{host}\" ({error}): check the url");
            return Err(ConnectError::Refused(text));
        }
    };
    connect_first(addrs).await.map_err(|error| match error {
        Some(error) if error.kind() == io::ErrorKind::ConnectionRefused => ConnectError::Refused(format!(
            "nothing listens at {host}:{port} ({error}): start the server, or check the url"
        )),
        Some(error) => ConnectError::failed(error),
        None => ConnectError::Refused(format!("the host name \"{host}\" has no address: check the url")),
    })
}

/// Returns the first connection, or else the most informative error.
async fn connect_first(mut addrs: VecDeque<SocketAddr>) -> Result<TcpStream, Option<io::Error>> {
    let mut attempts = FuturesUnordered::new();
    let mut error_so_far: Option<io::Error> = None;
    loop {
        if let Some(addr) = addrs.pop_front() {
            attempts.push(TcpStream::connect(addr));
        }
        let attempt = match addrs.is_empty() {
            true => attempts.next().await,
            false => match tokio::time::timeout(ATTEMPT_DELAY, attempts.next()).await {
                Ok(attempt) => attempt,
                Err(_) => continue,
            },
        };
        match attempt {
            Some(Ok(stream)) => return Ok(stream),
            // A refused connection says more than a missing route.
            Some(Err(error)) if error_so_far.is_none() || error.kind() == io::ErrorKind::ConnectionRefused => {
                error_so_far = Some(error);
            }
            Some(Err(_)) => {}
            None if addrs.is_empty() => return Err(error_so_far),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn all_addresses_are_tried() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let open = listener.local_addr().unwrap();
        let closed = {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            listener.local_addr().unwrap()
        };
        let stream = connect_first([closed, open].into()).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), open);
        let error = connect_first([closed, closed].into()).await.unwrap_err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert!(connect_first([].into()).await.unwrap_err().is_none());
    }
}
