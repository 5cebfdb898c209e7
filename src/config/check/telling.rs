//! Whether the access log and spans are asked for in a way that makes sense.

use crate::{
    config::{
        schema::{FileBlock, LogForm},
        walk::{Placed, Walk},
    },
    model::Share,
};

/// Where collectors take OTLP over gRPC, which is not spoken here.
const GRPC_PORT: u16 = 4317;

/// Notes what does not fit together.
pub(super) fn check(file: &FileBlock, walk: &mut Walk) {
    access_log(file, walk);
    sample(file, walk);
    tracing(file, walk);
}

fn access_log(file: &FileBlock, walk: &mut Walk) {
    let Some(Placed { value: block, .. }) = &file.access_log else {
        return;
    };
    let Some(Placed {
        value: fields, at, ..
    }) = &block.fields
    else {
        return;
    };
    let form = block.format.as_ref().map(|at| &at.value);
    if matches!(form, Some(LogForm::Template(_))) {
        let message = "`format` names its fields already";
        let help = "`fields` belongs to `format: json`: keep one of the two";
        return walk.error(*at, "conflict", message, help);
    }
    if fields.is_empty() {
        let help = "name at least one, or remove the key";
        walk.error(*at, "empty_list", "a line without fields", help);
    }
    for (nth, field) in fields.iter().enumerate() {
        if fields.iter().take(nth).any(|it| it.value == field.value) {
            let message = format!("`{}` is named twice", field.value.as_str());
            let help = "an object of JSON has each name once: remove one";
            walk.error(field.at, "duplicate_name", message, help);
        }
    }
}

fn sample(file: &FileBlock, walk: &mut Walk) {
    let Some(log) = &file.access_log else { return };
    let Some(sample) = &log.value.sample else {
        return;
    };
    let shares = [&sample.value.success, &sample.value.failure];
    let is_nothing =
        |share: &Option<Placed<Share>>| share.as_ref().is_some_and(|at| at.value == Share::ZERO);
    if shares.into_iter().all(is_nothing) {
        let help = "write a share, or remove `access_log`";
        walk.warn(sample.at, "empty_log", "of nothing a line is written", help);
    }
}

fn tracing(file: &FileBlock, walk: &mut Walk) {
    let block = file.tracing.as_ref().map(|at| &at.value);
    let Some(otlp) = block.and_then(|block| block.otlp.as_ref()) else {
        return;
    };
    let uri = otlp.value.0.parse::<::http::Uri>().ok();
    if uri.and_then(|uri| uri.port_u16()) == Some(GRPC_PORT) {
        let message = "collectors take OTLP over gRPC at port 4317; here HTTP is spoken";
        let help = "they usually take HTTP at port 4318";
        walk.warn(otlp.at, "otlp_port", message, help);
    }
}
