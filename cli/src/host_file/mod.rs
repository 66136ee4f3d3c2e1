//! The host file: an engine's plugins, their options and the rules between them, as TOML.

mod lend;
#[cfg_attr(not(feature = "nats"), path = "without_nats.rs")]
mod nats;
mod rules;
mod schema;
mod source;
mod values;

use std::path::{Path, PathBuf};

use connector_core::{Engine, EngineBuilder, PluginOptions, Registration};
use toml::Spanned;
use transport_ipc::{InheritedEnv, Program, Restart};

use self::nats::NatsTable;
use self::rules::Rules;
use self::schema::{File, PluginTable, RestartValue};
use self::source::Source;
use self::values::Texts;
use crate::failure::Failure;
use crate::host::Given;
use crate::loans::Loan;
use crate::nats::Nats;
use crate::place::Url;

/// About a table `nats` without such a URL.
const NOT_AT_NATS: &str = "\"nats\" is for a plugin behind a NATS server: give it a \"url\" such as nats://HOST:4222";

/// The token of a plugin.
///
/// # Errors
/// It cannot be read, or the plugin has another login at its NATS server.
fn token(
    variable: Option<&Spanned<String>>,
    url: &Url,
    nats: Option<&Spanned<NatsTable>>,
    source: &Source,
) -> Result<Option<String>, Failure> {
    let Some(variable) = variable else { return Ok(None) };
    if url.has_login() || nats.is_some_and(|table| table.get_ref().has_login()) {
        let hint = "one login is enough: give \"token_env\", or the login in the URL or in \"nats\"";
        return Err(source.error(variable.span(), hint));
    }
    source.secret("the token", variable).map(Some)
}

pub(crate) struct HostFile {
    source: Source,
    file: File,
}

impl HostFile {
    /// # Errors
    /// It cannot be read, or is not a host file. The error names the line, and says what to do.
    pub(crate) fn read(path: &Path) -> Result<HostFile, Failure> {
        let source = Source::read(path)?;
        let file = toml::from_str(source.text()).map_err(|error| source.wrong(&error))?;
        Ok(HostFile { source, file })
    }

