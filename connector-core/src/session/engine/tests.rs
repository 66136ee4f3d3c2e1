use super::*;
use crate::session::{CallIds, Retained};
use crate::wire::DecodeError;

fn message(json: serde_json::Value) -> Message {
    Message::decode(json.to_string().into()).unwrap()
}

fn sent(session: &mut EngineSession<u32>) -> Vec<serde_json::Value> {
    std::iter::from_fn(|| session.transmit()).map(|m| serde_json::from_slice(&m.encode().unwrap()).unwrap()).collect()
}

fn session() -> EngineSession<u32> {
    EngineSession::new("probe".into(), None)
}

#[test]
fn the_handshake_is_performed_at_start_and_on_request() {
    let mut session = session();
    let hello = sent(&mut session).remove(0);
    assert_eq!(hello["payload"], serde_json::json!(["probe", null]));
    let handshake_request = || message(serde_json::json!({"action": "call", "key": "handshake", "id": -1}));
    assert!(session.receive(handshake_request()).unwrap().is_none());
    let again = sent(&mut session).remove(0);
    for answered in [&hello["id"], &again["id"]] {
        let answer = serde_json::json!({"action": "response", "key": "handshake", "id": answered, "payload": ["echo"]});
        match session.receive(message(answer)).unwrap().unwrap() {
            Event::Peer(EngineEvent::Loaded { methods }) => assert_eq!(methods.unwrap(), ["echo"]),
            other => panic!("{other:?}"),
        }
    }
    for _ in 0..MAX_HANDSHAKES {
        session.receive(handshake_request()).unwrap();
    }
    assert_eq!(session.receive(handshake_request()).unwrap_err(), Dropped::HandshakeFlood);
}

#[test]
fn a_handshake_answered_with_nonsense_fails() {
    for nonsense in [
        serde_json::json!({"payload": [1]}),
        serde_json::json!({"payload": "echo"}),
        serde_json::json!({"error": "no"}),
    ] {
        let mut session = session();
        let mut answer = nonsense;
        answer["action"] = "response".into();
        answer["id"] = sent(&mut session)[0]["id"].clone();
        let event = session.receive(message(answer)).unwrap().unwrap();
        assert!(matches!(event, Event::Peer(EngineEvent::HandshakeFailed(_))), "{event:?}");
    }
}

#[test]
fn each_call_ends_once_in_any_order_of_responses() {
    let mut session = session();
    let ids = CallIds::starting_at(0);
    for reply in 0..3 {
        let info = RequestInfo { from: "local".into(), path: Some("probe".into()), is_from_native: None };
        session.call(ids.allocate(), "echo".into(), Payload::no_args(), Box::new(info), None, reply);
    }
    let respond = |id: i64| message(serde_json::json!({"action": "response", "id": id, "payload": id}));
    for id in [2, 0] {
        match session.receive(respond(id)).unwrap().unwrap() {
            Event::CallEnded { reply, outcome } => {
                assert_eq!((reply as i64, outcome.unwrap().read::<i64>().unwrap()), (id, id))
            }
            other => panic!("{other:?}"),
        }
        assert!(matches!(session.receive(respond(id)), Err(Dropped::UnknownResponse(_))));
    }
    assert_eq!(session.end(), [1]);
    assert!(session.end().is_empty());
}

#[test]
fn a_response_echoes_its_request_and_carries_the_error_text() {
    let mut session = session();
    sent(&mut session);
    let call = serde_json::json!({"action": "request", "id": 9, "name": "local.sub", "key": "add", "payload": [1]});
    let Some(Event::Peer(EngineEvent::Call { id, target, method, .. })) = session.receive(message(call)).unwrap()
    else {
        panic!()
    };
    session.respond(id, Some(target), Some(method), Err(CallError::run_timeout("add", "probe")));
    let answer = sent(&mut session).remove(0);
    let expected = serde_json::json!({"action": "response", "id": 9, "name": "local.sub", "key": "add", "error": "[TIMEOUT] Timeout for call add from probe"});
    assert_eq!(answer, expected);
}

#[test]
fn a_response_that_cannot_be_sent_is_abandoned_after_two_attempts() {
    let mut session = session();
    sent(&mut session);
    session.respond(Some(1.into()), Some("local".into()), Some("add".into()), Ok(Payload::null()));
    let mut answer = session.transmit().unwrap();
    for name in [Some("local"), Some("")] {
        assert!(session.unsendable(Retained::of(&answer), "too long").is_none());
        answer = session.transmit().unwrap();
        assert_eq!((answer.name.as_deref(), answer.error.is_some()), (name, true));
    }
    assert!(session.unsendable(Retained::of(&answer), "too long").is_none());
    assert!(session.transmit().is_none());
}

#[test]
fn an_unreadable_frame_is_answered_or_ends_its_call() {
    let mut session = session();
    sent(&mut session);
    let info = RequestInfo { from: "local".into(), path: None, is_from_native: None };
    session.call(CallIds::starting_at(0).allocate(), "echo".into(), Payload::no_args(), Box::new(info), None, 9);
    sent(&mut session);
    let why = DecodeError::NotJson("NaN".to_owned());
    let head = |json| message(json);
    let ended = session.receive_head(head(serde_json::json!({"action": "response", "id": "0"})), &why);
    assert!(matches!(ended, Some(Event::CallEnded { reply: 9, outcome: Err(CallError::Plugin(_)) })), "{ended:?}");
    assert!(session.receive_head(head(serde_json::json!({"action": "response", "id": "0"})), &why).is_none());
    let asked = serde_json::json!({"action": "request", "id": {"a": 1}, "name": null, "key": "k"});
    assert!(session.receive_head(head(asked), &why).is_none());
    let answer = sent(&mut session).remove(0);
    let error = "it cannot be read: the frame is not JSON: NaN";
    let expected = serde_json::json!({"action": "response", "id": {"a": 1}, "name": null, "key": "k", "error": error});
    assert_eq!(answer, expected);
}

#[test]
fn incomplete_messages_are_dropped() {
    let mut session = session();
    for odd in [
        serde_json::json!({"action": "request", "key": "x"}),
        serde_json::json!({"action": "on", "name": "x"}),
        serde_json::json!({"action": "emit", "payload": []}),
        serde_json::json!({"action": "emit", "key": "x"}),
        serde_json::json!({"action": "cancel"}),
        serde_json::json!({"action": "response"}),
    ] {
        assert!(session.receive(message(odd.clone())).is_err(), "{odd}");
    }
}
