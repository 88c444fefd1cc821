//! Asks the router of the local network to pass the host's ports on, by PCP (RFC 6887) or its forerunner NAT-PMP (RFC 6886). Runs beside
//! UPnP, which libp2p does: many routers have one of the two.
//!
//! What a router says is taken only where it is a public address; whether anybody reaches the host there, the next rounds of
//! [`super::Rounds`] tell. A mapping ends by itself at its router when it is not renewed.

use super::Outside;
use crate::network::advertised::{without_peer, Reach};
use crate::network::host::Host;
use crate::supervisor::Lifeline;
use crab_nat::{natpmp, InternetProtocol, PortMapping, PortMappingOptions, PortMappingType, TimeoutConfig};
use libp2p::multiaddr::Protocol;
use libp2p::Multiaddr;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::num::NonZeroU16;
use std::time::Duration;

/// How long a mapping is asked for, in seconds: as RFC 6886 recommends.
const LIFETIME: u32 = 7200;
/// Pause before the next try where no router answers.
const AGAIN: Duration = Duration::from_secs(600);
/// Pauses between renewals: a router may grant less or more than was asked for.
const RENEWALS: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(3600));
/// How long a router is waited for: 250 ms, and twice as long at each of two more tries.
const PATIENCE: TimeoutConfig = TimeoutConfig {
    initial_timeout: Duration::from_millis(250),
    max_retries: 2,
    max_retry_timeout: None,
};
/// Where Linux tells its routes.
const ROUTES: &str = "/proc/net/route";

/// A port that the host listens on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Port {
    is_udp: bool,
    number: NonZeroU16,
}

impl Port {
    /// The one of an address on a local network of IPv4.
    fn of(address: &Multiaddr) -> Option<Self> {
        if Reach::of(address) != Reach::Private {
            return None;
        }
        let mut parts = address.iter();
        let (is_udp, number) = match (parts.next()?, parts.next()?) {
            (Protocol::Ip4(_), Protocol::Tcp(number)) => (false, number),
            (Protocol::Ip4(_), Protocol::Udp(number)) => (true, number),
            _ => return None,
        };
        let number = NonZeroU16::new(number)?;
        Some(Self { is_udp, number })
    }
}

/// What a router granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Grant {
    ip: Ipv4Addr,
    port: u16,
    lifetime: Duration,
}

/// Keeps the ports mapped.
pub(crate) struct PortControl {
    pub host: Host,
}

impl PortControl {
    /// Goes on for ever.
    pub async fn run(self, lifeline: &Lifeline) {
        loop {
            let listening = self.host.listening();
            let router = tokio::task::spawn_blocking(router).await.ok().flatten();
            let pause = match router {
                Some(router) => {
                    let (mapped, pause) = map_all(router, &listening).await;
                    self.host.outside(|outside| outside.controlled(mapped));
                    pause
                }
                None => AGAIN,
            };
            if lifeline.unless_stopping(tokio::time::sleep(pause)).await.is_none() {
                break;
            }
        }
        std::future::pending::<()>().await;
    }
}

impl Outside {
    /// A router that is asked now and then maps these addresses to the host, and no others.
    fn controlled(&mut self, addresses: Vec<Multiaddr>) {
        for address in addresses.iter().filter(|address| !self.controlled.contains(address)) {
            tracing::info!(%address, "a router maps an address to this miner");
        }
        if !addresses.is_empty() {
            self.router = Some(super::Router::Maps);
        }
        self.controlled = addresses;
    }
}

/// A router, and the address that this machine has on its network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct RouterHere {
    gateway: Ipv4Addr,
    own: IpAddr,
}

/// The router that this machine sends to what is not near; `None` where there is none, or the system does not say.
fn router() -> Option<RouterHere> {
    let gateway = gateway_in(&std::fs::read_to_string(ROUTES).ok()?)?;
    // Nothing is sent: the system chooses the interface.
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((gateway, crab_nat::GATEWAY_PORT)).ok()?;
    let own = socket.local_addr().ok()?.ip();
    Some(RouterHere { gateway, own })
}

