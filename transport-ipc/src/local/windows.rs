//! Named pipes.

use std::io;
use std::time::Duration;

use connector_core::ConnectError;
use interprocess::local_socket::tokio::{Listener as PipeListener, prelude::*};
use interprocess::local_socket::{GenericNamespaced, ListenerOptions, Name, ToNsName};
use interprocess::os::windows::local_socket::ListenerOptionsExt;
use interprocess::os::windows::security_descriptor::SecurityDescriptor;

use super::error::BindError;
use super::name::LocalName;
use crate::retry::is_permanent;

pub(crate) type Stream = interprocess::local_socket::tokio::Stream;

/// Full access for the pipe's owner and none for others; by default everyone may read.
const OWNER_ONLY: &widestring::U16CStr = widestring::u16cstr!("D:P(A;;GA;;;OW)");

/// The delay between attempts while all instances of a pipe are busy.
const RETRY_DELAY: Duration = Duration::from_millis(10);
const ERROR_PIPE_BUSY: i32 = 231;

/// A listening pipe.
#[derive(Debug)]
pub(crate) struct Listener(PipeListener);

impl Listener {
    /// The system rejects a second server for a name, and removes a dead one.
    pub(crate) fn bind(name: &LocalName) -> Result<Listener, BindError> {
        let failed = |error: io::Error| match error.kind() {
            // The pipe already exists.
            io::ErrorKind::PermissionDenied | io::ErrorKind::AddrInUse => BindError::InUse { at: name.to_string() },
            _ => BindError::io(name, error),
        };
        let owner_only = SecurityDescriptor::deserialize(OWNER_ONLY).map_err(failed)?;
        let pipe = pipe(name).map_err(failed)?;
        let options = ListenerOptions::new().name(pipe).security_descriptor(owner_only);
        options.create_tokio().map(Listener).map_err(failed)
    }

    /// A pipe's name means the same in every environment.
    pub(crate) fn address(&self) -> Option<LocalName> {
        None
    }

    /// Cancel safe.
    pub(crate) async fn accept(&self) -> io::Result<Stream> {
        self.0.accept().await
    }
}

fn pipe(name: &LocalName) -> io::Result<Name<'static>> {
    format!("plugin-connectors-{}", name.as_str()).to_ns_name::<GenericNamespaced>()
}

pub(crate) async fn connect(name: &LocalName) -> Result<Stream, ConnectError> {
    let refused = |what: &str| {
        ConnectError::Refused(format!("{what} \"{name}\": start the program that serves it, as the same user"))
    };
    let pipe = pipe(name).map_err(|error| ConnectError::Refused(error.to_string()))?;
    loop {
        match Stream::connect(pipe.clone()).await {
            Ok(stream) => return Ok(stream),
            Err(error) if error.raw_os_error() == Some(ERROR_PIPE_BUSY) => tokio::time::sleep(RETRY_DELAY).await,
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock => tokio::time::sleep(RETRY_DELAY).await,
                io::ErrorKind::NotFound => return Err(refused("no pipe exists")),
                io::ErrorKind::PermissionDenied => return Err(refused("this user may not open the pipe")),
                _ if is_permanent(&error) => return Err(refused(&format!("cannot open ({error}) the pipe"))),
                _ => return Err(ConnectError::failed(error)),
            },
        }
    }
}

/// Only the pipe's owner can connect.
pub(crate) fn check_peer(_: &Stream) -> Result<(), String> {
    Ok(())
}
