//! Serves the pages on the loopback interface.

use std::net::SocketAddr;

use axum::Router;
use axum::http::{HeaderValue, header};
use axum::middleware::map_response;
use axum::response::{Redirect, Response};
use axum::routing::get;
use examples::Done;
use tokio::net::TcpListener;
use tower_http::services::ServeDir;

use crate::{programs, workspace};

pub(crate) struct Pages {
    listener: TcpListener,
    address: SocketAddr,
}

impl Pages {
    pub(crate) async fn bind(port: u16) -> Result<Pages, String> {
        let listening = async {
            let listener = TcpListener::bind(("127.0.0.1", port)).await?;
            let address = listener.local_addr()?;
            Ok::<_, std::io::Error>(Pages { listener, address })
        };
        listening.await.map_err(|error| format!("cannot listen on port {port}: {error}; choose another with --port"))
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// The origins that the pages have, depending on what the user typed.
    pub(crate) fn origins(&self) -> [String; 2] {
        ["127.0.0.1", "localhost"].map(|host| format!("http://{host}:{}", self.address.port()))
    }

    /// Serves the pages. They find the URL of the native plugin at `/native`.
    pub(crate) async fn serve(self, native_url: String) -> Done {
        let folder = |name| ServeDir::new(workspace().join("examples/web").join(name));
        let router = Router::new()
            .route("/", get(|| async { Redirect::temporary("/tour/") }))
            .route("/native", get(|| async { native_url }))
            .nest_service("/tour", folder("tour"))
            .nest_service("/pages", folder("pages"))
            .nest_service("/rust", ServeDir::new(programs()))
            .layer(map_response(revalidated));
        axum::serve(self.listener, router).await?;
        Ok(())
    }
}

/// A browser asks again for what it has, because the next build changes it.
async fn revalidated(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}
