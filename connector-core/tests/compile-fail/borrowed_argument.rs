use connector_core::{CallError, PluginClient};

pub async fn save(client: PluginClient) -> Result<(), CallError> {
    let text = String::from("a draft");
    client.call("editor", "save", (&text,)).await
}

fn main() {}
