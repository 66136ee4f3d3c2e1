use super::*;
use crate::session::CallIds;

fn message(json: serde_json::Value) -> Message {
    Message::decode(json.to_string().into()).unwrap()
}

fn sent(session: &mut PluginSession<u32>) -> Vec<serde_json::Value> {
    std::iter::from_fn(|| session.transmit()).map(|m| serde_json::from_slice(&m.encode().unwrap()).unwrap()).collect()
}

fn loaded(engine: serde_json::Value) -> PluginSession<u32> {
    let mut session = PluginSession::new(Extensions::NATIVE);
    session.receive(message(engine)).unwrap().unwrap();
    sent(&mut session);
    session
}

fn published() -> serde_json::Value {
    serde_json::json!({"id": 0, "action": "request", "key": "handshake", "payload": ["probe", null], "name": "probe"})
}

#[test]
fn the_handshake_is_requested_and_each_one_answered() {
    let mut session: PluginSession<u32> = PluginSession::new(Extensions::NATIVE);
    assert_eq!(sent(&mut session)[0]["id"], -1);
    for (id, expected) in [(0, Some("probe")), (1, None)] {
        let mut hello = published();
        hello["id"] = id.into();
        match session.receive(message(hello)).unwrap().unwrap() {
            Event::Peer(PluginEvent::Handshake { given, .. }) => assert_eq!(given.as_deref(), expected),
            other => panic!("{other:?}"),
        }
    }
    session.answer_handshake(Some(1.into()), Some("probe".into()), vec!["echo".into()]);
    let answer = &sent(&mut session)[0];
    assert_eq!((&answer["action"], &answer["payload"][0]), (&"response".into(), &"echo".into()));
}

#[test]
fn requests_before_the_handshake_are_refused_and_events_dropped() {
    let mut session: PluginSession<u32> = PluginSession::new(Extensions::NATIVE);
    sent(&mut session);
    let early =
        message(serde_json::json!({"action": "request", "id": 4, "name": "probe", "key": "echo", "payload": []}));
    assert_eq!(session.receive(early).unwrap_err(), Dropped::TooEarly("request"));
    assert_eq!(sent(&mut session)[0]["error"], "Handshake before communicating");
    let early = message(serde_json::json!({"action": "notification", "name": "x", "key": "e", "payload": []}));
    assert_eq!(session.receive(early).unwrap_err(), Dropped::TooEarly("notification"));
}

#[test]
fn a_response_ends_its_call_once() {
    let mut session = loaded(published());
    session.call(CallIds::starting_at(7).allocate(), "local".into(), "add".into(), Payload::no_args(), None, 70);
    let response = serde_json::json!({"action": "response", "id": 7, "name": "local", "key": "add", "payload": 42});
    match session.receive(message(response.clone())).unwrap().unwrap() {
        Event::CallEnded { reply: 70, outcome: Ok(result) } => assert_eq!(result.read::<i64>().unwrap(), 42),
        other => panic!("{other:?}"),
    }
    assert_eq!(session.receive(message(response)).unwrap_err(), Dropped::UnknownResponse(Some(7.into())));
    assert!(session.end().is_empty());
}

#[test]
fn errors_have_the_published_text_and_a_type() {
    let mut session = loaded(published());
    let mut fail = |error: serde_json::Value| {
        session.call(CallIds::starting_at(1).allocate(), "a".into(), "b".into(), Payload::no_args(), None, 0);
        let response = serde_json::json!({"action": "response", "id": 1, "error": error});
        match session.receive(message(response)).unwrap().unwrap() {
            Event::CallEnded { outcome: Err(error), .. } => error,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(fail("local refuses".into()).to_string(), "Error from IDE : local refuses");
    assert!(matches!(fail("[TIMEOUT] Timeout for call b from p".into()), CallError::TimedOut(_)));
    assert!(matches!(fail("[CANCEL] Canceled call b from p".into()), CallError::Cancelled(_)));
    assert!(matches!(fail("Cannot call a from p, because a is not registered".into()), CallError::Refused(_)));
    assert!(matches!(fail(serde_json::json!({"message": "m"})), CallError::Plugin(_)));
}

#[test]
fn only_a_native_engine_is_notified_of_a_withdrawn_call() {
    let mut native = published();
    native["extensions"] = serde_json::json!(["cancelById"]);
    for (engine, expected) in [(published(), None), (native, Some((Action::Cancel, Some(3.into()), None)))] {
        let mut session = loaded(engine);
        let id = CallIds::starting_at(3).allocate();
        session.call(id, "a".into(), "b".into(), Payload::no_args(), None, 30);
        session.transmit().unwrap();
        session.withdraw_call(id);
        session.withdraw_call(id);
        let cancel = session.transmit();
        assert_eq!(cancel.map(|cancel| (cancel.action, cancel.id, cancel.name)), expected);
        assert!(session.transmit().is_none());
    }
}

#[test]
fn only_a_lent_plugin_is_told_who_listens_and_waits() {
    let on = || message(serde_json::json!({"action": "on", "name": "probe", "key": "saved"}));
    let off = || message(serde_json::json!({"action": "off", "name": "probe", "key": "saved"}));
    let runs = serde_json::json!({"hops": 0, "runs": ["a/x#1", "b/y#2"]});
    let awaits = || message(serde_json::json!({"action": "await", "callChain": runs}));
    for told in [on(), off(), awaits()] {
        let dropped = loaded(published()).receive(told).unwrap_err();
        assert!(matches!(dropped, Dropped::WrongWay(_)), "{dropped}");
    }
    let mut session: PluginSession<u32> = PluginSession::new(Extensions::LENT);
    assert_eq!(session.receive(on()).unwrap_err(), Dropped::WrongWay("on"), "before the handshake");
    session.receive(message(published())).unwrap().unwrap();
    let extensions = sent(&mut session)[0]["extensions"].to_string();
    assert!(extensions.ends_with(r#","callChain","listeners"]"#), "{extensions}");
    for (told, expected) in [(on(), true), (off(), false)] {
        match session.receive(told).unwrap() {
            Some(Event::Peer(PluginEvent::Listened { event, by_anybody })) => {
                assert_eq!((&*event, by_anybody), ("saved", expected));
            }
            other => panic!("{other:?}"),
        }
    }
    match session.receive(awaits()).unwrap() {
        Some(Event::Peer(PluginEvent::Awaited { runs })) => assert_eq!(runs.runs().count(), 2),
        other => panic!("{other:?}"),
    }
    let without = message(serde_json::json!({"action": "await"}));
    assert_eq!(session.receive(without).unwrap_err(), Dropped::Incomplete("await", "callChain"));
}
