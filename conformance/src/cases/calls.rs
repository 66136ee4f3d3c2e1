//! Calls over the link, in both directions: each gets its own complete result, whatever else is in flight.

use std::time::Duration;

use serde_json::{Value, json};

use crate::failure::{Failure, Hint, check, same, shown};
use crate::fixture::Fixture;
use crate::harness::{Harness, IDS, both, pair, within};
use crate::host::{Host, Notes, all, call, options, subject};
use crate::scripted_peer::{ScriptedPluginHost, request, response, start_plugin};
use crate::{EXPECTED, SCRIPT, Script, probe, run_script};
use connector_core::{
    Action, CallError, ClientConfig, ClientConnector, ExternalProfile, Message, Payload, Plugin, Refusal, Registration,
    Rest, serve,
};

/// The script that the published packages are tested with prints the same lines as with them.
pub async fn the_script_prints_the_expected_lines(fixture: &dyn Fixture) -> Result<(), Failure> {
    let Harness { has, url, client, connector, control, another, engine, observing } = Harness::open(fixture).await?;
    let _kept = (control, another, observing);
    let profile = ExternalProfile::new("probe", url.as_str());
    let registration = Registration::behind(profile, crate::fixture::Boxed(connector));
    engine.register(registration).map_err(|error| Failure::new("a plugin to be registered", error))?;
    let client: Box<dyn ClientConnector> = client;
    let serving = serve(crate::fixture::Boxed(client), probe, ClientConfig::default());
    let _serving = crate::runtime::spawn(async { drop(serving.await) });
    let mut lines = vec![];
    let script = Script::parse(SCRIPT).map_err(|error| Failure::new("a script", error))?;
    let ran = run_script(&engine, &script, |line| lines.push(line));
    let ran = within(has.timeout, "the script to end", ran).await?;
    ran.map_err(|error| Failure::new("a script that runs", error))?;
    for (line, expected) in lines.iter().zip(EXPECTED.lines()) {
        same("the script's line", &line.as_str(), &expected)?;
    }
    same("the script's lines", &lines.len(), &EXPECTED.lines().count())
}

/// A call returns the plugin's result.
pub async fn a_call_returns_its_result(fixture: &dyn Fixture) -> Result<(), Failure> {
    let host = Host::new(Harness::open(fixture).await?).await?;
    same("the sum", &host.call::<i64>("add", (2, 3)).await?, &5)?;
    same("null", &host.call::<Value>("echo", (Value::Null,)).await?, &Value::Null)?;
    same("text", &host.call::<String>("echo", ("é\u{2028}😀",)).await?.as_str(), &"é\u{2028}😀")
}

/// A result arrives as the text that the plugin returned; nothing parses it in between.
pub async fn results_are_forwarded_unparsed(fixture: &dyn Fixture) -> Result<(), Failure> {
    let host = Host::new(Harness::open(fixture).await?).await?;
    for odd in [
        r#"{"z":1,"a":[1.0,1e400,123456789012345678901234567890],"__proto__":null}"#,
        r#""\ud800\u0000""#,
        r#"{"\u0061":1}"#,
        "[]",
        "1.50",
    ] {
        let argument = Payload::from_json(odd).map_err(|error| Failure::new("JSON", error))?;
        let result = host.call::<Payload>("echo", Rest(vec![argument])).await?;
        let result = result.to_json().map_err(|error| Failure::new("JSON", error))?;
        same("the same text", &String::from_utf8_lossy(&result).as_ref(), &odd)
            .hint("payloads that are parsed and serialized again")?;
    }
    Ok(())
}

/// Responses may arrive in any order: each completes its own call.
pub async fn responses_may_arrive_in_any_order(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (host, mut plugin) = ScriptedPluginHost::new(Harness::open(fixture).await?, true).await?;
    let mut calls: Vec<_> = (0..20).map(|number| host.start("echo", (number,))).collect();
    let mut requests = vec![];
    for _ in 0..20 {
        requests.push(plugin.next().await?);
    }
    for request in requests.iter().rev() {
        let args: Option<(i64,)> = request.payload.clone().and_then(|args| args.read().ok());
        let (number,) = args.ok_or_else(|| Failure::new("one argument", shown(request)))?;
        plugin.send(response(request, Some(Payload::new(number * 2)))).await?;
    }
    for (number, call) in calls.iter_mut().enumerate() {
        let result = call.outcome(&host.has).await?.map_err(|error| Failure::new("a result", error))?;
        let result: i64 = result.read().map_err(|error| Failure::new("a number", error))?;
        same("each call's own result", &result, &(number as i64 * 2)).hint(IDS)?;
    }
    Ok(())
}

