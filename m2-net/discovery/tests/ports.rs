//! Port mappings against fake gateways, each on a loopback address.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use m2_crypto::address::NamedAddress;
use m2_discovery::ports::{NoMapping, PortStatus, Ports, PortsConfig, Protocol};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::num::NonZeroU16;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::watch;
use tokio::time::timeout;

const WITHIN: Duration = Duration::from_secs(60);
/// The external address of all gateways in this file.
const OUTSIDE: Ipv4Addr = Ipv4Addr::new(11, 0, 113, 7);

/// There is no UPnP device at this address.
fn config(gateway: Ipv4Addr) -> PortsConfig {
    PortsConfig {
        gateway: Some(gateway),
        ssdp: SocketAddrV4::new(gateway, 1900),
        ..PortsConfig::new(NonZeroU16::new(4242).unwrap())
    }
}

async fn settled(ports: &Ports) -> PortStatus {
    let mut status = ports.status();
    let settled = status.wait_for(|status| *status != PortStatus::Asking);
    *timeout(WITHIN, settled).await.unwrap().unwrap()
}

fn mapped(port: u16, by: Protocol) -> PortStatus {
    PortStatus::Mapped {
        external: NamedAddress::new(SocketAddr::new(OUTSIDE.into(), port)),
        by,
    }
}

fn addresses() -> (watch::Sender<Vec<IpAddr>>, watch::Receiver<Vec<IpAddr>>) {
    watch::channel(Vec::new())
}

/// Answers datagrams by a function, and reports the requested lifetimes.
async fn gateway(
    ip: Ipv4Addr,
    answer: impl Fn(&[u8]) -> Option<Vec<u8>> + Send + 'static,
) -> watch::Receiver<Vec<u32>> {
    let socket = UdpSocket::bind((ip, 5351)).await.unwrap();
    let (lifetimes, asked) = watch::channel(Vec::new());
    tokio::spawn(async move {
        let mut request = [0; 1100];
        while let Ok((length, from)) = socket.recv_from(&mut request).await {
            let request = &request[..length];
            let Some(answer) = answer(request) else {
                continue;
            };
            socket.send_to(&answer, from).await.unwrap();
            let at = if request[0] == 2 { 4 } else { 8 };
            if let Some(lifetime) = request.get(at..at + 4) {
                let lifetime = u32::from_be_bytes(lifetime.try_into().unwrap());
                lifetimes.send_modify(|all| all.push(lifetime));
            }
        }
    });
    asked
}

/// Answers a PCP MAP request with result 0 and the external address and port.
fn pcp(request: &[u8]) -> Option<Vec<u8>> {
    let mut answer = request.to_vec();
    answer[1] |= 0x80;
    answer[2..4].fill(0);
    answer[8..12].copy_from_slice(&77_u32.to_be_bytes());
    answer[12..24].fill(0);
    answer[42..44].copy_from_slice(&5555_u16.to_be_bytes());
    answer[44..60].copy_from_slice(&OUTSIDE.to_ipv6_mapped().octets());
    Some(answer)
}

/// Answers NAT-PMP requests: version 0, and no other.
fn nat_pmp(request: &[u8]) -> Option<Vec<u8>> {
    let epoch = 77_u32.to_be_bytes();
    Some(match request {
        [0, 0] => [&[0, 128, 0, 0][..], &epoch, &OUTSIDE.octets()].concat(),
        [0, 1, ..] => {
            let (internal, lifetime) = (&request[4..6], &request[8..12]);
            let external = if lifetime == [0; 4] { 0_u16 } else { 6666 };
            let external = external.to_be_bytes();
            [&[0, 129, 0, 0][..], &epoch, internal, &external, lifetime].concat()
        }
        [_, operation, ..] => [&[0, operation | 128, 0, 1][..], &epoch].concat(),
        _ => return None,
    })
}

