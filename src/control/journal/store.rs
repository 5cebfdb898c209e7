//! The database itself: opened, read, written, put aside when it is broken.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OptionalExtension, params};

use super::{Audit, Decision, Kept, Note, archive, findings, judged, tables::open, wire};
use crate::{
    control::{Subject, Summary, Trail},
    model::{Epoch, Moment, Nonce, SplitName, UpstreamName},
    rollout::{Entry, Record},
};

/// Its name in the state directory.
pub(super) const FILE: &str = "serin.db";
/// Rollouts, decisions and acts beyond these are forgotten at the next start, oldest first.
const ROWS_MAX: i64 = 10_000;
/// So many acts later the oldest are forgotten without a start, too.
const PRUNED_EVERY: i64 = 1_000;
/// Of older decisions than these it is forgotten how the numbers moved: that is most of the file.
const TRAILS_MAX: i64 = 500;
/// Decisions of one split that are read at the start.
const HISTORY: i64 = 100;

/// Why the journal could not be read or written.
#[derive(Debug, thiserror::Error)]
pub(in crate::control) enum JournalError {
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
pub(super) struct Store {
    pub(super) path: PathBuf,
    connection: Option<Connection>,
}

impl Store {
    /// In this directory; opened when it is first needed.
    pub(super) fn new(directory: &Path) -> Self {
        Self {
            path: directory.join(FILE),
            connection: None,
        }
    }

    /// Begins a transaction.
    pub(super) fn begin(&mut self) -> Result<(), JournalError> {
        self.connection()?.execute_batch("BEGIN IMMEDIATE")?;
        Ok(())
    }

    /// Ends it, if one is under way.
    pub(super) fn commit(&mut self) -> Result<(), JournalError> {
        let Some(connection) = &self.connection else {
            return Ok(());
        };
        if !connection.is_autocommit() {
            connection.execute_batch("COMMIT")?;
        }
        Ok(())
    }

    /// Opens the file anew at the next use, if it was the file that failed: it may have been
    /// removed or replaced.
    pub(super) fn forget(&mut self, error: &JournalError) {
        if !matches!(error, JournalError::Stale) {
            self.connection = None;
        }
    }

    /// Lets the file go; it is opened anew at the next use.
    pub(super) fn close(&mut self) {
        self.connection = None;
    }

    /// Opens the database; a corrupt one is moved aside, and nothing is known then.
    pub(super) fn read(&mut self) -> Result<Kept, JournalError> {
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
            if let Some((name, record)) = SplitName::new(&name).ok().zip(wire::read_record(&text)) {
                records.insert(name, record);
            } else {
                is_unknown = true;
                tracing::error!(split = name, "the kept state cannot be understood");
            }
        }
        let (mut history, mut rollouts) = (HashMap::new(), HashMap::new());
        for name in records.keys() {
            history.insert(name.clone(), read_history(connection, name)?);
            let newest = archive::newest(connection, name)?;
            rollouts.extend(newest.map(|newest| (name.clone(), newest)));
        }
        Ok(Kept {
            records,
            history,
            rollouts,
            is_unknown,
            ..Kept::default()
        })
    }

