//! Whether the keys of a warm-up fit together.

use crate::config::{schema::UpstreamBlock, walk::Walk};

pub(super) fn check(block: &UpstreamBlock, walk: &mut Walk) {
    let warm_up = block.warm_up.as_ref().map(|at| &at.value);
    let methods = warm_up.and_then(|warm_up| warm_up.methods.as_ref());
    if let Some(methods) = methods.filter(|at| at.value.0.is_empty()) {
        let help = "write `methods: [GET]`, or remove it";
        walk.error(
            methods.at,
            "empty_list",
            "this list of methods is empty",
            help,
        );
    }
}
