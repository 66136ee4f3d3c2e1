//! Classifies dial errors by whether another attempt may succeed, and the errors that end a link.

use std::io;

use connector_core::{ConnectError, Excerpt, LinkEnd};
use rust_engineio::Error;
use tungstenite::error::ProtocolError;

/// An error while dialling `place`.
pub(super) fn of_dial(error: Error, place: &str) -> ConnectError {
    match error {
        Error::WebsocketError(tungstenite::Error::Http(response)) => of_status(response.status().as_u16(), place),
        Error::WebsocketError(tungstenite::Error::Io(error)) => of_io(error, place),
        Error::WebsocketError(tungstenite::Error::Tls(error)) => of_tls(&error.to_string(), place),
        Error::WebsocketError(tungstenite::Error::Protocol(error @ ProtocolError::HandshakeIncomplete)) => {
            ConnectError::failed(format!(
                "{place} closed the connection instead of answering ({error}): check that it is a socket.io server, \
                 and whether the url needs http:// or https://"
            ))
        }
        Error::WebsocketError(tungstenite::Error::Protocol(ProtocolError::HttparseError(error))) => {
            ConnectError::Protocol(format!("{place} does not answer in HTTP ({error}): {NOT_A_SERVER}"))
        }
        Error::WebsocketError(tungstenite::Error::Protocol(
            error @ (ProtocolError::MissingUpgradeWebSocketHeader
            | ProtocolError::MissingConnectionUpgradeHeader
            | ProtocolError::SecWebSocketAcceptKeyMismatch),
        )) => ConnectError::failed(format!("{place} sent an invalid answer to the upgrade ({error}): {NOT_A_SERVER}")),
        Error::InvalidJson(_) | Error::InvalidPacket() | Error::InvalidPacketId(_) | Error::IncompletePacket() => {
            // The error may quote what the peer sent.
            let error = Excerpt::new(error);
            ConnectError::Protocol(format!("{place} does not speak engine.io ({error}): {NOT_A_SERVER}"))
        }
        // The URL, the headers or TLS: all permanent. The error omits the URL.
        Error::InvalidUrl(_)
        | Error::InvalidUrlScheme(_)
        | Error::InvalidHttpConfiguration(_)
        | Error::InvalidHeaderNameFromReqwest(_)
        | Error::InvalidHeaderValueFromReqwest(_)
        | Error::WebsocketError(
            tungstenite::Error::Url(_) | tungstenite::Error::HttpFormat(_) | tungstenite::Error::Utf8,
        ) => ConnectError::Refused(format!("cannot make a request to {place}: check the plugin's url and headers")),
        Error::IncompleteResponseFromReqwest(error) => ConnectError::failed(error.without_url()),
        error => ConnectError::failed(error),
    }
}

/// The system's TLS errors differ only in their texts.
fn of_tls(error: &str, place: &str) -> ConnectError {
    let remedy = match error.to_ascii_lowercase().contains("certificate") {
        true => {
            "its certificate must be issued for that host by an authority in SocketIoConnectorConfig::tls, or one the \
             system trusts"
        }
        false => "try http:// instead of https://, and check the TLS versions at both ends",
    };
    ConnectError::Refused(format!("TLS with {place} failed ({error}): {remedy}"))
}

/// The name of a host could not be resolved.
pub(super) fn of_lookup(error: &io::Error, place: &str) -> ConnectError {
    ConnectError::Refused(format!("cannot resolve the host name in {place} ({error}): check the plugin's url"))
}

fn of_io(error: io::Error, place: &str) -> ConnectError {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => ConnectError::Refused(format!(
            "nothing listens at {place} ({error}): start the plugin's program, or check the plugin's url"
        )),
        _ => ConnectError::failed(format!("cannot reach {place} ({error}): check the plugin's url")),
    }
}

/// Another program listens there.
const NOT_A_SERVER: &str = "it is not a plugin's socket.io server; check the url's port, which program listens there, \
     and whether the url needs http:// or https://";

/// Only permanent errors refuse; any other answer may come from an overloaded server or a proxy.
fn of_status(status: u16, place: &str) -> ConnectError {
    let remedy = match status {
        401 => "it requires credentials: see SocketIoConnectorConfig::header",
        403 => "it does not allow this origin (SocketIoServerConfig::allow_origin)",
        200..=299 => return ConnectError::failed(format!("{place} answered with HTTP {status}: {NOT_A_SERVER}")),
        404 => "check SocketIoConnectorConfig::path",
        300..=399 => "redirects are not followed: use the url that it redirects to",
        _ => {
            return ConnectError::failed(format!("{place} answered with HTTP {status}: check the plugin's url"));
        }
    };
    ConnectError::Refused(format!("{place} answered with HTTP {status}: {remedy}"))
}

/// rust_engineio's limit.
const MAX_FRAME: usize = 16 * 1024 * 1024;

/// An error that ended a link.
pub(super) fn of_link(error: Error) -> LinkEnd {
    match error {
        Error::WebsocketError(tungstenite::Error::Capacity(_)) => LinkEnd::TooLarge { limit: MAX_FRAME },
        Error::WebsocketError(tungstenite::Error::Io(error)) => error.into(),
        Error::InvalidPacket() | Error::InvalidPacketId(_) | Error::IncompletePacket() | Error::InvalidBase64(_) => {
            LinkEnd::BadFrame(error.to_string())
        }
        error => LinkEnd::lost(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_permanent_statuses_refuse() {
        for status in [101, 200, 400, 500, 502, 503] {
            assert!(matches!(of_status(status, "x"), ConnectError::Failed(_)), "{status}");
        }
        for status in [301, 401, 403, 404] {
            assert!(matches!(of_status(status, "x"), ConnectError::Refused(_)), "{status}");
        }
    }
}
