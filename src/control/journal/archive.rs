//! Reads rollouts that are over, beside the thread that writes: the log of the database lets both
//! go on at once. Each question opens the file anew, so there is nothing to share and to lock.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, params};

use super::{
    acts, findings, judged,
    store::{FILE, JournalError, sql_number},
    wire,
};
use crate::{
    control::{Audit, Dossier, Findings, Summary, recording},
    model::{Epoch, Moment, Nonce, SplitName, VersionName},
    rollout::Entry,
};

/// How many rollouts are told at most.
const ROLLOUTS_MAX: i64 = 1_000;

const COLUMNS: &str =
    "split, epoch, nonce, stable, canary, started, ended, result, cause, why FROM rollouts";

/// Where rollouts are kept. Its questions wait for the disk: not for the loop.
#[derive(Debug, Clone)]
pub(in crate::control) struct Archive {
    path: Arc<Path>,
    directory: Arc<Path>,
}

impl Archive {
    /// In this state directory.
    pub(in crate::control) fn new(directory: &Path) -> Self {
        let path: PathBuf = directory.join(FILE);
        Self {
            path: path.into(),
            directory: directory.into(),
        }
    }

    /// The records of one rollout, the newest last.
    pub(in crate::control) fn records(&self, split: &SplitName, epoch: Epoch) -> Vec<PathBuf> {
        recording::records(&self.directory, split, epoch)
    }

    /// Rollouts of one split or of all, the newest first.
    pub(in crate::control) fn rollouts(
        &self,
        split: Option<&SplitName>,
    ) -> Result<Vec<Summary>, JournalError> {
        let Some(connection) = self.open()? else {
            return Ok(Vec::new());
        };
        let sql = format!(
            "SELECT {COLUMNS} WHERE ?1 IS NULL OR split = ?1
            ORDER BY started DESC, id DESC LIMIT ?2"
        );
        let mut statement = connection.prepare(&sql)?;
        let split = split.map(SplitName::as_str);
        let rows = statement.query_map(params![split, ROLLOUTS_MAX], |row| Ok(summary(row)))?;
        let rows: Vec<Option<Summary>> = rows.collect::<Result<_, _>>()?;
        Ok(rows.into_iter().flatten().collect())
    }

    /// All that was kept of one rollout; `None`: nothing was.
    pub(in crate::control) fn dossier(
        &self,
        split: &SplitName,
        epoch: Epoch,
    ) -> Result<Option<Dossier>, JournalError> {
        let Some(connection) = self.open()? else {
            return Ok(None);
        };
        let sql = format!("SELECT {COLUMNS} WHERE split = ?1 AND epoch = ?2");
        let named = params![split.as_str(), sql_number(epoch.0)];
        let rollout = connection
            .query_row(&sql, named, |row| Ok(summary(row)))
            .optional()?
            .flatten();
        let Some(rollout) = rollout else {
            return Ok(None);
        };
        let sql = "SELECT at, what, share, by, why, evidence, picture, trail FROM decisions
            WHERE split = ?1 AND epoch = ?2 ORDER BY id";
        let mut statement = connection.prepare(sql)?;
        let rows = statement.query_map(named, |row| Ok((entry(row)?, found(row)?)))?;
        let (mut decisions, mut newest) = (Vec::new(), None);
        for row in rows {
            let (entry, findings): (Entry, Option<Findings>) = row?;
            decisions.push(entry);
            newest = findings.or(newest);
        }
        Ok(Some(Dossier {
            rollout,
            findings: newest.map(Arc::new),
            decisions,
            records: Vec::new(),
        }))
    }

    /// Acts on one split or on everything, the newest first.
    pub(in crate::control) fn audit(
        &self,
        split: Option<&SplitName>,
        limit: usize,
    ) -> Result<Vec<Audit>, JournalError> {
        let Some(connection) = self.open()? else {
            return Ok(Vec::new());
        };
        let sql = "SELECT at, split, upstream, endpoint, actor, command, reason, result, epoch,
            share_before, share_after FROM audit WHERE ?1 IS NULL OR split = ?1
            ORDER BY id DESC LIMIT ?2";
        let mut statement = connection.prepare(sql)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let named = params![split.map(SplitName::as_str), limit];
        let rows = statement.query_map(named, acts::read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// `None`: nothing was ever kept.
    fn open(&self) -> Result<Option<Connection>, JournalError> {
        if !self.path.try_exists()? {
            return Ok(None);
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(Duration::from_secs(1))?;
        Ok(Some(connection))
    }
}

/// The newest rollout of a split that the file knows.
pub(super) fn newest(
    connection: &Connection,
    split: &SplitName,
) -> Result<Option<Summary>, JournalError> {
    let sql = format!("SELECT {COLUMNS} WHERE split = ?1 ORDER BY epoch DESC LIMIT 1");
    let found = connection.query_row(&sql, [split.as_str()], |row| Ok(summary(row)));
    Ok(found.optional()?.flatten())
}

/// `None`: a line that cannot be understood.
fn summary(row: &Row<'_>) -> Option<Summary> {
    let text = |column: usize| row.get::<_, String>(column).ok();
    let number = |column: usize| u64::try_from(row.get::<_, i64>(column).ok()?).ok();
    let ended: Option<i64> = row.get(6).ok()?;
    Some(Summary {
        split: SplitName::new(&text(0)?).ok()?,
        epoch: Epoch(number(1)?),
        nonce: Nonce(u128::from_str_radix(&text(2)?, 16).ok()?),
        stable: VersionName::new(&text(3)?).ok()?,
        canary: VersionName::new(&text(4)?).ok()?,
        started: Moment::from_micros(number(5)?),
        ended: ended.map(|at| Moment::from_micros(u64::try_from(at).unwrap_or_default())),
        result: Summary::result_word(&text(7)?),
        cause: text(8)?,
        why: text(9)?,
    })
}

/// Of the columns at, what, share, by and why.
pub(super) fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let what: String = row.get(1)?;
    Ok(wire::entry(
        row.get(0)?,
        &what,
        row.get(2)?,
        row.get(3)?,
        row.get(4)?,
    ))
}

/// What a decision rested on; `None`: nothing was kept with it.
fn found(row: &Row<'_>) -> rusqlite::Result<Option<Findings>> {
    let text = |column: usize| row.get::<_, Option<String>>(column);
    let (evidence, picture, trail) = (text(5)?, text(6)?, text(7)?);
    if evidence.is_none() && picture.is_none() {
        return Ok(None);
    }
    let at: i64 = row.get(0)?;
    Ok(Some(Findings {
        at: Moment::from_micros(u64::try_from(at).unwrap_or_default()),
        judgement: evidence.as_deref().and_then(judged::read),
        versions: findings::read_versions(picture.as_deref()),
        trail: trail
            .as_deref()
            .and_then(findings::read_trail)
            .unwrap_or_default(),
    }))
}
