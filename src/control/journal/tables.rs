//! The shape of the tables, and how an older shape becomes this one.
//!
//! Each change of the shape is a step from one number to the next; a file of any earlier build
//! goes through the steps that it lacks, in one transaction, and loses nothing.

use std::{fs, path::Path, time::Duration};

use rusqlite::Connection;

use super::store::JournalError;

/// From each shape to the next: the first makes an empty file one of shape 1.
const STEPS: [&str; 4] = [
    "CREATE TABLE IF NOT EXISTS splits (
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
    ) STRICT;",
    "CREATE TABLE rollouts (
        id INTEGER PRIMARY KEY, split TEXT NOT NULL, epoch INTEGER NOT NULL, nonce TEXT NOT NULL,
        stable TEXT NOT NULL, canary TEXT NOT NULL, started INTEGER NOT NULL, ended INTEGER,
        result TEXT NOT NULL, cause TEXT NOT NULL, why TEXT NOT NULL, UNIQUE (split, epoch)
    ) STRICT;
    CREATE INDEX decisions_of_a_rollout ON decisions (split, epoch);
    ALTER TABLE decisions ADD COLUMN picture TEXT;
    ALTER TABLE decisions ADD COLUMN trail TEXT;",
    // An act is on a split, or on an endpoint.
    "ALTER TABLE audit RENAME TO audit_of_splits;
    CREATE TABLE audit (
        id INTEGER PRIMARY KEY, at INTEGER NOT NULL, split TEXT, upstream TEXT, endpoint TEXT,
        actor TEXT NOT NULL, command TEXT NOT NULL, reason TEXT, result TEXT NOT NULL,
        CHECK ((split IS NULL) <> (endpoint IS NULL))
    ) STRICT;
    INSERT INTO audit (id, at, split, actor, command, reason, result)
        SELECT id, at, split, actor, command, reason, result FROM audit_of_splits;
    DROP TABLE audit_of_splits;",
    // An act may be on the process, too; and what it has moved is told in numbers.
    "ALTER TABLE audit RENAME TO audit_of_traffic;
    CREATE TABLE audit (
        id INTEGER PRIMARY KEY, at INTEGER NOT NULL, split TEXT, upstream TEXT, endpoint TEXT,
        actor TEXT NOT NULL, command TEXT NOT NULL, reason TEXT, result TEXT NOT NULL,
        epoch INTEGER, share_before INTEGER, share_after INTEGER,
        CHECK (split IS NULL OR endpoint IS NULL)
    ) STRICT;
    INSERT INTO audit (id, at, split, upstream, endpoint, actor, command, reason, result)
        SELECT id, at, split, upstream, endpoint, actor, command, reason, result
        FROM audit_of_traffic;
    DROP TABLE audit_of_traffic;",
];

/// Opens a file, and gives it this build's shape.
pub(super) fn open(path: &Path) -> Result<Connection, JournalError> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(1))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    shape(&mut connection, &STEPS)?;
    Ok(connection)
}

fn shape(connection: &mut Connection, steps: &[&str]) -> Result<(), JournalError> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let done = usize::try_from(version).ok();
    let missing = done.and_then(|done| steps.get(done..));
    let missing = missing.ok_or(JournalError::Newer(version))?;
    if missing.is_empty() {
        return Ok(());
    }
    let change = connection.transaction()?;
    for step in missing {
        change.execute_batch(step)?;
    }
    change.pragma_update(
        None,
        "user_version",
        i64::try_from(steps.len()).unwrap_or(0),
    )?;
    change.commit()?;
    Ok(())
}

/// Opens a file of shape 1, as the first builds made it.
#[cfg(test)]
pub(super) fn open_first(path: &Path) -> Connection {
    let mut connection = Connection::open(path).unwrap();
    shape(&mut connection, &STEPS[..1]).unwrap();
    connection
}
