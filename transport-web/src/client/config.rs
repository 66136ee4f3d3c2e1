//! Settings of the plugin's end.

use crate::config::LinkConfig;

/// Configures the plugin's end.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ClientConfig {
    /// Limits of the link. Default: [`LinkConfig::default`].
    pub link: LinkConfig,
    /// A frame's plugin: the origins of the pages that may be its engine, besides the frame's own origin, for example
    /// `https://host.example`. Default: none.
    ///
    /// The page that contains the frame can call every method. A message from any other page is ignored, and the first
    /// one is reported on the console.
    pub allowed_origins: Vec<String>,
    /// A frame's plugin: any page may be its engine. Default: false.
    pub allow_any_origin: bool,
    /// Limits and timeouts of the plugin's session. Default: [`connector_core::ClientConfig::default`].
    pub session: connector_core::ClientConfig,
}

impl ClientConfig {
    /// Sets [`link`](ClientConfig#structfield.link), the limits of the link. Default: [`LinkConfig::default`].
    #[must_use]
    pub fn link(mut self, config: LinkConfig) -> ClientConfig {
        self.link = config;
        self
    }

    /// Adds to [`allowed_origins`](ClientConfig#structfield.allowed_origins). Default: none.
    #[must_use]
    pub fn allow_origin(mut self, origin: impl Into<String>) -> ClientConfig {
        self.allowed_origins.push(origin.into());
        self
    }

    /// Sets [`allow_any_origin`](ClientConfig#structfield.allow_any_origin): any page that contains the frame may call the
    /// plugin's methods. For plugins that do nothing on behalf of their user. Default: false.
    #[must_use]
    pub fn allow_any_origin(mut self) -> ClientConfig {
        self.allow_any_origin = true;
        self
    }

    /// Sets [`session`](ClientConfig#structfield.session). Default: [`connector_core::ClientConfig::default`].
    #[must_use]
    pub fn session(mut self, config: connector_core::ClientConfig) -> ClientConfig {
        self.session = config;
        self
    }
}
