//! Tells engines that a plugin has panicked. A panic ends the whole program, without any unwinding.

use std::cell::{Cell, RefCell};
use std::sync::Once;

use wasm_bindgen::JsValue;
use web_sys::console;

type Say = Box<dyn Fn(&str)>;

thread_local! {
    static LINKS: RefCell<Vec<(u64, Say)>> = const { RefCell::new(Vec::new()) };
    static NEXT: Cell<u64> = const { Cell::new(0) };
}

static HOOK: Once = Once::new();

/// What a link says to its engine if the program panics while the link is up.
pub(super) struct LastWords(u64);

impl LastWords {
    pub(super) fn new(say: impl Fn(&str) + 'static) -> LastWords {
        HOOK.call_once(install);
        let id = NEXT.replace(NEXT.get() + 1);
        LINKS.with_borrow_mut(|links| links.push((id, Box::new(say))));
        LastWords(id)
    }
}

impl Drop for LastWords {
    fn drop(&mut self) {
        LINKS.with_borrow_mut(|links| links.retain(|(id, _)| *id != self.0));
    }
}

fn install() {
    let previous = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        previous(panic);
        let text = panic.to_string();
        console::error_1(&JsValue::from(&text));
        LINKS.with(|links| {
            let Ok(links) = links.try_borrow() else { return };
            let payload = panic.payload();
            let message =
                payload.downcast_ref::<&str>().copied().or(payload.downcast_ref::<String>().map(String::as_str));
            let reason = format!("the plugin panicked: {}", message.unwrap_or("no message"));
            // The worker, which was there first, closes last.
            for (_, say) in links.iter().rev() {
                say(&reason);
            }
        });
    }));
}