/// The gateway of the default route in a table of routes as Linux writes it.
fn gateway_in(routes: &str) -> Option<Ipv4Addr> {
    routes.lines().skip(1).find_map(|route| {
        let mut fields = route.split_whitespace().skip(1);
        let (destination, gateway) = (fields.next()?, fields.next()?);
        // In the order of this machine's bytes.
        let gateway = u32::from_str_radix(gateway, 16).ok()?.to_ne_bytes();
        let is_default = destination == "00000000" && gateway != [0; 4];
        is_default.then(|| Ipv4Addr::from(gateway))
    })
}

/// Has every port mapped; the addresses at which the host is mapped, and after which time to ask again.
async fn map_all(router: RouterHere, listening: &[Multiaddr]) -> (Vec<Multiaddr>, Duration) {
    let ports: BTreeSet<Port> = listening.iter().filter_map(Port::of).collect();
    let (mut mapped, mut pause) = (Vec::new(), AGAIN);
    for port in ports {
        let Some(grant) = map(router, port).await else {
            // One that does not answer for one port does not for the others: none of them is waited for.
            break;
        };
        let (least, most) = RENEWALS;
        let renewal = (grant.lifetime / 2).clamp(least, most);
        pause = if mapped.is_empty() { renewal } else { pause.min(renewal) };
        let of_port = listening.iter().filter(|address| Port::of(address) == Some(port));
        mapped.extend(of_port.filter_map(|address| outside_of(address, grant)));
    }
    mapped.sort();
    mapped.dedup();
    (mapped, pause)
}

async fn map(router: RouterHere, port: Port) -> Option<Grant> {
    let protocol = match port.is_udp {
        true => InternetProtocol::Udp,
        false => InternetProtocol::Tcp,
    };
    let options = PortMappingOptions {
        external_port: Some(port.number),
        lifetime_seconds: Some(LIFETIME),
        timeout_config: Some(PATIENCE),
    };
    let gateway = IpAddr::V4(router.gateway);
    let mapping = PortMapping::new(gateway.into(), router.own, protocol, port.number, options).await;
    let mapping = mapping
        .map_err(|error| tracing::debug!(%error, router = %router.gateway, port = port.number, "a router maps no port"))
        .ok()?;
    let ip = match mapping.mapping_type() {
        PortMappingType::Pcp { external_ip, .. } => match external_ip {
            IpAddr::V4(ip) => ip,
            IpAddr::V6(ip) => ip.to_ipv4_mapped()?,
        },
        PortMappingType::NatPmp => natpmp::external_address(gateway.into(), Some(PATIENCE)).await.ok()?,
    };
    Some(Grant {
        ip,
        port: mapping.external_port().get(),
        lifetime: Duration::from_secs(mapping.lifetime().into()),
    })
}

