//! What is told of each request.

use super::{FileBlock, plain};
use crate::config::{
    AccessLog, LogField, LogFormat, Tracing,
    leaf::{SecretFile, Text},
    schema::{CollectorUrl, LogForm, LogQuery},
    walk::Placed,
};

/// The outer `None`: it could not be read; the inner one: there is none.
#[expect(
    clippy::option_option,
    reason = "the two say different things, one line apart"
)]
pub(super) fn access_log(file: &FileBlock) -> Option<Option<AccessLog>> {
    let Some(Placed { value: block, .. }) = &file.access_log else {
        return Some(None);
    };
    let sample = &block.sample.as_ref()?.value;
    let format = match &block.format.as_ref()?.value {
        LogForm::Template(pieces) => LogFormat::Template(pieces.clone()),
        LogForm::Json => {
            let written = block.fields.as_ref().map(|fields| fields.value.iter());
            let written = written.map(|fields| fields.map(|at| at.value).collect());
            let usual = || LogField::ALL.iter().copied().filter(|it| it.is_usual());
            LogFormat::Json(written.unwrap_or_else(|| usual().collect()))
        }
    };
    Some(Some(AccessLog {
        path: plain(block.path.as_ref())?,
        format,
        keeps_query: plain(block.query.as_ref())? == LogQuery::Keep,
        success: plain(sample.success.as_ref())?,
        failure: plain(sample.failure.as_ref())?,
    }))
}

/// The outer `None`: it could not be read; the inner one: there is none.
#[expect(
    clippy::option_option,
    reason = "the two say different things, one line apart"
)]
pub(super) fn tracing(file: &FileBlock) -> Option<Option<Tracing>> {
    let Some(Placed { value: block, .. }) = &file.tracing else {
        return Some(None);
    };
    let CollectorUrl(otlp) = plain(block.otlp.as_ref())?;
    let Text(service_name) = plain(block.service_name.as_ref())?;
    let path = |at: Option<&Placed<SecretFile>>| plain(at).map(|SecretFile(path)| path);
    Some(Some(Tracing {
        otlp,
        sample: plain(block.sample.as_ref())?,
        always_on_failure: plain(block.always_on_failure.as_ref())?,
        service_name,
        headers_file: path(block.headers_file.as_ref()),
        ca: path(block.ca.as_ref()),
    }))
}
