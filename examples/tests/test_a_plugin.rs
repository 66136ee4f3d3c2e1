//! The guide "Test your plugin": every Rust block of `docs/test-a-plugin.md` is copied here and run.

use std::time::Duration;

use conformance::{Fault, TestHost, memory};
use connector_core::{
    Access, CallError, ClientConfig, Context, Engine, Event, ExternalProfile, Json, LinkEnd, LinkState, Plugin,
    Refusal, Registration, serve,
};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum MathError {
    DividedByZero,
}

async fn divide(a: f64, b: f64) -> Result<f64, Json<MathError>> {
    if b == 0.0 { Err(Json(MathError::DividedByZero)) } else { Ok(a / b) }
}

async fn add(ctx: Context, a: f64, b: f64) -> Result<f64, CallError> {
    ctx.client().emit("added", (a, b, a + b)).await?;
    Ok(a + b)
}

/// Adds up the amounts of another plugin.
async fn total(ctx: Context) -> Result<f64, CallError> {
    let amounts: Vec<f64> = ctx.client().call("ledger", "amounts", ()).await?;
    Ok(amounts.iter().sum())
}

async fn think(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

fn calculator() -> Plugin {
    Plugin::new("calculator").method("add", add).method("divide", divide).method("total", total).method("think", think)
}

#[tokio::test]
async fn it_divides() {
    let host = TestHost::new().await;
    host.local(calculator()).await;

    assert_eq!(host.call::<f64>("calculator", "divide", (1, 2)).await.unwrap(), 0.5);
}

#[tokio::test]
async fn it_reports_why_it_cannot_divide() {
    let host = TestHost::new().await;
    host.local(calculator()).await;

    let error = host.call::<f64>("calculator", "divide", (1, 0)).await.unwrap_err();
    assert_eq!(error.plugin_error(), Some(MathError::DividedByZero));

    let error = host.call::<f64>("calculator", "divide", (1, "two")).await.unwrap_err();
    assert!(error.is_bad_arguments());
    assert!(error.to_string().contains("argument 2"), "{error}");
}

#[tokio::test]
async fn it_emits_each_sum() {
    let host = TestHost::new().await;
    host.local(calculator()).await;

    let mut added = host.app().events::<(f64, f64, f64)>("calculator", "added", 8).unwrap();
    host.call::<f64>("calculator", "add", (20, 22)).await.unwrap();
    assert!(matches!(added.recv().await, Some(Event::Args((20.0, 22.0, 42.0)))));
}

#[tokio::test]
async fn it_emits_before_it_answers() {
    let host = TestHost::new().await;
    host.local(calculator()).await;

    host.call::<f64>("calculator", "add", (20, 22)).await.unwrap();
    let transcript = ["calculator emits added [20.0,22.0,42.0]", "app -> calculator.add [20,22] = 42.0"];
    assert_eq!(host.transcript(), transcript);
    assert_eq!(host.wait_for("calculator emits added").await, transcript[0]);
}

#[tokio::test]
async fn it_adds_up_the_ledger() {
    let host = TestHost::new().await;
    host.local(calculator()).await;
    host.local(Plugin::new("ledger").method("amounts", || async { vec![1.5, 2.5] })).await;

    assert_eq!(host.call::<f64>("calculator", "total", ()).await.unwrap(), 4.0);
}

#[tokio::test(start_paused = true)]
async fn a_call_may_run_for_ten_seconds() {
    let host = TestHost::new().await;
    host.local(calculator()).await;

    host.call::<()>("calculator", "think", (9,)).await.unwrap();
    let error = host.call::<()>("calculator", "think", (11,)).await.unwrap_err();
    assert!(matches!(error, CallError::TimedOut(_)), "{error}");
}

#[tokio::test(start_paused = true)]
async fn it_works_behind_a_link() {
    let host = TestHost::new().await;
    let _link = host.remote(calculator).await;

    assert_eq!(host.call::<f64>("calculator", "add", (20, 22)).await.unwrap(), 42.0);
    let error = host.call::<f64>("calculator", "divide", (1, 0)).await.unwrap_err();
    assert_eq!(error.plugin_error(), Some(MathError::DividedByZero));
}

#[tokio::test(start_paused = true)]
async fn it_survives_the_loss_of_its_link() {
    let host = TestHost::new().await;
    let (report, mut reported) = mpsc::unbounded_channel();
    let link = host
        .remote(move || {
            let (activated, deactivated) = (report.clone(), report.clone());
            calculator()
                .on_activation(move |_| {
                    activated.send("activated").unwrap();
                    async {}
                })
                .on_deactivation(move |_| {
                    deactivated.send("deactivated").unwrap();
                    async {}
                })
        })
        .await;

    link.script([(Duration::from_secs(1), Fault::Down), (Duration::from_secs(20), Fault::Up)]);
    let running = host.call::<()>("calculator", "think", (5,)).await;
    assert!(matches!(running, Err(CallError::LinkLost(_))));
    let refused = host.call::<f64>("calculator", "add", (1, 2)).await;
    assert!(matches!(refused, Err(CallError::LinkLost(_))), "it fails at once, without waiting for the link");

    host.wait_for("calculator: link down").await;
    host.wait_for("calculator: link up").await;
    assert_eq!(host.call::<f64>("calculator", "add", (1, 2)).await.unwrap(), 3.0);
    for expected in ["activated", "deactivated", "activated"] {
        assert_eq!(reported.recv().await, Some(expected));
    }
}

#[tokio::test(start_paused = true)]
async fn its_silence_is_detected() {
    let host = TestHost::new().await;
    let link = host.remote(calculator).await;
    let mut state = host.engine().link_state("calculator").unwrap();

    link.fault(Fault::Stall);
    let down = state.wait_for(|state| !state.is_up()).await.unwrap().clone();
    assert!(matches!(down, LinkState::Down { why: LinkEnd::Silent(_), .. }));
    state.wait_for(LinkState::is_up).await.unwrap();
}

#[tokio::test]
async fn a_sandbox_may_call_the_calculator_only() {
    let allowed = ["calculator", "sandbox", "manager"];
    let rule = move |access: &Access<'_>| access.from != "sandbox" || allowed.contains(&access.to);
    let host = TestHost::with(Engine::builder().access_rule("sandbox-calculates-only", rule)).await;
    let sandbox = host.local(Plugin::new("sandbox")).await;
    host.local(calculator()).await;
    host.engine().register(Plugin::new("ledger").method("amounts", || async { vec![1.5, 2.5] })).unwrap();

    assert_eq!(sandbox.call::<f64>("calculator", "add", (1, 2)).await.unwrap(), 3.0);
    let error = sandbox.call::<Vec<f64>>("ledger", "amounts", ()).await.unwrap_err();
    let CallError::Refused(refusal) = &error else { panic!("{error}") };
    assert!(matches!(&**refusal, Refusal::Denied { rule, .. } if rule == "sandbox-calculates-only"));
    assert!(sandbox.on("ledger", "changed", |_: f64| {}).is_err());
    assert!(!host.engine().manager().is_active("ledger"), "it was not activated either");
}

#[tokio::test(start_paused = true)]
async fn it_completes_running_calls_when_it_stops() {
    let host = TestHost::new().await;
    let (connector, accepts, _) = memory();
    host.engine().register(Registration::behind(ExternalProfile::new("calculator", "memory://"), connector)).unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = serve(accepts, calculator, ClientConfig::default()).until(stopped);
    let program = tokio::spawn(serving);
    host.engine().manager().activate("calculator").await.unwrap();
    let mut link = host.engine().link_state("calculator").unwrap();

    let app = host.app().clone();
    let running = tokio::spawn(async move { app.call::<()>("calculator", "think", (3,)).await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    stop.send(()).unwrap();
    running.await.unwrap().unwrap();
    assert!(matches!(program.await.unwrap(), LinkEnd::Disconnected));
    let state = link.wait_for(|state| !state.is_up()).await.unwrap().clone();
    assert!(matches!(state, LinkState::Down { why: LinkEnd::Closed { .. }, .. }));
}

#[tokio::test]
async fn it_cleans_up_when_the_host_stops() {
    let host = TestHost::new().await;
    let (report, mut reported) = mpsc::unbounded_channel();
    let plugin = calculator().on_deactivation(move |_| {
        let report = report.clone();
        async move { report.send("cleaned up").unwrap() }
    });
    host.local(plugin).await;

    host.engine().shutdown().await;
    assert_eq!(reported.try_recv(), Ok("cleaned up"));
    assert!(!host.engine().manager().is_active("calculator"));
}

#[tokio::test]
async fn its_program_starts_answers_and_ends() {
    let host = TestHost::new().await;
    let program = transport_ipc::Program::new(env!("CARGO_BIN_EXE_ipc-plugin"));
    host.engine().register(transport_ipc::child("probe", program)).unwrap();

    assert_eq!(host.call::<i64>("probe", "add", (20, 22)).await.unwrap(), 42);
    host.engine().shutdown().await; // the process has ended when this returns
}

#[test]
fn the_guide_shows_this_code() {
    const GUIDE: &str = include_str!("../../docs/test-a-plugin.md");
    let here = include_str!("test_a_plugin.rs");
    for block in GUIDE.split("```rust\n").skip(1) {
        let code = block.split("```").next().unwrap();
        assert!(here.contains(code), "the guide shows other code than this file:\n{code}");
    }
}
