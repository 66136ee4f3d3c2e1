//! The native plugin: keeps texts, and calls plugins in the page.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use connector_core::{CallError, Context, Plugin, Serving};
use transport_ws::{BindError, WsServerConfig};

/// The most texts that are kept.
const MAX_TEXTS: usize = 100;

#[derive(Clone, Default)]
struct Texts(Arc<Mutex<HashMap<String, String>>>);

impl Texts {
    fn store(&self, name: String, text: String) -> Result<String, String> {
        let mut texts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if texts.len() >= MAX_TEXTS && !texts.contains_key(&name) {
            return Err(format!("the archive keeps {MAX_TEXTS} texts at most"));
        }
        texts.insert(name, text);
        Ok(format!("process {}", std::process::id()))
    }

    fn load(&self, name: &str) -> Result<String, String> {
        let texts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        texts.get(name).cloned().ok_or_else(|| format!("the archive has no text \"{name}\""))
    }
}

/// Calls the plugin in the frame.
async fn open_in_editor(ctx: Context, texts: Texts, name: String) -> Result<(), String> {
    let text = texts.load(&name)?;
    ctx.client().call("editor", "open", (name, text)).await.map_err(|error| error.to_string())
}

/// Calls the plugin of the page itself.
async fn greet(ctx: Context) -> Result<String, CallError> {
    let name: String = ctx.client().call("page", "userName", ()).await?;
    Ok(format!("hello {name}, from process {}", std::process::id()))
}

fn archive(texts: &Texts) -> Plugin {
    let [storing, loading, opening] = [texts, texts, texts].map(Texts::clone);
    Plugin::new("archive")
        .method("store", move |name, text| std::future::ready(storing.store(name, text)))
        .method("load", move |name: String| std::future::ready(loading.load(&name)))
        .method("openInEditor", move |ctx, name| open_in_editor(ctx, opening.clone(), name))
        .method("greet", greet)
}

/// Serves the plugin to pages of these origins, and returns its URL. Without them no page may connect.
pub(crate) async fn serve(origins: &[String]) -> Result<(String, Serving), BindError> {
    let config = origins.iter().cloned().fold(WsServerConfig::default(), WsServerConfig::allow_origin);
    let texts = Texts::default();
    transport_ws::serve_with("127.0.0.1:0", move || archive(&texts), config).await
}
