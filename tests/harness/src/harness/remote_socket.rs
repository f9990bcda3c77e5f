//! A UDP socket on a host of a lab, used from the test's process.
//!
//! A process on that host owns the socket. It exchanges datagrams with the test's process over its
//! standard input and output, one per line: `ADDRESS HEX`.

use super::{Binaries, Lab};
use anyhow::{Context as _, bail};
use data_encoding::HEXLOWER;
use std::io::{BufRead as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// Timeout for the process to start; generous, for loaded machines.
const START: Duration = Duration::from_secs(60);

/// Maximum length of a datagram in bytes.
const LONGEST: usize = 2_048;

/// A UDP socket on another host. Dropping it closes the socket.
#[derive(Debug)]
pub struct RemoteSocket {
    address: SocketAddr,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

impl RemoteSocket {
    /// Binds a socket on a host. With `group`, the socket joins this multicast group.
    ///
    /// Errors: the program `natlab` was not built, or the address cannot be bound.
    pub async fn bind(
        lab: &Lab,
        host: &str,
        address: SocketAddr,
        group: Option<Ipv4Addr>,
    ) -> anyhow::Result<Self> {
        let program = Binaries::beside("natlab")?;
        let mut command = Command::from(lab.command(host, &program.to_string_lossy()));
        command.args(["socket", &address.to_string()]);
        command.args(group.map(|group| group.to_string()));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn()?;
        let input = child.stdin.take().context("no standard input")?;
        let output = child.stdout.take().context("no standard output")?;
        let mut output = BufReader::new(output).lines();
        let first = timeout(START, output.next_line()).await;
        let first = first.context("the socket's process does not start")??;
        if first.is_none() {
            bail!("{host} cannot bind {address}");
        }
        Ok(Self {
            address,
            input,
            output,
            _child: child,
        })
    }

    /// Returns the bound address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends a datagram.
    ///
    /// Errors: the process has exited.
    pub async fn send(&mut self, to: SocketAddr, bytes: &[u8]) -> anyhow::Result<()> {
        let line = format!("{to} {}\n", HEXLOWER.encode(bytes));
        Ok(self.input.write_all(line.as_bytes()).await?)
    }

    /// Receives the next datagram and its source address; `None` if none arrives within `within`.
    ///
    /// Errors: the process has exited.
    pub async fn receive(
        &mut self,
        within: Duration,
    ) -> anyhow::Result<Option<(SocketAddr, Vec<u8>)>> {
        let Ok(line) = timeout(within, self.output.next_line()).await else {
            return Ok(None);
        };
        let line = line?.context("the socket's process has ended")?;
        Ok(Some(parse(&line)?))
    }
}

/// Runs the process on the other host, until its standard input ends.
///
/// Errors: the address cannot be bound, or a line is malformed.
pub fn serve_socket(address: SocketAddr, group: Option<Ipv4Addr>) -> anyhow::Result<()> {
    let socket = UdpSocket::bind(address)?;
    if let (Some(group), IpAddr::V4(own)) = (group, address.ip()) {
        socket.join_multicast_v4(&group, &own)?;
    }
    println!("ready");
    let receiving = socket.try_clone()?;
    std::thread::spawn(move || pass_on(&receiving));
    for line in std::io::stdin().lock().lines() {
        let (to, bytes) = parse(&line?)?;
        // Sending may fail for lack of a route, which tests provoke.
        let _ = socket.send_to(&bytes, to);
    }
    Ok(())
}

fn pass_on(socket: &UdpSocket) {
    let mut buffer = [0; LONGEST];
    let mut out = std::io::stdout();
    loop {
        // An ICMP error makes one call fail; later datagrams may still arrive.
        let Ok((length, from)) = socket.recv_from(&mut buffer) else {
            continue;
        };
        let text = HEXLOWER.encode(buffer.get(..length).unwrap_or_default());
        if writeln!(out, "{from} {text}").is_err() {
            return;
        }
    }
}

fn parse(line: &str) -> anyhow::Result<(SocketAddr, Vec<u8>)> {
    let (address, text) = line.split_once(' ').context("no address in a line")?;
    Ok((address.parse()?, HEXLOWER.decode(text.as_bytes())?))
}
