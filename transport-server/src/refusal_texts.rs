//! The texts with which a server refuses a connection. They name the setting that decides it.

use crate::NoPlace;

/// Why a server with this configuration type refuses a connection, as text for the client and for the log. No text
/// contains what a client has sent.
#[derive(Debug, Clone, Copy)]
pub struct RefusalTexts {
    config: &'static str,
}

impl RefusalTexts {
    /// The texts of a server that is configured by the type `config`, for example `WsServerConfig`. The type has the
    /// settings `allow_origin`, `token`, `max_connections` and `max_connections_per_address`.
    pub const fn new(config: &'static str) -> RefusalTexts {
        RefusalTexts { config }
    }

    /// The page's origin is not one of the [`AllowedOrigins`](crate::AllowedOrigins).
    pub fn origin(self) -> String {
        let config = self.config;
        format!("this origin is not allowed to connect: allow it with {config}::allow_origin in the plugin's program")
    }

    /// No token was `sent`, or not the plugin's. `how` says where a client puts it.
    pub fn token(self, sent: bool, how: &str) -> String {
        let config = self.config;
        match sent {
            true => format!("the token is wrong: the plugin requires its own ({config}::token)"),
            false => {
                format!("no token was sent, and the plugin requires its token ({config}::token): send it as {how}")
            }
        }
    }

    /// All places are occupied.
    pub fn no_place(self, why: NoPlace) -> String {
        let config = self.config;
        match why {
            NoPlace::Full(max) => {
                format!("too many connections: {config}::max_connections allows {max} at once")
            }
            NoPlace::FullForAddress(max) => format!(
                "too many connections from this address: {config}::max_connections_per_address allows {max} at once"
            ),
            NoPlace::NotPending => "too many connections: this one gave way to a newer one".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_names_its_setting() {
        let texts = RefusalTexts::new("XConfig");
        for (text, setting) in [
            (texts.origin(), "XConfig::allow_origin "),
            (texts.token(false, "a header"), "(XConfig::token): send it as a header"),
            (texts.token(true, "a header"), "the token is wrong: the plugin requires its own (XConfig::token)"),
            (texts.no_place(NoPlace::Full(3)), "XConfig::max_connections allows 3 "),
            (texts.no_place(NoPlace::FullForAddress(2)), "XConfig::max_connections_per_address allows 2 "),
        ] {
            assert!(text.contains(setting), "{text}");
        }
    }
}
