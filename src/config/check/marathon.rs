//! Whether the keys of `marathon` fit together.

use crate::config::{
    schema::{MarathonAuthBlock, MarathonBlock},
    walk::{Placed, Walk},
};

/// Notes everything that does not fit together in one `marathon`.
pub(super) fn check(block: &Placed<MarathonBlock>, walk: &mut Walk) {
    let Placed {
        value: block, at, ..
    } = block;
    let keys = ["app", "label"];
    if block.app.is_none()
        && block.label.is_none()
        && keys.iter().all(|key| walk.is_absent(*at, key))
    {
        let help = "write `app: /shop/web`, or `label: \"tier==web\"`";
        walk.error(*at, "missing_key", "nothing says which apps", help);
    }
    let ports = [
        block.port_index.as_ref().map(|key| ("port_index", key.at)),
        block.port_name.as_ref().map(|key| ("port_name", key.at)),
        block.port.as_ref().map(|key| ("port", key.at)),
    ];
    let ports: Vec<_> = ports.into_iter().flatten().collect();
    if let [(first, _), (second, at), ..] = ports.as_slice() {
        let message = format!("`{first}` and `{second}` both say which port");
        walk.error(*at, "conflict", message, "keep one of them");
    }
    for (key, at, is_empty) in [
        block
            .url
            .as_ref()
            .map(|list| ("url", list.at, list.value.0.is_empty())),
        block
            .app
            .as_ref()
            .map(|list| ("app", list.at, list.value.0.is_empty())),
    ]
    .into_iter()
    .flatten()
    {
        if is_empty {
            let message = format!("`{key}` names none");
            walk.error(at, "empty_list", message, "write at least one");
        }
    }
    if let Some(auth) = &block.auth {
        login(auth, walk);
        plain_text(block, auth, walk);
    }
}

fn login(auth: &Placed<MarathonAuthBlock>, walk: &mut Walk) {
    let Placed {
        value: auth, at, ..
    } = auth;
    let (user, password) = (&auth.username, &auth.password_file);
    if let Some(account) = &auth.service_account_file {
        if user.is_some() || password.is_some() {
            let message = "there are two ways to log in";
            let help = "keep `service_account_file`, or `username` and `password_file`";
            walk.error(account.at, "conflict", message, help);
        }
        return;
    }
    let missing = match (user, password) {
        (Some(_), Some(_)) => return,
        (Some(_), None) => "password_file",
        (None, Some(_)) => "username",
        (None, None) => "service_account_file",
    };
    if ["username", "password_file", "service_account_file"]
        .iter()
        .all(|key| walk.is_absent(*at, key))
    {
        let message = format!("`{missing}` is missing");
        let help = "write `username` and `password_file`, or `service_account_file`";
        walk.error(*at, "missing_key", message, help);
    }
}

/// What proves who we are can be read on its way.
fn plain_text(block: &MarathonBlock, auth: &Placed<MarathonAuthBlock>, walk: &mut Walk) {
    let mut urls = block.url.iter().flat_map(|list| &list.value.0);
    if urls.any(|url| url.value.0.starts_with("http://")) {
        let message = "whoever listens on the way to this master can log in as we do";
        walk.warn(
            auth.at,
            "plain_credentials",
            message,
            "ask the master over `https://`",
        );
    }
}
