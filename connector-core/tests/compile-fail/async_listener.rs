use connector_core::{CallError, PluginClient};

async fn store(_file: String) {}

pub fn listen(client: PluginClient) -> Result<(), CallError> {
    client.on("editor", "saved", store)
}

pub fn listen_by_closure(client: PluginClient) -> Result<(), CallError> {
    client.on("editor", "saved", async |file: String| store(file).await)
}

fn main() {}
