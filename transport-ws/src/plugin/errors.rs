//! Classifies dial errors by whether another attempt may succeed.

use std::io;

use connector_core::ConnectError;
use tokio_tungstenite::tungstenite as ws;
use ws::error::ProtocolError;
use ws::http::StatusCode;

/// An error of the TLS handshake with `target`.
pub(super) fn of_tls(error: io::Error, target: &str) -> ConnectError {
    if is_of_tls(&error) {
        return of_io(error, target);
    }
    // A restarting server may do the same.
    ConnectError::failed(format!(
        "{target} ended the connection instead of answering the TLS handshake ({error}): try ws://"
    ))
}

fn is_of_tls(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>())
}

/// An error of TCP or TLS before there is a link to `target`.
fn of_io(error: io::Error, target: &str) -> ConnectError {
    let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
        return ConnectError::failed(error);
    };
    use rustls::Error::{InvalidCertificate, InvalidMessage, PeerMisbehaved};
    match tls {
        InvalidMessage(_) => ConnectError::Protocol(format!(
            "{target} does not speak TLS ({tls}): dial it as ws://, or set WsServerConfig::tls in the plugin's program"
        )),
        PeerMisbehaved(_) => ConnectError::Protocol(tls.to_string()),
        InvalidCertificate(_) => ConnectError::Refused(format!(
            "{target} has a certificate that is not trusted ({tls}): it must be issued for that host by an authority \
             in WsConnectorConfig::tls"
        )),
        _ => ConnectError::Refused(format!(
            "TLS with {target} failed ({tls}): check the certificates and versions at both ends"
        )),
    }
}

/// An error of the upgrade, whose request had a token or not.
pub(super) fn of_upgrade(error: ws::Error, target: &str, subprotocols: &[String], sent_token: bool) -> ConnectError {
    match error {
        // The cause may differ, but the error is permanent.
        ws::Error::Http(response) if response.status() == StatusCode::BAD_REQUEST && !subprotocols.is_empty() => {
            ConnectError::Refused(format!(
                "{target} answered with HTTP 400 Bad Request: it may not support any of the subprotocols {subprotocols:?}"
            ))
        }
        ws::Error::Http(response) => of_status(response.status(), target, sent_token),
        ws::Error::Io(error) => of_io(error, target),
        ws::Error::Protocol(error @ ProtocolError::HandshakeIncomplete) => ConnectError::failed(format!(
            "{target} closed the connection instead of answering the upgrade ({error}): check that it is a websocket \
             server, and whether the url needs ws:// or wss://"
        )),
        ws::Error::Protocol(ProtocolError::HttparseError(error)) => {
            ConnectError::Protocol(format!("{target} does not answer in HTTP ({error}): {NOT_A_SERVER}"))
        }
        ws::Error::Protocol(ProtocolError::InvalidHeader(name)) => ConnectError::Refused(format!(
            "the extra header \"{name}\" cannot be set: it belongs to the websocket handshake"
        )),
        ws::Error::Protocol(ProtocolError::SecWebSocketSubProtocolError(error)) => ConnectError::Refused(format!(
            "{target} supports none of the subprotocols {subprotocols:?} ({error}): see WsConnectorConfig::subprotocols"
        )),
        // The URL and headers were valid, so the answer is at fault.
        ws::Error::Protocol(error) => invalid_answer(&error, target),
        error => invalid_answer(&error, target),
    }
}

fn invalid_answer(error: &dyn std::error::Error, target: &str) -> ConnectError {
    ConnectError::Protocol(format!("{target} sent an invalid answer to the upgrade ({error}): {NOT_A_SERVER}"))
}

/// Another program listens there.
const NOT_A_SERVER: &str = "it is not a plugin's websocket server; check the url's port, which program listens there, \
     and whether the url needs ws:// or wss://";

/// Only permanent errors refuse; any other answer may come from an overloaded server or a proxy.
fn of_status(status: StatusCode, target: &str, sent_token: bool) -> ConnectError {
    let remedy = match status {
        StatusCode::UNAUTHORIZED if sent_token => {
            "the token is wrong: compare WsConnectorConfig::token, or the token in the url, with the server's"
        }
        StatusCode::UNAUTHORIZED => "it requires a token: set it with WsConnectorConfig::token",
        StatusCode::FORBIDDEN => "it does not allow this origin (WsServerConfig::allow_origin)",
        StatusCode::NOT_FOUND => "check the url's path",
        status if status.is_redirection() => "redirects are not followed: use the url that it redirects to",
        status if status.is_success() => {
            return ConnectError::failed(format!("{target} answered with HTTP {status}: {NOT_A_SERVER}"));
        }
        _ => return ConnectError::failed(format!("{target} answered with HTTP {status}: check the url")),
    };
    ConnectError::Refused(format!("{target} answered with HTTP {status}: {remedy}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_permanent_statuses_refuse() {
        for status in [101, 200, 400, 500, 502, 503] {
            assert!(
                matches!(of_status(StatusCode::from_u16(status).unwrap(), "x", false), ConnectError::Failed(_)),
                "{status}"
            );
        }
        for status in [301, 401, 403, 404] {
            let end = of_status(StatusCode::from_u16(status).unwrap(), "x", false);
            assert!(matches!(end, ConnectError::Refused(_)), "{status}");
        }
    }
}
