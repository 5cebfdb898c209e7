//! Who may ask, spelled out.

use std::net::SocketAddr;

use super::{listener::path, plain};
use crate::{
    config::{
        Admin, AdminSocket, CallerCertificate, Certificate, ClientAuth, Clients, ListenerTls,
        UnknownSni,
        leaf::Text,
        schema::{AdminBlock, AdminForm, AdminTlsBlock},
        walk::Placed,
    },
    model::Access,
};

/// What is not written lets everybody look, and those act who may open the socket.
pub(super) fn admin(at: &Placed<AdminForm>) -> Option<Admin> {
    match &at.value {
        AdminForm::None => Some(Admin::default()),
        AdminForm::Http(address) if at.is_written => Some(Admin {
            http: Some(*address),
            anonymous: by_place(*address),
            has_page: true,
            ..Admin::default()
        }),
        AdminForm::Http(address) => Some(Admin {
            http: Some(*address),
            unix: AdminSocket::Own,
            anonymous: Access::Read,
            has_page: true,
            ..Admin::default()
        }),
        AdminForm::Block(block) => spelled_out(block),
    }
}

fn spelled_out(block: &AdminBlock) -> Option<Admin> {
    let http = plain(block.http.as_ref());
    let callers = block.certificates.iter().flat_map(|at| &at.value);
    let certificates = callers.map(|at| {
        let Text(subject) = plain(at.value.subject.as_ref())?;
        Some(CallerCertificate {
            subject,
            role: plain(at.value.role.as_ref())?,
        })
    });
    let tls = match &block.tls {
        Some(at) => Some(tls(&at.value, block)?),
        None => None,
    };
    Some(Admin {
        http,
        unix: plain(block.unix.as_ref()).map_or(AdminSocket::None, AdminSocket::At),
        tokens_file: path(block.tokens_file.as_ref()),
        tls,
        certificates: certificates.collect::<Option<_>>()?,
        anonymous: anonymous(block),
        has_page: plain(block.dashboard.as_ref())?,
    })
}

/// What callers may do who prove nothing.
pub(in crate::config) fn anonymous(block: &AdminBlock) -> Access {
    let wants_proof = block.tokens_file.is_some() || block.client_ca.is_some();
    let by_default = || match &block.http {
        Some(_) if wants_proof => Access::None,
        Some(http) => by_place(http.value),
        None => Access::None,
    };
    plain(block.anonymous.as_ref()).unwrap_or_else(by_default)
}

/// Whoever writes a loopback address has chosen who is on the machine.
fn by_place(address: SocketAddr) -> Access {
    if address.ip().is_loopback() {
        Access::Admin
    } else {
        Access::Read
    }
}

/// A certificate is one way of several to prove who one is: no caller must show one.
fn tls(tls: &AdminTlsBlock, block: &AdminBlock) -> Option<ListenerTls> {
    let ca = path(block.client_ca.as_ref());
    Some(ListenerTls {
        certificates: vec![Certificate {
            cert: path(tls.cert.as_ref())?,
            key: path(tls.key.as_ref())?,
            ocsp: None,
        }],
        clients: ca.map(|ca| Clients {
            ca,
            auth: ClientAuth::Optional,
        }),
        unknown_sni: UnknownSni::Default,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;

    const REST: &str =
        "upstreams: { a: { static: [\"192.0.2.1:80\"] } }\nsplits: { s: { stable: a } }\n";

    fn anonymous_of(head: &str) -> Access {
        let text = format!("listen: \"127.0.0.1:80\"\n{head}\n{REST}");
        load(&text, "x.yaml").unwrap().0.admin.anonymous
    }

    #[test]
    fn who_proves_nothing_may_act_only_where_the_file_has_chosen_who_is_there() {
        let cases = [
            ("", Access::Read),
            ("admin: none", Access::None),
            ("admin: \"127.0.0.1:1\"", Access::Admin),
            ("admin: \"[::1]:1\"", Access::Admin),
            ("admin: \"10.0.0.1:1\"", Access::Read),
            ("admin: \"0.0.0.0:1\"", Access::Read),
            ("admin: { http: \"127.0.0.1:1\" }", Access::Admin),
            ("admin: { http: \"0.0.0.0:1\" }", Access::Read),
            ("admin: { unix: /x }", Access::None),
            (
                "admin: { http: \"127.0.0.1:1\", tokens_file: /t }",
                Access::None,
            ),
            (
                "admin: { http: \"0.0.0.0:1\", tokens_file: /t }",
                Access::None,
            ),
            (
                "admin: { http: \"0.0.0.0:1\", tokens_file: /t, anonymous: read }",
                Access::Read,
            ),
            (
                "admin: { http: \"127.0.0.1:1\", tls: { cert: /c, key: /k }, client_ca: /a }",
                Access::None,
            ),
            (
                "admin: { http: \"127.0.0.1:1\", anonymous: operate }",
                Access::Operate,
            ),
            ("preset: edge\nadmin: \"127.0.0.1:1\"", Access::Admin),
            ("preset: sidecar\nadmin: \"127.0.0.1:1\"", Access::Read),
            (
                "preset: sidecar\nadmin: { http: \"127.0.0.1:1\" }",
                Access::Read,
            ),
            (
                "preset: sidecar\nadmin: { http: \"127.0.0.1:1\", tokens_file: /t }",
                Access::None,
            ),
            (
                "preset: sidecar\nadmin: { http: \"127.0.0.1:1\", anonymous: admin }",
                Access::Admin,
            ),
            ("preset: sidecar", Access::Read),
        ];
        for (head, expected) in cases {
            assert_eq!(anonymous_of(head), expected, "{head}");
        }
    }

    #[test]
    fn nothing_is_open_to_the_network_unless_the_file_says_so() {
        for head in ["", "preset: sidecar", "preset: edge"] {
            let text = format!("listen: \"127.0.0.1:80\"\n{head}\n{REST}");
            let admin = load(&text, "x.yaml").unwrap().0.admin;
            assert!(admin.http.unwrap().ip().is_loopback());
            assert_eq!(admin.unix, AdminSocket::Own, "acts have a place");
        }
    }
}
