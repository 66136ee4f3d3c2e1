//! The plugin in a child process, over each kind of channel.

use connector_core::{CallError, LinkEnd};
use examples::Done;
use transport_ipc::{Channel, ChannelError, ChannelKind, Program};

use crate::{Threads, Workload, engine, measure, plugin};

/// The channel must be found before the runtime starts.
pub(crate) async fn serve(channel: Result<Channel, ChannelError>) -> Done {
    match channel?.serve(plugin()).await {
        LinkEnd::Closed { .. } | LinkEnd::Disconnected => Ok(()),
        end => Err(end.into()),
    }
}

pub(crate) async fn measure(name: &str, kind: ChannelKind, workload: Workload) -> Done {
    let threads = if workload.rt == Threads::Multi { "multi" } else { "current" };
    let program = Program::new(std::env::current_exe()?).args([name, "--rt", threads, "serve"]).channel(kind);
    let (engine, local, _observing) = engine(transport_ipc::child("plugin", program), &workload).await?;
    let pid: Result<u32, CallError> = local.call("plugin", "pid", ()).await;
    measure::run(name, &workload, &local, Some(pid?)).await?;
    engine.shutdown().await;
    Ok(())
}