    /// The names of its plugins, in the order of the file.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.tables().into_iter().map(|(name, _)| name.get_ref().as_str()).collect()
    }

    fn tables(&self) -> Vec<(&Spanned<String>, &PluginTable)> {
        let mut tables: Vec<_> = self.file.plugins.iter().collect();
        tables.sort_by_key(|(name, _)| name.span().start);
        tables
    }

    /// An engine with its limits and rules.
    ///
    /// # Errors
    /// A rule is wrong.
    pub(crate) fn engine(&self) -> Result<EngineBuilder, Failure> {
        let mut builder = Engine::builder();
        if let Some(limit) = self.file.engine.memory_limit {
            builder = builder.memory_limit(limit.into());
        }
        let rules = Rules::new(&self.file.access, &self.names(), &self.borrowers(), &self.source)?;
        Ok(rules.apply(builder, &self.source))
    }

    /// Its plugins, in the order of the file. `base` holds the options that the file does not set.
    ///
    /// # Errors
    /// A plugin's table is wrong.
    pub(crate) fn plugins(&self, base: &PluginOptions) -> Result<Vec<Given>, Failure> {
        let base = self.file.options.apply(base);
        let nats = self.file.nats.apply(&Nats::default(), &self.source)?;
        let plugins = self.tables().into_iter().map(|(name, table)| {
            let registration = self.registration(name, table, &nats)?;
            Ok(Given {
                name: name.get_ref().clone(),
                registration,
                options: table.options.apply(&base),
                at_start: table.activate,
                position: Some(self.source.position(&name.span())),
            })
        });
        plugins.collect()
    }

    fn borrowers(&self) -> Vec<&str> {
        self.file.lend.iter().map(|table| table.to.get_ref().as_str()).collect()
    }

    /// What it lends to other engines.
    ///
    /// # Errors
    /// A table is wrong.
    pub(crate) fn loans(&self) -> Result<Vec<Loan>, Failure> {
        let (plugins, nats) = (self.names(), self.file.nats.apply(&Nats::default(), &self.source)?);
        self.file.lend.iter().map(|table| table.loan(&plugins, &nats, &self.source)).collect()
    }

    fn registration(&self, name: &Spanned<String>, table: &PluginTable, nats: &Nats) -> Result<Registration, Failure> {
        let wrong = |text: String| self.source.error(name.span(), text);
        match (&table.url, &table.command) {
            (Some(url), _) => {
                if let Some(key) = table.key_of_program() {
                    return Err(wrong(format!(
                        "the plugin has both \"url\" and \"{key}\": give the URL of a plugin that runs, or the command that \
                         starts one"
                    )));
                }
                let parsed = Url::parse(url.get_ref()).and_then(|parsed| {
                    parsed.ok_or_else(|| "not a URL; for a program, give \"command\" and \"args\"".to_owned())
                });
                let wrong_url = |text: String| self.source.error(url.span(), text);
                let parsed = parsed.map_err(wrong_url)?;
                let nats = match &table.nats {
                    None => nats.clone(),
                    Some(nats_table) if matches!(parsed, Url::Nats(_)) => {
                        nats_table.get_ref().apply(nats, &self.source)?
                    }
                    Some(nats_table) => return Err(self.source.error(nats_table.span(), NOT_AT_NATS)),
                };
                let token = token(table.token_env.as_ref(), &parsed, table.nats.as_ref(), &self.source)?;
                parsed.registration(name.get_ref().clone(), token.as_deref(), &nats).map_err(wrong_url)
            }
            (None, Some(command)) => {
                if let Some(variable) = &table.token_env {
                    return Err(self.source.error(variable.span(), "a token is for a plugin with a \"url\""));
                }
                if let Some(table) = &table.nats {
                    return Err(self.source.error(table.span(), NOT_AT_NATS));
                }
                Ok(transport_ipc::child(name.get_ref().clone(), self.program(command, table)?))
            }
            (None, None) => Err(wrong("the plugin has neither \"url\" nor \"command\"".to_owned())),
        }
    }

    fn program(&self, command: &Spanned<String>, table: &PluginTable) -> Result<Program, Failure> {
        let text = command.get_ref();
        if text.trim().is_empty() {
            return Err(self.source.error(command.span(), "the command is empty: give a program"));
        }
        let folder = self.source.folder().join(table.cwd.as_ref().map(PathBuf::from).unwrap_or_default());
        if table.args.is_none() && text.contains(' ') && !folder.join(text).exists() {
            let hint = "no program has this name: pass its arguments separately, as the list \"args\"";
            return Err(self.source.error(command.span(), hint));
        }
        let mut program = Program::new(text).args(table.args.iter().flatten()).current_dir(folder);
        program.channel = table.channel.unwrap_or_default().into();
        program.env.extend(table.env.iter().flatten().map(|(name, value)| (name.into(), value.into())));
        if let Some(inherited) = &table.inherit_env {
            program.inherit_env = match inherited.get_ref() {
                Texts::Several(names) => InheritedEnv::Only(names.iter().map(Into::into).collect()),
                Texts::One(text) if text == "all" => InheritedEnv::All,
                Texts::One(text) if text == "common" => InheritedEnv::Common,
                Texts::One(_) => {
                    let hint = "give \"common\", \"all\", or the list of the variables' names";
                    return Err(self.source.error(inherited.span(), hint));
                }
            };
        }
        program.restart = match table.restart {
            None => program.restart,
            Some(RestartValue::Never) => Restart::Never,
            Some(RestartValue::OnFailure) => Restart::OnFailure,
            Some(RestartValue::Always) => Restart::Always,
        };
        program.exit_timeout = table.exit_timeout.map_or(program.exit_timeout, Into::into);
        program.term_timeout = table.term_timeout.map_or(program.term_timeout, Into::into);
        Ok(program)
    }
}
