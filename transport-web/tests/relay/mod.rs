//! Message ports that can be cut and stalled: each link is two channels, and this relays the messages between them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use conformance::Control;
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::js_sys::JSON;
use web_sys::{Event, MessageChannel, MessageEvent, MessagePort};

#[derive(Clone, Default)]
pub(crate) struct Relays(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    is_cut: bool,
    relays: Vec<Relay>,
}

#[derive(Clone)]
struct Relay {
    to_engine: MessagePort,
    to_plugin: MessagePort,
    is_stalled: Arc<AtomicBool>,
    is_closed: Arc<AtomicBool>,
}

impl Relays {
    /// The ports of a new link: the engine's and the plugin's.
    pub(crate) fn open(&self) -> Result<(MessagePort, MessagePort), JsValue> {
        let mut state = self.state();
        if state.is_cut {
            return Err("the link is cut".into());
        }
        let (engine, plugin) = (MessageChannel::new()?, MessageChannel::new()?);
        let relay = Relay {
            to_engine: engine.port2(),
            to_plugin: plugin.port2(),
            is_stalled: Arc::default(),
            is_closed: Arc::default(),
        };
        relay.carry(&relay.to_engine, &relay.to_plugin);
        relay.carry(&relay.to_plugin, &relay.to_engine);
        state.relays.push(relay);
        Ok((engine.port1(), plugin.port1()))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Relay {
    fn carry(&self, from: &MessagePort, to: &MessagePort) {
        let (relay, target) = (self.clone(), to.clone());
        let message = Closure::<dyn Fn(MessageEvent)>::new(move |event: MessageEvent| {
            if !relay.is_stalled.load(Ordering::Relaxed) {
                target.post_message(&event.data()).expect("what was received can be sent");
            }
        });
        from.set_onmessage(Some(message.into_js_value().unchecked_ref()));
        let relay = self.clone();
        let close = Closure::<dyn Fn(Event)>::new(move |_: Event| relay.close());
        from.add_event_listener_with_callback("close", close.into_js_value().unchecked_ref()).expect("an event target");
    }

    fn close(&self) {
        if !self.is_closed.swap(true, Ordering::Relaxed) {
            self.to_engine.close();
            self.to_plugin.close();
        }
    }
}

impl Control for Relays {
    fn cut(&self) {
        let mut state = self.state();
        state.is_cut = true;
        state.relays.drain(..).for_each(|relay| relay.close());
    }

    fn heal(&self) {
        self.state().is_cut = false;
    }

    fn stall(&self) {
        self.state().relays.iter().for_each(|relay| relay.is_stalled.store(true, Ordering::Relaxed));
    }

    fn inject(&self, frame: &str) {
        let value = JSON::parse(frame).unwrap_or_else(|_| frame.into());
        if let Some(relay) = self.state().relays.last() {
            relay.to_plugin.post_message(&value).expect("values of JSON can be sent");
        }
    }

    fn open_connections(&self) -> usize {
        self.state().relays.iter().filter(|relay| !relay.is_closed.load(Ordering::Relaxed)).count()
    }
}
