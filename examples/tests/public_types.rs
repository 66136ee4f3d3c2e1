//! Public types can be moved to and shared between threads, and printed.

use std::error::Error;
use std::fmt::Debug;

use connector_core as core;

fn shared<T: Send + Sync + Debug>() {}
/// A link belongs to one task.
fn moved<T: Send + Debug>() {}
fn error<T: Error + Send + Sync + 'static>() {}

#[test]
fn handles_values_and_configurations_are_shared_between_threads() {
    shared::<(core::Engine, core::EngineBuilder, core::PluginManager, core::PluginClient, core::Context)>();
    shared::<(core::Plugin, core::Service, core::EventStream, core::Event, core::LinkState)>();
    shared::<(core::ClientConfig, core::PluginOptions, core::QueueLimits, core::Profile, core::ExternalProfile)>();
    shared::<(core::Message, core::Payload, core::Id, core::Name, core::RequestInfo, core::Rest, core::Traffic)>();
    shared::<(core::Access<'_>, core::Operation<'_>, core::DefaultPolicy, core::TraceLimit, core::Json<()>)>();
    shared::<(core::stp::StpClient, core::stp::StpPlugin, core::stp::StpOffer, core::stp::StpOffered)>();
    shared::<(core::stp::StpService, core::stp::StpTimeout, core::stp::StpHandlers, core::stp::StpSession<()>)>();
    shared::<(core::CallChain, core::TraceContext, core::Inherited, core::Extensions)>();
    moved::<(core::Registration, core::Serving, core::FramedLink<()>, core::StallDetector)>();
}

#[test]
fn errors_are_shared_between_threads() {
    error::<core::CallError>();
    error::<core::Fault>();
    error::<core::Refusal>();
    error::<core::LinkLost>();
    error::<core::LinkEnd>();
    error::<core::SendError>();
    error::<core::ConnectError>();
    error::<core::RegisterError>();
    error::<core::LendError>();
    error::<core::ActivateError>();
    error::<core::UpdateError>();
    error::<core::ServiceError>();
    error::<core::WrongResult>();
    error::<core::PluginPanicked>();
    error::<core::PayloadError>();
    error::<core::DecodeError>();
    error::<core::stp::StpConnectError>();
    error::<core::stp::StpDisconnectError>();
    error::<core::stp::StpInformError>();
    error::<core::stp::StpRequestError>();
    error::<core::stp::StpOfferError>();
    error::<core::stp::StpSendError>();
    error::<core::stp::StpAskError>();
    error::<core::stp::BadService>();
    error::<core::stp::FrameError>();
    error::<core::stp::StpBusy>();
    error::<conformance::Failure>();
    error::<conformance::ScriptError>();
}

#[test]
fn the_conformance_suites_values_are_shared_between_threads() {
    shared::<(conformance::Capabilities, conformance::Need, conformance::Memory, conformance::Switch)>();
    shared::<(conformance::Proxy, conformance::Report, conformance::Verdict, conformance::Case, conformance::Script)>();
    shared::<(conformance::MemoryPlugin, conformance::MemoryClient, conformance::Traces)>();
    moved::<conformance::Endpoints>();
}

#[cfg(feature = "ipc")]
#[test]
fn processes_and_local_sockets() {
    use transport_ipc::{
        Channel, ChannelError, ChannelKind, ChildConnector, ChildEnd, InheritedEnv, IpcConfig, Program, Restart, local,
    };

    shared::<(Channel, ChannelKind, ChildEnd, IpcConfig, InheritedEnv, Program, Restart)>();
    shared::<(local::LocalConfig, local::LocalName)>();
    shared::<local::LocalConnector>();
    moved::<(ChildConnector, local::LocalServer)>();
    error::<ChannelError>();
    error::<ChildEnd>();
    error::<local::BindError>();
    error::<local::NameError>();
}

#[cfg(feature = "socketio")]
#[test]
fn socketio() {
    use transport_socketio::{
        BindError, SocketIoConnector, SocketIoConnectorConfig, SocketIoEngines, SocketIoLayer, SocketIoServer,
        SocketIoServerConfig,
    };

    shared::<(SocketIoConnector, SocketIoConnectorConfig, SocketIoServerConfig, SocketIoLayer)>();
    moved::<(SocketIoEngines, SocketIoServer)>();
    error::<BindError>();
}

#[cfg(feature = "worker")]
#[test]
fn workers() {
    use transport_worker::{PairConnector, Placement, WorkerClient, WorkerConfig, WorkerConnector};

    shared::<(Placement, WorkerConfig)>();
    moved::<(PairConnector, WorkerClient, WorkerConnector)>();
}

#[cfg(feature = "ws")]
#[test]
fn websockets() {
    use transport_ws::{BindError, WsConfig, WsConnector, WsConnectorConfig, WsServer, WsServerConfig};

    shared::<(WsConfig, WsConnector, WsConnectorConfig, WsServerConfig)>();
    moved::<WsServer>();
    error::<BindError>();
}

#[cfg(feature = "stp")]
#[test]
fn stp() {
    use transport_ws::stp::{
        StpHub, StpHubConfig, StpHubHandle, StpListError, StpListing, StpWsConfig, StpWsConnector,
    };

    shared::<(StpHubConfig, StpHubHandle, StpListing, StpWsConfig, StpWsConnector)>();
    moved::<StpHub>();
    error::<StpListError>();
}

#[cfg(feature = "nats")]
#[test]
fn nats() {
    use transport_nats::{
        NatsConfig, NatsConnector, NatsLogin, NatsReplicas, NatsServer, ReplicaChange, ServeError, SubjectError,
    };

    shared::<(NatsConfig, NatsConnector, NatsLogin, ReplicaChange)>();
    moved::<(NatsReplicas, NatsServer)>();
    error::<ServeError>();
    error::<SubjectError>();
}
