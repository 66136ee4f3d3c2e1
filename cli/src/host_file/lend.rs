//! The tables `lend` of a host file.

use serde::Deserialize;
use toml::Spanned;

use super::nats::NatsTable;
use super::source::{Source, unknown};
use crate::failure::Failure;
use crate::loans::{Loan, LoanPlace};
use crate::nats::Nats;
use crate::place::Url;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct LendTable {
    plugin: Spanned<String>,
    /// The borrower.
    pub(super) to: String,
    url: Spanned<String>,
    token_env: Option<Spanned<String>>,
    nats: Option<Spanned<NatsTable>>,
}

impl LendTable {
    /// The loan, of one of these plugins. `nats` has what is common to all plugins.
    ///
    /// # Errors
    /// The table is wrong.
    pub(super) fn loan(&self, plugins: &[&str], nats: &Nats, source: &Source) -> Result<Loan, Failure> {
        let plugin = self.plugin.get_ref();
        if !plugins.contains(&plugin.as_str()) {
            let error = unknown(&format!("the file has no plugin \"{plugin}\""), plugin, plugins);
            return Err(source.error(self.plugin.span(), error));
        }
        let wrong_url = |text: &str| source.error(self.url.span(), text);
        let token = self.token_env.as_ref().map(|variable| source.secret("the token", variable)).transpose()?;
        let place = match (Url::parse(self.url.get_ref()).map_err(|error| wrong_url(&error))?, &self.nats) {
            (Some(Url::Nats(server)), table) => {
                let nats = nats.for_borrower(&self.to);
                let nats = table.as_ref().map(|table| table.get_ref().apply(&nats, source)).unwrap_or(Ok(nats))?;
                LoanPlace::Nats { nats: Box::new(nats), server, token }
            }
            (_, Some(table)) => return Err(source.error(table.span(), super::NOT_AT_NATS)),
            (Some(Url::WebSocket(url)), None) => {
                let address = url.split_once("://").filter(|(scheme, _)| scheme.eq_ignore_ascii_case("ws"));
                let address = address.map(|(_, address)| address.strip_suffix('/').unwrap_or(address));
                // Nothing else that may be a secret.
                let Some(address) = address.filter(|address| !address.contains(['/', '@', '?', '#'])) else {
                    return Err(wrong_url("give the address and the port to listen at, as in ws://127.0.0.1:4100"));
                };
                let Some(token) = token else {
                    let hint = "whoever reaches the address could borrow it: give \"token_env\", and its token to the borrower";
                    return Err(wrong_url(hint));
                };
                LoanPlace::WebSocket { address: address.to_owned(), token }
            }
            _ => return Err(wrong_url("a plugin is lent at ws://ADDRESS:PORT, or at a NATS server: nats://HOST:PORT")),
        };
        let (plugin, borrower, position) = (plugin.clone(), self.to.clone(), source.position(&self.plugin.span()));
        Ok(Loan { plugin, borrower, place, position })
    }
}
