use connector_core::{CallError, PluginClient};

pub async fn reset(client: PluginClient) -> Result<(), CallError> {
    client.call("calculator", "reset", ()).await?;
    Ok(())
}

fn main() {}
