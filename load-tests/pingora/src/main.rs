//! The least proxy on Pingora that does what the contestants do: 90/10 over two backends,
//! connections kept on both sides, `X-Forwarded-For`, no access log.
//!
//! `pingora-canary PORT STABLE CANARY THREADS`; the backends are ports of 127.0.0.1.

use std::{
    env,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use pingora::{
    http::RequestHeader,
    prelude::{HttpPeer, ProxyHttp, Result, Server, Session},
    proxy::http_proxy_service,
    server::configuration::ServerConf,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct Canary {
    stable: SocketAddr,
    canary: SocketAddr,
    served: AtomicUsize,
}

#[async_trait]
impl ProxyHttp for Canary {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn upstream_peer(&self, _: &mut Session, (): &mut ()) -> Result<Box<HttpPeer>> {
        let number = self.served.fetch_add(1, Ordering::Relaxed);
        let address = if number.is_multiple_of(10) {
            self.canary
        } else {
            self.stable
        };
        Ok(Box::new(HttpPeer::new(address, false, String::new())))
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        head: &mut RequestHeader,
        (): &mut (),
    ) -> Result<()> {
        if let Some(client) = session.client_addr().and_then(|it| it.as_inet()) {
            head.append_header("X-Forwarded-For", client.ip().to_string())?;
        }
        Ok(())
    }
}

fn number(text: Option<String>) -> Option<u16> {
    text?.parse().ok()
}

fn main() {
    let mut words = env::args().skip(1);
    let mut next = || number(words.next());
    let (Some(port), Some(stable), Some(canary), Some(threads)) = (next(), next(), next(), next())
    else {
        eprintln!("usage: pingora-canary PORT STABLE CANARY THREADS");
        std::process::exit(2);
    };
    let conf = ServerConf {
        threads: threads.into(),
        upstream_keepalive_pool_size: 512,
        grace_period_seconds: Some(0),
        graceful_shutdown_timeout_seconds: Some(1),
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let split = Canary {
        stable: local(stable),
        canary: local(canary),
        served: AtomicUsize::new(0),
    };
    let mut service = http_proxy_service(&Arc::clone(&server.configuration), split);
    service.add_tcp(&local(port).to_string());
    server.add_service(service);
    server.run_forever();
}
