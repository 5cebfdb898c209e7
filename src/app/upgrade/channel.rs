//! What the process that goes and the one that comes say to each other: words over a pair of
//! sockets, each whole, some with a listening socket.
//!
//! The new process finds its end as standard input, the one descriptor that a child gets without
//! any unsafe code.

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};

use crate::proxy::Maker;

/// The longest word; a longer reason is cut.
const LONGEST: usize = 4_096;

/// What is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Word {
    /// Old to new: with a listening socket of the data plane.
    Listener(String, Maker),
    /// Old to new: with a listening socket of admin.
    Admin(Maker),
    /// Old to new: these were all.
    All,
    /// New to old: the file is good, and all sockets are bound.
    Checked,
    /// Old to new: the journal is yours; whether the old one is ready.
    Journal { is_ready: bool },
    /// New to old: it can serve.
    Ready,
    /// Old to new: serve.
    Go,
    /// Old to new: end, serve nothing.
    No,
    /// New to old: it cannot serve, and why.
    Failed(String),
}

/// Two ends of a channel.
pub(super) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC;
    Ok(socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        flags,
        None,
    )?)
}

/// Says one word.
pub(super) fn send(end: impl AsFd, word: &Word, socket: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let text = word.text();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut carried = SendAncillaryBuffer::new(&mut space);
    let sockets: Vec<BorrowedFd<'_>> = socket.into_iter().collect();
    if !sockets.is_empty() && !carried.push(SendAncillaryMessage::ScmRights(&sockets)) {
        return Err(io::ErrorKind::OutOfMemory.into());
    }
    let bytes = text.as_bytes();
    let bytes = bytes.get(..LONGEST).unwrap_or(bytes);
    // A peer that has ended is an error here, and no signal.
    let _all = sendmsg(
        end,
        &[IoSlice::new(bytes)],
        &mut carried,
        SendFlags::NOSIGNAL,
    )?;
    Ok(())
}

/// Hears one word; an error of kind `UnexpectedEof` if the other process has ended.
pub(super) fn receive(end: impl AsFd) -> io::Result<(Word, Option<OwnedFd>)> {
    let mut bytes = [0; LONGEST];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut carried = RecvAncillaryBuffer::new(&mut space);
    let mut slices = [IoSliceMut::new(&mut bytes)];
    let received = recvmsg(end, &mut slices, &mut carried, RecvFlags::CMSG_CLOEXEC)?;
    let mut socket = None;
    for message in carried.drain() {
        if let RecvAncillaryMessage::ScmRights(sockets) = message {
            socket = sockets.last();
        }
    }
    let text = bytes.get(..received.bytes).unwrap_or_default();
    if text.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let text = String::from_utf8_lossy(text);
    let word = Word::read(&text).ok_or_else(|| {
        let what = format!("the other process says `{text}`, which this version does not know");
        io::Error::new(io::ErrorKind::InvalidData, what)
    })?;
    Ok((word, socket))
}

impl Word {
    fn text(&self) -> String {
        match self {
            Self::Listener(name, Maker::Serin) => format!("listener {name}"),
            Self::Listener(name, Maker::Systemd) => format!("listener-of-systemd {name}"),
            Self::Admin(Maker::Serin) => "admin".to_owned(),
            Self::Admin(Maker::Systemd) => "admin-of-systemd".to_owned(),
            Self::All => "all".to_owned(),
            Self::Checked => "checked".to_owned(),
            Self::Journal { is_ready: true } => "journal ready".to_owned(),
            Self::Journal { is_ready: false } => "journal".to_owned(),
            Self::Ready => "ready".to_owned(),
            Self::Go => "go".to_owned(),
            Self::No => "no".to_owned(),
            Self::Failed(why) => format!("failed {why}"),
        }
    }

    fn read(text: &str) -> Option<Self> {
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        let word = match word {
            "listener" => Self::Listener(rest.to_owned(), Maker::Serin),
            "listener-of-systemd" => Self::Listener(rest.to_owned(), Maker::Systemd),
            "admin" => Self::Admin(Maker::Serin),
            "admin-of-systemd" => Self::Admin(Maker::Systemd),
            "all" => Self::All,
            "checked" => Self::Checked,
            "journal" => Self::Journal {
                is_ready: rest == "ready",
            },
            "ready" => Self::Ready,
            "go" => Self::Go,
            "no" => Self::No,
            "failed" => Self::Failed(rest.to_owned()),
            _ => return None,
        };
        Some(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_arrives_as_it_was_said() {
        let (old, new) = pair().unwrap();
        let words = [
            Word::Listener("edge".to_owned(), Maker::Serin),
            Word::Listener("edge".to_owned(), Maker::Systemd),
            Word::Admin(Maker::Serin),
            Word::Admin(Maker::Systemd),
            Word::All,
            Word::Checked,
            Word::Journal { is_ready: true },
            Word::Journal { is_ready: false },
            Word::Ready,
            Word::Go,
            Word::No,
            Word::Failed("the file is wrong\nin line 3".to_owned()),
        ];
        for word in words {
            send(&old, &word, None).unwrap();
            let (heard, socket) = receive(&new).unwrap();
            assert_eq!(heard, word);
            assert!(socket.is_none());
        }
        send(&old, &Word::Admin(Maker::Serin), Some(new.as_fd())).unwrap();
        assert!(receive(&new).unwrap().1.is_some(), "a socket comes along");
        drop(old);
        let ended = receive(&new).unwrap_err();
        assert_eq!(ended.kind(), io::ErrorKind::UnexpectedEof);
    }
}
