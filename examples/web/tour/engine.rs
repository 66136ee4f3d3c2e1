//! The engine in the page: registers the plugins and calls them.
#![cfg(all(target_family = "wasm", target_os = "unknown"))]
#![allow(unreachable_pub, reason = "wasm-bindgen exports public functions alone")]

#[path = "show.rs"]
mod show;

use std::error::Error;
use std::future::{Future, ready};
use std::pin::pin;
use std::time::Duration;

use connector_core::runtime::{Task, spawn, timeout};
use connector_core::{Engine, LinkState, Plugin, PluginClient, Registration};
use tokio::sync::{Mutex, mpsc, watch};
use transport_web::{IframeConfig, Mount};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::js_sys::{self, Function};
use web_sys::{Element, HtmlIFrameElement};

use self::show::Show;

type Done<T = ()> = Result<T, Box<dyn Error>>;
type Saved = mpsc::UnboundedReceiver<(String, u64)>;

/// The time limit of each step.
const LIMIT: Duration = Duration::from_secs(20);

fn thrown(error: impl Into<Box<dyn Error>>) -> JsValue {
    js_sys::Error::new(&error.into().to_string()).into()
}

async fn limited<T>(work: impl Future<Output = T>) -> Done<T> {
    timeout(LIMIT, pin!(work)).await.ok_or_else(|| format!("this takes longer than {} s", LIMIT.as_secs()).into())
}

/// The tour, for the page's script.
#[wasm_bindgen]
pub struct Tour {
    engine: Engine,
    page: PluginClient,
    native_url: String,
    show: Show,
    saved: Mutex<Saved>,
    _watches: Vec<Task>,
}

#[wasm_bindgen]
impl Tour {
    /// Registers the plugins. Frames appear in `frames`, and `report` is called with each line for the page.
    #[wasm_bindgen(constructor)]
    pub fn new(native_url: String, frames: Element, report: Function) -> Result<Tour, JsValue> {
        Tour::register(native_url, frames, Show::new(report)).map_err(thrown)
    }

    /// Runs every step.
    pub async fn run(&self) -> Result<(), JsValue> {
        self.steps().await.map_err(thrown)
    }

    /// Reports events until the page closes.
    pub async fn report_events(&self) {
        while let Some((name, words)) = self.saved.lock().await.recv().await {
            self.show.event("page receives editor's event saved", &format!("{name}, {words} words"));
        }
    }

    /// Reloads the frame, as its user could.
    pub fn reload_editor(&self) -> Result<(), JsValue> {
        let document = web_sys::window().and_then(|window| window.document()).ok_or("no document")?;
        let frame = document.get_element_by_id("plugin-editor").ok_or("no frame")?.dyn_into::<HtmlIFrameElement>()?;
        frame.content_window().ok_or("no window")?.location().reload()
    }

    /// Makes the worker's program panic, which ends the worker. Returns the error of the call.
    pub async fn end_counter(&self) -> String {
        match self.page.call::<()>("counter", "panic", ()).await {
            Ok(()) => "no panic".to_owned(),
            Err(error) => error.to_string(),
        }
    }
}

impl Tour {
    fn register(native_url: String, frames: Element, show: Show) -> Done<Tour> {
        let engine = Engine::new();
        let (sender, saved) = mpsc::unbounded_channel();
        let listen = move |page: PluginClient| {
            let sender = sender.clone();
            let listener = move |name: String, words: u64| drop(sender.send((name, words)));
            page.on("editor", "saved", listener).expect("the page is active");
            ready(())
        };
        let page = Plugin::new("page").method("userName", || async { "Ada" }).on_activation(listen);
        let page = engine.register(page)?;
        let in_frames = IframeConfig::default().mount(Mount::Element(frames));
        let watches = [
            watched(&engine, transport_web::iframe_with("editor", "editor.html", in_frames), &show)?,
            watched(&engine, transport_web::worker("counter", "counter.js"), &show)?,
            watched(&engine, transport_web::websocket("archive", &native_url), &show)?,
        ];
        Ok(Tour { engine, page, native_url, show, saved: Mutex::new(saved), _watches: watches.into() })
    }

    async fn steps(&self) -> Done {
        let Tour { engine, page, native_url, .. } = self;
        let (mut show, mut saved) = (self.show.clone(), self.saved.lock().await);
        for name in ["page", "editor", "counter", "archive"] {
            engine.manager().activate(name).await?;
        }
        show.connected(
            engine,
            [
                ("page", "in this page, with the engine"),
                ("editor", "in a frame"),
                ("counter", "in a worker"),
                ("archive", &format!("in a native program, {native_url}")),
            ],
        );
        calls(page, &mut saved, &mut show).await?;
        refusals(page, &mut show).await;
        cancels(page, &mut show).await;
        self.reload_and_heal(&mut saved, &mut show).await?;
        self.panic_and_heal(&mut show).await
    }

