//! Handlers that fail affect only their requester.

use connector_core::stp::{ErrorHandler, InformHandler, RequestHandler, StpHandlers};

#[tokio::test]
async fn a_request_is_always_answered() {
    let handlers = StpHandlers::default();
    assert_eq!(handlers.request("x".into()).await, Err("this service does not answer requests".to_owned()));
    handlers.set_request(RequestHandler::new(|message: String| async move {
        match &*message {
            "panic" => panic!("of old age"),
            "fail" => Err("I would rather not"),
            _ => Ok(message + "!"),
        }
    }));
    assert_eq!(
        handlers.request("panic".into()).await,
        Err("the handler of this request panicked: of old age".to_owned())
    );
    assert_eq!(handlers.request("fail".into()).await, Err("I would rather not".to_owned()));
    assert_eq!(handlers.request("fine".into()).await, Ok("fine!".to_owned()));
    handlers.set_request(RequestHandler::new(|_| -> std::future::Ready<Result<String, String>> { panic!("at once") }));
    assert_eq!(handlers.request("x".into()).await, Err("the handler of this request panicked: at once".to_owned()));
}

#[test]
fn handlers_keep_working_after_a_panic() {
    let handlers = StpHandlers::default();
    handlers.inform("no handler".into());
    handlers.error("no handler".into());
    let (tell, told) = std::sync::mpsc::channel();
    let also = tell.clone();
    handlers.set_inform(InformHandler::new(move |message| match &*message {
        "panic" => panic!("no"),
        _ => tell.send(message).unwrap(),
    }));
    handlers.set_error(ErrorHandler::new(move |error| {
        also.send(error).unwrap();
        panic!("no");
    }));
    for message in ["panic", "received"] {
        handlers.inform(message.into());
    }
    handlers.error("lost".into());
    assert_eq!(told.try_iter().collect::<Vec<_>>(), ["received", "lost"]);
}
