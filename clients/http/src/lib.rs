//! `m2-http`: a gateway to the daemon for programs without gRPC: messages, events by long poll and as a stream, metrics
//! and webhooks, under access tokens.

pub mod args;
mod config;
mod contacts;
mod daemon;
mod events;
mod guard;
mod health;
mod listen;
mod messages;
mod metrics;
mod openapi;
mod operations;
mod pointer;
mod problem;
mod routes;
mod serve;
mod signals;
mod webhook;

use args::Args;
use daemon::Daemon;
use guard::Guard;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use tracing_subscriber::EnvFilter;
use webhook::Webhook;

/// Serves until SIGTERM or SIGINT. Returns the exit code: 0 after a signal, 1 if the gateway can't listen, 2 if its
/// arguments or its configuration are not valid.
#[must_use]
pub fn run(args: &Args) -> ExitCode {
    let filter = EnvFilter::try_from_env("M2_HTTP_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .init();
    let webhooks = match config::read(args.config.as_deref()) {
        Ok(webhooks) => webhooks,
        Err(error) => {
            tracing::error!("{error}");
            return ExitCode::from(2);
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let served = runtime.map(|runtime| runtime.block_on(start(args, webhooks)));
    match served.and_then(|served| served) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn start(args: &Args, webhooks: Vec<Webhook>) -> io::Result<()> {
    let daemon = Arc::new(Daemon::new(args.socket.clone()));
    let guard = Arc::new(Guard::new(&args.listen, &args.hosts, &args.origins));
    let listener = listen::bind(&args.listen).await?;
    let (board, running) = webhook::spawn(webhooks, &daemon)?;
    tracing::info!("serving on {}", args.listen);
    let router = routes::router(daemon, Arc::new(board), guard);
    tokio::select! {
        served = serve::serve(listener, router) => served,
        error = running.ended() => Err(error),
    }
}
