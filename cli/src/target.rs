//! What a command looks at: plugins of its own engine, or those of a running one.

use clap::Args;

use crate::failure::Failure;
use crate::host::Plugins;
use crate::viewer::Viewer;

#[derive(Args)]
pub(crate) struct Target {
    /// A running engine instead of plugins, by the URL that its inspector printed.
    #[arg(long, value_name = "URL", env = "CONNECTOR_AT", hide_env_values = true)]
    #[arg(conflicts_with_all = ["plugins", "host", "command"])]
    pub(crate) at: Option<String>,
    #[command(flatten)]
    pub(crate) plugins: Plugins,
}

impl Target {
    /// A viewer of the running engine, if one is given.
    ///
    /// # Errors
    /// It cannot be reached.
    pub(crate) async fn viewer(&self) -> Result<Option<Viewer>, Failure> {
        match &self.at {
            Some(url) => Viewer::connect(url, self.plugins.timeout).await.map(Some),
            None => Ok(None),
        }
    }
}
