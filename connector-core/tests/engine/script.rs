//! The script used to test the published packages prints the same lines.

use conformance::{EXPECTED, SCRIPT, Script, probe, run_script};
use connector_core::{Engine, Plugin, PluginOptions};

use crate::support::behind_memory;

async fn lines(engine: &Engine, script: &str) -> Vec<String> {
    let mut lines = vec![];
    run_script(engine, &Script::parse(script).unwrap(), |line| lines.push(line)).await.unwrap();
    lines
}

#[tokio::test(start_paused = true)]
async fn script_over_an_in_memory_link() {
    let engine = Engine::new();
    behind_memory(&engine, PluginOptions::default(), probe);
    for (line, expected) in lines(&engine, SCRIPT).await.iter().zip(EXPECTED.lines()) {
        assert_eq!(line, expected);
    }
}

/// The same plugin in the engine's process; only the text of errors in its own calls differs, because there is no link.
#[tokio::test(start_paused = true)]
async fn script_in_the_engine() {
    let engine = Engine::new();
    engine.register(probe()).unwrap();
    for (line, expected) in lines(&engine, SCRIPT).await.iter().zip(EXPECTED.lines()) {
        assert_eq!(line, &expected.replace("Error from IDE : ", ""));
    }
}

#[tokio::test]
async fn an_invalid_script_is_rejected() {
    assert!(Script::parse("{}").unwrap_err().to_string().contains("not a JSON array of steps"));
    let engine = Engine::new();
    engine.register(Plugin::new("local")).unwrap();
    run_script(&engine, &Script::parse("[]").unwrap(), |_| {}).await.unwrap_err();
}
