//! The rules of routers, in the language of nftables.

use super::net::RELAY;

/// The external ports that a router assigns after it has dropped its mappings.
const OTHER_PORTS: &str = "30000-39999";

/// The NAT mapping behaviour of a router, in the terms of RFC 4787.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Translation {
    /// Endpoint-independent mapping that preserves the socket's port where possible.
    Alike,
    /// Address- and port-dependent mapping with random ports.
    Differently,
}

/// Returns the rules of a router between `lan` and `wan`.
///
/// Unsolicited datagrams are dropped in the input chain, before they are delivered to the router
/// itself. Otherwise the kernel would track them as its own connections, and a port that both sides
/// want at the same time would be taken.
pub(super) fn router(translation: Translation, relay_only: bool) -> String {
    let masquerade = match translation {
        Translation::Alike => "masquerade",
        Translation::Differently => "masquerade random,fully-random",
    };
    let block = if relay_only {
        format!("oifname wan ip daddr != {RELAY} meta l4proto udp drop;")
    } else {
        String::new()
    };
    format!(
        "table inet lab {{
           chain input {{ type filter hook input priority 0;
             iifname wan ct state new meta l4proto udp drop; }}
           chain loss {{ type filter hook forward priority -300; }}
           chain forward {{ type filter hook forward priority 0;
             {block} ct state established,related accept; ct status dnat accept;
             iifname wan drop; }}
           chain post {{ type nat hook postrouting priority 100; 
             meta nfproto ipv4 oifname wan {masquerade}; }}
         }}\n"
    )
}

/// Returns a rule that drops `percent` of 100 datagrams.
pub(super) fn loss(percent: u32) -> String {
    format!("add rule inet lab loss meta l4proto udp numgen random mod 100 < {percent} drop\n")
}

/// Returns rules that assign other external ports to all new mappings.
pub(super) fn other_ports() -> String {
    format!(
        "flush chain inet lab post
         add rule inet lab post oifname wan meta l4proto udp masquerade to :{OTHER_PORTS}\n"
    )
}

/// Returns the chains to which miniupnpd adds its rules.
pub(super) fn mapping() -> &'static str {
    "table inet lab {
       chain upnp_forward {}
       chain upnp_pre {}
       chain upnp_post {}
       chain mapped { type filter hook forward priority -1; jump upnp_forward; }
       chain pre { type nat hook prerouting priority -100; jump upnp_pre; }
       chain post_mapped { type nat hook postrouting priority 99; jump upnp_post; }
     }\n"
}
