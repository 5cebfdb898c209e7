//! How an upstream's endpoints are chosen and left out, as others see it.

use super::{plain, split::list};
use crate::{
    config::{
        Balance, OutlierDetection, Policy,
        leaf::{Count, OrZero, Text},
        schema::{self, BalanceBlock, Key, OutlierForm},
    },
    model::Zone,
};

pub(super) fn balance(block: &BalanceBlock) -> Option<Balance> {
    let OrZero(slow_start) = plain(block.slow_start.as_ref())?;
    Some(Balance {
        policy: match plain(block.policy.as_ref())? {
            schema::Policy::P2c => Policy::P2c,
            schema::Policy::RoundRobin => Policy::RoundRobin,
            schema::Policy::LeastRequest => Policy::LeastRequest,
            schema::Policy::RingHash => {
                Policy::RingHash(list(block.hash_key.as_ref(), |Key(key)| key))
            }
        },
        slow_start,
        zone: plain(block.zone.as_ref()).map(|Text(zone)| Zone::new(&zone)),
        panic_threshold: plain(block.panic_threshold.as_ref())?,
    })
}

/// The outer `None`: it could not be read; the inner one: nothing is ejected.
#[expect(
    clippy::option_option,
    reason = "the two say different things, one line apart"
)]
pub(super) fn outlier_detection(form: &OutlierForm) -> Option<Option<OutlierDetection>> {
    let OutlierForm::Block(block) = form else {
        return Some(None);
    };
    let Count(failures) = plain(block.consecutive_failures.as_ref())?;
    Some(Some(OutlierDetection {
        consecutive_failures: u32::try_from(failures).ok()?,
        base_ejection_time: plain(block.base_ejection_time.as_ref())?,
        max_ejection_time: plain(block.max_ejection_time.as_ref())?,
        max_ejection: plain(block.max_ejection_percent.as_ref())?,
    }))
}
