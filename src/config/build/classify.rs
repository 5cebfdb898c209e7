//! Rules of what counts against a version, as others see them.

use super::{
    plain,
    split::{list, path_of},
};
use crate::config::{
    ClassRule, When,
    schema::{ClassifyBlock, StatusForm, WhenForm},
    walk::Placed,
};

/// Every rule of a list; `None`: one could not be read.
pub(super) fn rules(blocks: Option<&Placed<Vec<Placed<ClassifyBlock>>>>) -> Option<Vec<ClassRule>> {
    let blocks = blocks.iter().flat_map(|at| &at.value);
    blocks.map(|at| rule(&at.value)).collect()
}

/// One rule.
pub(in crate::config) fn rule(block: &ClassifyBlock) -> Option<ClassRule> {
    let when = match &block.when.as_ref()?.value {
        WhenForm::ClientAbort => When::ClientAbort {
            unless_slower_than: plain(block.unless_slower_than.as_ref()),
        },
        WhenForm::Block(when) => When::Request {
            path: path_of(when.path.as_ref(), when.path_prefix.as_ref()),
            statuses: list(when.status.as_ref(), |StatusForm(range)| range),
            grpc_statuses: list(when.grpc_status.as_ref(), |status| status),
        },
    };
    let outcome = plain(block.r#as.as_ref())?;
    Some(ClassRule { when, outcome })
}
