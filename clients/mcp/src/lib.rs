//! `m2-mcp`: a server of the Model Context Protocol on standard input and output, through which an agent sends to
//! and hears from the contacts that its access token names.

mod answer;
mod inbox;
mod parameters;
mod server;

use clap::Parser;
use m2_proto::client::Client;
use m2_proto::socket;
use m2_proto::token::Token;
use rmcp::ServiceExt;
use rmcp::transport::stdio;
use server::Server;
use std::path::PathBuf;
use std::process::ExitCode;

/// Lets an agent send to and hear from contacts of the M2 messenger: a Model Context Protocol server on standard
/// input and output
#[derive(Debug, Parser)]
#[command(
    name = "m2-mcp",
    version,
    after_help = "The token limits what the agent may do, and to which contacts:\n  \
                  m2 token create agent --scope events,send --contact ann > ~/.config/m2-mcp-token"
)]
pub struct Args {
    /// The file with the access token [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN]
    #[arg(long, value_name = "PATH")]
    pub token_file: Option<PathBuf>,
    /// The daemon's socket [default: as for m2]
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// The name under which the daemon keeps what the agent has heard
    #[arg(long, value_name = "NAME", default_value = "mcp")]
    pub client: String,
}

/// Serves until standard input ends. Returns the exit code: 0 at the end, 2 without a token, 3 without a daemon.
#[must_use]
pub fn run(args: &Args) -> ExitCode {
    let token = match token(args) {
        Ok(token) => token,
        Err(text) => return failed(&text, 2),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return failed(&format!("can't start: {error}"), 1),
    };
    let code = runtime.block_on(serve(args, token));
    // A thread that still reads standard input must not delay the exit.
    runtime.shutdown_background();
    code
}

async fn serve(args: &Args, token: Token) -> ExitCode {
    let socket = args.socket.clone().or_else(socket::from_env);
    let connected = match &socket {
        Some(socket) => Client::connect(socket).await,
        None => {
            let found = Client::connect_any(&socket::places()).await;
            found.map(|(client, _)| client)
        }
    };
    let client = match connected {
        Ok(client) => client.with_token(token),
        Err(error) => return failed(&error.to_string(), 3),
    };
    let server = Server::new(client, args.client.clone());
    match server.serve(stdio()).await {
        Ok(running) => {
            let _ = running.waiting().await;
            ExitCode::SUCCESS
        }
        Err(error) => failed(&error.to_string(), 1),
    }
}

/// Returns the token. Without one, the agent would have all rights of the user.
fn token(args: &Args) -> Result<Token, String> {
    let token = match &args.token_file {
        Some(path) => Token::read(path),
        None => Token::from_env(),
    };
    let token = token.map_err(|error| error.to_string())?;
    if token.is_some() {
        return Ok(token);
    }
    Err(
        "an access token is needed: make one with `m2 token create agent --scope events,send \
         --contact NAME`, and name its file with --token-file"
            .to_owned(),
    )
}

fn failed(text: &str, code: u8) -> ExitCode {
    eprintln!("m2-mcp: {text}.");
    ExitCode::from(code)
}
