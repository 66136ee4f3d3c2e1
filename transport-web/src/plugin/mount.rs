//! Where a plugin's frame appears.

use std::fmt;
use std::sync::Arc;

use connector_core::{ConnectError, Payload, PluginClient, Profile};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use wasm_bindgen::JsCast;
use web_sys::js_sys;
use web_sys::{Element, HtmlIFrameElement, Node, Window};

use crate::codec::error_text;

type Show = dyn Fn(&Profile, &HtmlIFrameElement) + Send + Sync;

/// Where the engine puts a plugin's frame.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Mount {
    /// At the end of the page's body. The default.
    #[default]
    Body,
    /// At the end of this element.
    Element(Element),
    /// A plugin of this page shows it, as in the published engine: its method `addView` is called with the profile and the
    /// frame, and `removeView` with the profile. That plugin is the profile's
    /// [`location`](Profile#structfield.location), and this client calls it.
    ///
    /// The method receives the frame as a [`View`], so it must be of a plugin in the engine's own program:
    /// `|profile: Profile, view: View| …`.
    Location(PluginClient),
    /// The host's own function. It must put the frame into the document: a frame outside of it does not load.
    Custom(Arc<Show>),
    /// The frame is in the document already.
    Existing(HtmlIFrameElement),
}

impl fmt::Debug for Mount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Mount::Body => "Body",
            Mount::Element(_) => "Element",
            Mount::Location(_) => "Location",
            Mount::Custom(_) => "Custom",
            Mount::Existing(_) => "Existing",
        })
    }
}

/// A frame as an argument of `addView`. It can only be passed to a plugin of the same program: an element cannot be sent
/// elsewhere.
#[derive(Debug, Clone)]
pub struct View(pub HtmlIFrameElement);

impl Serialize for View {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("a frame can only be passed to a plugin of the engine's own page"))
    }
}

impl<'de> Deserialize<'de> for View {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<View, D::Error> {
        Err(serde::de::Error::custom("a frame can only come from the engine of the same page"))
    }
}

/// The page that this program runs in.
pub(super) fn page() -> Result<Window, ConnectError> {
    let refused = || ConnectError::Refused("a worker has no page to show a frame in".to_owned());
    js_sys::global().dyn_into::<Window>().map_err(|_| refused())
}

impl Mount {
    /// Puts the frame into the document.
    pub(super) async fn add(&self, profile: &Profile, frame: &HtmlIFrameElement) -> Result<(), ConnectError> {
        let append = |to: &Node| match to.append_child(frame) {
            Ok(_) => Ok(()),
            Err(error) => Err(ConnectError::failed(error_text(&error))),
        };
        match self {
            Mount::Body => {
                let body = page()?.document().and_then(|document| document.body());
                let no_body = || ConnectError::failed("the page has no body yet");
                body.ok_or_else(no_body).and_then(|body| append(&body))
            }
            Mount::Element(element) => append(element),
            Mount::Custom(mount) => {
                mount(profile, frame);
                Ok(())
            }
            Mount::Location(client) => {
                let Some(location) = &profile.location else {
                    let text = "Mount::Location needs the name of a plugin in the profile's `location`";
                    return Err(ConnectError::Refused(text.to_owned()));
                };
                let shown: Result<Payload, _> =
                    client.call(location, "addView", (profile.clone(), View(frame.clone()))).await;
                shown
                    .map(drop)
                    .map_err(|error| ConnectError::Refused(format!("\"{location}\" does not show its frame: {error}")))
            }
            Mount::Existing(_) => Ok(()),
        }
    }

    /// Takes the frame out of the document again.
    pub(super) fn remove(&self, profile: &Profile, frame: &HtmlIFrameElement) {
        match self {
            Mount::Existing(_) => frame.set_src("about:blank"),
            Mount::Location(client) => {
                frame.remove();
                let Some(location) = profile.location.clone() else { return };
                let (client, profile) = (client.clone(), profile.clone());
                wasm_bindgen_futures::spawn_local(async move {
                    let removed: Result<Payload, _> = client.call(&location, "removeView", (profile.clone(),)).await;
                    if let Err(error) = removed {
                        tracing::warn!(plugin = profile.name, %error, "its frame's place could not be removed");
                    }
                });
            }
            Mount::Body | Mount::Element(_) | Mount::Custom(_) => frame.remove(),
        }
    }
}
