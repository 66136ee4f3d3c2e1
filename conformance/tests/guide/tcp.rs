use std::io::{self, ErrorKind};

use connector_core::{
    ClientConfig, ClientConnector, ConnectError, DecodeError, ExternalProfile, FramedLink, Link, LinkEnd, Message,
    PayloadError, Plugin, PluginConnector, Profile, Registration, SendError, async_trait,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::bytes::{Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder, Framed, LengthDelimitedCodec};

/// The largest message, in bytes.
const LARGEST: usize = 16 << 20;

struct Frames(LengthDelimitedCodec);

impl Decoder for Frames {
    type Item = Result<Message, DecodeError>;
    type Error = LinkEnd;

    fn decode(&mut self, bytes: &mut BytesMut) -> Result<Option<Self::Item>, LinkEnd> {
        Ok(self.0.decode(bytes)?.map(|frame| Message::decode(frame.freeze())))
    }
}

impl Encoder<Message> for Frames {
    type Error = SendError;

    fn encode(&mut self, message: Message, bytes: &mut BytesMut) -> Result<(), SendError> {
        let json = message.encode()?;
        if json.len() > LARGEST {
            let setting = "LARGEST at both ends";
            return Err(PayloadError::TooLarge { bytes: json.len(), limit: LARGEST, setting }.into());
        }
        Ok(self.0.encode(Bytes::from(json), bytes)?)
    }
}

fn link(stream: TcpStream) -> Box<dyn Link> {
    let _ = stream.set_nodelay(true); // slower without, but no reason to fail
    let frames = LengthDelimitedCodec::builder().max_frame_length(LARGEST).new_codec();
    Box::new(FramedLink::new(Framed::new(stream, Frames(frames))).message_limit(LARGEST))
}

/// The plugin's end.
pub struct TcpServer(pub TcpListener);

#[async_trait]
impl ClientConnector for TcpServer {
    async fn accept(&mut self) -> Result<Box<dyn Link>, LinkEnd> {
        Ok(link(self.0.accept().await?.0))
    }
}

/// The engine's end.
pub struct TcpConnector;

#[async_trait]
impl PluginConnector for TcpConnector {
    async fn connect(&mut self, url: &str) -> Result<Box<dyn Link>, ConnectError> {
        let limit = std::time::Duration::from_secs(5);
        let address = url.strip_prefix("tcp://").ok_or_else(|| ConnectError::Refused("not a tcp:// URL".to_owned()))?;
        match tokio::time::timeout(limit, TcpStream::connect(address)).await {
            Ok(Err(e)) if e.kind() == ErrorKind::ConnectionRefused => Err(ConnectError::Refused(e.to_string())),
            Ok(stream) => Ok(link(stream?)),
            Err(_) => Err(ConnectError::TimedOut(limit)),
        }
    }
}

/// Serves a plugin until the listener fails. `plugin` is asked for one for each engine.
pub async fn serve(address: &str, plugin: impl Fn() -> Plugin + Send + 'static) -> io::Result<LinkEnd> {
    let server = TcpServer(TcpListener::bind(address).await?);
    Ok(connector_core::serve(server, plugin, ClientConfig::default()).await)
}

/// The plugin at `url`, to be registered with an engine.
pub fn plugin(profile: impl Into<Profile>, url: &str) -> Registration {
    Registration::behind(ExternalProfile::new(profile, url), TcpConnector)
}
