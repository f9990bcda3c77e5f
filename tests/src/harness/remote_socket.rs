//! A UDP socket on a host of a lab, used from here.
//!
//! A process on that host has the socket and passes on what comes and goes, a line each:
//! `ADDRESS HEX`.

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

/// How long the process may take to start; generous, for loaded machines.
const START: Duration = Duration::from_secs(60);

/// Bytes of the longest datagram.
const LONGEST: usize = 2_048;

/// A UDP socket on another host. It is closed when this is dropped.
#[derive(Debug)]
pub struct RemoteSocket {
    address: SocketAddr,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

impl RemoteSocket {
    /// Binds a socket on a host; one of a multicast group hears what is sent to it.
    ///
    /// Errors: the program `natlab` was not built, or the address can't be bound.
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
            bail!("{host} can't bind {address}");
        }
        Ok(Self {
            address,
            input,
            output,
            _child: child,
        })
    }

    /// The address that was bound.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends a datagram.
    ///
    /// Errors: the process is gone.
    pub async fn send(&mut self, to: SocketAddr, bytes: &[u8]) -> anyhow::Result<()> {
        let line = format!("{to} {}\n", HEXLOWER.encode(bytes));
        Ok(self.input.write_all(line.as_bytes()).await?)
    }

    /// The next datagram and where it came from; none when there is none for so long.
    ///
    /// Errors: the process is gone.
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

/// What the process on the other host does, until its standard input ends.
///
/// Errors: the address can't be bound, or a line makes no sense.
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
        // A host that has no way there is what is tested.
        let _ = socket.send_to(&bytes, to);
    }
    Ok(())
}

fn pass_on(socket: &UdpSocket) {
    let mut buffer = [0; LONGEST];
    let mut out = std::io::stdout();
    loop {
        // An ICMP message makes this fail once; the next datagram may come nevertheless.
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
