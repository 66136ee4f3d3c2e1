use connector_core::PluginClient;

pub fn double(client: PluginClient) {
    let _ = client.call::<i64>("calculator", "double", 21);
}

pub fn saved(client: PluginClient) {
    let _ = client.events::<String>("editor", "saved", 8);
}

fn main() {}
