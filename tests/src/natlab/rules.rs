//! What routers do with packets, in the language of nftables.

use super::net::RELAY;

/// Ports that a router gives after it has forgotten what it knew.
const OTHER_PORTS: &str = "30000-39999";

/// How a router translates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Translation {
    /// One port for each socket, its own where it can be had.
    Alike,
    /// Another port for each peer, by chance.
    Differently,
}

/// The rules of a router between `lan` and `wan`.
///
/// What comes in unasked is dropped before it is delivered to the router itself: else the kernel
/// would remember it as a connection of its own, and a port that both sides want at the same time
/// would be given away.
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

/// Of 100 datagrams so many are lost.
pub(super) fn loss(percent: u32) -> String {
    format!("add rule inet lab loss meta l4proto udp numgen random mod 100 < {percent} drop\n")
}

/// From now on another port for each socket.
pub(super) fn other_ports() -> String {
    format!(
        "flush chain inet lab post
         add rule inet lab post oifname wan meta l4proto udp masquerade to :{OTHER_PORTS}\n"
    )
}

/// Chains that miniupnpd writes into.
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