/// The response to a request with the id 0, or a negative one, carries that id.
pub async fn a_request_with_id_zero_is_answered(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (engine, plugin, _harness) = pair(fixture).await?;
    let (mut engine, _client, _task) = start_plugin(engine, plugin, subject(&Notes::default())).await?;
    for id in [0, -7, 1, i64::MAX] {
        engine.send(request(id, "echo", Payload::new((id,)))).await?;
        let received = engine.next().await?;
        same("the response's id", &received.id, &Some(id.into())).hint(IDS)?;
        same("the response's action", &received.action, &Action::Response)?;
    }
    Ok(())
}

/// A response to an unknown call, and a duplicate response, are ignored.
pub async fn unknown_responses_are_ignored(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (host, mut plugin) = ScriptedPluginHost::new(Harness::open(fixture).await?, true).await?;
    plugin.send(Message { id: Some(999.into()), ..Message::new(Action::Response) }).await?;
    for number in 0..3 {
        let mut call = host.start("echo", (number,));
        let asked = plugin.next().await?;
        plugin.send(response(&asked, Some(Payload::new(number)))).await?;
        plugin.send(response(&asked, Some(Payload::new("again")))).await?;
        let result = call.outcome(&host.has).await?.map_err(|error| Failure::new("a result", error))?;
        same("the first result", &result.read::<i64>().ok(), &Some(number)).hint(IDS)?;
    }
    Ok(())
}

/// An error of a plugin's method reaches the caller as the plugin's error, with its text.
pub async fn errors_keep_their_text(fixture: &dyn Fixture) -> Result<(), Failure> {
    let host = Host::new(Harness::open(fixture).await?).await?;
    for words in ["on purpose", "é\n\"\u{2028}"] {
        match host.start("fail", (words,)).outcome(&host.has).await? {
            Err(CallError::Plugin(fault)) => same("the error's text", &fault.to_string().as_str(), &words)?,
            other => return Err(Failure::new("the plugin's error", shown(&other))),
        }
    }
    match host.start("missing", ()).outcome(&host.has).await? {
        Err(CallError::Refused(refusal)) if matches!(*refusal, Refusal::NotExposed { .. }) => Ok(()),
        other => Err(Failure::new("a refusal, since the method does not exist", shown(&other))),
    }
}

/// A plugin sees its caller's name and the path of the call.
pub async fn a_plugin_sees_its_caller(fixture: &dyn Fixture) -> Result<(), Failure> {
    let host = Host::new(Harness::open(fixture).await?).await?;
    same("the caller", &host.call::<Value>("whoami", ()).await?, &json!({"from": "local", "path": "probe"}))
        .hint("requestInfo: it is part of the request")?;
    let pong: String = call(&host.has, &host.local, "probe.tools", "ping", ()).await?;
    same("a service's result", &pong.as_str(), &"pong").hint("requestInfo.path, which names a service")
}

/// A plugin calls another through its engine, with results and errors.
pub async fn a_plugin_calls_through_its_engine(fixture: &dyn Fixture) -> Result<(), Failure> {
    let host = Host::new(Harness::open(fixture).await?).await?;
    same("the sum", &host.call::<i64>("relay", ("local", "add", 20, 22)).await?, &42)?;
    match host.start("relay", ("local", "refuse")).outcome(&host.has).await? {
        Err(CallError::Plugin(fault)) if fault.to_string().contains("local refuses") => Ok(()),
        other => Err(Failure::new("the text of the other plugin's error", shown(&other))),
    }
}

/// A plugin behind one link calls a plugin behind another.
pub async fn plugins_behind_two_links_call_each_other(fixture: &dyn Fixture) -> Result<(), Failure> {
    let host = Host::new(Harness::open(fixture).await?).await?;
    let Harness { url, client, connector, control, another, .. } = Harness::open(fixture).await?;
    let _kept = (control, another);
    let second = Registration::behind(ExternalProfile::new("second", url.as_str()), crate::fixture::Boxed(connector));
    host.engine.register(second.options(options())).map_err(|error| Failure::new("a second plugin", error))?;
    let made = || Plugin::new("second").method("twice", |number: i64| async move { number * 2 });
    let serving = serve(crate::fixture::Boxed(client), made, ClientConfig::default());
    let _serving = crate::runtime::spawn(async { drop(serving.await) });
    crate::host::activate(&host.has, &host.engine, "second").await?;
    let calls = (0..100).map(|number| host.call::<i64>("relay", ("second", "twice", number)));
    let results = all(calls.collect()).await?;
    same("each result", &results, &(0..100).map(|number| number * 2).collect())
}

