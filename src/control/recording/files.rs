//! The files of records: begun, appended to, pruned. Owned by the recorder's thread.

use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender},
    },
    time::SystemTime,
};

use super::{Limits, Shared};
use crate::{
    model::{Epoch, SplitName, number::long},
    record::{Encoder, End, Name},
};

/// Where records are, in the state directory.
pub(super) const DIRECTORY: &str = "records";

/// What is written, by the record's number.
#[derive(Debug)]
pub(super) enum Write {
    Begin(u64, SplitName, Epoch, Vec<u8>),
    More(u64, Vec<u8>),
    /// The last bytes.
    End(u64, Vec<u8>),
    Flush(SyncSender<()>),
}

/// The directory, and the records under way.
#[derive(Debug)]
pub(super) struct Files {
    directory: PathBuf,
    shared: Arc<Shared>,
    open: HashMap<u64, Open>,
}

/// A record under way.
#[derive(Debug)]
struct Open {
    name: Name,
    file: File,
    /// Bytes of whole frames.
    length: u64,
    /// What has come and is not yet written.
    waiting: Vec<u8>,
    is_last: bool,
}

/// A record that is there.
#[derive(Debug)]
struct Found {
    modified: SystemTime,
    name: Name,
    length: u64,
}

impl Files {
    /// In this directory, made when it is first needed.
    pub(super) fn new(directory: PathBuf, shared: Arc<Shared>) -> Self {
        Self {
            directory,
            shared,
            open: HashMap::new(),
        }
    }

    /// Writes what has come together at once: at most a moment later all of it is in the file.
    pub(super) fn write_all(mut self, queue: &Receiver<Write>) {
        let _before = self.prune(self.shared.limits);
        while let Ok(first) = queue.recv() {
            let mut waiting = Vec::new();
            let writes: Vec<Write> = std::iter::once(first).chain(queue.try_iter()).collect();
            let begins = writes.iter().filter(|it| matches!(it, Write::Begin(..)));
            // Of a thousand splits all may begin at once: the directory is listed once for them.
            let mut parts = self.make_room(begins.count());
            for write in writes {
                match write {
                    Write::Begin(number, split, epoch, bytes) => {
                        let part = parts.entry((split.clone(), epoch)).or_insert(0);
                        *part += 1;
                        let name = Name {
                            split,
                            epoch,
                            part: *part,
                        };
                        self.begin(number, name, bytes);
                    }
                    Write::More(number, bytes) => self.take(number, bytes, false),
                    Write::End(number, bytes) => self.take(number, bytes, true),
                    Write::Flush(done) => waiting.push(done),
                }
            }
            self.write();
            for done in waiting {
                // Whoever waited may be gone.
                let _gone = done.send(());
            }
        }
    }

    /// Removes old records so that there is room for more; answers the last part of each.
    fn make_room(&self, begins: usize) -> HashMap<(SplitName, Epoch), u32> {
        let mut parts = HashMap::new();
        if begins == 0 {
            return parts;
        }
        let Limits {
            record,
            records,
            total,
        } = self.shared.limits;
        let found = self.prune(Limits {
            record,
            records: records.saturating_sub(begins),
            total: total.saturating_sub(long(record.saturating_mul(begins))),
        });
        for Name { split, epoch, part } in found {
            let last = parts.entry((split, epoch)).or_insert(0);
            *last = part.max(*last);
        }
        parts
    }

    fn begin(&mut self, number: u64, name: Name, bytes: Vec<u8>) {
        match self.create(&name) {
            Ok(file) => {
                let open = Open {
                    name,
                    file,
                    length: 0,
                    waiting: bytes,
                    is_last: false,
                };
                self.open.insert(number, open);
            }
            Err(error) => self.shared.alarm(&error),
        }
    }

    fn create(&self, name: &Name) -> io::Result<File> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.directory)?;
        let mut options = OpenOptions::new();
        let options = options.write(true).create_new(true).mode(0o600);
        options.open(self.directory.join(name.to_string()))
    }

    fn take(&mut self, number: u64, mut bytes: Vec<u8>, is_last: bool) {
        // One that was given up is written no more.
        if let Some(open) = self.open.get_mut(&number) {
            open.waiting.append(&mut bytes);
            open.is_last |= is_last;
        }
    }

    fn write(&mut self) {
        let shared = &self.shared;
        self.open.retain(|_, open| match open.write() {
            Ok(()) => !open.is_last,
            Err(error) => {
                shared.alarm(&error);
                open.give_up();
                false
            }
        });
    }

    /// Removes the oldest records beyond these limits, none that is under way; answers what there
    /// was.
    fn prune(&self, limits: Limits) -> Vec<Name> {
        let mut found = found(&self.directory);
        found.sort_by(|a, b| (b.modified, &b.name).cmp(&(a.modified, &a.name)));
        let mut total = 0_u64;
        for (place, record) in found.iter().enumerate() {
            total = total.saturating_add(record.length);
            let is_under_way = || self.open.values().any(|open| open.name == record.name);
            if (place < limits.records && total <= limits.total) || is_under_way() {
                continue;
            }
            let path = self.directory.join(record.name.to_string());
            if let Err(error) = fs::remove_file(&path) {
                tracing::warn!(path = %path.display(), %error, "cannot remove an old record");
            }
        }
        found.into_iter().map(|found| found.name).collect()
    }
}

/// The records of one rollout in this state directory, the newest last.
pub(in crate::control) fn records(
    directory: &Path,
    split: &SplitName,
    epoch: Epoch,
) -> Vec<PathBuf> {
    let directory = directory.join(DIRECTORY);
    let found = found(&directory).into_iter().map(|found| found.name);
    let mut names: Vec<Name> = found
        .filter(|name| name.split == *split && name.epoch == epoch)
        .collect();
    names.sort();
    let paths = names.iter().map(|name| directory.join(name.to_string()));
    paths.collect()
}

/// The records that are there; of a directory that cannot be read, none.
fn found(directory: &Path) -> Vec<Found> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    let found = entries.filter_map(|entry| {
        let entry = entry.ok()?;
        let name = Name::parse(entry.file_name().to_str()?)?;
        let facts = entry.metadata().ok()?;
        Some(Found {
            modified: facts.modified().ok()?,
            name,
            length: facts.len(),
        })
    });
    found.collect()
}

impl Open {
    fn write(&mut self) -> io::Result<()> {
        self.file.write_all(&self.waiting)?;
        self.length += long(self.waiting.len());
        self.waiting.clear();
        Ok(())
    }

    /// Cuts off what was written by half, and says why nothing follows, if that can be said.
    fn give_up(&mut self) {
        let is_cut = self.file.set_len(self.length).is_ok();
        if is_cut {
            use io::Seek as _;
            let _at = self.file.seek(io::SeekFrom::End(0));
            // A full disk may refuse this, too; then the record just ends.
            let _refused = self.file.write_all(&Encoder::end(End::Refused));
        }
    }
}

#[cfg(test)]
impl Files {
    /// Record 0 is under way, on a disk that has no room.
    pub(super) fn full_disk(directory: PathBuf, shared: &Arc<Shared>) -> Self {
        let mut files = Self::new(directory, Arc::clone(shared));
        let open = Open {
            name: Name {
                split: SplitName::new("shop").unwrap(),
                epoch: Epoch(1),
                part: 1,
            },
            file: OpenOptions::new().write(true).open("/dev/full").unwrap(),
            length: 0,
            waiting: Vec::new(),
            is_last: false,
        };
        files.open.insert(0, open);
        files
    }
}
