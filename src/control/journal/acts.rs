//! Lines of the audit log, read again.

use rusqlite::Row;

use crate::{
    control::{Audit, Moved, Subject},
    model::{Epoch, Moment, Share, SplitName, UpstreamName},
};

/// Of the columns at, split, upstream, endpoint, actor, command, reason, result, epoch,
/// `share_before` and `share_after`.
pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Audit> {
    let text = |column: usize| row.get::<_, Option<String>>(column);
    let (split, upstream, endpoint) = (text(1)?, text(2)?, text(3)?);
    let split = split.and_then(|name| SplitName::new(&name).ok());
    let upstream = upstream.and_then(|name| UpstreamName::new(&name).ok());
    let endpoint = endpoint.and_then(|address| address.parse().ok());
    let at: i64 = row.get(0)?;
    Ok(Audit {
        at: Moment::from_micros(u64::try_from(at).unwrap_or_default()),
        of: match (split, endpoint) {
            (Some(split), _) => Subject::Split(split),
            (None, Some(address)) => Subject::Endpoint(upstream, address),
            (None, None) => Subject::Process,
        },
        actor: row.get(4)?,
        command: row.get(5)?,
        reason: row.get(6)?,
        result: row.get(7)?,
        moved: moved((row.get(8)?, row.get(9)?, row.get(10)?)),
    })
}

fn moved(columns: (Option<i64>, Option<i64>, Option<i64>)) -> Option<Moved> {
    let share = |points: i64| Share::from_basis_points(u16::try_from(points).ok()?).ok();
    Some(Moved {
        epoch: Epoch(u64::try_from(columns.0?).ok()?),
        before: share(columns.1?)?,
        after: share(columns.2?)?,
    })
}