/// 10,000 calls are in flight at once and complete out of order: each gets its own result.
pub async fn ten_thousand_calls_get_their_own_results(fixture: &dyn Fixture) -> Result<(), Failure> {
    let host = Host::new(Harness::open(fixture).await?).await?;
    let one = async |number: usize| {
        let text = format!("{number} {}", "é".repeat(number % 50));
        let received = match number % 3 {
            // Later calls overtake the slow ones.
            0 => host.call::<String>("slow", (number % 17, text.clone())).await?,
            _ => host.call::<String>("echo", (text.clone(),)).await?,
        };
        same("each call's own result", &received, &text).hint(IDS)
    };
    all((0..10_000).map(one).collect()).await.map(drop)
}

/// Large arguments and results go both ways at once, and neither direction waits for the other.
pub async fn large_calls_go_both_ways_at_once(fixture: &dyn Fixture) -> Result<(), Failure> {
    let host = Host::new(Harness::open(fixture).await?).await?;
    let large = "x".repeat((host.has.max_message / 4).min(200_000));
    let there = all((0..50).map(|_| host.call::<String>("echo", (large.clone(),))).collect());
    let back = all((0..50).map(|_| host.call::<String>("relay", ("local", "echo", large.clone()))).collect());
    let (there, back) = both(there, back).await?;
    check(there.iter().chain(&back).all(|result| *result == large), || {
        Failure::new("100 complete results", "a truncated or changed result")
    })
}

/// A result almost as large as the largest message arrives whole, and small calls continue meanwhile.
pub async fn a_big_result_arrives_whole(fixture: &dyn Fixture) -> Result<(), Failure> {
    let host = Host::new(Harness::open(fixture).await?).await?;
    let bytes = host.has.max_message - host.has.max_message / 16;
    let small = all((0..20).map(|number| host.call::<i64>("echo", (number,))).collect());
    let (big, small) = both(host.call::<String>("big", (bytes,)), small).await?;
    same("the result's length", &big.len(), &bytes).hint("limits on frames, and truncated buffers")?;
    same("the small calls' results", &small, &(0..20).collect())
}

/// A call ends at its caller's time limit, and its plugin is then free for other calls.
pub async fn a_call_times_out(fixture: &dyn Fixture) -> Result<(), Failure> {
    let host = Host::new(Harness::open(fixture).await?).await?;
    let limit = Duration::from_millis(100);
    let call = host.local.call_within::<Value>(limit, "probe", "hang", ("one",));
    match within(host.has.timeout, "the caller's time limit", call).await? {
        Err(CallError::TimedOut(_)) => {}
        other => return Err(Failure::new("a call that timed out", shown(&other))),
    }
    host.notes.wait(&host.has, 2).await?;
    same("the next call", &host.call::<i64>("echo", (1,)).await?, &1)
}

/// A call that runs longer than its queue's time limit ends as timed out, and the late response is ignored.
pub async fn a_queued_call_times_out(fixture: &dyn Fixture) -> Result<(), Failure> {
    let limit = options().queue_timeout(Duration::from_millis(150));
    let host = Host::with(Harness::open(fixture).await?, limit).await?;
    match host.start("slow", (400, "late")).outcome(&host.has).await? {
        Err(CallError::TimedOut(words)) if words.starts_with("[TIMEOUT] ") => {}
        other => return Err(Failure::new("a call that timed out", shown(&other))),
    }
    crate::runtime::sleep(Duration::from_millis(400)).await;
    // On a busy machine the next one may take too long as well.
    let next = async {
        loop {
            match host.local.call::<i64>("probe", "echo", (1,)).await {
                Err(CallError::TimedOut(_)) => {}
                other => return other,
            }
        }
    };
    let next = within(host.has.timeout, "the next call", std::pin::pin!(next)).await?;
    same("the next call", &next.map_err(|error| Failure::new("a result", error))?, &1)
}
