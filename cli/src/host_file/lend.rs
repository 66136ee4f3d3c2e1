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
    pub(super) to: Spanned<String>,
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
        let elsewhere = "a plugin is lent at ws://ADDRESS:PORT, or at a NATS server: nats://HOST:PORT";
        let url = Url::parse(self.url.get_ref()).map_err(|error| wrong_url(&error))?;
        let url = url.ok_or_else(|| wrong_url(elsewhere))?;
        let token = super::token(self.token_env.as_ref(), &url, self.nats.as_ref(), source)?;
        let place = match (url, &self.nats) {
            (Url::Nats(server), table) => {
                let prefixed =
                    || nats.for_borrower(self.to.get_ref()).map_err(|error| source.error(self.to.span(), error));
                let nats = match table.as_ref().map(Spanned::get_ref) {
                    Some(table) if table.has_prefix() => table.apply(nats, source)?,
                    Some(table) => table.apply(&prefixed()?, source)?,
                    None => prefixed()?,
                };
                LoanPlace::Nats { nats: Box::new(nats), server, token }
            }
            (_, Some(table)) => return Err(source.error(table.span(), super::NOT_AT_NATS)),
            (Url::WebSocket(url), None) => {
                let address = url.split_once("://").filter(|(scheme, _)| scheme.eq_ignore_ascii_case("ws"));
                let address = address.map(|(_, address)| address.strip_suffix('/').unwrap_or(address));
                // Nothing else that may be a secret.
                let Some(address) = address.filter(|address| !address.contains(['/', '@', '?', '#'])) else {
                    return Err(wrong_url("give the address and the port to listen at, as in ws://127.0.0.1:4100"));
                };
                let Some(token) = token else {
                    let hint = "any program that can connect to this address could borrow the plugin: set \"token_env\", and configure the same token at the borrower";
                    return Err(wrong_url(hint));
                };
                LoanPlace::WebSocket { address: address.to_owned(), token }
            }
            _ => return Err(wrong_url(elsewhere)),
        };
        let (plugin, borrower) = (plugin.clone(), self.to.get_ref().clone());
        let (position, borrower_position) = (source.position(&self.plugin.span()), source.position(&self.to.span()));
        Ok(Loan { plugin, borrower, place, position, borrower_position })
    }
}
