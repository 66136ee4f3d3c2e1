//! The text of an error includes its cause, so a reporter that prints the chain of sources must not print it again.

use std::error::Error;
use std::io;
use std::time::Duration;

use conformance::{Failure, Script, ScriptError};
use connector_core::stp::{
    BadService, FrameError, StpAskError, StpBusy, StpConnectError, StpDisconnectError, StpInformError, StpOfferError,
    StpRequestError, StpSendError,
};
use connector_core::{
    ActivateError, CallError, ConnectError, DecodeError, Engine, ExternalProfile, Fault, LinkEnd, LinkLost,
    PayloadError, Plugin, PluginPanicked, Refusal, RegisterError, Registration, SendError, ServiceError, UpdateError,
    WrongResult,
};

/// An error whose text leaves its cause to `source()`, as those of many libraries do.
#[derive(Debug)]
struct Outer(Inner);

#[derive(Debug)]
struct Inner;

impl std::fmt::Display for Outer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the request failed")
    }
}

impl std::fmt::Display for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("certificate expired")
    }
}

impl Error for Outer {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

impl Error for Inner {}

fn reset() -> io::Error {
    io::Error::from(io::ErrorKind::ConnectionReset)
}

fn payload_error() -> PayloadError {
    PayloadError::Unexpected("expected i64".to_owned())
}

fn text() -> String {
    "the cause".to_owned()
}

fn lost() -> LinkEnd {
    LinkEnd::lost(reset())
}

fn refused() -> ConnectError {
    ConnectError::Refused(text())
}

fn call_errors() -> Vec<CallError> {
    let wrong = WrongResult { target: text(), method: text(), error: payload_error() };
    vec![
        CallError::Plugin(Fault::new("no")),
        Refusal::NotConnected.into(),
        CallError::TimedOut(text()),
        CallError::Cancelled(text()),
        LinkLost::Reported(text()).into(),
        LinkLost::Observed { plugin: "far".into(), end: lost() }.into(),
        CallError::Arguments(payload_error()),
        CallError::Result(Box::new(wrong)),
    ]
}

fn errors() -> Vec<Box<dyn Error>> {
    let (name, url, at) = (text, || "ws://127.0.0.1".to_owned(), Duration::from_secs(1));
    let mut all: Vec<Box<dyn Error>> = vec![
        Box::new(refused()),
        Box::new(ConnectError::TimedOut(at)),
        Box::new(ConnectError::Protocol(text())),
        Box::new(ConnectError::failed(reset())),
        Box::new(ConnectError::failed(Outer(Inner))),
        Box::new(ConnectError::given_up(text())),
        Box::new(lost()),
        Box::new(LinkEnd::lost(Outer(Inner))),
        Box::new(LinkEnd::Unreachable(ConnectError::failed(Outer(Inner)))),
        Box::new(LinkEnd::BadFrame(text())),
        Box::new(PluginPanicked(text())),
        Box::new(SendError::from(payload_error())),
        Box::new(SendError::from(lost())),
        Box::new(payload_error()),
        Box::new(DecodeError::NotAMessage(text())),
        Box::new(Fault::new("no")),
        Box::new(Refusal::NotConnected),
        Box::new(RegisterError::BadName(text())),
        Box::new(UpdateError::NotAProfile(text())),
        Box::new(ActivateError::Denied(Box::new(Refusal::NotConnected))),
        Box::new(ActivateError::Connect { name: name(), url: url(), error: refused() }),
        Box::new(ActivateError::Link { name: name(), url: url(), end: lost() }),
        Box::new(ActivateError::Handshake { name: name(), error: text() }),
        Box::new(FrameError::BadResponse(text())),
        Box::new(BadService::NotAService(text())),
        Box::new(StpBusy { waiting: 1 }),
        Box::new(StpConnectError::from(BadService::NoName)),
        Box::new(StpConnectError::Connect { url: url(), error: refused() }),
        Box::new(StpConnectError::Link { url: url(), end: lost() }),
        Box::new(StpDisconnectError::TimedOut(at)),
        Box::new(StpInformError::Lost(lost())),
        Box::new(StpRequestError::Lost(lost())),
        Box::new(StpRequestError::from(StpBusy { waiting: 1 })),
        Box::new(StpSendError::Params(payload_error())),
        Box::new(StpSendError::from(StpInformError::Lost(lost()))),
        Box::new(StpAskError::from(StpRequestError::Lost(lost()))),
        Box::new(StpAskError::Response { method: text(), error: payload_error() }),
        Box::new(StpOfferError::from(StpConnectError::Connect { url: url(), error: refused() })),
        Box::new(Failure::new("a message", "none")),
        Box::new(Script::parse("{}").unwrap_err()),
        Box::new(ScriptError::from(RegisterError::BadName(text()))),
    ];
    for error in call_errors() {
        all.push(Box::new(ServiceError::from(error.clone())));
        all.push(Box::new(StpOfferError::from(error.clone())));
        all.push(Box::new(error));
    }
    // The error of transport-socketio as well.
    #[cfg(feature = "ws")]
    all.extend([
        Box::new(transport_ws::BindError::Resolve { addr: text(), error: reset() }) as Box<dyn Error>,
        Box::new(transport_ws::BindError::Io { at: text(), error: reset() }),
    ]);
    #[cfg(feature = "stp")]
    all.extend([
        Box::new(transport_ws::stp::StpListError::Connect(refused())) as Box<dyn Error>,
        Box::new(transport_ws::stp::StpListError::Link(lost())),
    ]);
    #[cfg(feature = "ipc")]
    {
        use transport_ipc::local::{BindError, NameError};
        all.extend([
            Box::new(BindError::from(NameError::Invalid(text()))) as Box<dyn Error>,
            Box::new(BindError::Io { at: text(), error: reset() }),
            Box::new(transport_ipc::ChannelError::BadSocket(text())),
        ]);
    }
    all
}

fn assert_printed_once(error: &dyn Error) {
    let (mut parent, mut source) = (error.to_string(), error.source());
    while let Some(cause) = source {
        let text = cause.to_string();
        assert!(!parent.contains(&text), "{error:?}: \"{parent}\" includes its source, \"{text}\"");
        (parent, source) = (text, cause.source());
    }
}

#[test]
fn a_cause_is_printed_by_the_text_or_as_the_source_but_not_by_both() {
    errors().iter().for_each(|error| assert_printed_once(&**error));
}

#[tokio::test]
async fn a_lost_link_and_a_failed_activation_print_their_cause_once() {
    let engine = Engine::new();
    let app = engine.register(Plugin::new("app")).unwrap();
    let (connector, _, switch) = conformance::memory();
    switch.refuse_connections(true);
    let far = ExternalProfile::new("far", "memory:");
    engine.register(Registration::behind(far, connector)).unwrap();
    engine.manager().activate("app").await.unwrap();
    let error = engine.manager().activate("far").await.unwrap_err();
    assert_eq!(error.to_string(), "cannot connect to plugin \"far\" at …: the transport is switched off");
    assert_printed_once(&error);
    assert_printed_once(&app.call::<()>("far", "x", ()).await.unwrap_err());
}

/// A cause that its wrapper's text leaves out is in the chain.
#[test]
fn causes_of_a_librarys_error_stay_reachable() {
    for error in [&LinkEnd::lost(Outer(Inner)) as &dyn Error, &ConnectError::failed(Outer(Inner))] {
        assert_eq!(error.to_string(), "the request failed");
        assert!(error.source().unwrap().is::<Inner>());
    }
}
