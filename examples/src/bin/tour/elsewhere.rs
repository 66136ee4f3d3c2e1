//! The same calculator behind the other transports. Each is registered in one line.

use connector_core::{Engine, PluginClient};
use examples::{Done, Show};

use crate::plugins::calculator;

/// In a thread of this process.
#[cfg(feature = "worker")]
pub(crate) async fn thread(engine: &Engine, local: &PluginClient, show: &mut Show) -> Done {
    engine.register(transport_worker::worker("thread", || calculator("thread")))?;
    let sum = local.call::<f64>("thread", "add", (20.0, 22.0)).await;
    show.step("a calculator in a thread of this process; nothing is serialized", sum);
    Ok(())
}

/// Behind socket.io, in another process.
#[cfg(feature = "socketio")]
pub(crate) async fn socketio(engine: &Engine, local: &PluginClient, show: &mut Show) -> Done {
    let process = crate::host::Process::start("calculator", 0, crate::Over::Socketio).await?;
    engine.register(transport_socketio::plugin("socketio", &process.url))?;
    let sum = local.call::<f64>("socketio", "add", (20, 22)).await;
    show.step("a calculator in another process, behind socket.io", sum);
    engine.manager().deactivate("socketio").await?;
    Ok(())
}
