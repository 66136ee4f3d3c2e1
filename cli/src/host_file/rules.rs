//! The rules of a host file: which plugin may do what with which.

use std::borrow::Cow;
use std::sync::Arc;

use connector_core::{Access, EngineBuilder, Operation, Policy, Profile, async_trait};
use toml::Spanned;

use super::schema::{AccessTable, DefaultAccess, RuleTable};
use super::source::{Source, unknown};
use super::values::Texts;
use crate::failure::Failure;
use crate::host::{CALLER, MANAGER};

/// The first rule that matches an access decides, and without one the default.
#[derive(Debug)]
pub(super) struct Rules {
    rules: Vec<Rule>,
    default_allows: bool,
}

#[derive(Debug)]
struct Rule {
    name: String,
    allows: bool,
    operations: Vec<&'static str>,
    from: Patterns,
    to: Patterns,
    methods: Patterns,
    events: Patterns,
}

/// The plugin in whose name the page of `connector open` acts.
const INSPECTOR: &str = "inspector";

const OPERATIONS: [&str; 4] = ["call", "listen", "activate", "deactivate"];

/// What decides about an access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decider {
    Rule(usize),
    Default,
}

impl Rules {
    /// # Errors
    /// A rule that cannot mean anything, or that names a plugin which the file does not have.
    pub(super) fn new(
        table: &AccessTable,
        plugins: &[&str],
        borrowers: &[&str],
        source: &Source,
    ) -> Result<Rules, Failure> {
        let rules = table.rules.iter().map(|rule| {
            let name = format!("{}, line {}", source.name(), source.line(&rule.span()));
            Rule::new(rule.get_ref(), name, (plugins, borrowers), source).map_err(|error| match error {
                Wrong::Here(text) => source.error(rule.span(), text),
                Wrong::There(failure) => failure,
            })
        });
        Ok(Rules { rules: rules.collect::<Result<_, _>>()?, default_allows: table.default == DefaultAccess::Allow })
    }

    /// Has the engine obey them. Each rule that denies becomes one of the engine, so that a refusal names it.
    pub(super) fn apply(self, mut builder: EngineBuilder, source: &Source) -> EngineBuilder {
        let rules = Arc::new(self);
        for (index, rule) in rules.rules.iter().enumerate().filter(|(_, rule)| !rule.allows) {
            let all = Arc::clone(&rules);
            let allows = move |access: &Access<'_>| {
                all.decider(access.from, access.to, access.operation) != Some(Decider::Rule(index))
            };
            builder = builder.access_rule(rule.name.clone(), allows);
        }
        if !rules.default_allows {
            let all = Arc::clone(&rules);
            let allows = move |access: &Access<'_>| {
                all.decider(access.from, access.to, access.operation) != Some(Decider::Default)
            };
            builder = builder.access_rule(format!("{}, [access] default = deny", source.name()), allows);
        }
        builder.policy(Deactivations(rules))
    }

    /// `None` for what is always allowed: what the host itself does, and what a plugin does with itself.
    fn decider(&self, from: &str, to: &str, operation: Operation<'_>) -> Option<Decider> {
        if from == to || [CALLER, MANAGER].contains(&from) {
            return None;
        }
        let matching = self.rules.iter().position(|rule| rule.matches(from, to, operation));
        Some(matching.map_or(Decider::Default, Decider::Rule))
    }
}

/// Allows deactivations that a rule allows. The published default, by which a plugin can deactivate only itself, would deny
/// them.
struct Deactivations(Arc<Rules>);

#[async_trait]
impl Policy for Deactivations {
    async fn can_deactivate(&self, from: &Profile, to: &Profile) -> bool {
        match self.0.decider(&from.name, &to.name, Operation::Deactivate) {
            Some(Decider::Rule(index)) => self.0.rules[index].allows,
            Some(Decider::Default) => false,
            None => true,
        }
    }
}

/// What is wrong with a rule: about the whole of it, or with its place.
enum Wrong {
    Here(String),
    There(Failure),
}

impl From<&str> for Wrong {
    fn from(text: &str) -> Wrong {
        Wrong::Here(text.to_owned())
    }
}

