//! The tour in a page: an engine, a plugin in a frame and one in a worker, all compiled to WebAssembly, and a native plugin
//! in this process, which the page reaches over a websocket.
//!
//! `build.rs` makes the WebAssembly, `serve.rs` serves the pages, `archive.rs` is the native plugin. What runs in the page
//! is in `examples/web/tour`.

mod archive;
mod build;
mod serve;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use examples::{Done, interrupted, report};

/// Builds an engine and plugins for a browser, and serves a page in which they and a plugin of this process call each other.
///
/// Needs the target wasm32-unknown-unknown and wasm-bindgen; prints the commands that install them if they are missing.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// The port of the page; 0 chooses a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Serves the programs as they were last built.
    #[arg(long)]
    no_build: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    examples::run(async move {
        tokio::select! {
            ended = tour(args) => ended,
            () = interrupted() => Ok(()),
        }
    })
}

async fn tour(args: Args) -> Done {
    match args.no_build {
        true => build::check()?,
        false => build::build().await?,
    }
    let pages = serve::Pages::bind(args.port).await?;
    let (native_url, archive) = archive::serve(&pages.origins()).await?;
    report(format_args!("the tour is at {}; press Ctrl-C to stop it", pages.url()));
    tokio::select! {
        ended = pages.serve(native_url) => ended,
        end = archive => Err(end.into()),
    }
}

/// The workspace's folder.
fn workspace() -> PathBuf {
    let mut folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    folder.pop();
    folder
}

/// The programs that pages load.
fn programs() -> PathBuf {
    workspace().join("target/web/rust")
}
