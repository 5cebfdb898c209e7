//! Records and decisions as text in the journal (I9: serde ends here).

use serde_json::{Value, json};

use crate::{
    model::{Epoch, Moment, Nonce, Share, VersionName},
    rollout::{Entry, Position, Record, Standing, State},
};

const STANDINGS: [(Standing, &str); 4] = [
    (Standing::Waiting, "waiting"),
    (Standing::Going, "going"),
    (Standing::Held, "held"),
    (Standing::Finished, "finished"),
];

/// A record as text, without what cookies are bound to.
pub(in crate::control) fn shown_record(record: &Record) -> String {
    let mut shown = record.clone();
    shown.state.nonce = Nonce(0);
    record_text(&shown)
}

/// A record as text.
pub(super) fn record_text(record: &Record) -> String {
    let State {
        epoch,
        nonce,
        aborted,
        position,
        barred,
    } = &record.state;
    let standing = STANDINGS
        .iter()
        .find(|(standing, _)| *standing == position.standing);
    json!({
        "epoch": epoch.0,
        "nonce": format!("{:032x}", nonce.0),
        "aborted": aborted,
        "revision": position.revision,
        "step": position.step,
        "rung": position.rung,
        "standing": standing.map_or("held", |(_, word)| word),
        "share": position.share.basis_points(),
        "barred": barred.iter().map(VersionName::as_str).collect::<Vec<_>>(),
        "canary": record.canary.as_ref().map(VersionName::as_str),
        "configured": record.configured.map(Share::basis_points),
        "steps": record.steps,
        "since": record.since.micros(),
        "why": record.why,
        "fail_told": record.fail_told,
    })
    .to_string()
}

/// A record from text; `None`: it is not one.
pub fn read_record(text: &str) -> Option<Record> {
    let value: Value = serde_json::from_str(text).ok()?;
    let standing = value.get("standing")?.as_str()?;
    let position = Position {
        revision: value.get("revision")?.as_u64()?,
        step: usize::try_from(value.get("step")?.as_u64()?).ok()?,
        // A record of an older build has none.
        rung: value.get("rung").map_or(Some(0), rung)?,
        standing: STANDINGS.iter().find(|(_, word)| *word == standing)?.0,
        share: share(value.get("share")?)?,
    };
    let barred = value.get("barred")?.as_array()?.iter();
    let state = State {
        epoch: Epoch(value.get("epoch")?.as_u64()?),
        nonce: Nonce(u128::from_str_radix(value.get("nonce")?.as_str()?, 16).ok()?),
        aborted: value.get("aborted")?.as_bool()?,
        position,
        barred: barred.map(version).collect::<Option<_>>()?,
    };
    let steps = value.get("steps")?.as_array()?.iter();
    Some(Record {
        state,
        canary: optional(value.get("canary")?, version)?,
        configured: optional(value.get("configured")?, share)?,
        steps: steps
            .map(|step| step.as_str().map(str::to_owned))
            .collect::<Option<_>>()?,
        since: Moment::from_micros(value.get("since")?.as_u64()?),
        why: value.get("why")?.as_str()?.to_owned(),
        fail_told: value.get("fail_told")?.as_bool()?,
    })
}

/// A line of history from its columns.
pub(super) fn entry(at: i64, what: &str, share: i64, by: String, why: String) -> Entry {
    let share = u16::try_from(share)
        .ok()
        .and_then(|share| Share::from_basis_points(share).ok());
    Entry {
        at: Moment::from_micros(u64::try_from(at).unwrap_or_default()),
        what: Entry::word(what),
        share: share.unwrap_or_default(),
        by,
        why,
    }
}

fn version(value: &Value) -> Option<VersionName> {
    VersionName::new(value.as_str()?).ok()
}

fn rung(value: &Value) -> Option<u32> {
    u32::try_from(value.as_u64()?).ok()
}

fn share(value: &Value) -> Option<Share> {
    Share::from_basis_points(u16::try_from(value.as_u64()?).ok()?).ok()
}

/// `null` is nothing; what is there must be understood.
#[expect(
    clippy::option_option,
    reason = "absent and not understood are two things"
)]
fn optional<T>(value: &Value, read: impl Fn(&Value) -> Option<T>) -> Option<Option<T>> {
    if value.is_null() {
        Some(None)
    } else {
        read(value).map(Some)
    }
}
