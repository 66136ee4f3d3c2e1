//! An instance of a service, over one connection.

use std::sync::Arc;

use async_nats::service::{Request, Service, ServiceExt};
use connector_core::{ConnectError, Excerpt, Profile};
use futures_util::stream::{BoxStream, SelectAll};
use futures_util::{FutureExt, StreamExt};
use tokio::sync::broadcast;

use super::request::MAX_TEXT;
use crate::client::{ServeError, check_allowed};
use crate::config::NatsConfig;
use crate::connection::Connection;
use crate::forbidden::Forbidden;
use crate::subjects::{Subjects, unguessable};

/// Without a version in the profile: a service must have one.
const VERSION: &str = "0.0.0";
/// The most that a method takes in an answer to `$SRV.STATS`, besides its names: its last error, and numbers. async-nats stops
/// to answer if an answer is longer than a message may be.
const LISTED: usize = 4 * MAX_TEXT + 500;

/// An instance over one connection.
pub(super) struct Instance {
    pub(super) connection: Arc<Connection>,
    pub(super) forbidden: broadcast::Receiver<Forbidden>,
    pub(super) subjects: Vec<String>,
    pub(super) service: Option<Service>,
    pub(super) requests: SelectAll<BoxStream<'static, (Arc<str>, Request)>>,
}

impl Instance {
    /// Subscribes, and checks that the server allows what an instance does.
    pub(super) async fn new(
        profile: &Profile,
        subjects: &Subjects,
        config: &NatsConfig,
    ) -> Result<Instance, ServeError> {
        let limit = config.connect_timeout;
        let starting = async {
            let connection = config.connections.get(config).await?;
            let forbidden = connection.forbidden();
            let (group, methods) = (subjects.calls(), profile.methods.as_deref().unwrap_or_default());
            let listed: usize = methods.iter().map(|method| group.len() + 2 * method.len() + LISTED).sum();
            if listed > connection.client().max_payload() {
                return Err(ServeError::Service(format!(
                    "{} has {} methods, whose list is longer than the NATS server's max_payload: divide them among plugins",
                    profile.name,
                    methods.len()
                )));
            }
            let mut builder = connection.client().service_builder();
            if let Some(description) = &profile.description {
                builder = builder.description(Excerpt::up_to(MAX_TEXT, description));
            }
            let version = profile.version.as_deref().filter(|version| is_version(version)).unwrap_or(VERSION);
            let service = builder.start(&profile.name, version).await.map_err(lost)?;
            let id = service.info().await.id;
            let (endpoints, name) = (service.group(&group), &profile.name);
            let (service, requests) = (Some(service), SelectAll::new());
            let mut instance = Instance { connection, forbidden, subjects: Vec::new(), service, requests };
            for verb in ["PING", "INFO", "STATS"] {
                let (all, named) = (format!("$SRV.{verb}"), format!("$SRV.{verb}.{name}"));
                instance.subjects.extend([format!("{named}.{id}"), named, all]);
            }
            for method in methods {
                let endpoint = endpoints.endpoint_builder().name(method).add(method).await.map_err(lost)?;
                instance.subjects.push(format!("{group}.{method}"));
                let method: Arc<str> = method.as_str().into();
                instance.requests.push(endpoint.map(move |request| (Arc::clone(&method), request)).boxed());
            }
            let token = unguessable().map_err(lost)?;
            let (nobody, back) = (format!("_INBOX.{token}"), format!("{group}.{token}"));
            let Instance { connection, forbidden, subjects: own, .. } = &mut instance;
            check_allowed(connection, forbidden, &nobody, &back, own).await?;
            Ok(instance)
        };
        match tokio::time::timeout(limit, starting).await {
            Ok(instance) => instance,
            Err(_) => Err(ConnectError::TimedOut(limit).into()),
        }
    }

    /// Takes no more requests.
    pub(super) fn stop(&mut self) {
        if let Some(service) = self.service.take() {
            let _ = service.stop().now_or_never();
        }
    }
}

/// Otherwise the task that answers to discovery would stay.
impl Drop for Instance {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Whether it is of the form `1.2.3`.
fn is_version(text: &str) -> bool {
    let is_number = |part: &str| part.parse::<u64>().is_ok_and(|number| number.to_string() == part);
    text.split('.').count() == 3 && text.split('.').all(is_number)
}

fn lost(error: impl ToString) -> ConnectError {
    ConnectError::failed(error.to_string())
}
