//! What a new endpoint is sent before users land on it, as others see it.

use super::{plain, split::list};
use crate::config::{WarmUp, leaf::Count, schema::WarmUpBlock};

pub(super) fn warm_up(block: &WarmUpBlock) -> Option<WarmUp> {
    let Count(mirror) = plain(block.mirror.as_ref())?;
    Some(WarmUp {
        mirror: u32::try_from(mirror).ok()?,
        methods: list(block.methods.as_ref(), |method| method),
        age: plain(block.age.as_ref())?,
    })
}
