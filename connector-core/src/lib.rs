//! A host program (the *engine*) and its *plugins*, wherever those live, call each other's methods and hear each other's
//! events. This crate is everything but the transports.
#![cfg_attr(docsrs, feature(doc_cfg))]
// From other crates' pages: Cargo may document them before this one, and rustdoc then finds no page to link to.
#![doc(html_root_url = "../")]

mod client;
#[cfg(feature = "conformance")]
pub mod conformance;
mod connector;
mod engine;
mod error;
mod fault;
mod framed;
mod guard;
mod id;
mod json;
mod link;
mod message;
mod payload;
mod plugin;
mod profile;
mod runtime;
mod session;
mod shown;
pub mod stp;
mod sync;
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
#[cfg(all(any(doc, doctest), feature = "conformance"))]
#[doc = include_str!("../docs/write-your-own-connector.md")]
pub mod write_your_own_connector {}

pub use async_trait::async_trait;
pub use client::{CallResult, ClientConfig, Event, EventStream, PluginClient, Serving, connect, serve};
pub use connector::{ClientConnector, Link, LinkEnd, PluginConnector, SendError, Traffic};
pub use engine::{
    Access, DefaultPolicy, Engine, EngineBuilder, LinkState, Operation, PluginManager, PluginOptions, Policy,
    Registration, UrlTransform,
};
pub use error::{
    ActivateError, CallError, DecodeError, Fault, LinkLost, PayloadError, Refusal, RegisterError, ServiceError,
    UpdateError, WrongResult,
};
pub use framed::FramedLink;
pub use id::Id;
pub use link::{QueueLimits, Standstill};
pub use message::{Action, ErrorKind, Extensions, Message, Name, RequestInfo};
pub use payload::Payload;
pub use plugin::{Context, IntoArgs, Json, Listener, Method, Parameter, Parameters, Plugin, Reply, Rest, Service};
pub use profile::{ExternalProfile, Profile, transform_url};
pub use shown::shown_url;
