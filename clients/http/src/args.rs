//! The command line.

use clap::Parser;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

/// The M2 messenger's HTTP gateway: lets programs without gRPC use the daemon, with access tokens.
#[derive(Debug, Parser)]
#[command(
    name = "m2-http",
    version,
    after_help = "Every request shows a token that `m2 token create` made:\n  \
                  curl -d 'Backup done' http://localhost:8720/v1/contacts/ann/messages \\\n    \
                  -H \"Authorization: Bearer $TOKEN\""
)]
pub struct Args {
    /// Where to listen: a loopback address with a port, or unix:PATH
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8720", value_parser = parse_listen)]
    pub listen: Listen,
    /// The daemon's socket [default: as for m2]
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// A file with webhooks, which post events to the web
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Another host name in the URLs of the gateway, besides localhost and its address; may be repeated
    #[arg(long = "allow-host", value_name = "HOST")]
    pub hosts: Vec<String>,
    /// A web origin whose pages may call the gateway, such as `https://home.example`; may be repeated
    #[arg(long = "allow-origin", value_name = "ORIGIN")]
    pub origins: Vec<String>,
}

/// A place to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// A TCP address on loopback.
    Tcp(SocketAddr),
    /// A Unix socket, with mode 0660.
    Unix(PathBuf),
}

impl fmt::Display for Listen {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(formatter, "http://{address}"),
            Self::Unix(path) => write!(formatter, "unix:{}", path.display()),
        }
    }
}

fn parse_listen(text: &str) -> Result<Listen, String> {
    if let Some(path) = text.strip_prefix("unix:") {
        return if path.is_empty() {
            Err("unix: needs the path of a socket".to_owned())
        } else {
            Ok(Listen::Unix(path.into()))
        };
    }
    let address: SocketAddr = text
        .parse()
        .map_err(|_| "write an address with a port, such as 127.0.0.1:8720, or unix:PATH")?;
    if address.ip().is_loopback() {
        Ok(Listen::Tcp(address))
    } else {
        // Tokens and messages would cross the network in the clear.
        Err("only loopback addresses are possible, as the gateway has no TLS: put a reverse proxy in front of it".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_and_unix_sockets_are_accepted() {
        let unix = parse_listen("unix:/run/m2-http.sock");
        assert_eq!(unix, Ok(Listen::Unix("/run/m2-http.sock".into())));
        assert!(parse_listen("127.0.0.1:0").is_ok());
        assert!(parse_listen("[::1]:8720").is_ok());
        for wrong in [
            "",
            "unix:",
            "8720",
            "localhost:8720",
            "0.0.0.0:8720",
            "192.168.1.4:80",
        ] {
            assert!(parse_listen(wrong).is_err(), "{wrong}");
        }
    }
}