/// Where the host is found by what a router granted for this of its addresses; `None` where that is not a public place.
fn outside_of(address: &Multiaddr, grant: Grant) -> Option<Multiaddr> {
    let port = match address.iter().nth(1)? {
        Protocol::Tcp(_) => Protocol::Tcp(grant.port),
        _ => Protocol::Udp(grant.port),
    };
    let outside = without_peer(address).replace(0, |_| Some(Protocol::Ip4(grant.ip)))?;
    let outside = outside.replace(1, |_| Some(port))?;
    (Reach::of(&outside) == Reach::Public).then_some(outside)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTSIDE: Ipv4Addr = Ipv4Addr::new(9, 8, 7, 6);
    /// What the router adds to the port that it is asked for.
    const FURTHER: u16 = 1000;

    #[derive(Clone, Copy)]
    enum Speaks {
        Pcp,
        NatPmp,
    }

    /// A router of its own address: it grants every port, further on.
    async fn fake_router(ip: Ipv4Addr, speaks: Speaks, outside: Ipv4Addr) {
        let socket = tokio::net::UdpSocket::bind((ip, crab_nat::GATEWAY_PORT)).await;
        let socket = socket.expect("nobody else has this address");
        tokio::spawn(async move {
            let mut asked = [0; 64];
            while let Ok((len, from)) = socket.recv_from(&mut asked).await {
                let answer = answer(&asked[..len], speaks, outside);
                let sent = socket.send_to(&answer, from).await;
                sent.expect("it is sent");
            }
        });
    }

    fn answer(asked: &[u8], speaks: Speaks, outside: Ipv4Addr) -> Vec<u8> {
        let further = |port: &[u8]| (u16::from_be_bytes([port[0], port[1]]) + FURTHER).to_be_bytes();
        match (speaks, asked) {
            // RFC 6887, 7.2 and 11.1.
            (Speaks::Pcp, [2, 1, ..]) => {
                let mut answer = vec![2, 0x81, 0, 0, 0, 0, 0, 100, 0, 0, 0, 7];
                answer.extend([0; 12]);
                answer.extend(&asked[24..42]);
                answer.extend(further(&asked[40..42]));
                answer.extend(outside.to_ipv6_mapped().octets());
                answer
            }
            // RFC 6886, 3.5: what a router says that does not know the version.
            (Speaks::NatPmp, [2, ..]) => vec![0, 0x80, 0, 1, 0, 0, 0, 7],
            (_, [0, 0]) => [&[0, 0x80, 0, 0, 0, 0, 0, 7], &outside.octets()[..]].concat(),
            (_, [0, kind, ..]) => {
                let head = [0, 0x80 | kind, 0, 0, 0, 0, 0, 7, asked[4], asked[5]];
                [&head[..], &further(&asked[4..6]), &[0, 0, 0x1c, 0x20]].concat()
            }
            (_, other) => panic!("{other:?} was asked"),
        }
    }

    fn addresses(texts: &[&str]) -> Vec<Multiaddr> {
        texts.iter().map(|text| text.parse().expect("a multiaddr")).collect()
    }

    fn listening() -> Vec<Multiaddr> {
        addresses(&[
            "/ip4/127.0.0.1/tcp/4401",
            "/ip4/192.168.1.7/tcp/4401",
            "/ip4/192.168.1.7/udp/4402/quic-v1/webtransport",
            "/ip6/fd00::7/tcp/4401",
        ])
    }

    #[tokio::test]
    async fn a_router_is_asked_by_pcp_and_by_its_forerunner() {
        let asked = [
            (Speaks::Pcp, Ipv4Addr::new(127, 53, 51, 1), Duration::from_secs(60)),
            (Speaks::NatPmp, Ipv4Addr::new(127, 53, 51, 2), Duration::from_secs(3600)),
        ];
        for (speaks, gateway, pause) in asked {
            fake_router(gateway, speaks, OUTSIDE).await;
            let own = Ipv4Addr::LOCALHOST.into();
            let mapped = map_all(RouterHere { gateway, own }, &listening()).await;
            let expected = addresses(&["/ip4/9.8.7.6/tcp/5401", "/ip4/9.8.7.6/udp/5402/quic-v1/webtransport"]);
            assert_eq!(mapped, (expected, pause));
        }
    }

    #[tokio::test]
    async fn a_router_that_is_itself_behind_another_maps_to_nowhere() {
        let (gateway, own) = (Ipv4Addr::new(127, 53, 51, 3), Ipv4Addr::LOCALHOST.into());
        fake_router(gateway, Speaks::Pcp, Ipv4Addr::new(10, 0, 0, 1)).await;
        assert_eq!(map_all(RouterHere { gateway, own }, &listening()).await.0, []);
    }

    #[test]
    fn the_gateway_is_that_of_the_default_route() {
        let head = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\n";
        let near = "eth0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\n";
        let far = "eth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\n";
        if cfg!(target_endian = "little") {
            let routes = [head, near, far].concat();
            assert_eq!(gateway_in(&routes), Some(Ipv4Addr::new(192, 168, 1, 1)));
        }
        assert_eq!(gateway_in(&[head, near].concat()), None);
        assert_eq!(gateway_in("eth0\tnothing of the kind\n\n"), None);
    }
}