#[tokio::test]
async fn pcp_maps_and_unmaps() {
    let ip = Ipv4Addr::new(127, 53, 51, 1);
    let mut asked = gateway(ip, pcp).await;
    let (_sender, addresses) = addresses();
    let ports = Ports::start(config(ip), addresses);
    assert_eq!(settled(&ports).await, mapped(5555, Protocol::Pcp));
    ports.stop().await;
    let given_up = asked.wait_for(|asked| *asked == [7200, 0]);
    timeout(WITHIN, given_up).await.unwrap().unwrap();
}

#[tokio::test]
async fn nat_pmp_maps_and_unmaps_when_dropped() {
    let ip = Ipv4Addr::new(127, 53, 51, 2);
    let mut asked = gateway(ip, nat_pmp).await;
    let (_sender, addresses) = addresses();
    let ports = Ports::start(config(ip), addresses);
    assert_eq!(settled(&ports).await, mapped(6666, Protocol::NatPmp));
    drop(ports);
    let given_up = asked.wait_for(|asked| asked.last() == Some(&0));
    timeout(WITHIN, given_up).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_change_of_addresses_repeats_the_request() {
    let ip = Ipv4Addr::new(127, 53, 51, 3);
    let mut asked = gateway(ip, pcp).await;
    let (sender, addresses) = addresses();
    let ports = Ports::start(config(ip), addresses);
    settled(&ports).await;
    sender.send(vec![ip.into()]).unwrap();
    let again = asked.wait_for(|asked| asked.len() > 1);
    timeout(WITHIN, again).await.unwrap().unwrap();
    assert_eq!(settled(&ports).await, mapped(5555, Protocol::Pcp));
}

#[tokio::test]
async fn the_reason_for_a_missing_mapping_is_reported() {
    let (_sender, addresses) = addresses();
    let silent = Ipv4Addr::new(127, 53, 51, 4);
    let ports = Ports::start(config(silent), addresses.clone());
    let no_answer = PortStatus::Unmapped(NoMapping::NoAnswer);
    assert_eq!(settled(&ports).await, no_answer);

    // Result 2 is NOT_AUTHORIZED.
    let unwilling = Ipv4Addr::new(127, 53, 51, 5);
    gateway(unwilling, |request| {
        let mut answer = pcp(request)?;
        answer[3] = 2;
        Some(answer)
    })
    .await;
    let ports = Ports::start(config(unwilling), addresses.clone());
    let refused = PortStatus::Unmapped(NoMapping::Refused);
    assert_eq!(settled(&ports).await, refused);
    assert_eq!(refused.word(), "refused");

    let garbage = Ipv4Addr::new(127, 53, 51, 6);
    gateway(garbage, |_| Some(vec![0xff; 13])).await;
    let ports = Ports::start(config(garbage), addresses);
    assert_eq!(settled(&ports).await, refused);
}

/// A UPnP device with a description, its actions, and three of them implemented.
async fn upnp_device(ip: Ipv4Addr) -> (SocketAddrV4, Arc<Mutex<Vec<String>>>) {
    let web = TcpListener::bind((ip, 0)).await.unwrap();
    let web_port = web.local_addr().unwrap().port();
    let ssdp = UdpSocket::bind((ip, 0)).await.unwrap();
    let SocketAddr::V4(at) = ssdp.local_addr().unwrap() else {
        panic!("an IPv4 socket");
    };
    tokio::spawn(async move {
        let mut request = [0; 1500];
        while let Ok((_, from)) = ssdp.recv_from(&mut request).await {
            let answer =
                format!("HTTP/1.1 200 OK\r\nLOCATION: http://{ip}:{web_port}/device.xml\r\n\r\n");
            ssdp.send_to(answer.as_bytes(), from).await.unwrap();
        }
    });
    let calls = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&calls);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = web.accept().await {
            let heard = Arc::clone(&heard);
            tokio::spawn(async move {
                let request = read_request(&mut stream).await;
                let (call, body) = upnp_answer(&request);
                if !call.is_empty() {
                    heard.lock().unwrap().push(call.to_owned());
                }
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    body.len()
                );
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    (at, calls)
}

async fn read_request(stream: &mut tokio::net::TcpStream) -> String {
    let mut request = String::new();
    let mut part = [0; 4096];
    loop {
        let length = stream.read(&mut part).await.unwrap();
        request.push_str(&String::from_utf8_lossy(&part[..length]));
        let Some((head, body)) = request.split_once("\r\n\r\n") else {
            continue;
        };
        let wanted = head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .map_or(0, |(_, length)| length.trim().parse().unwrap());
        if body.len() >= wanted {
            return request;
        }
    }
}

fn upnp_answer(request: &str) -> (&'static str, String) {
    const KIND: &str = "urn:schemas-upnp-org:service:WANIPConnection:1";
    let soap = |action: &str, content: &str| {
        format!(
            "<?xml version=\"1.0\"?><s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\">\
             <s:Body><u:{action}Response xmlns:u=\"{KIND}\">{content}</u:{action}Response></s:Body>\
             </s:Envelope>"
        )
    };
    if request.starts_with("GET /device.xml") {
        let device = |kind: &str, inner: &str| {
            format!(
                "<device><deviceType>urn:schemas-upnp-org:device:{kind}:1</deviceType>{inner}</device>"
            )
        };
        let service = format!(
            "<serviceList><service><serviceType>{KIND}</serviceType>\
             <SCPDURL>/actions.xml</SCPDURL><controlURL>/control</controlURL>\
             </service></serviceList>"
        );
        let connection = device("WANConnectionDevice", &service);
        let wan = format!("<deviceList>{connection}</deviceList>");
        let wan = device("WANDevice", &wan);
        let root = device(
            "InternetGatewayDevice",
            &format!("<deviceList>{wan}</deviceList>"),
        );
        let body = format!(
            "<?xml version=\"1.0\"?><root xmlns=\"urn:schemas-upnp-org:device-1-0\">{root}</root>"
        );
        return ("", body);
    }
    if request.starts_with("GET /actions.xml") {
        let action = |name: &str, arguments: &[&str]| {
            let arguments: String = arguments
                .iter()
                .map(|name| {
                    format!("<argument><name>{name}</name><direction>in</direction></argument>")
                })
                .collect();
            format!("<action><name>{name}</name><argumentList>{arguments}</argumentList></action>")
        };
        let key = ["NewRemoteHost", "NewExternalPort", "NewProtocol"];
        let all = [
            &key[..],
            &[
                "NewInternalPort",
                "NewInternalClient",
                "NewEnabled",
                "NewPortMappingDescription",
                "NewLeaseDuration",
            ],
        ];
        let body = format!(
            "<?xml version=\"1.0\"?><scpd xmlns=\"urn:schemas-upnp-org:service-1-0\"><actionList>{}{}</actionList></scpd>",
            action("AddPortMapping", &all.concat()),
            action("DeletePortMapping", &key),
        );
        return ("", body);
    }
    if request.contains("GetExternalIPAddress") {
        let ip = format!("<NewExternalIPAddress>{OUTSIDE}</NewExternalIPAddress>");
        return ("external", soap("GetExternalIPAddress", &ip));
    }
    if request.contains("DeletePortMapping") {
        return ("delete", soap("DeletePortMapping", ""));
    }
    assert!(request.contains("<NewInternalPort>4242<"), "{request}");
    ("add", soap("AddPortMapping", ""))
}

#[tokio::test]
async fn upnp_maps_and_unmaps() {
    let ip = Ipv4Addr::new(127, 53, 51, 7);
    let (ssdp, calls) = upnp_device(ip).await;
    let (_sender, addresses) = addresses();
    let config = PortsConfig { ssdp, ..config(ip) };
    let ports = Ports::start(config, addresses);
    assert_eq!(settled(&ports).await, mapped(4242, Protocol::Upnp));
    ports.stop().await;
    assert_eq!(*calls.lock().unwrap(), ["external", "add", "delete"]);
}
