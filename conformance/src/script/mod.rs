//! Runs a script of steps against an engine and reports a line for each.

mod output_lines;

use std::collections::HashMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;
use tokio::sync::watch;

use crate::probe::{ReceivedEvent, Recorder, local};
use crate::runtime::{self, Task};
use connector_core::{CallError, Engine, Payload, PluginClient, PluginManager, Refusal, RegisterError, Rest};

/// Steps, as in the scripts that the published engine is tested with: `activate`, `deactivate`, `isActive`, `methods`,
/// `call`, `start`, `join`, `cancel`, `on`, `once`, `off`, `heard`, `emit`, `wait`.
#[derive(Debug, Clone)]
pub struct Script(Vec<Step>);

/// The script that the published packages are tested with.
pub const SCRIPT: &str = include_str!("../script.json");
/// The lines that [`SCRIPT`] produces with the published packages at both ends.
pub const EXPECTED: &str = include_str!("../expected.ndjson");

/// Why a script was not run.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ScriptError {
    /// It is not a list of steps.
    #[error("the script is not a JSON array of steps such as {{\"do\":\"wait\",\"ms\":100}}: {0}")]
    NotAScript(serde_json::Error),
    /// The engine has a plugin `local` already.
    #[error(transparent)]
    Register(#[from] RegisterError),
}

