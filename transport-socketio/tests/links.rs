//! Links between our own two ends.

use std::future::poll_fn;

use connector_core::{Action, ClientConnector, Message, Payload, PluginConnector};
use transport_socketio::{SocketIoConnector, SocketIoServer, SocketIoServerConfig};

#[tokio::test]
async fn a_message_each_way() {
    let mut server = SocketIoServer::bind("127.0.0.1:0", SocketIoServerConfig::default()).await.unwrap();
    let url = server.url();
    let mut connector = SocketIoConnector::default();
    let (plugin, engine) = tokio::join!(server.accept(), connector.connect(&url));
    let (mut plugin, mut engine) = (plugin.unwrap(), engine.unwrap());
    for (from, to) in [(&mut plugin, &mut engine), (&mut engine, &mut plugin)] {
        let mut message = Message::new(Action::Emit);
        message.payload = Some(Payload::new(("x",)));
        poll_fn(|cx| from.poll_ready(cx)).await.unwrap();
        from.send(message).unwrap();
        poll_fn(|cx| from.poll_flush(cx)).await.unwrap();
        let got = poll_fn(|cx| to.poll_message(cx)).await.unwrap().unwrap();
        assert_eq!(got.payload.unwrap().read::<(String,)>().unwrap().0, "x");
    }
}
