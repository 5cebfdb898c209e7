//! Sockets and TLS over them: the only naming of `tokio::net`, `socket2` and `tokio_rustls` on the
//! data path.
//!
//! *Owns:* how listening and connected sockets are made and split.
//! *Does not know:* HTTP, plans.

mod subject;
pub mod tls;
pub mod web;

use std::{
    io,
    net::SocketAddr,
    os::fd::{AsFd as _, OwnedFd},
    time::Duration,
};

use socket2::{Domain, Protocol, SockFilter, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{
    TcpListener, TcpStream,
    tcp::{ReadHalf, WriteHalf},
};

/// What the kernel may hold of an answer that it has not sent yet.
const UNSENT: u32 = 64 * 1024;
/// What is taken at once where there is room: what may be unsent, and a part that is being sent.
const TAKEN: usize = 80 * 1024;
/// Connections that may wait to be accepted by one worker.
const BACKLOG: i32 = 4_096;
/// A peer that vanished without a word is noticed after about this time.
const KEEPALIVE: Duration = Duration::from_mins(1);

/// A listening socket that is bound and not yet in a runtime.
pub type Bound = std::net::TcpListener;
/// A listening socket in a runtime.
pub type Listener = TcpListener;
/// A connected socket.
pub type Stream = TcpStream;
/// A connected socket on its way from one runtime to another.
pub type Detached = std::net::TcpStream;
/// The half of a connected socket that is read.
pub type Reader<'a> = ReadHalf<'a>;
/// The half of a connected socket that is written.
pub type Writer<'a> = WriteHalf<'a>;

/// Who a certificate is for: a door for `fuzz/`, in no other build.
#[cfg(fuzzing)]
pub fn subject_of(certificate: &[u8]) -> Option<String> {
    subject::subject(&certificate.into())
}

/// Binds one of several sockets that share an address: the kernel spreads connections over them.
/// Linux gives what is set here to every socket that is accepted, so that none costs calls of its
/// own.
pub fn bind(address: SocketAddr) -> io::Result<Bound> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    settle_in(&SockRef::from(&socket));
    // Only what the client's system takes soon is held for it here, so that it shows early whether
    // the client reads. Where this is not known, less is known.
    let _bounded = socket.set_tcp_notsent_lowat(UNSENT);
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Whether an address is free: bound without sharing, and given back at once.
pub fn is_free(address: SocketAddr) -> io::Result<()> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())
}

/// Takes a listening socket that another process has made.
pub fn inherit(socket: OwnedFd) -> io::Result<Bound> {
    let socket = Socket::from(socket);
    if !socket.is_listener()? {
        return Err(io::Error::other("it does not listen"));
    }
    socket.set_nonblocking(true)?;
    settle_in(&SockRef::from(&socket));
    Ok(socket.into())
}

/// A second hold on a listening socket, for another process: the queue of the two is one.
pub fn lend(listener: &Listener) -> io::Result<OwnedFd> {
    listener.as_fd().try_clone_to_owned()
}

/// Lets in no connection that has not begun yet. Those that have begun come to their end and into
/// the queue; so a queue that was emptied a moment later stays empty.
///
/// A filter of four instructions throws away what carries the flag SYN. A client that comes now
/// tries again after a second, as with any lost packet, and is refused or finds another process.
pub fn turn_away(listener: &Listener) -> io::Result<()> {
    const FLAGS: u32 = 13;
    const SYN: u32 = 2;
    const LOAD_BYTE: u16 = 0x30;
    const JUMP_IF_SET: u16 = 0x45;
    const RETURN: u16 = 0x06;
    SockRef::from(listener).attach_filter(&[
        SockFilter::new(LOAD_BYTE, 0, 0, FLAGS),
        SockFilter::new(JUMP_IF_SET, 0, 1, SYN),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
    ])
}

/// Brings a bound socket into the runtime of the calling thread.
pub fn listen(bound: Bound) -> io::Result<Listener> {
    Listener::from_std(bound)
}

