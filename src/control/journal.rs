//! What survives a restart: rollout state, decisions with their evidence, the audit of people's
//! acts. `SQLite` in the state directory, on a thread of its own behind a bounded channel.
//!
//! Writes follow the publication (I10). A failed write is an alarm, never a stop: it is counted,
//! logged, and tried again with the next state. `synchronous=FULL`: decisions are rare, and one
//! that was told to people must survive a power cut; nobody waits for the disk but this thread.

mod wire;

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::JoinHandle,
};

use rusqlite::{Connection, OptionalExtension, params};

use crate::{
    judge::Judgement,
    model::{Epoch, Moment, SplitName},
    rollout::{Entry, Record},
};

const FILE: &str = "serin.db";
/// The shape of the tables; raised with each change of them.
const SCHEMA: i64 = 1;
/// How many writes may wait. State that finds no room is sent again a second later.
const QUEUE: usize = 1_024;
/// Decisions and acts beyond these are forgotten at the next start, oldest first.
const ROWS_MAX: i64 = 10_000;
/// Decisions of one split that are read at the start.
const HISTORY: i64 = 100;

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS splits (
        name TEXT PRIMARY KEY, epoch INTEGER NOT NULL, at INTEGER NOT NULL, record TEXT NOT NULL
    ) STRICT;
    CREATE TABLE IF NOT EXISTS decisions (
        id INTEGER PRIMARY KEY, at INTEGER NOT NULL, split TEXT NOT NULL, epoch INTEGER NOT NULL,
        what TEXT NOT NULL, share INTEGER NOT NULL, by TEXT NOT NULL, why TEXT NOT NULL,
        evidence TEXT
    ) STRICT;
    CREATE TABLE IF NOT EXISTS audit (
        id INTEGER PRIMARY KEY, at INTEGER NOT NULL, split TEXT NOT NULL, actor TEXT NOT NULL,
        command TEXT NOT NULL, reason TEXT, result TEXT NOT NULL
    ) STRICT;";

/// A decision with what it rests on.
#[derive(Debug, Clone)]
pub(super) struct Decision {
    pub(super) split: SplitName,
    pub(super) epoch: Epoch,
    pub(super) entry: Entry,
    pub(super) judgement: Option<Judgement>,
}

/// A person's act and what came of it.
#[derive(Debug, Clone)]
pub(super) struct Audit {
    pub(super) at: Moment,
    pub(super) split: SplitName,
    pub(super) actor: String,
    pub(super) command: String,
    pub(super) reason: Option<String>,
    pub(super) result: String,
}

/// What is written.
#[derive(Debug)]
enum Write {
    State(SplitName, Moment, Box<Record>),
    Decision(Box<Decision>),
    Audit(Box<Audit>),
    Flush(SyncSender<()>),
}

/// What was kept of an earlier life.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// By split.
    pub(super) records: HashMap<SplitName, Record>,
    /// Decisions by split, newest last.
    pub(super) history: HashMap<SplitName, Vec<Entry>>,
    /// Nothing was ever kept here, or it could not be read: a split that is not in `records` may
    /// be new, or its state is lost.
    pub(super) is_unknown: bool,
}

