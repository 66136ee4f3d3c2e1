//! The tables `nats` of a host file.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use connector_core::{BadSetting, Choice};
use serde::Deserialize;
use toml::Spanned;
use transport_nats::NatsConfig;
use transport_nats::tls::ClientConfig;
use transport_nats::tls::rustls::RootCertStore;
use transport_nats::tls::rustls::crypto::ring;
use transport_nats::tls::rustls::pki_types::CertificateDer;
use transport_nats::tls::rustls::pki_types::pem::PemObject;

use super::schema::set;
use super::source::Source;
use super::values::{Size, Time};
use crate::failure::Failure;
use crate::nats::Nats;

/// The ranges of these fields of [`NatsConfig`], in bytes.
const MAX_MESSAGE: RangeInclusive<usize> = 1..=1 << 30;
const WINDOW: RangeInclusive<usize> = 16 << 10..=32 << 20;

/// Fields of [`NatsConfig`] and of [`Replicas`](connector_core::Replicas).
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct NatsTable {
    prefix: Option<String>,
    user: Option<Spanned<String>>,
    password_env: Option<Spanned<String>>,
    /// The files of these three are relative to the folder of the host file.
    nkey: Option<Spanned<String>>,
    credentials: Option<Spanned<String>>,
    ca: Option<Spanned<String>>,
    probe_interval: Option<Spanned<Time>>,
    silence: Option<Spanned<Time>>,
    connect_timeout: Option<Spanned<Time>>,
    max_message: Option<Spanned<Size>>,
    window: Option<Spanned<Size>>,
    choice: Option<ChoiceValue>,
    idempotent: Option<Vec<String>>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ChoiceValue {
    LeastBusy,
    Caller,
    /// A JSON pointer.
    Argument(String),
}

impl NatsTable {
    /// `base` with what the table sets.
    ///
    /// # Errors
    /// A secret or a file cannot be read, there are two logins, or nothing can work with a value.
    pub(super) fn apply(&self, base: &Nats, source: &Source) -> Result<Nats, Failure> {
        let mut nats = self.log_in(base.clone(), source)?;
        if let Some(ca) = &self.ca {
            nats.config.tls = Some(Arc::new(trusting(ca, source)?));
        }
        let config = &mut nats.config;
        set(&mut config.prefix, self.prefix.clone());
        let lasts = |name| move |time: Duration| BadSetting::lasts(name, time);
        let is_within = |name, range: RangeInclusive<usize>| move |size| BadSetting::within(name, size, range);
        set_checked(&mut config.probe_interval, &self.probe_interval, source, lasts("probe_interval"))?;
        set_checked(&mut config.silence, &self.silence, source, lasts("silence"))?;
        set_checked(&mut config.connect_timeout, &self.connect_timeout, source, lasts("connect_timeout"))?;
        set_checked(&mut config.max_message, &self.max_message, source, is_within("max_message", MAX_MESSAGE))?;
        set_checked(&mut config.window, &self.window, source, is_within("window", WINDOW))?;
        if let Some(time) = self.silence.as_ref().or(self.probe_interval.as_ref())
            && config.silence <= config.probe_interval
        {
            let (silence, interval) = (config.silence, config.probe_interval);
            let text = format!("silence is {silence:?}: set more than probe_interval, which is {interval:?}");
            return Err(source.error(time.span(), text));
        }
        set(&mut nats.choice, self.choice.clone());
        nats.idempotent.extend(self.idempotent.clone().unwrap_or_default());
        Ok(nats)
    }

    /// Whether it has a login.
    pub(super) fn has_login(&self) -> bool {
        self.user.is_some() || self.nkey.is_some() || self.credentials.is_some()
    }

    /// Whether it has a prefix.
    pub(super) fn has_prefix(&self) -> bool {
        self.prefix.is_some()
    }

    fn log_in(&self, nats: Nats, source: &Source) -> Result<Nats, Failure> {
        let mut logins = [&self.user, &self.nkey, &self.credentials].into_iter().flatten();
        if let Some(second) = logins.nth(1) {
            return Err(source.error(second.span(), "one login is enough: give \"user\", \"nkey\" or \"credentials\""));
        }
        let log_in = |config: NatsConfig| match (&self.user, &self.password_env, &self.nkey, &self.credentials) {
            (Some(user), ..) if user.get_ref().is_empty() => Err(source.error(user.span(), "the user has no name")),
            (Some(user), Some(variable), ..) => {
                Ok(config.user_and_password(user.get_ref(), source.secret("the password", variable)?))
            }
            (Some(user), None, ..) => Err(source.error(user.span(), "a user needs a password: give \"password_env\"")),
            (None, Some(variable), ..) => Err(source.error(variable.span(), "a password needs a \"user\"")),
            (_, _, Some(file), _) => match source.text_of("the nkey", file)?.trim() {
                seed if is_seed(seed) => Ok(config.nkey(seed)),
                _ => Err(source.error(file.span(), "not a file with the seed of a user's nkey, which begins with SU")),
            },
            (_, _, _, Some(file)) => {
                let text = source.text_of("the credentials", file)?;
                match is_credentials(&text) {
                    true => Ok(config.credentials(text)),
                    false => Err(source.error(file.span(), "not a credentials file (.creds), with a JWT and a seed")),
                }
            }
            _ => Ok(config),
        };
        Ok(Nats { config: log_in(nats.config)?, ..nats })
    }
}

impl From<ChoiceValue> for Choice {
    fn from(choice: ChoiceValue) -> Choice {
        match choice {
            ChoiceValue::LeastBusy => Choice::LeastBusy,
            ChoiceValue::Caller => Choice::Caller,
            ChoiceValue::Argument(pointer) => Choice::Argument(pointer),
        }
    }
}

/// Sets an option to the value of the file, if there is one.
///
/// # Errors
/// Nothing can work with it.
fn set_checked<T: Copy, V: Copy + Into<T>>(
    option: &mut T,
    value: &Option<Spanned<V>>,
    source: &Source,
    check: impl FnOnce(T) -> Result<(), BadSetting>,
) -> Result<(), Failure> {
    let Some(value) = value else { return Ok(()) };
    *option = (*value.get_ref()).into();
    check(*option).map_err(|bad| source.error(value.span(), bad))
}

/// Whether a text has the form of a user's seed.
fn is_seed(text: &str) -> bool {
    let is_base32 = |byte: u8| byte.is_ascii_uppercase() || matches!(byte, b'2'..=b'7');
    text.len() == 58 && text.starts_with("SU") && text.bytes().all(is_base32)
}

/// Whether a text has lines with a JWT and with a seed.
fn is_credentials(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim);
    lines.clone().any(|line| line.starts_with("ey") && line.matches('.').count() == 2) && lines.any(is_seed)
}