impl Rule {
    fn new(
        table: &RuleTable,
        name: String,
        (plugins, borrowers): (&[&str], &[&str]),
        source: &Source,
    ) -> Result<Rule, Wrong> {
        // Those of the engine `away` are `away/…` here.
        let is_borrowers = |name: &str| name.split_once('/').is_some_and(|(engine, _)| borrowers.contains(&engine));
        let (allows, operations) = match (&table.allow, &table.deny) {
            (Some(operations), None) => (true, operations),
            (None, Some(operations)) => (false, operations),
            _ => return Err("a rule has either \"allow\" or \"deny\", with what it is about".into()),
        };
        for texts in
            [Some(operations), table.from.as_ref(), table.to.as_ref(), table.methods.as_ref(), table.events.as_ref()]
        {
            let Some(texts) = texts else { continue };
            let wrong = |text: String| Err(Wrong::There(source.error(texts.span(), text)));
            if texts.get_ref().as_slice().is_empty() {
                return wrong("an empty list matches nothing: leave the key out to match everything".to_owned());
            }
            for text in texts.get_ref().as_slice() {
                if text.strip_suffix('*').unwrap_or(text).contains('*') {
                    return wrong(format!("\"{text}\": a `*` may stand at the end only"));
                }
            }
        }
        let mut known = Vec::new();
        for text in operations.get_ref().as_slice() {
            match OPERATIONS.iter().find(|operation| *operation == text) {
                Some(operation) => known.push(*operation),
                None if text == "*" => known.extend(OPERATIONS),
                None => {
                    let error = unknown(&format!("unknown operation \"{text}\""), text, &OPERATIONS);
                    return Err(Wrong::There(source.error(operations.span(), error)));
                }
            }
        }
        if table.methods.is_some() && !known.contains(&"call") {
            return Err("a rule with \"methods\" is about \"call\"".into());
        }
        if table.events.is_some() && !known.contains(&"listen") {
            return Err("a rule with \"events\" is about \"listen\"".into());
        }
        for names in [&table.from, &table.to].into_iter().flatten() {
            for name in names.get_ref().as_slice() {
                if !name.ends_with('*')
                    && ![MANAGER, INSPECTOR].contains(&name.as_str())
                    && !plugins.contains(&name.as_str())
                    && !is_borrowers(name)
                {
                    let error = unknown(&format!("the file has no plugin \"{name}\""), name, plugins);
                    return Err(Wrong::There(source.error(names.span(), error)));
                }
            }
        }
        Ok(Rule {
            name: table.name.clone().unwrap_or(name),
            allows,
            operations: known,
            from: Patterns::new(&table.from),
            to: Patterns::new(&table.to),
            methods: Patterns::new(&table.methods),
            events: Patterns::new(&table.events),
        })
    }

    fn matches(&self, from: &str, to: &str, operation: Operation<'_>) -> bool {
        let is_about = |what: &str| self.operations.contains(&what);
        let matches = match operation {
            Operation::Call { method, path } => is_about("call") && self.methods.include(&with_services(path, method)),
            Operation::Listen { event } => is_about("listen") && self.events.include(event),
            Operation::Activate => is_about("activate"),
            Operation::Deactivate => is_about("deactivate"),
            // Unknown to this version.
            _ => OPERATIONS.iter().all(|operation| is_about(operation)),
        };
        matches && self.from.include(from) && self.to.include(to)
    }
}

/// A method, with the services that it belongs to in front: `cmd.git.push`.
fn with_services<'a>(path: &str, method: &'a str) -> Cow<'a, str> {
    match path.split_once('.') {
        Some((_, services)) => format!("{services}.{method}").into(),
        None => method.into(),
    }
}

/// Names, or beginnings of names before `*`. Without any, everything.
#[derive(Debug)]
struct Patterns(Option<Vec<String>>);

impl Patterns {
    fn new(texts: &Option<Spanned<Texts>>) -> Patterns {
        Patterns(texts.as_ref().map(|texts| texts.get_ref().as_slice().to_vec()))
    }

