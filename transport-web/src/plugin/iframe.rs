//! Plugins in frames of the engine's page.

use connector_core::{ConnectError, Link, LinkEnd, PluginConnector, Profile, Registration, async_trait};
use tokio::sync::oneshot;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::js_sys::{Error, Object};
use web_sys::{Event, HtmlIFrameElement, MessageEvent, Url, Window};

use super::in_page;
use super::mount::{Mount, page};
use crate::codec::{self, error_text};
use crate::config::LinkConfig;
use crate::events::Listener;
use crate::link::{Channel, Receiver, UNREADABLE, WebLink};

/// Configures an [`IframeConnector`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct IframeConfig {
    /// Limits of the link. Default: [`LinkConfig::default`].
    pub link: LinkConfig,
    /// Where the frame appears. Default: [`Mount::Body`].
    pub mount: Mount,
    /// The frame's `sandbox` attribute. Default: `allow-scripts allow-same-origin allow-forms allow-popups`.
    ///
    /// As in the published engine, except that a plugin may not navigate the engine's page away
    /// (`allow-top-navigation`). Without `allow-same-origin` the frame has an opaque origin, and so no storage and no
    /// cookies; for a plugin of the page's own origin this is what makes it a sandbox. None: no sandbox.
    pub sandbox: Option<String>,
    /// The frame's `allow` attribute: what the plugin may use of the device, such as `clipboard-write`. Default: none.
    pub allow: Option<String>,
}

impl Default for IframeConfig {
    fn default() -> IframeConfig {
        IframeConfig {
            link: LinkConfig::default(),
            mount: Mount::default(),
            sandbox: Some("allow-scripts allow-same-origin allow-forms allow-popups".to_owned()),
            allow: None,
        }
    }
}

impl IframeConfig {
    /// Sets [`link`](IframeConfig#structfield.link), the limits of the link. Default: [`LinkConfig::default`].
    #[must_use]
    pub fn link(mut self, config: LinkConfig) -> IframeConfig {
        self.link = config;
        self
    }

    /// Sets [`mount`](IframeConfig#structfield.mount), where the frame appears. Default: [`Mount::Body`].
    #[must_use]
    pub fn mount(mut self, mount: Mount) -> IframeConfig {
        self.mount = mount;
        self
    }

    /// Sets [`sandbox`](IframeConfig#structfield.sandbox). Default: `allow-scripts allow-same-origin allow-forms
    /// allow-popups`.
    #[must_use]
    pub fn sandbox(mut self, tokens: Option<&str>) -> IframeConfig {
        self.sandbox = tokens.map(str::to_owned);
        self
    }

    /// Sets [`allow`](IframeConfig#structfield.allow), for example `clipboard-write`. Default: none.
    #[must_use]
    pub fn allow(mut self, policy: impl Into<String>) -> IframeConfig {
        self.allow = Some(policy.into());
        self
    }
}

/// The engine's end: shows a plugin in a frame and makes a link to it.
///
/// Each link has its own frame, which is removed when the link ends. A frame that loads another page, also when it reloads
/// itself, ends its link as [`LinkEnd::Lost`], and the engine makes a new frame. A frame's page has the plugin's
/// activation timeout to load and to answer the handshake
/// ([`PluginOptions::activation_timeout`](connector_core::PluginOptions::activation_timeout)).
#[derive(Debug)]
pub struct IframeConnector {
    profile: Profile,
    config: IframeConfig,
}

impl IframeConnector {
    /// Creates a connector for the plugin `profile`.
    pub fn new(profile: impl Into<Profile>, config: IframeConfig) -> IframeConnector {
        IframeConnector { profile: profile.into(), config }
    }
}

/// The plugin `profile` (or just its name) in a frame of this page that loads `url`, to be registered with an engine, with
/// the default configuration.
pub fn iframe(profile: impl Into<Profile>, url: &str) -> Registration {
    iframe_with(profile, url, IframeConfig::default())
}

/// As [`iframe`], with a configuration.
pub fn iframe_with(profile: impl Into<Profile>, url: &str, config: IframeConfig) -> Registration {
    let profile = profile.into();
    in_page(profile.clone(), url, IframeConnector::new(profile, config))
}

