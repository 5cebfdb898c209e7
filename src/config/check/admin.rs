//! Whether it is clear who may ask, and whether that is meant.

use std::{collections::HashSet, net::SocketAddr};

use super::listener;
use crate::{
    config::{
        build::anonymous,
        schema::{AdminBlock, AdminForm, FileBlock},
        walk::{Placed, Walk},
    },
    model::Access,
};

/// Notes what does not fit together, and what is open to more than is rarely meant.
pub(super) fn check(file: &FileBlock, walk: &mut Walk) {
    let Some(admin) = &file.admin else { return };
    let (http, at) = match &admin.value {
        AdminForm::None => return,
        AdminForm::Http(address) => {
            if !address.ip().is_loopback() {
                exposed(*address, Access::Read, admin.at, walk);
            }
            (*address, admin.at)
        }
        AdminForm::Block(block) => {
            fits(block, admin, walk);
            let Some(http) = &block.http else { return };
            open_to_others(block, http, walk);
            (http.value, http.at)
        }
    };
    let listeners = file.listeners.iter().flat_map(|at| &at.value);
    let addresses = listeners.filter_map(|at| at.value.address.as_ref());
    if let Some(listener) = addresses
        .into_iter()
        .find(|at| listener::clash(at.value, http))
    {
        let message = format!("a listener and `admin` want the address {http}");
        let place = if admin.is_written { at } else { listener.at };
        walk.error(
            place,
            "duplicate_address",
            message,
            "give each its own port",
        );
    }
}

/// What is written must have an effect.
fn fits(block: &AdminBlock, admin: &Placed<AdminForm>, walk: &mut Walk) {
    let has_http = block.http.is_some() || !walk.is_absent(admin.at, "http");
    if !has_http && block.unix.is_none() && admin.is_clean {
        let help = "write `admin: none` if nobody may ask";
        walk.error(admin.at, "missing_key", "`admin` names no address", help);
        return;
    }
    let for_http = [
        ("tokens_file", block.tokens_file.as_ref().map(|at| at.at)),
        ("tls", block.tls.as_ref().map(|at| at.at)),
        ("client_ca", block.client_ca.as_ref().map(|at| at.at)),
        (
            "anonymous",
            block
                .anonymous
                .as_ref()
                .filter(|at| at.is_written)
                .map(|at| at.at),
        ),
    ];
    for (key, at) in for_http {
        if let Some(at) = at.filter(|_| !has_http) {
            let message = format!("`{key}` is for callers of `http`, which is not written");
            let help = "whoever may open the unix socket may do everything: write `http`, or \
                        remove this";
            walk.error(at, "missing_key", message, help);
        }
    }
    if let Some(ca) = &block.client_ca
        && block.tls.is_none()
        && walk.is_absent(admin.at, "tls")
    {
        let help = "write `tls: { cert: PATH, key: PATH }`";
        let message = "certificates are shown over TLS only";
        walk.error(ca.at, "missing_key", message, help);
    }
    let callers = block.certificates.iter().flat_map(|at| &at.value);
    let mut known = HashSet::new();
    for subject in callers.filter_map(|at| at.value.subject.as_ref()) {
        if block.client_ca.is_none() && walk.is_absent(admin.at, "client_ca") {
            let help = "write `client_ca:` with the authorities that sign callers' certificates";
            let message = "nobody can prove to own this certificate";
            walk.error(subject.at, "missing_key", message, help);
        }
        if !known.insert(&subject.value.0) {
            let message = format!("`{}` has two roles", subject.value.0);
            walk.error(subject.at, "duplicate_name", message, "keep one of them");
        }
    }
}

/// What others than this machine's users can do, or see on the way.
fn open_to_others(block: &AdminBlock, http: &Placed<SocketAddr>, walk: &mut Walk) {
    if http.value.ip().is_loopback() {
        return;
    }
    let access = anonymous(block);
    if access > Access::None {
        let at = block.anonymous.as_ref().map_or(http.at, |at| at.at);
        exposed(http.value, access, at, walk);
    }
    if let Some(tokens) = block.tokens_file.as_ref().filter(|_| block.tls.is_none()) {
        let message = "tokens cross the network in plain text";
        let help = "write `tls: { cert: PATH, key: PATH }`, or keep `http` on 127.0.0.1";
        walk.warn(tokens.at, "admin_plain_text", message, help);
    }
}

fn exposed(http: SocketAddr, access: Access, at: crate::config::tree::Place, walk: &mut Walk) {
    let what = match access {
        Access::None | Access::Read => "see all that Serin knows",
        Access::Operate | Access::Admin => "shift traffic",
    };
    let message = format!("anyone who reaches {http} can {what}");
    let help = "keep it on 127.0.0.1, or write `tokens_file:` (or `tls:` and `client_ca:`), and \
                `anonymous: none`";
    walk.warn(at, "admin_exposed", message, help);
}
