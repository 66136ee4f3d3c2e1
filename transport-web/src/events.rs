//! Listeners for the events of JavaScript's objects.

use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use web_sys::js_sys::Function;
use web_sys::{Event, EventTarget};

/// A listener, which is removed when this is dropped.
pub(crate) struct Listener {
    target: EventTarget,
    event: &'static str,
    function: Function,
}

impl Listener {
    pub(crate) fn new<E: JsCast>(
        target: &EventTarget,
        event: &'static str,
        mut listener: impl FnMut(E) + 'static,
    ) -> Listener {
        let closure = Closure::<dyn FnMut(Event)>::new(move |event: Event| listener(event.unchecked_into()));
        // Becomes JavaScript's: a `Closure` cannot be part of a link, because it is not `Send`.
        let function: Function = closure.into_js_value().unchecked_into();
        // Cannot fail: `target` is an event target.
        let _ = target.add_event_listener_with_callback(event, &function);
        Listener { target: target.clone(), event, function }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.target.remove_event_listener_with_callback(self.event, &self.function);
    }
}
