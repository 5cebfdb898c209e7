//! TLS over a connected socket.
//!
//! *Owns:* handshakes, and the two halves of a connection that one task reads and writes.
//! *Does not know:* where certificates come from; the configuration is brought ready-made.

use std::{
    cell::RefCell,
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use rustls::{ClientConfig, CommonState, ServerConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use super::subject::subject;

/// What a session may hold of one piece that is written, encrypted: no piece is larger, so that
/// each is one system call. What is written is sent before the next piece is.
const UNSENT_MAX: usize = 128 * 1024;

/// A connected socket with TLS. Both directions belong to one session, so that its halves share it;
/// they are used by one task in turn.
#[derive(Debug)]
pub struct Stream(RefCell<TlsStream<TcpStream>>);

/// How TLS is spoken as a client; the configuration is brought ready-made.
#[derive(Debug, Clone)]
pub struct Client {
    config: Arc<ClientConfig>,
    name: Option<ServerName<'static>>,
}

impl Client {
    /// With this configuration, to servers of this name; `None`: each of its own address.
    pub const fn new(config: Arc<ClientConfig>, name: Option<ServerName<'static>>) -> Self {
        Self { config, name }
    }

    /// Does a client's part of the handshake.
    pub async fn connect(&self, socket: TcpStream, address: IpAddr) -> io::Result<Stream> {
        let name = self.name.clone();
        let name = name.unwrap_or_else(|| ServerName::IpAddress(address.into()));
        Stream::connect(socket, Arc::clone(&self.config), name).await
    }
}

/// The same configuration, not one that is like it.
impl PartialEq for Client {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.config, &other.config) && self.name == other.name
    }
}

/// For those who own it.
impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Self::poll_read(&self, cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Self::poll_write(&self, cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Self::poll_flush(&self, cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Self::poll_shutdown(&self, cx)
    }
}

impl Stream {
    /// Does a server's part of the handshake.
    pub async fn accept(socket: TcpStream, config: Arc<ServerConfig>) -> io::Result<Self> {
        let acceptor = TlsAcceptor::from(config);
        let accepting = acceptor.accept_with(socket, |session| {
            session.set_buffer_limit(Some(UNSENT_MAX));
        });
        let stream = accepting.await?;
        Ok(Self(RefCell::new(stream.into())))
    }

    /// Does a client's part of the handshake.
    pub async fn connect(
        socket: TcpStream,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
    ) -> io::Result<Self> {
        let stream = TlsConnector::from(config).connect(name, socket).await?;
        Ok(Self(RefCell::new(stream.into())))
    }

    /// The name that the client has asked for; none on a client's side.
    pub fn asked_name(&self) -> Option<String> {
        match &*self.0.borrow() {
            TlsStream::Server(stream) => stream.get_ref().1.server_name().map(str::to_owned),
            TlsStream::Client(_) => None,
        }
    }

    /// Whether both sides have agreed on HTTP/2.
    pub fn is_h2(&self) -> bool {
        self.session(|session| session.alpn_protocol() == Some(b"h2"))
    }

    /// The subject of the certificate that the peer has proven to own, as one line of printable
    /// ASCII (RFC 4514).
    pub fn peer_subject(&self) -> Option<String> {
        self.session(|session| {
            let certificate = session.peer_certificates()?.first()?;
            subject(certificate)
        })
    }

    /// As [`super::cut_off`].
    pub fn cut_off(&self) {
        super::cut_off(self.0.borrow().get_ref().0);
    }

    /// The peer's address and our own.
    pub fn ends(&self) -> io::Result<(SocketAddr, SocketAddr)> {
        super::ends(self.0.borrow().get_ref().0)
    }

    /// How many bytes the connection takes at once, at least, if it holds none yet.
    pub fn room(&self) -> usize {
        super::room(self.0.borrow().get_ref().0)
    }

    /// Whether a connection that nobody expects data on is still quiet.
    pub fn is_quiet(&self) -> bool {
        let mut stream = self.0.borrow_mut();
        let mut nobody = Context::from_waker(Waker::noop());
        Pin::new(&mut *stream)
            .poll_fill_buf(&mut nobody)
            .is_pending()
    }

    /// Ready once the peer has said something: `true` if that it will send no more.
    pub fn poll_left(&self, cx: &mut Context<'_>) -> Poll<bool> {
        let mut stream = self.0.borrow_mut();
        let peeked = Pin::new(&mut *stream).poll_fill_buf(cx);
        peeked.map(|peeked| !peeked.is_ok_and(|bytes| !bytes.is_empty()))
    }

    /// Reads.
    pub fn poll_read(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_read(cx, buf)
    }

    /// Writes; what was taken is on its way only once it is flushed.
    pub fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_write(cx, buf)
    }

    /// Writes of several pieces.
    pub fn poll_write_vectored(
        &self,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_write_vectored(cx, bufs)
    }

    /// Sends what was written.
    pub fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_flush(cx)
    }

    /// Says that nothing more will be written, in TLS and below it.
    pub fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_shutdown(cx)
    }

    fn session<T>(&self, ask: impl FnOnce(&CommonState) -> T) -> T {
        match &*self.0.borrow() {
            TlsStream::Server(stream) => ask(stream.get_ref().1),
            TlsStream::Client(stream) => ask(stream.get_ref().1),
        }
    }
}
