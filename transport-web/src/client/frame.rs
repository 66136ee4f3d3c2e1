//! A plugin in a frame: its engine is in the page that contains the frame.

use std::cell::Cell;
use std::sync::{Arc, Mutex, PoisonError};

use wasm_bindgen::{JsCast, JsValue};
use web_sys::js_sys::Object;
use web_sys::{MessageEvent, Window, console};

use super::config::ClientConfig;
use super::panic::LastWords;
use crate::codec::Frame;
use crate::events::Listener;
use crate::link::{Channel, Receiver, UNREADABLE, WebLink};

/// The page that contains the frame.
struct Parent {
    window: Window,
    /// Known from its first message.
    origin: Arc<Mutex<Option<String>>>,
    _last_words: LastWords,
}

impl Channel for Parent {
    fn send(&self, frame: &Frame) -> Result<(), JsValue> {
        let origin = self.origin.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // The request for a handshake, the only message before one, tells nothing but that there is a plugin.
        post(&self.window, frame, origin.as_deref())
    }

    fn close(&mut self, reason: &str) {
        let _ = self.send(&Frame::goodbye(reason));
    }
}

fn post(window: &Window, frame: &Frame, origin: Option<&str>) -> Result<(), JsValue> {
    // An opaque origin cannot be named.
    let origin = origin.filter(|origin| *origin != "null").unwrap_or("*");
    window.post_message(&frame.object()?, origin)
}

/// The link to the page that contains this frame, with the messages kept since the frame began to load.
pub(super) fn link(frame: &Window, parent: Window, kept: Vec<MessageEvent>, config: &ClientConfig) -> WebLink {
    let receiver = Receiver::new(&config.link);
    let origin = Arc::new(Mutex::new(None));
    let own_origin = frame.location().origin().unwrap_or_default();
    let (allowed, any) = (config.allowed_origins.clone(), config.allow_any_origin);
    let is_allowed =
        move |origin: &str| any || (origin == own_origin && origin != "null") || allowed.iter().any(|o| o == origin);
    let (engine, pinned, messages, told) = (parent.clone(), Arc::clone(&origin), receiver.clone(), Cell::new(false));
    let mut take = move |event: MessageEvent| {
        if event.source().is_none_or(|source| source != *engine.unchecked_ref::<Object>()) {
            return;
        }
        let from = event.origin();
        let mut pinned = pinned.lock().unwrap_or_else(PoisonError::into_inner);
        match &*pinned {
            Some(pinned) if *pinned != from => return,
            Some(_) => {}
            None if is_allowed(&from) => *pinned = Some(from),
            None => {
                if !told.replace(true) {
                    let text = format!(
                        "the plugin ignores messages of the page at {from}: allow it with ClientConfig::allow_origin(\"{from}\")"
                    );
                    console::warn_1(&JsValue::from(text));
                }
                return;
            }
        }
        drop(pinned);
        messages.posted(&event.data());
    };
    kept.into_iter().for_each(&mut take);
    let errors = receiver.clone();
    let listeners = vec![
        Listener::new(frame, "message", take),
        Listener::new(frame, "messageerror", move |_: MessageEvent| errors.bad(UNREADABLE)),
    ];
    let (window, known) = (parent.clone(), Arc::clone(&origin));
    let last_words = LastWords::new(move |reason| {
        // The panic may have happened while it was locked.
        let origin = known.try_lock().map(|origin| origin.clone()).unwrap_or_default();
        let _ = post(&window, &Frame::goodbye(reason), origin.as_deref());
    });
    WebLink::new(Parent { window: parent, origin, _last_words: last_words }, receiver, listeners)
}

/// The page that contains the frame. None in its own page.
pub(super) fn parent_of(frame: &Window) -> Option<Window> {
    frame.parent().ok().flatten().filter(|parent| parent != frame)
}