#[derive(Debug, Clone, Deserialize)]
struct Step {
    r#do: String,
    #[serde(default)]
    name: Names,
    #[serde(default)]
    target: String,
    method: Option<String>,
    args: Option<Vec<Payload>>,
    #[serde(default)]
    key: String,
    payload: Option<Vec<Payload>>,
    #[serde(default)]
    id: Value,
    #[serde(default)]
    ms: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Names {
    One(String),
    Several(Vec<String>),
}

impl Default for Names {
    fn default() -> Self {
        Names::One(String::new())
    }
}

impl Names {
    fn one(&self) -> &str {
        match self {
            Names::One(name) => name,
            Names::Several(names) => names.first().map_or("", String::as_str),
        }
    }
}

impl Script {
    /// Reads a script.
    ///
    /// # Errors
    /// It is not a JSON array of steps.
    pub fn parse(json: &str) -> Result<Script, ScriptError> {
        Ok(Script(serde_json::from_str(json).map_err(ScriptError::NotAScript)?))
    }
}

/// Registers [`local`] with the engine, runs the steps on its behalf one after the other, and reports a line of JSON for
/// each: `{"step":3,"do":"call","ok":…}` or `{…,"error":…}`, then `{"event":"done","steps":…}`.
///
/// # Errors
/// The engine has a plugin `local` already.
pub async fn run_script(engine: &Engine, script: &Script, mut report: impl FnMut(String)) -> Result<(), ScriptError> {
    let local = engine.register(local())?;
    let mut run =
        Run { manager: engine.manager(), local, recorder: Recorder::default(), started: HashMap::new(), tasks: vec![] };
    for (number, step) in script.0.iter().enumerate() {
        let outcome = run.step(step).await;
        report(output_lines::of_step(number, &step.r#do, outcome));
    }
    report(output_lines::done(script.0.len()));
    Ok(())
}

/// A step's result, or the error it reports: text, or the value that a plugin threw.
type Outcome = Result<Payload, Payload>;
type Ended = Option<Result<Payload, CallError>>;

struct Run {
    manager: PluginManager,
    local: PluginClient,
    recorder: Recorder,
    started: HashMap<String, watch::Receiver<Ended>>,
    tasks: Vec<Task>,
}

impl Run {
    async fn step(&mut self, step: &Step) -> Outcome {
        let Step { name, key, target, .. } = step;
        let method = step.method.as_deref();
        match step.r#do.as_str() {
            "activate" => self.change(name, true).await,
            "deactivate" => self.change(name, false).await,
            "isActive" => Ok(Payload::new(self.manager.is_active(name.one()))),
            "methods" => match self.manager.profile(name.one()) {
                Some(profile) => Ok(Payload::new(profile.methods)),
                None => Err(words("Cannot read properties of undefined (reading 'methods')")),
            },
            "call" => {
                let args = step.args.clone().ok_or_else(|| words(NO_ARGS))?;
                self.local.call(target, method.unwrap_or("undefined"), Rest(args)).await.map_err(thrown)
            }
            "start" => self.start(step),
            "join" => self.join(&step.id).await,
            "cancel" => self.local.cancel(target, method).await.map(|()| Payload::null()).map_err(thrown),
            "on" => {
                let listener = self.recorder.listener(name.one().to_owned(), key.clone());
                self.local.on(name.one(), key, listener).map(|()| Payload::new(true)).map_err(thrown)
            }
            "once" => {
                let listener = self.recorder.listener(name.one().to_owned(), key.clone());
                self.local.once(name.one(), key, listener).map(|()| Payload::new(true)).map_err(thrown)
            }
            "off" => self.local.off(name.one(), key).map(|()| Payload::new(true)).map_err(thrown),
            "heard" => Ok(Payload::new::<Vec<ReceivedEvent>>(self.recorder.drain())),
            "emit" => {
                let payload = step.payload.clone().ok_or_else(|| words(NO_PAYLOAD))?;
                self.local.emit(key, Rest(payload)).await.map(|()| Payload::new(true)).map_err(thrown)
            }
            "wait" => {
                runtime::sleep(Duration::from_millis(step.ms)).await;
                Ok(Payload::null())
            }
            _ => Err(words("act[line.do] is not a function")),
        }
    }

    async fn change(&self, names: &Names, activate: bool) -> Outcome {
        let one = async |name: &String| match activate {
            true => self.manager.activate(name).await,
            false => self.manager.deactivate(name).await,
        };
        match names {
            Names::One(name) => one(name).await.map(|()| Payload::null()),
            Names::Several(names) => {
                let done = futures_util::future::join_all(names.iter().map(one)).await;
                done.into_iter().collect::<Result<Vec<()>, _>>().map(|_| Payload::no_args())
            }
        }
        .map_err(|error| words(&error.to_string()))
    }

    /// Starts a call that runs concurrently with the script. A caller that is not allowed to call gets its error at once.
    fn start(&mut self, step: &Step) -> Outcome {
        let args = step.args.clone().ok_or_else(|| words(NO_ARGS))?;
        let (local, target) = (self.local.clone(), step.target.clone());
        let method = step.method.clone().unwrap_or_else(|| "undefined".to_owned());
        let mut call = Box::pin(async move { local.call(&target, &method, Rest(args)).await });
        let at_once = futures_util::FutureExt::now_or_never(&mut call);
        if let Some(Err(CallError::Refused(refusal))) = &at_once
            && matches!(**refusal, Refusal::Deactivated { .. })
        {
            return Err(words(&refusal.to_string()));
        }
        let done = at_once.is_some();
        let (done_tx, ended) = watch::channel(at_once);
        if !done {
            self.tasks.push(runtime::spawn(async move {
                let outcome = call.await;
                done_tx.send_replace(Some(outcome));
            }));
        }
        self.started.insert(step.id.to_string(), ended);
        Ok(Payload::new(true))
    }

    async fn join(&mut self, id: &Value) -> Outcome {
        let Some(ended) = self.started.get_mut(&id.to_string()) else {
            return Err(words("Cannot read properties of undefined (reading 'error')"));
        };
        // The sender is dropped only after it has sent the outcome.
        let outcome = ended.wait_for(Option::is_some).await.ok().and_then(|outcome| outcome.clone());
        outcome.unwrap_or_else(|| Ok(Payload::null())).map_err(thrown)
    }
}

// The published script runner's errors for incomplete steps.
const NO_ARGS: &str = "args is not iterable (cannot read property undefined)";
const NO_PAYLOAD: &str = "payload is not iterable (cannot read property undefined)";

fn words(text: &str) -> Payload {
    Payload::new(text.to_owned())
}

/// `error?.message ?? error`.
fn thrown(error: CallError) -> Payload {
    let error = error.to_payload();
    match error.clone().read::<HashMap<String, Option<Payload>>>() {
        Ok(mut members) => members.remove("message").flatten().unwrap_or(error),
        Err(_) => error,
    }
}