    fn connection(&mut self) -> Result<&Connection, JournalError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => open(&self.path)?,
        };
        Ok(self.connection.insert(connection))
    }

    /// Keeps a rollout's state, unless a later epoch is kept.
    pub(super) fn keep(
        &mut self,
        split: &SplitName,
        at: Moment,
        record: &Record,
    ) -> Result<(), JournalError> {
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

    /// Keeps a decision.
    pub(super) fn decided(&mut self, decision: &Decision) -> Result<(), JournalError> {
        let sql = "INSERT INTO decisions
            (at, split, epoch, what, share, by, why, evidence, picture, trail)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
        let mut statement = self.connection()?.prepare_cached(sql)?;
        let Decision {
            split,
            epoch,
            entry,
            findings,
        } = decision;
        let found = findings.as_deref();
        let trail = found.filter(|found| found.trail != Trail::default());
        statement.execute(params![
            sql_time(entry.at),
            split.as_str(),
            sql_number(epoch.0),
            entry.what,
            entry.share.basis_points(),
            entry.by,
            entry.why,
            found.and_then(|found| found.judgement.as_ref().map(judged::text)),
            found.map(|found| findings::versions_text(&found.versions)),
            trail.map(|found| findings::trail_text(&found.trail)),
        ])?;
        Ok(())
    }

    /// Keeps what has become of a rollout.
    pub(super) fn noted(&mut self, note: &Note) -> Result<(), JournalError> {
        match note {
            Note::Begun { split, at, summary } => {
                let begun = summary.as_ref();
                let begun = begun.map_or((Epoch(0), Nonce(0)), |it| (it.epoch, it.nonce));
                self.superseded(split, begun, *at)?;
                match summary {
                    Some(summary) => self.begun(summary),
                    None => Ok(()),
                }
            }
            Note::Changed(summary) => self.changed(summary),
        }
    }

    /// Another rollout has taken the place of those that were not over.
    fn superseded(
        &mut self,
        split: &SplitName,
        (epoch, nonce): (Epoch, Nonce),
        at: Moment,
    ) -> Result<(), JournalError> {
        let sql = "UPDATE rollouts SET ended = ?2, result = ?3
            WHERE split = ?1 AND ended IS NULL AND NOT (epoch = ?4 AND nonce = ?5)";
        let mut statement = self.connection()?.prepare_cached(sql)?;
        statement.execute(params![
            split.as_str(),
            sql_time(at),
            Summary::SUPERSEDED,
            sql_number(epoch.0),
            nonce_text(nonce),
        ])?;
        Ok(())
    }

    /// A rollout that is known already stays as it is. One that an earlier build began, began with
    /// its first decision.
    fn begun(&mut self, summary: &Summary) -> Result<(), JournalError> {
        let sql = "INSERT INTO rollouts
            (split, epoch, nonce, stable, canary, started, ended, result, cause, why)
            VALUES (?1, ?2, ?3, ?4, ?5, coalesce((SELECT min(at) FROM decisions
                WHERE split = ?1 AND epoch = ?2 AND at < ?6), ?6), ?7, ?8, ?9, ?10)
            ON CONFLICT (split, epoch) DO UPDATE SET nonce = ?3, stable = ?4, canary = ?5,
                started = ?6, ended = ?7, result = ?8, cause = ?9, why = ?10 WHERE nonce <> ?3";
        let mut statement = self.connection()?.prepare_cached(sql)?;
        statement.execute(params![
            summary.split.as_str(),
            sql_number(summary.epoch.0),
            nonce_text(summary.nonce),
            summary.stable.as_str(),
            summary.canary.as_str(),
            sql_time(summary.started),
            summary.ended.map(sql_time),
            summary.result,
            summary.cause,
            summary.why,
        ])?;
        Ok(())
    }

    fn changed(&mut self, summary: &Summary) -> Result<(), JournalError> {
        let sql = "UPDATE rollouts SET ended = ?4, result = ?5, cause = ?6, why = ?7
            WHERE split = ?1 AND epoch = ?2 AND nonce = ?3";
        let mut statement = self.connection()?.prepare_cached(sql)?;
        let rows = statement.execute(params![
            summary.split.as_str(),
            sql_number(summary.epoch.0),
            nonce_text(summary.nonce),
            summary.ended.map(sql_time),
            summary.result,
            summary.cause,
            summary.why,
        ])?;
        drop(statement);
        if rows == 0 {
            // Its beginning could not be written then.
            self.begun(summary)?;
        }
        Ok(())
    }

    /// Keeps an act. Whoever may act cannot fill the disk.
    pub(super) fn asked(&mut self, audit: &Audit) -> Result<(), JournalError> {
        let sql =
            "INSERT INTO audit (at, split, upstream, endpoint, actor, command, reason, result,
            epoch, share_before, share_after)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
        let connection = self.connection()?;
        let mut statement = connection.prepare_cached(sql)?;
        let (split, upstream, endpoint) = match &audit.of {
            Subject::Split(split) => (Some(split.as_str()), None, None),
            Subject::Endpoint(upstream, address) => {
                let upstream = upstream.as_ref().map(UpstreamName::as_str);
                (None, upstream, Some(address.to_string()))
            }
            Subject::Process => (None, None, None),
        };
        let moved = audit.moved.as_ref();
        let id = statement.insert(params![
            sql_time(audit.at),
            split,
            upstream,
            endpoint,
            audit.actor,
            audit.command,
            audit.reason,
            audit.result,
            moved.map(|moved| sql_number(moved.epoch.0)),
            moved.map(|moved| moved.before.basis_points()),
            moved.map(|moved| moved.after.basis_points()),
        ])?;
        if id % PRUNED_EVERY == 0 {
            connection.execute("DELETE FROM audit WHERE id <= ?1", [id - ROWS_MAX])?;
        }
        Ok(())
    }
}

fn prune(connection: &Connection) -> Result<(), JournalError> {
    for table in ["rollouts", "decisions", "audit"] {
        let newest = format!("SELECT max(id) FROM {table}");
        let newest: Option<Option<i64>> = connection
            .query_row(&newest, [], |row| row.get(0))
            .optional()?;
        let sql = format!("DELETE FROM {table} WHERE id <= ?1");
        connection.execute(&sql, [newest.flatten().unwrap_or(0) - ROWS_MAX])?;
    }
    let sql = "UPDATE decisions SET trail = NULL WHERE trail IS NOT NULL AND id <=
        (SELECT id FROM decisions WHERE trail IS NOT NULL ORDER BY id DESC LIMIT 1 OFFSET ?1)";
    connection.execute(sql, [TRAILS_MAX])?;
    Ok(())
}

fn read_history(connection: &Connection, split: &SplitName) -> Result<Vec<Entry>, JournalError> {
    let sql = "SELECT at, what, share, by, why FROM decisions WHERE split = ?1
        ORDER BY id DESC LIMIT ?2";
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map(params![split.as_str(), HISTORY], archive::entry)?;
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
pub(super) fn sql_number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn nonce_text(nonce: Nonce) -> String {
    format!("{:032x}", nonce.0)
}

fn sql_time(at: Moment) -> i64 {
    sql_number(at.micros())
}