#[async_trait]
impl PluginConnector for IframeConnector {
    async fn connect(&mut self, url: &str) -> Result<Box<dyn Link>, ConnectError> {
        let page = page()?;
        let frame = Frame::new(&page, &self.profile, &self.config, url)?;
        let (loaded, first_load) = oneshot::channel();
        let receiver = Receiver::new(&self.config.link);
        let loads = on_load(&frame.element, loaded, receiver.clone());
        if let Mount::Existing(_) = self.config.mount {
            frame.element.set_src(url);
        }
        self.config.mount.add(&self.profile, &frame.element).await?;
        // The listener above lives as long as the frame.
        let _ = first_load.await;
        let source = frame.element.content_window();
        let source = source.ok_or_else(|| ConnectError::failed("the frame was removed while it loaded"))?;
        let listeners = frame.listen(&page, &source, &receiver, loads);
        Ok(Box::new(WebLink::new(frame, receiver, listeners)))
    }
}

/// Ends the link at every load but the first.
fn on_load(element: &HtmlIFrameElement, loaded: oneshot::Sender<()>, receiver: Receiver) -> Listener {
    let mut loaded = Some(loaded);
    Listener::new(element, "load", move |_: Event| match loaded.take() {
        Some(loaded) => drop(loaded.send(())),
        None => receiver.end(LinkEnd::lost("the frame has loaded another page")),
    })
}

/// A frame, which is removed when this is dropped.
struct Frame {
    element: HtmlIFrameElement,
    profile: Profile,
    mount: Mount,
    /// The origin of its page; `null` if that is opaque.
    origin: String,
    is_removed: bool,
}

impl Frame {
    fn new(page: &Window, profile: &Profile, config: &IframeConfig, url: &str) -> Result<Frame, ConnectError> {
        let failed = |error: JsValue| ConnectError::Refused(error_text(&error));
        let base = page.location().href().map_err(failed)?;
        let target = Url::new_with_base(url, &base)
            .map_err(|_| ConnectError::Refused("its URL is not one that a frame can load".to_owned()))?;
        let element = match &config.mount {
            Mount::Existing(element) => element.clone(),
            _ => {
                let document = page.document().ok_or_else(|| ConnectError::failed("the window has no document"))?;
                let element: HtmlIFrameElement = document.create_element("iframe").map_err(failed)?.unchecked_into();
                element.set_id(&format!("plugin-{}", profile.name));
                if let Some(sandbox) = &config.sandbox {
                    element.set_attribute("sandbox", sandbox).map_err(failed)?;
                }
                if let Some(allow) = &config.allow {
                    element.set_attribute("allow", allow).map_err(failed)?;
                }
                element.set_src(url);
                element
            }
        };
        let sandbox = element.get_attribute("sandbox");
        let is_opaque =
            sandbox.is_some_and(|sandbox| !sandbox.split_whitespace().any(|token| token == "allow-same-origin"));
        let origin = if is_opaque { "null".to_owned() } else { target.origin() };
        Ok(Frame { element, profile: profile.clone(), mount: config.mount.clone(), origin, is_removed: false })
    }

    fn listen(&self, page: &Window, source: &Window, receiver: &Receiver, loads: Listener) -> Vec<Listener> {
        let (source, origin) = (source.clone(), self.origin.clone());
        let is_from_plugin = move |event: &MessageEvent| {
            event.source().is_some_and(|from| from == *source.unchecked_ref::<Object>()) && event.origin() == origin
        };
        let (messages, errors, also) = (receiver.clone(), receiver.clone(), is_from_plugin.clone());
        vec![
            loads,
            Listener::new(page, "message", move |event: MessageEvent| {
                if is_from_plugin(&event) {
                    messages.posted(&event.data());
                }
            }),
            Listener::new(page, "messageerror", move |event: MessageEvent| {
                if also(&event) {
                    errors.bad(UNREADABLE);
                }
            }),
        ]
    }

    fn remove(&mut self) {
        if !std::mem::replace(&mut self.is_removed, true) {
            self.mount.remove(&self.profile, &self.element);
        }
    }
}

impl Channel for Frame {
    fn send(&self, message: &codec::Frame) -> Result<(), JsValue> {
        let Some(window) = self.element.content_window() else {
            return Err(Error::new("the frame was removed from the page").into());
        };
        // An opaque origin cannot be named; the frame's own window is the receiver in any case.
        let origin = if self.origin == "null" { "*" } else { &self.origin };
        window.post_message(&message.object()?, origin)
    }

    fn close(&mut self, _: &str) {
        self.remove();
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        self.remove();
    }
}