/// The writer's end. Dropping it waits until everything is written.
#[derive(Debug)]
pub(super) struct Journal {
    writes: Option<SyncSender<Write>>,
    failures: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Journal {
    /// Opens the journal and reads what was kept; without a directory nothing is kept.
    pub(super) fn open(directory: Option<&Path>) -> (Self, Kept) {
        let failures = Arc::new(AtomicU64::new(0));
        let unknown = Kept {
            is_unknown: true,
            ..Kept::default()
        };
        let Some(directory) = directory else {
            return (
                Self {
                    writes: None,
                    failures,
                    thread: None,
                },
                unknown,
            );
        };
        let mut store = Store {
            path: directory.join(FILE),
            connection: None,
        };
        let kept = store.read().unwrap_or_else(|error| {
            alarm(&failures, &store.path, &error);
            unknown
        });
        let (writes, queue) = sync_channel(QUEUE);
        let count = Arc::clone(&failures);
        let named = std::thread::Builder::new().name("journal".to_owned());
        let thread = named.spawn(move || write_all(&mut store, &queue, &count));
        let thread = thread.map_err(|error| tracing::error!(%error, "no thread for the journal"));
        (
            Self {
                writes: Some(writes),
                failures,
                thread: thread.ok(),
            },
            kept,
        )
    }

    /// Writes that failed since the start.
    pub(super) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Keeps a rollout's state.
    pub(super) fn keep(&self, split: &SplitName, at: Moment, record: &Record) {
        self.send(Write::State(split.clone(), at, Box::new(record.clone())));
    }

    /// Keeps a decision.
    pub(super) fn decided(&self, decision: Decision) {
        self.send(Write::Decision(Box::new(decision)));
    }

    /// Keeps a person's act.
    pub(super) fn asked(&self, audit: Audit) {
        self.send(Write::Audit(Box::new(audit)));
    }

    /// Waits until everything before is written.
    pub(super) fn flush(&self) {
        let (done, written) = sync_channel(1);
        if self
            .writes
            .as_ref()
            .is_some_and(|writes| writes.send(Write::Flush(done)).is_ok())
        {
            // An error means that the thread has ended: nothing more can be written.
            let _ended = written.recv();
        }
    }

    fn send(&self, write: Write) {
        let Some(writes) = &self.writes else { return };
        if writes.try_send(write).is_err() {
            self.failures.fetch_add(1, Ordering::Relaxed);
            tracing::error!("the journal does not keep up; state is kept in memory only for now");
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        drop(self.writes.take());
        if let Some(thread) = self.thread.take() {
            // A panic there was told by its hook already.
            let _panicked = thread.join();
        }
    }
}

fn write_all(store: &mut Store, queue: &Receiver<Write>, failures: &AtomicU64) {
    for write in queue {
        let written = match write {
            Write::State(split, at, record) => store.keep(&split, at, &record),
            Write::Decision(decision) => store.decided(&decision),
            Write::Audit(audit) => store.asked(&audit),
            Write::Flush(done) => {
                // Whoever waited may be gone.
                let _gone = done.send(());
                Ok(())
            }
        };
        if let Err(error) = written {
            alarm(failures, &store.path, &error);
            // The file may have been removed or replaced: open it anew.
            store.connection = None;
        }
    }
}

fn alarm(failures: &AtomicU64, path: &Path, error: &dyn std::error::Error) {
    failures.fetch_add(1, Ordering::Relaxed);
    tracing::error!(path = %path.display(), %error, "rollout state cannot be kept");
}

/// Why the journal could not be read or written.
#[derive(Debug, thiserror::Error)]
enum JournalError {
    #[error("the database does not answer")]
    Database(#[from] rusqlite::Error),
    #[error("the directory cannot be used")]
    Directory(#[from] io::Error),
    #[error("the schema is {0}, newer than this build knows")]
    Newer(i64),
    #[error("a later epoch is kept already")]
    Stale,
}

/// The database itself.
#[derive(Debug)]
struct Store {
    path: PathBuf,
    connection: Option<Connection>,
}

impl Store {
    /// Opens the database; a corrupt one is moved aside, and nothing is known then.
    fn read(&mut self) -> Result<Kept, JournalError> {
        match self.read_once() {
            Err(JournalError::Database(error)) if is_corrupt(&error) => {
                self.connection = None;
                let aside = self.path.with_extension("db.corrupt");
                fs::rename(&self.path, &aside)?;
                for tail in ["db-wal", "db-shm"] {
                    // They may be absent, and belong to the file that was moved.
                    let _absent = fs::remove_file(self.path.with_extension(tail));
                }
                tracing::error!(
                    %error, moved_to = %aside.display(),
                    "the journal is corrupt: rollout state is unknown"
                );
                self.read_once()
            }
            result => result,
        }
    }

    fn read_once(&mut self) -> Result<Kept, JournalError> {
        let connection = self.connection()?;
        prune(connection)?;
        let mut records = HashMap::new();
        let mut statement = connection.prepare("SELECT name, record FROM splits")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let rows: Vec<(String, String)> = rows.collect::<Result<_, _>>()?;
        let mut is_unknown = rows.is_empty();
        for (name, text) in rows {
            match SplitName::new(&name).ok().zip(wire::read_record(&text)) {
                Some((name, record)) => drop(records.insert(name, record)),
                None => {
                    is_unknown = true;
                    tracing::error!(split = name, "the kept state cannot be understood");
                }
            }
        }
        let mut history = HashMap::new();
        for name in records.keys() {
            history.insert(name.clone(), read_history(connection, name)?);
        }
        Ok(Kept {
            records,
            history,
            is_unknown,
        })
    }

    fn connection(&mut self) -> Result<&Connection, JournalError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => open(&self.path)?,
        };
        Ok(self.connection.insert(connection))
    }

    fn keep(&mut self, split: &SplitName, at: Moment, record: &Record) -> Result<(), JournalError> {
        let sql = "INSERT INTO splits (name, epoch, at, record) VALUES (?1, ?2, ?3, ?4)
            ON CONFLICT (name) DO UPDATE SET epoch = ?2, at = ?3, record = ?4 WHERE epoch <= ?2";
        let mut statement = self.connection()?.prepare_cached(sql)?;
        let epoch = sql_number(record.state.epoch.0);
        let text = wire::record_text(record);
        let rows = statement.execute(params![split.as_str(), epoch, sql_time(at), text])?;
        if rows == 0 {
            Err(JournalError::Stale)
        } else {
            Ok(())
        }
    }

    fn decided(&mut self, decision: &Decision) -> Result<(), JournalError> {
        let sql = "INSERT INTO decisions (at, split, epoch, what, share, by, why, evidence)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        let mut statement = self.connection()?.prepare_cached(sql)?;
        let Decision {
            split,
            epoch,
            entry,
            judgement,
        } = decision;
        statement.execute(params![
            sql_time(entry.at),
            split.as_str(),
            sql_number(epoch.0),
            entry.what,
            entry.share.basis_points(),
            entry.by,
            entry.why,
            judgement.as_ref().map(wire::judgement_text),
        ])?;
        Ok(())
    }

    fn asked(&mut self, audit: &Audit) -> Result<(), JournalError> {
        let sql = "INSERT INTO audit (at, split, actor, command, reason, result)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let mut statement = self.connection()?.prepare_cached(sql)?;
        let Audit {
            at,
            split,
            actor,
            command,
            reason,
            result,
        } = audit;
        statement.execute(params![
            sql_time(*at),
            split.as_str(),
            actor,
            command,
            reason,
            result
        ])?;
        Ok(())
    }
}

fn open(path: &Path) -> Result<Connection, JournalError> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let connection = Connection::open(path)?;
    connection.busy_timeout(std::time::Duration::from_secs(1))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version > SCHEMA {
        return Err(JournalError::Newer(version));
    }
    connection.execute_batch(TABLES)?;
    connection.pragma_update(None, "user_version", SCHEMA)?;
    Ok(connection)
}

fn prune(connection: &Connection) -> Result<(), JournalError> {
    for table in ["decisions", "audit"] {
        let newest = format!("SELECT max(id) FROM {table}");
        let newest: Option<Option<i64>> = connection
            .query_row(&newest, [], |row| row.get(0))
            .optional()?;
        let sql = format!("DELETE FROM {table} WHERE id <= ?1");
        connection.execute(&sql, [newest.flatten().unwrap_or(0) - ROWS_MAX])?;
    }
    Ok(())
}

fn read_history(connection: &Connection, split: &SplitName) -> Result<Vec<Entry>, JournalError> {
    let sql = "SELECT at, what, share, by, why FROM decisions WHERE split = ?1
        ORDER BY id DESC LIMIT ?2";
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map(params![split.as_str(), HISTORY], |row| {
        let what: String = row.get(1)?;
        Ok(wire::entry(
            row.get(0)?,
            &what,
            row.get(2)?,
            row.get(3)?,
            row.get(4)?,
        ))
    })?;
    let mut entries: Vec<Entry> = rows.collect::<Result<_, _>>()?;
    entries.reverse();
    Ok(entries)
}

fn is_corrupt(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    matches!(
        error.sqlite_error_code(),
        Some(DatabaseCorrupt | NotADatabase)
    )
}

/// `SQLite` has signed numbers only; ours stay far below the edge.
fn sql_number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn sql_time(at: Moment) -> i64 {
    sql_number(at.micros())
}

#[cfg(test)]
mod tests;