/// Accepts a connection that is in the kernel's queue already, whether or not the runtime has heard
/// of it; an error if there is none.
pub fn accept_queued(listener: &Listener) -> io::Result<(Stream, SocketAddr)> {
    let (socket, peer) = SockRef::from(listener).accept()?;
    socket.set_nonblocking(true)?;
    let peer = peer.as_socket().ok_or(io::ErrorKind::InvalidData)?;
    Ok((Stream::from_std(socket.into())?, peer))
}

/// Makes a connection to an endpoint, with small writes sent at once.
pub async fn connect(address: SocketAddr) -> io::Result<Stream> {
    let stream = Stream::connect(address).await?;
    settle_in(&SockRef::from(&stream));
    Ok(stream)
}

/// Takes a connected socket out of the runtime of the calling thread.
pub fn detach(stream: Stream) -> io::Result<Detached> {
    stream.into_std()
}

/// Brings a connected socket into the runtime of the calling thread.
pub fn attach(stream: Detached) -> io::Result<Stream> {
    Stream::from_std(stream)
}

/// Sets what every connected socket wants: small writes are sent at once, dead peers noticed.
fn settle_in(socket: &SockRef<'_>) {
    // Neither is needed for correctness; a socket that died meanwhile fails at its first use.
    let _without_delay = socket.set_tcp_nodelay(true);
    let _with_keepalive = socket.set_tcp_keepalive(
        &TcpKeepalive::new()
            .with_time(KEEPALIVE)
            .with_interval(KEEPALIVE / 4),
    );
}

/// Has the kernel throw away what it still holds for a peer that does not take it, once the
/// connection is dropped: else it would be held, and the peer see no end, for minutes more.
pub fn cut_off(stream: &Stream) {
    // Without it the connection ends all the same, later.
    let _at_once = stream.set_zero_linger();
}

/// The peer's address and our own.
pub fn ends(stream: &Stream) -> io::Result<(SocketAddr, SocketAddr)> {
    Ok((stream.peer_addr()?, stream.local_addr()?))
}

/// How many bytes a connection takes at once, at least, if it holds none yet.
pub fn room(stream: &Stream) -> usize {
    // The kernel counts what it needs to keep them, too.
    let size = SockRef::from(stream).send_buffer_size();
    size.map_or(0, |size| (size / 3).min(TAKEN))
}

/// Whether a connection that nobody expects data on is still quiet. It makes no system call
/// unless the runtime has seen something happen on the socket.
pub fn is_quiet(stream: &Stream) -> bool {
    let mut byte = [0];
    matches!(stream.try_read(&mut byte), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_accepted_socket_sends_at_once_and_notices_dead_peers() {
        let bound = bind(([127, 0, 0, 1], 0).into()).unwrap();
        let address = bound.local_addr().unwrap();
        let listener = listen(bound).unwrap();
        let (client, accepted) = tokio::join!(connect(address), listener.accept());
        for stream in [client.unwrap(), accepted.unwrap().0] {
            let socket = SockRef::from(&stream);
            assert!(socket.tcp_nodelay().unwrap() && socket.keepalive().unwrap());
            assert_eq!(socket.tcp_keepalive_time().unwrap(), KEEPALIVE);
        }
    }

    #[tokio::test]
    async fn new_connections_are_turned_away_and_those_that_have_begun_come_in() {
        let listener = listen(bind(([127, 0, 0, 1], 0).into()).unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let early = connect(address).await.unwrap();
        turn_away(&listener).unwrap();
        let late = tokio::time::timeout(Duration::from_millis(50), connect(address)).await;
        assert!(late.is_err(), "nobody answers");
        let (accepted, peer) = accept_queued(&listener).unwrap();
        assert_eq!(peer, early.local_addr().unwrap());
        early.try_write(b"x").unwrap();
        accepted.readable().await.unwrap();
        assert!(accept_queued(&listener).is_err(), "the queue stays empty");
    }
}
