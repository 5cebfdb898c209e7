//! Where the access log goes: a file that others may move away, a stream, a pipe.
//!
//! This runs in a thread of its own. Writing may take as long as it likes, and may fail: what
//! cannot be written is lost and counted, the first failure is told, and the next block is tried.

use std::{
    fs::{File, Metadata, OpenOptions, metadata},
    io::{self, ErrorKind, Write as _},
    os::{
        fd::AsFd as _,
        unix::fs::{FileTypeExt as _, MetadataExt as _},
    },
    path::{Path, PathBuf},
    sync::mpsc::Receiver,
};

use crate::{measure::Counter, model::number::long, plan::LogPath, proxy::outlet::Block};

/// What is written to.
#[derive(Debug)]
pub(super) struct Output {
    file: File,
    /// Its path, and which file that was; `None`: a stream of the process.
    place: Option<(PathBuf, Identity)>,
    /// Whether the last line was not written to its end.
    is_torn: bool,
    is_misplaced: bool,
}

/// Which file it is, whatever its name: its device and its number there.
type Identity = (u64, u64);

impl Output {
    /// Opens it: a stream is written past the buffers and locks that other threads use.
    pub(super) fn open(path: &LogPath) -> io::Result<Self> {
        let (file, place) = match path {
            LogPath::Stdout => (io::stdout().as_fd().try_clone_to_owned()?.into(), None),
            LogPath::Stderr => (io::stderr().as_fd().try_clone_to_owned()?.into(), None),
            LogPath::File(path) => {
                let file = open(path)?;
                let identity = identity(&file.metadata()?);
                (file, Some((path.clone(), identity)))
            }
        };
        Ok(Self {
            file,
            place,
            is_torn: false,
            is_misplaced: false,
        })
    }

    /// Opens the path again, if another file has its name by now, or none: the log was rotated.
    fn follow(&mut self) {
        let Some((path, known)) = &mut self.place else {
            return;
        };
        let is_there = metadata(&*path).is_ok_and(|found| identity(&found) == *known);
        if is_there {
            return;
        }
        let opened = open(path).and_then(|file| {
            let identity = identity(&file.metadata()?);
            Ok((file, identity))
        });
        match opened {
            Ok((file, identity)) => {
                (self.file, *known) = (file, identity);
                (self.is_torn, self.is_misplaced) = (false, false);
            }
            Err(error) if !self.is_misplaced => {
                let path = path.display();
                tracing::warn!(%error, %path, "the access log cannot be opened again: it is still \
                    written where it was");
                self.is_misplaced = true;
            }
            Err(_) => {}
        }
    }

    /// Writes whole lines; the error comes with what was not written.
    fn write<'b>(&mut self, lines: &'b [u8]) -> Result<(), (io::Error, &'b [u8])> {
        if self.is_torn {
            let ended = self.file.write_all(b"\n");
            ended.map_err(|error| (error, lines))?;
            self.is_torn = false;
        }
        let mut rest = lines;
        while !rest.is_empty() {
            match self.file.write(rest) {
                Ok(0) => return Err((ErrorKind::WriteZero.into(), rest)),
                Ok(count) => rest = rest.get(count..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    let written = lines.get(..lines.len() - rest.len()).unwrap_or_default();
                    self.is_torn = written.last().is_some_and(|last| *last != b'\n');
                    return Err((error, rest));
                }
            }
        }
        Ok(())
    }
}

/// Opens a file for appending. A pipe is opened for reading as well: else nobody could open it
/// before there is a reader, and the process would not start.
fn open(path: &Path) -> io::Result<File> {
    let is_pipe = metadata(path).is_ok_and(|found| found.file_type().is_fifo());
    if is_pipe {
        return OpenOptions::new().read(true).write(true).open(path);
    }
    OpenOptions::new().create(true).append(true).open(path)
}

fn identity(metadata: &Metadata) -> Identity {
    (metadata.dev(), metadata.ino())
}

/// Writes blocks until there are no more.
pub(super) fn write(queue: &Receiver<Block>, mut output: Output, dropped: &Counter) {
    let mut is_failing = false;
    for block in queue {
        output.follow();
        let result = output.write(&block.bytes);
        if let Err((error, rest)) = &result {
            dropped.add(long(memchr::memchr_iter(b'\n', rest).count()));
            if !is_failing {
                tracing::warn!(%error, "the access log cannot be written: lines are lost");
            }
        } else if is_failing {
            tracing::info!("the access log is written again");
        }
        is_failing = result.is_err();
        block.give_back();
    }
}