    async fn reload_and_heal(&self, saved: &mut Saved, show: &mut Show) -> Done {
        let mut link = self.link("editor")?;
        self.reload_editor().map_err(|error| format!("{error:?}"))?;
        let state = limited(link.wait_for(|state| !state.is_up())).await??.clone();
        show.step("the frame is reloaded: its link is", Ok::<_, LinkState>(state.to_string()));
        let state = limited(link.wait_for(LinkState::is_up)).await??.clone();
        show.step("the engine makes a new frame: its link is", Ok::<_, LinkState>(state.to_string()));
        let words = self.page.call::<String>("editor", "save", ("notes.txt", "still here")).await;
        show.step("page calls editor.save(…) as before", words);
        received(saved, "page still receives the event", show).await
    }

    async fn panic_and_heal(&self, show: &mut Show) -> Done {
        let mut link = self.link("counter")?;
        show.step(
            "the worker's program panics, which ends the worker and the call",
            Err::<(), _>(self.end_counter().await),
        );
        let state = limited(link.wait_for(LinkState::is_up)).await??.clone();
        show.step("the engine starts a new worker: its link is", Ok::<_, LinkState>(state.to_string()));
        show.step(
            "page calls counter.count(…) as before",
            self.page.call::<u64>("counter", "count", ("back again",)).await,
        );
        Ok(())
    }

    fn link(&self, plugin: &str) -> Done<watch::Receiver<LinkState>> {
        Ok(self.engine.link_state(plugin).ok_or("it has no link")?)
    }
}

/// Registers a plugin, and reports the states of its link.
fn watched(engine: &Engine, plugin: Registration, show: &Show) -> Done<Task> {
    let name = engine.register(plugin)?.name();
    let mut state = engine.link_state(&name).ok_or("it has no link")?;
    let show = show.clone();
    Ok(spawn(async move {
        loop {
            show.state(&name, &state.borrow_and_update());
            if state.changed().await.is_err() {
                break;
            }
        }
    }))
}

async fn received(saved: &mut Saved, what: &str, show: &mut Show) -> Done {
    let event = limited(saved.recv()).await?;
    show.step(what, event.map(|(name, words)| format!("{name}, {words} words")).ok_or("nothing"));
    Ok(())
}

async fn calls(page: &PluginClient, saved: &mut Saved, show: &mut Show) -> Done {
    let text = "plugins call plugins";
    show.step("page calls counter.count(…), in the worker", page.call::<u64>("counter", "count", (text,)).await);
    let words = page.call::<String>("editor", "save", ("notes.txt", text)).await;
    show.step("page calls editor.save(…), in the frame, which calls the worker and the native program", words);
    received(saved, "page receives editor's event saved", show).await?;
    let words = page.call::<u64>("counter", "countStored", ("notes.txt",)).await;
    show.step("page calls counter.countStored(…): the worker calls the native program", words);
    let opened = page.call::<()>("archive", "openInEditor", ("notes.txt",)).await;
    show.step("page calls archive.openInEditor(…): the native program calls the frame", opened.map(|()| "opened"));
    let greeting = page.call::<String>("archive", "greet", ()).await;
    show.step("page calls archive.greet(): the native program calls the page", greeting);
    Ok(())
}

async fn refusals(page: &PluginClient, show: &mut Show) {
    show.step("the plugin's own error", page.call::<String>("archive", "load", ("lost.txt",)).await);
    show.step("an argument of the wrong type", page.call::<u64>("counter", "count", (1,)).await);
    show.step("refused: not exposed", page.call::<u64>("counter", "launch", ()).await);
    show.step("refused: not registered", page.call::<u64>("nobody", "count", ("text",)).await);
}

async fn cancels(page: &PluginClient, show: &mut Show) {
    let slow = page.call::<u64>("counter", "countSlowly", ("text",));
    let (ended, cancelled) = tokio::join!(slow, page.cancel("counter", Some("countSlowly")));
    show.step("page cancels a call that would take an hour", cancelled.map(|()| "done"));
    show.step("… and the call ends", ended);
    let limited = page.call_within::<u64>(Duration::from_millis(50), "counter", "countSlowly", ("text",)).await;
    show.step("a call with its own time limit", limited);
}
