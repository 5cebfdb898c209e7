//! Whether the keys fit together that say which endpoint gets a request.

use crate::config::{
    schema::{OutlierForm, Policy, UpstreamBlock},
    walk::Walk,
};

pub(super) fn check(block: &UpstreamBlock, walk: &mut Walk) {
    hash_key(block, walk);
    let Some(OutlierForm::Block(outlier)) = block.outlier_detection.as_ref().map(|at| &at.value)
    else {
        return;
    };
    if let (Some(base), Some(max)) = (&outlier.base_ejection_time, &outlier.max_ejection_time)
        && base.value > max.value
    {
        let at = if base.is_written { base.at } else { max.at };
        let message = "`base_ejection_time` is longer than `max_ejection_time`";
        walk.error(at, "conflict", message, "swap the two, or remove one");
    }
}

fn hash_key(block: &UpstreamBlock, walk: &mut Walk) {
    let Some(balance) = block.balance.as_ref().map(|at| &at.value) else {
        return;
    };
    let Some(policy) = &balance.policy else {
        return;
    };
    let is_hashed = policy.value == Policy::RingHash;
    match &balance.hash_key {
        Some(keys) if !is_hashed => {
            let help = "write `policy: ring_hash`, or remove it";
            walk.error(
                keys.at,
                "conflict",
                "only `ring_hash` reads a `hash_key`",
                help,
            );
        }
        Some(keys) if keys.value.0.is_empty() => {
            let help = "write `hash_key: [\"cookie:uid\", client_ip]`";
            walk.error(keys.at, "empty_list", "this list of keys is empty", help);
        }
        None if is_hashed => {
            let message = "`ring_hash` needs to know what it hashes";
            let help = "write `hash_key: [\"cookie:uid\", client_ip]`";
            walk.error(policy.at, "missing_key", message, help);
        }
        Some(_) | None => {}
    }
}
