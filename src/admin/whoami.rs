//! What a caller may do, for those who ask before they act.

use axum::{Extension, Json};

use super::{caller::Caller, wire::Whoami};

/// `GET /v1/whoami`.
pub(super) async fn show(Extension(caller): Extension<Caller>) -> Json<Whoami> {
    Json(Whoami {
        role: caller.access.as_str().to_owned(),
        who: caller.actor(),
        how: caller.how.as_str().to_owned(),
    })
}