/// Trusts these authorities only.
fn trusting(ca: &Spanned<String>, source: &Source) -> Result<ClientConfig, Failure> {
    let text = source.text_of("the authorities' certificates", ca)?;
    let wrong = |error: &dyn std::fmt::Display| {
        source.error(ca.span(), format_args!("not a file of certificates (PEM) of authorities: {error}"))
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(text.as_bytes()) {
        roots.add(certificate.map_err(|error| wrong(&error))?).map_err(|error| wrong(&error))?;
    }
    if roots.is_empty() {
        return Err(wrong(&"it has none"));
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(|error| wrong(&error))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn applied(text: &str, base: &Nats) -> Nats {
        let table: NatsTable = toml::from_str(text).unwrap();
        table.apply(base, &Source::new(Path::new("h.toml"), text.to_owned())).unwrap()
    }

    #[test]
    fn a_plugins_table_changes_what_it_sets() {
        let all = "prefix = \"p\"\nchoice = \"caller\"\nsilence = \"1m\"\nidempotent = [\"get\"]";
        let all = applied(all, &Nats::default());
        assert_eq!(all.choice, Choice::Caller);
        let one = applied("choice = { argument = \"/0\" }\nwindow = \"64KiB\"\nidempotent = [\"list\"]", &all);
        let Nats { config, choice, idempotent } = one;
        assert_eq!((config.prefix.as_str(), config.silence, config.window), ("p", Duration::from_secs(60), 64 << 10));
        assert_eq!(choice, Choice::Argument("/0".to_owned()));
        assert_eq!(idempotent, ["get", "list"]);
        assert_eq!(config.max_message, Nats::default().config.max_message);
    }
}
