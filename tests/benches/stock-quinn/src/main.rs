//! Bulk transfer over one connection of stock quinn with TLS 1.3, with both ends in this process:
//! the baseline for M2's figure. The settings are the same as M2's: flow control windows, socket
//! buffers, AES-128-GCM from the same library. Prints one JSON line.
//!
//! `stock-quinn MEGABYTES`

use anyhow::{Context as _, ensure};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, Connection, Endpoint, EndpointConfig, ServerConfig, TransportConfig};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use socket2::{Domain, Protocol, Socket, Type};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes per write and per read.
const CHUNK: usize = 1 << 20;

/// The socket buffer size in bytes of m2-net's socket.
const BUFFER_BYTES: usize = 2 << 20;

/// The transport settings of m2-net once a peer has allowed bulk streams.
const STREAMS: u32 = 8;
const STREAM_WINDOW: u32 = 8 << 20;
const WINDOW: u32 = 16 << 20;
const KEEP_ALIVE: Duration = Duration::from_secs(15);

const SERVER_NAME: &str = "localhost";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let megabytes = std::env::args().nth(1).context("how many megabytes?")?;
    let total = megabytes.parse::<usize>()? * 1_000_000;
    let (server, client) = configs()?;
    let called = endpoint(Some(server))?;
    let caller = endpoint(None)?;
    let dialled = caller.connect_with(client, called.local_addr()?, SERVER_NAME)?;
    let accepted = async { anyhow::Ok(called.accept().await.context("no connection")?.await?) };
    let (dialled, accepted) = tokio::try_join!(async { Ok(dialled.await?) }, accepted)?;
    let receiving = tokio::spawn(receive(accepted));
    let start = Instant::now();
    send(&dialled, total).await?;
    let count = receiving.await??;
    ensure!(count == total, "{count} of {total} bytes arrived");
    let rate = total as f64 / 1e6 / start.elapsed().as_secs_f64();
    println!(r#"{{"figure":"stock_quinn_bulk","value":{rate:.3},"unit":"MB/s"}}"#);
    Ok(())
}

async fn send(connection: &Connection, total: usize) -> anyhow::Result<()> {
    let mut stream = connection.open_uni().await?;
    let chunk: Vec<u8> = (0..CHUNK).map(|place| (place * 31 % 251) as u8).collect();
    let mut left = total;
    while left > 0 {
        let part = chunk.get(..left.min(CHUNK)).context("no chunk")?;
        stream.write_all(part).await?;
        left -= part.len();
    }
    Ok(stream.finish()?)
}

async fn receive(connection: Connection) -> anyhow::Result<usize> {
    let mut stream = connection.accept_uni().await?;
    let mut count = 0;
    while let Some(chunk) = stream.read_chunk(CHUNK, true).await? {
        count += chunk.bytes.len();
    }
    Ok(count)
}

fn endpoint(server: Option<ServerConfig>) -> anyhow::Result<Endpoint> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    // Best effort: the system may impose a lower limit.
    let _ = socket.set_recv_buffer_size(BUFFER_BYTES);
    let _ = socket.set_send_buffer_size(BUFFER_BYTES);
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())?;
    socket.set_nonblocking(true)?;
    let runtime = Arc::new(quinn::TokioRuntime);
    let socket: UdpSocket = socket.into();
    Ok(Endpoint::new(
        EndpointConfig::default(),
        server,
        socket,
        runtime,
    )?)
}

fn transport() -> Arc<TransportConfig> {
    let mut config = TransportConfig::default();
    config
        .max_concurrent_uni_streams(STREAMS.into())
        .stream_receive_window(STREAM_WINDOW.into())
        .receive_window(WINDOW.into())
        .send_window(WINDOW.into())
        .keep_alive_interval(Some(KEEP_ALIVE))
        .datagram_receive_buffer_size(None)
        .allow_spin(false);
    Arc::new(config)
}

/// Returns server and client configurations with a certificate that the client trusts.
fn configs() -> anyhow::Result<(ServerConfig, ClientConfig)> {
    let certified = rcgen::generate_simple_self_signed([SERVER_NAME.to_owned()])?;
    let certificate = CertificateDer::from(certified.cert);
    let key = PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate.clone())?;
    let tls13 = &[&rustls::version::TLS13];
    let server = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(tls13)?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key.into())?;
    let client = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(tls13)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut server = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(server)?));
    let mut client = ClientConfig::new(Arc::new(QuicClientConfig::try_from(client)?));
    server.transport_config(transport());
    client.transport_config(transport());
    Ok((server, client))
}

/// A provider restricted to AES-128-GCM, the only AEAD that M2 uses.
fn provider() -> Arc<CryptoProvider> {
    let mut provider = aws_lc_rs::default_provider();
    let suite = aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;
    provider.cipher_suites = vec![suite];
    Arc::new(provider)
}
