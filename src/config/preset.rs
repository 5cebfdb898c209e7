//! `preset: edge | sidecar`: defaults for a place in the network, filled in here and then
//! forgotten. The only file that tells the two apart (invariant I12).
//!
//! What a person wrote always wins: only what is not written is filled.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use super::{
    Cidr, build,
    leaf::{Count, OrZero},
    schema::{AdminBlock, AdminForm, FileBlock, ListenerBlock},
    tree::Node,
    walk::{Placed, Shape, Walk},
};
use crate::model::Access;

/// A place in the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Preset {
    /// In front of everything: believes nobody, takes many connections, leaves slowly.
    Edge,
    /// Beside one service, behind a load balancer in a private network: believes its neighbours,
    /// needs one worker, leaves before its container is killed.
    Sidecar,
}

/// Networks that cannot be reached from the internet: loopback, RFC 1918, shared (RFC 6598),
/// link-local and unique local addresses.
const PRIVATE: [(IpAddr, u8); 9] = [
    (IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), 8),
    (IpAddr::V4(Ipv4Addr::new(10, 0, 0, 0)), 8),
    (IpAddr::V4(Ipv4Addr::new(172, 16, 0, 0)), 12),
    (IpAddr::V4(Ipv4Addr::new(192, 168, 0, 0)), 16),
    (IpAddr::V4(Ipv4Addr::new(100, 64, 0, 0)), 10),
    (IpAddr::V4(Ipv4Addr::new(169, 254, 0, 0)), 16),
    (IpAddr::V6(Ipv6Addr::LOCALHOST), 128),
    (IpAddr::V6(Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0)), 7),
    (IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0)), 10),
];

/// Fills what is not written.
pub(super) fn fill(file: &mut FileBlock) {
    let Some(Placed {
        value: preset, at, ..
    }) = file.preset.clone()
    else {
        return;
    };
    if file.listeners.is_none() {
        let everywhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 8080));
        file.listeners = build::one_listener(Placed::filled(everywhere, at));
    }
    for listener in file
        .listeners
        .iter_mut()
        .flat_map(|listeners| &mut listeners.value)
    {
        fill_listener(preset, listener);
    }
    let (timeout, lag) = match preset {
        Preset::Edge => (Duration::from_secs(30), Duration::from_secs(15)),
        // ECS kills a container 30 s after SIGTERM; the two together must be shorter.
        Preset::Sidecar => (Duration::from_secs(20), Duration::from_secs(5)),
    };
    if let Some(drain) = &mut file.drain {
        unwritten(&mut drain.value.timeout, timeout);
        unwritten(&mut drain.value.lag, OrZero(lag));
    }
    if preset == Preset::Sidecar && file.workers.is_none() {
        file.workers = Some(Placed::filled(Count(1), at));
    }
    if let Some(admin) = file.admin.as_mut().filter(|_| preset == Preset::Sidecar) {
        fill_admin(admin);
    }
}

/// A sidecar shares its loopback addresses with the application: who is there may look.
fn fill_admin(admin: &mut Placed<AdminForm>) {
    let at = admin.at;
    if let AdminForm::Http(address) = admin.value
        && admin.is_written
        && let Some(block) = AdminBlock::read(&Node::empty(at), &mut Walk::default())
    {
        admin.value = AdminForm::Block(Box::new(AdminBlock {
            http: Some(Placed::filled(address, at)),
            ..block
        }));
    }
    if let AdminForm::Block(block) = &mut admin.value
        && block.http.is_some()
        && block.anonymous.is_none()
        && block.tokens_file.is_none()
        && block.client_ca.is_none()
    {
        block.anonymous = Some(Placed::filled(Access::Read, at));
    }
}

fn fill_listener(
    preset: Preset,
    Placed {
        value: listener,
        at,
        ..
    }: &mut Placed<ListenerBlock>,
) {
    let (trusted, connections) = match preset {
        Preset::Edge => (&[][..], 60_000),
        Preset::Sidecar => (&PRIVATE[..], 4_096),
    };
    let network = |&(address, prefix): &(IpAddr, u8)| Cidr { address, prefix };
    let networks = trusted
        .iter()
        .map(|pair| Placed::filled(network(pair), *at));
    unwritten(&mut listener.trusted_proxies, networks.collect());
    if let Some(limits) = &mut listener.limits {
        unwritten(&mut limits.value.max_connections, Count(connections));
    }
}

fn unwritten<T>(field: &mut Option<Placed<T>>, value: T) {
    if let Some(field) = field.as_mut().filter(|field| !field.is_written) {
        field.value = value;
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, load};

    fn config(head: &str) -> Config {
        let rest =
            "upstreams: { a: { static: [\"127.0.0.1:1\"] } }\nsplits: { s: { stable: a } }\n";
        load(&format!("{head}\n{rest}"), "x.yaml").unwrap().0
    }

    #[test]
    fn the_edge_believes_nobody_and_the_sidecar_its_neighbours() {
        let believes = |head: &str, who: &str| {
            let trusted = &config(head).listeners[0].trusted_proxies;
            trusted
                .iter()
                .any(|network| network.contains(who.parse().unwrap()))
        };
        for neighbour in [
            "127.0.0.1",
            "10.1.2.3",
            "172.31.0.1",
            "192.168.1.1",
            "::1",
            "fd00::1",
        ] {
            assert!(believes("preset: sidecar", neighbour), "{neighbour}");
            assert!(!believes("preset: edge", neighbour), "{neighbour}");
            assert!(
                !believes("listen: \"0.0.0.0:80\"", neighbour),
                "{neighbour}"
            );
        }
        for stranger in ["8.8.8.8", "172.32.0.1", "2001:db8::1"] {
            assert!(!believes("preset: sidecar", stranger), "{stranger}");
        }
    }

    #[test]
    fn what_is_written_wins() {
        let written = "preset: sidecar\nworkers: 3\ndrain: { lag: 1s }\nlisteners:\n  \
                       - { name: web, address: \"127.0.0.1:80\", trusted_proxies: [] }";
        let config = config(written);
        assert_eq!(config.workers, Some(3));
        assert_eq!(config.drain.lag.as_secs(), 1);
        assert_eq!(config.drain.timeout.as_secs(), 20);
        assert_eq!(config.listeners[0].trusted_proxies, []);
    }

    #[test]
    fn a_preset_brings_an_address_to_accept_on() {
        assert_eq!(
            config("preset: edge").listeners[0].address.to_string(),
            "0.0.0.0:8080"
        );
        let listen = "preset: edge\nlisten: \"127.0.0.1:99\"";
        assert_eq!(
            config(listen).listeners[0].address.to_string(),
            "127.0.0.1:99"
        );
        assert_eq!(config(listen).listeners[0].limits.max_connections, 60_000);
    }
}
