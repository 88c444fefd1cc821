//! Who sent a packet, and to whom.

use std::net::IpAddr;

/// Source and destination of an IPv4 or IPv6 packet; `None` for anything else, and for what is too short to be one.
pub fn ends(packet: &[u8]) -> Option<(IpAddr, IpAddr)> {
    let four = |at: usize| Some(IpAddr::from(*packet.get(at..)?.first_chunk::<4>()?));
    let six = |at: usize| Some(IpAddr::from(*packet.get(at..)?.first_chunk::<16>()?));
    match packet.first()? >> 4 {
        4 => Some((four(12)?, four(16)?)),
        6 => Some((six(8)?, six(24)?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_packets_say_where_they_come_from_and_go_to() {
        let mut packet = vec![0x45; 20];
        packet[12..20].copy_from_slice(&[10, 77, 0, 1, 10, 77, 0, 2]);
        let [from, to] = ["10.77.0.1", "10.77.0.2"].map(|text| text.parse().unwrap());
        assert_eq!(ends(&packet), Some((from, to)));
        let mut packet = vec![0x60; 40];
        let [from, to]: [std::net::Ipv6Addr; 2] = ["fd77::1", "fd77::2"].map(|text| text.parse().unwrap());
        packet[8..24].copy_from_slice(&from.octets());
        packet[24..40].copy_from_slice(&to.octets());
        assert_eq!(ends(&packet), Some((from.into(), to.into())));
    }

    #[test]
    fn what_is_no_whole_packet_has_no_ends() {
        for packet in [&[][..], &[0x45; 19], &[0x60; 39], &[0x15; 60]] {
            assert_eq!(ends(packet), None);
        }
    }
}
