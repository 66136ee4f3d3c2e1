//! Sketch-thru-Plan: the contract of a service's connection, and the building blocks of both of its ends.
//!
//! - [`StpConnector`] is the contract. `transport-ws` (feature `stp`) implements it over websockets, and has a hub for
//!   testing services; [`StpHandlers`] and [`StpTimeout`] support other implementations.
//! - [`StpClient`] is a service with typed handlers: set them, then connect.
//! - [`StpPlugin`] makes an STP service a plugin of the engine, [`StpOffer`] offers a plugin to STP as a service.
//! - [`frame`] and [`StpSession`] are the protocol without I/O (docs/protocol.md, section 8), used at both ends.
//!
//! # The contract
//! Each member of the seed's `IStpConnector` and of its later additions, its equivalent here, and the tests that cover it
//! (in `transport-ws/tests/stp/`; those marked `core:` are in `connector-core/tests/stp/`).
//!
//! | the seed | here | tests |
//! | --- | --- | --- |
//! | `baseName: string` | [`base_name`](StpConnector::base_name) | `connector::a_connected_service_reports_its_names_and_ids` |
//! | `name: string`, different if there are concurrent instances | [`name`](StpConnector::name): the base name and a random suffix ([`unique_name`]) | `connector::a_connected_service_reports_its_names_and_ids`, `core: frames::names_are_unique_among_instances` |
//! | `isConnected: boolean` | [`is_connected`](StpConnector::is_connected): registered and not lost | `losses::a_lost_connection_is_restored_with_its_name_and_session` |
//! | `connect(serviceName, solvables, timeout?)`, later `machineId?`, `sessionId?`, returns the session id | [`connect`](StpConnector::connect) with a [`StpService`] and a [`StpTimeout`] | `peers::the_quick_start_works_unchanged`, `connector::a_register_frame_has_the_published_form`, `losses::a_failed_connect_reports_the_cause_and_does_not_retry` |
//! | `disconnect(timeout?)` | [`disconnect`](StpConnector::disconnect), which is final | `losses::a_disconnected_service_does_not_reconnect`, `losses::a_disconnect_while_the_hub_is_down_stops_reconnecting` |
//! | `inform(message, timeout?)` | [`inform`](StpConnector::inform): the text unchanged | `hub::an_inform_goes_to_all_solvers_except_the_sender`, `connector::requests_return_items_refusals_and_timeouts` |
//! | `request(message, timeout?): string[]` | [`request`](StpConnector::request), ends once | `connector::requests_return_items_refusals_and_timeouts`, `core: session::a_request_ends_once`, `core: frames::any_result_becomes_an_array_of_strings` |
//! | `onInform: (message) => void` | [`on_inform`](StpConnector::on_inform) with an [`InformHandler`] | `hub::an_inform_goes_to_all_solvers_except_the_sender`, `core: handlers::handlers_keep_working_after_a_panic` |
//! | `onRequest: (message) => string` | [`on_request`](StpConnector::on_request) with a [`RequestHandler`], async, and it may fail | `connector::requests_are_answered_in_order_of_arrival`, `faults::a_failing_or_panicking_handler_fails_only_its_own_request` |
//! | `onError: (error) => void` | [`on_error`](StpConnector::on_error) with an [`ErrorHandler`] | `losses::a_lost_connection_is_restored_with_its_name_and_session` |
//! | `machineId`, `sessionId` | [`machine_id`](StpConnector::machine_id), [`session_id`](StpConnector::session_id) | `connector::a_connected_service_reports_its_names_and_ids`, `losses::a_lost_connection_is_restored_with_its_name_and_session` |
//! | timeouts: seconds, 30 by default and for 0 or less | [`StpTimeout`] | `core: frames::times_are_in_seconds_and_30_by_default` |
//!
//! Intentional differences: cookies and pending requests belong to a connection, not to the process; a request that
//! timed out is forgotten; `onRequest` is called; a `disconnect` is not followed by a reconnect; the listener is
//! installed before the Register message is sent. docs/protocol.md, section 8.5, lists these defects of the published
//! connector.

mod api;
mod bridge;
mod client;
mod connector;
mod error;
pub mod frame;
mod handlers;
mod registration_limits;
mod service;
mod session;
mod timeout;

pub use api::{StpAskError, StpSendError, api_message, read_response};
pub use bridge::{StpOffer, StpOfferError, StpOffered, StpPlugin};
pub use client::StpClient;
pub use connector::StpConnector;
pub use error::{StpConnectError, StpDisconnectError, StpInformError, StpRequestError};
pub use frame::{Envelope, Frame, FrameError, Response};
pub use handlers::{ErrorHandler, InformHandler, RequestHandler, StpHandlers};
pub use registration_limits::BadService;
pub use service::{REGISTER, StpService, unique_name};
pub use session::{StpBusy, StpSession};
pub use timeout::StpTimeout;