    fn include(&self, name: &str) -> bool {
        let Some(patterns) = &self.0 else { return true };
        patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => pattern == name,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn rules(text: &str) -> Result<Rules, String> {
        let source = Source::new(Path::new("folder/h.toml"), text.to_owned());
        let table = toml::from_str(text).unwrap();
        Rules::new(&table, &["editor", "files", "web"], &["away"], &source).map_err(|failure| failure.text())
    }

    fn allows(rules: &Rules, from: &str, to: &str, operation: Operation<'_>) -> bool {
        match rules.decider(from, to, operation) {
            Some(Decider::Rule(index)) => rules.rules[index].allows,
            Some(Decider::Default) => rules.default_allows,
            None => true,
        }
    }

    fn call(path: &'static str, method: &'static str) -> Operation<'static> {
        Operation::Call { method, path }
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let rules = rules(
            r#"default = "deny"
            rules = [
                { deny = "call", to = "files", methods = ["delete", "trash.*"] },
                { allow = ["call", "listen"], from = ["editor", "web*"], to = "files", methods = ["r*", "delete", "trash.empty", "trash.list"], events = "changed" },
                { allow = "*", from = "editor", to = "web" },
            ]"#,
        )
        .unwrap();
        for (from, to, operation, is_allowed) in [
            ("editor", "files", call("files", "read"), true),
            ("web2", "files", call("files", "read"), true),
            ("editor", "files", call("files", "write"), false),
            ("editor", "files", call("files", "delete"), false),
            ("editor", "files", call("files.trash", "empty"), false),
            ("editor", "files", call("files.trash", "rename"), false),
            ("files", "editor", call("editor", "read"), false),
            ("editor", "files", Operation::Listen { event: "changed" }, true),
            ("editor", "files", Operation::Listen { event: "closed" }, false),
            ("editor", "files", Operation::Activate, false),
            ("editor", "web", Operation::Activate, true),
            ("editor", "web", Operation::Deactivate, true),
            ("editor", "web", call("web.a.b", "c"), true),
            ("web", "editor", Operation::Deactivate, false),
            ("web", "web", call("web", "x"), true),
            (MANAGER, "web", Operation::Activate, true),
            (CALLER, "files", call("files", "delete"), true),
        ] {
            assert_eq!(allows(&rules, from, to, operation), is_allowed, "{from} {to} {operation:?}");
        }
    }

    #[test]
    fn everything_is_allowed_by_default() {
        let rules = rules(r#"rules = [{ deny = "call", from = "web" }]"#).unwrap();
        assert!(allows(&rules, "editor", "files", call("files", "read")));
        assert!(allows(&rules, "web", "files", Operation::Activate));
        assert!(!allows(&rules, "web", "files", call("files", "read")));
    }

    #[test]
    fn a_rule_without_a_meaning_is_an_error() {
        for (rule, position, remedy) in [
            (r#"{ from = "web" }"#, "h.toml:1:10", r#"either "allow" or "deny""#),
            (r#"{ allow = "call", deny = "call" }"#, "h.toml:1:10", r#"either "allow" or "deny""#),
            (r#"{ allow = "cal" }"#, "h.toml:1:20", r#"did you mean "call"?"#),
            (r#"{ allow = "listen", methods = "x" }"#, "h.toml:1:10", r#"is about "call""#),
            (r#"{ deny = "call", methods = "*.delete" }"#, "h.toml:1:37", "at the end only"),
            (r#"{ allow = [] }"#, "h.toml:1:20", "an empty list matches nothing"),
            (r#"{ allow = "call", events = "x" }"#, "h.toml:1:10", r#"is about "listen""#),
            (r#"{ allow = "call", from = ["away/app", "home/app"] }"#, "h.toml:1:35", "no plugin \"home/app\""),
            (r#"{ allow = "call", from = ["inspector", "edtor"] }"#, "h.toml:1:35", r#"did you mean "editor"?"#),
        ] {
            let error = rules(&format!("rules = [{rule}]")).unwrap_err();
            assert!(error.contains(position) && error.contains(remedy), "{rule}: {error}");
        }
    }
}
