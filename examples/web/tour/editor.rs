//! The plugin in a frame: a small editor with its own page. Its methods and its button do the same.
#![cfg(all(target_family = "wasm", target_os = "unknown"))]

use connector_core::{CallError, Context, Plugin, PluginClient, Profile};
use wasm_bindgen::prelude::{Closure, wasm_bindgen};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{Document, HtmlElement, HtmlTextAreaElement};

/// Counts the words in the worker, stores the text in the native program, and emits an event.
async fn save_text(client: &PluginClient, name: String, text: String) -> Result<String, CallError> {
    let words: u64 = client.call("counter", "count", (text.clone(),)).await?;
    let place: String = client.call("archive", "store", (name.clone(), text)).await?;
    client.emit("saved", (name, words)).await?;
    let saved = format!("{words} words, stored by {place}");
    set_status(&saved);
    Ok(saved)
}

async fn save(ctx: Context, name: String, text: String) -> Result<String, CallError> {
    write(&text);
    save_text(ctx.client(), name, text).await
}

/// Shows a text.
async fn open(name: String, text: String) {
    write(&text);
    set_status(&format!("opened {name}"));
}

fn document() -> Option<Document> {
    web_sys::window()?.document()
}

fn element<T: JsCast>(id: &str) -> Option<T> {
    document()?.get_element_by_id(id)?.dyn_into().ok()
}

fn write(text: &str) {
    if let Some(area) = element::<HtmlTextAreaElement>("text") {
        area.set_value(text);
    }
}

fn set_status(text: &str) {
    if let Some(status) = element::<HtmlElement>("status") {
        status.set_text_content(Some(text));
    }
}

/// Connects the button once the engine has activated the plugin.
async fn connect_button(client: PluginClient) {
    let Some(button) = element::<HtmlElement>("save") else { return };
    let on_click = Closure::<dyn Fn()>::new(move || {
        let client = client.clone();
        let text = element::<HtmlTextAreaElement>("text").map(|area| area.value()).unwrap_or_default();
        wasm_bindgen_futures::spawn_local(async move {
            if let Err(error) = save_text(&client, "notes.txt".to_owned(), text).await {
                set_status(&error.to_string());
            }
        });
    });
    button.set_onclick(Some(on_click.into_js_value().unchecked_ref()));
    let _ = button.remove_attribute("disabled");
    set_status("connected");
}

#[wasm_bindgen(start)]
fn start() -> Result<(), JsValue> {
    let profile = Profile::new("editor").with_events(["saved"]);
    let plugin = Plugin::new(profile).method("save", save).method("open", open).on_activation(connect_button);
    Ok(transport_web::serve(move || plugin.clone())?)
}
