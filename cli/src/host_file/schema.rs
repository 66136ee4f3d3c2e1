//! The keys of a host file, as docs/host-file.md describes them.

use std::collections::BTreeMap;
use std::collections::HashMap;

use connector_core::PluginOptions;
use serde::Deserialize;
use toml::Spanned;

use super::lend::LendTable;
use super::nats::NatsTable;
use super::values::{Size, Texts, Time};
use crate::place::Channel;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default)]
    pub(super) engine: EngineTable,
    /// For every plugin.
    #[serde(default)]
    pub(super) options: OptionsTable,
    /// For every plugin behind a NATS server.
    #[serde(default)]
    pub(super) nats: NatsTable,
    #[serde(default)]
    pub(super) access: AccessTable,
    #[serde(default)]
    pub(super) lend: Vec<LendTable>,
    pub(super) plugins: BTreeMap<Spanned<String>, PluginTable>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct EngineTable {
    pub(super) memory_limit: Option<Size>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct PluginTable {
    pub(super) url: Option<Spanned<String>>,
    pub(super) token_env: Option<Spanned<String>>,
    pub(super) nats: Option<Spanned<NatsTable>>,
    pub(super) command: Option<Spanned<String>>,
    pub(super) args: Option<Vec<String>>,
    pub(super) env: Option<BTreeMap<String, String>>,
    pub(super) inherit_env: Option<Spanned<Texts>>,
    pub(super) cwd: Option<String>,
    pub(super) channel: Option<Channel>,
    pub(super) restart: Option<RestartValue>,
    pub(super) exit_timeout: Option<Time>,
    pub(super) term_timeout: Option<Time>,
    /// Whether it is activated at the start; otherwise the first call does.
    #[serde(default = "yes")]
    pub(super) activate: bool,
    #[serde(default)]
    pub(super) options: OptionsTable,
}

fn yes() -> bool {
    true
}

impl PluginTable {
    /// A key that is given and that only a program can have.
    pub(super) fn key_of_program(&self) -> Option<&'static str> {
        let keys = [
            ("command", self.command.is_some()),
            ("args", self.args.is_some()),
            ("env", self.env.is_some()),
            ("inherit_env", self.inherit_env.is_some()),
            ("cwd", self.cwd.is_some()),
            ("channel", self.channel.is_some()),
            ("restart", self.restart.is_some()),
            ("exit_timeout", self.exit_timeout.is_some()),
            ("term_timeout", self.term_timeout.is_some()),
        ];
        keys.into_iter().find_map(|(key, is_given)| is_given.then_some(key))
    }
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum RestartValue {
    Never,
    OnFailure,
    Always,
}

/// Fields of [`PluginOptions`].
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct OptionsTable {
    queue_timeout: Option<Time>,
    queue_length: Option<usize>,
    concurrency: Option<usize>,
    method_concurrency: Option<HashMap<String, usize>>,
    activation_timeout: Option<Time>,
    handshake_timeout: Option<Time>,
    health_interval: Option<Time>,
    reconnect_min_delay: Option<Time>,
    reconnect_max_delay: Option<Time>,
    engine_name: Option<String>,
    max_calls: Option<usize>,
    max_subscriptions: Option<usize>,
    max_depth: Option<usize>,
    max_digits: Option<usize>,
    memory_limit: Option<Size>,
    #[serde(default)]
    queue: QueueTable,
}

/// Fields of [`QueueLimits`](connector_core::QueueLimits).
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct QueueTable {
    capacity: Option<usize>,
    max_messages: Option<usize>,
    max_bytes: Option<Size>,
    stall_timeout: Option<Time>,
}

impl OptionsTable {
    /// `base` with what the table sets.
    pub(super) fn apply(&self, base: &PluginOptions) -> PluginOptions {
        let mut options = base.clone();
        set(&mut options.queue_timeout, self.queue_timeout);
        set(&mut options.queue_length, self.queue_length);
        set(&mut options.concurrency, self.concurrency);
        options.method_concurrency.extend(self.method_concurrency.clone().unwrap_or_default());
        set(&mut options.activation_timeout, self.activation_timeout);
        set(&mut options.handshake_timeout, self.handshake_timeout);
        options.health_interval = self.health_interval.map(Into::into).or(options.health_interval);
        set(&mut options.reconnect_min_delay, self.reconnect_min_delay);
        set(&mut options.reconnect_max_delay, self.reconnect_max_delay);
        options.engine_name = self.engine_name.clone().or(options.engine_name);
        set(&mut options.max_calls, self.max_calls);
        set(&mut options.max_subscriptions, self.max_subscriptions);
        set(&mut options.max_depth, self.max_depth);
        set(&mut options.max_digits, self.max_digits);
        set(&mut options.memory_limit, self.memory_limit);
        set(&mut options.queue.capacity, self.queue.capacity);
        set(&mut options.queue.max_messages, self.queue.max_messages);
        set(&mut options.queue.max_bytes, self.queue.max_bytes);
        set(&mut options.queue.stall_timeout, self.queue.stall_timeout);
        options
    }
}

pub(super) fn set<T, V: Into<T>>(option: &mut T, value: Option<V>) {
    if let Some(value) = value {
        *option = value.into();
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct AccessTable {
    #[serde(default)]
    pub(super) default: DefaultAccess,
    #[serde(default)]
    pub(super) rules: Vec<Spanned<RuleTable>>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum DefaultAccess {
    #[default]
    Allow,
    Deny,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct RuleTable {
    pub(super) name: Option<String>,
    pub(super) allow: Option<Spanned<Texts>>,
    pub(super) deny: Option<Spanned<Texts>>,
    pub(super) from: Option<Spanned<Texts>>,
    pub(super) to: Option<Spanned<Texts>>,
    pub(super) methods: Option<Spanned<Texts>>,
    pub(super) events: Option<Spanned<Texts>>,
}
