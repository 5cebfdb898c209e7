//! Names, protocols, clients' certificates; and the same towards upstreams.

use super::*;

const BOTH: &str = "certificates: [{ cert: a.pem, key: a.key }, { cert: b.pem, key: b.key }]";

fn der(pem: &[u8]) -> Vec<u8> {
    CertificateDer::from_pem_slice(pem).unwrap().to_vec()
}

#[test]
fn the_name_that_a_client_asks_for_picks_the_certificate() {
    let cases = [
        ("a.example", "default", Some("a.pem")),
        ("b.example", "default", Some("b.pem")),
        ("x.b.example", "default", Some("b.pem")),
        ("X.B.Example", "default", Some("b.pem")),
        ("x.y.b.example", "default", Some("a.pem")),
        ("c.example", "default", Some("a.pem")),
        ("127.0.0.1", "default", Some("a.pem")),
        ("a.example", "reject", Some("a.pem")),
        ("x.b.example", "reject", Some("b.pem")),
        ("c.example", "reject", None),
        ("127.0.0.1", "reject", None),
    ];
    for (name, unknown, expected) in cases {
        let tls = format!("{{ {BOTH}, unknown_sni: {unknown} }}");
        let mut world = World::new(&listener(&tls), "");
        let plan = world.plan();
        let server = &plan.listeners[0].tls.as_ref().unwrap().config;
        // Which one it gets, not whether it likes it.
        let mut client = world.client(&[]);
        let believes = anybody::BelievesAnybody(provider());
        client
            .dangerous()
            .set_certificate_verifier(Arc::new(believes));
        let shaken = shake(&Arc::new(client), server, name);
        let found = shaken.as_ref().ok().map(Shaken::certificate);
        let expected = expected.map(|file| der(&world.files[&PathBuf::from(file)]));
        assert_eq!(found, expected.as_deref(), "{name}, {unknown}");
    }
}

#[test]
fn of_two_certificates_for_a_name_a_client_gets_the_one_that_it_can_check() {
    let mut world = World::new(&listener(&format!("{{ {BOTH} }}")), "");
    let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let signed = params(&["a.example"]).signed_by(&key, &world.authority.issuer);
    world.file("a.pem", signed.unwrap().pem());
    world.file("a.key", key.serialize_pem());
    world.renew("b", &["a.example"]);
    let server = Arc::clone(&world.plan().listeners[0].tls.as_ref().unwrap().config);
    let client = Arc::new(world.client(&[]));
    let shaken = shake(&client, &server, "a.example").unwrap();
    assert_eq!(
        shaken.certificate(),
        der(&world.files[&PathBuf::from("a.pem")])
    );
    let mut narrow = rustls::crypto::aws_lc_rs::default_provider();
    let algorithms = &mut narrow.signature_verification_algorithms;
    algorithms.mapping = rustls::crypto::aws_lc_rs::default_provider()
        .signature_verification_algorithms
        .mapping
        .iter()
        .filter(|(scheme, _)| *scheme != rustls::SignatureScheme::ED25519)
        .copied()
        .collect::<Vec<_>>()
        .leak();
    let client = ClientConfig::builder_with_provider(Arc::new(narrow))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(world.roots())
        .with_no_client_auth();
    let shaken = shake(&Arc::new(client), &server, "a.example").unwrap();
    assert_eq!(
        shaken.certificate(),
        der(&world.files[&PathBuf::from("b.pem")])
    );
}

#[test]
fn a_request_for_a_host_with_another_certificate_came_the_wrong_way() {
    let mut world = World::new(&listener(&format!("{{ {BOTH} }}")), "");
    let plan = world.plan();
    let tls = plan.listeners[0].tls.as_ref().unwrap();
    let cases = [
        (Some("a.example"), "a.example", false),
        (Some("a.example"), "A.EXAMPLE", false),
        (Some("a.example"), "b.example", true),
        (Some("b.example"), "x.b.example", false),
        (Some("x.b.example"), "y.b.example", false),
        (Some("b.example"), "a.example", true),
        (Some("b.example"), "c.example", true),
        (Some("a.example"), "c.example", false),
        (Some("c.example"), "a.example", false),
        (Some("c.example"), "b.example", true),
        (None, "b.example", false),
    ];
    for (sni, host, expected) in cases {
        assert_eq!(tls.is_misdirected(sni, host), expected, "{sni:?}, {host}");
    }
}

#[test]
fn protocols_are_those_that_the_listener_speaks() {
    // What is offered, and what is agreed on; "refused": nothing, and the handshake fails.
    let cases: [(&str, &[&str], &str); 7] = [
        ("[h1, h2]", &["h2", "http/1.1"], "h2"),
        ("[h1, h2]", &["http/1.1"], "http/1.1"),
        ("[h1, h2]", &[], ""),
        ("[h1]", &["h2", "http/1.1"], "http/1.1"),
        ("[h1]", &["h2"], "refused"),
        ("[h2, grpc]", &["http/1.1"], "refused"),
        ("[h1, h2]", &["acme-tls/1"], "refused"),
    ];
    for (protocols, offered, expected) in cases {
        let text = format!(
            "  - {{ name: web, address: \"127.0.0.1:1\", protocols: {protocols}, \
             tls: {{ {BOTH} }} }}"
        );
        let mut world = World::new(&text, "");
        let server = Arc::clone(&world.plan().listeners[0].tls.as_ref().unwrap().config);
        let client = Arc::new(world.client(offered));
        let shaken = shake(&client, &server, "a.example");
        let agreed = shaken.as_ref().map(|shaken| shaken.server.alpn_protocol());
        let found = agreed.map_or(&b"refused"[..], Option::unwrap_or_default);
        assert_eq!(found, expected.as_bytes(), "{protocols}, {offered:?}");
    }
}

#[test]
fn clients_show_certificates_as_the_file_says() {
    // Whether a client without one is served, with one of the authority, with a stranger's.
    let cases = [
        ("", [true, true, true]),
        (", client_ca: ca.pem", [false, true, false]),
        (
            ", client_ca: ca.pem, client_auth: required",
            [false, true, false],
        ),
        (
            ", client_ca: ca.pem, client_auth: optional",
            [true, true, false],
        ),
    ];
    for (keys, expected) in cases {
        let mut world = World::new(&listener(&format!("{{ {BOTH}{keys} }}")), "");
        let server = Arc::clone(&world.plan().listeners[0].tls.as_ref().unwrap().config);
        let own = world.authority.issue(&["client.example"]);
        let strange = Authority::new("a stranger").issue(&["client.example"]);
        let clients = [
            world.client(&[]),
            world.client_with(&own),
            world.client_with(&strange),
        ];
        let shaken = clients.map(|client| shake(&Arc::new(client), &server, "a.example"));
        let are_served = shaken.each_ref().map(Result::is_ok);
        assert_eq!(are_served, expected, "{keys}");
        let shown = shaken[1].as_ref().unwrap().server.peer_certificates();
        let shown = shown.map(|chain| chain[0].to_vec());
        let is_asked = !keys.is_empty();
        assert_eq!(shown, is_asked.then(|| der(own.0.as_bytes())), "{keys}");
    }
}

#[test]
fn the_ocsp_answer_is_sent_along() {
    let tls = "{ certificates: [{ cert: a.pem, key: a.key, ocsp: a.ocsp }] }";
    let mut world = World::new(&listener(tls), "");
    world.file("a.ocsp", [0x30, 3, 2, 1, 0]);
    let plan = world.plan();
    let server = &plan.listeners[0].tls.as_ref().unwrap().config;
    let seen = Arc::new(Stapled::default());
    let mut client = world.client(&[]);
    client.dangerous().set_certificate_verifier(seen.clone());
    shake(&Arc::new(client), server, "a.example").unwrap();
    assert_eq!(seen.0.get().unwrap(), &[0x30, 3, 2, 1, 0]);
}

/// Keeps the OCSP answer that comes with a certificate.
#[derive(Debug, Default)]
struct Stapled(std::sync::OnceLock<Vec<u8>>);

impl rustls::client::danger::ServerCertVerifier for Stapled {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        _now: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        self.0.set(ocsp_response.to_vec()).unwrap();
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        anybody::BelievesAnybody(provider()).verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        anybody::BelievesAnybody(provider()).verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        anybody::BelievesAnybody(provider()).supported_verify_schemes()
    }
}

/// An origin that shows a certificate for these names, and what its clients show.
fn origin(world: &World, names: &[&str], authority: &Authority) -> Arc<ServerConfig> {
    let (certificate, key) = authority.issue(names);
    let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let roots = Arc::new(world.roots());
    let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(roots, provider());
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.allow_unauthenticated().build().unwrap())
        .with_single_cert(chain, key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Arc::new(config)
}

#[test]
fn an_upstream_is_who_the_file_says_or_nobody() {
    let own = ["old.internal", "127.0.0.1"];
    // The keys, the names that the origin has, whether its authority is known, what is agreed on.
    let cases: [(&str, &[&str], bool, Option<&str>); 8] = [
        (
            "tls: { ca: ca.pem, server_name: old.internal }",
            &own,
            true,
            Some("http/1.1"),
        ),
        (
            "tls: { ca: ca.pem, server_name: new.internal }",
            &own,
            true,
            None,
        ),
        (
            "tls: { ca: ca.pem, server_name: old.internal }",
            &own,
            false,
            None,
        ),
        ("tls: { ca: ca.pem }", &own, true, Some("http/1.1")),
        ("tls: { ca: ca.pem }", &["old.internal"], true, None),
        (
            "tls: { verify: none }",
            &["x.internal"],
            false,
            Some("http/1.1"),
        ),
        (
            "protocol: h2, tls: { verify: none }",
            &own,
            false,
            Some("h2"),
        ),
        ("protocol: h2, tls: { ca: ca.pem }", &own, true, Some("h2")),
    ];
    for (keys, names, is_known, expected) in cases {
        let mut world = World::new(&listener(&format!("{{ {BOTH} }}")), keys);
        let plan = world.plan();
        let tls = plan.upstreams[0].tls.as_ref().unwrap();
        let stranger = Authority::new("a stranger");
        let authority = if is_known {
            &world.authority
        } else {
            &stranger
        };
        let server = origin(&world, names, authority);
        let address = || ServerName::try_from("127.0.0.1").unwrap();
        let name = tls.server_name.clone().unwrap_or_else(address);
        let shaken = shake(&tls.config, &server, &name.to_str());
        let found = shaken.as_ref().ok();
        let found = found.and_then(|shaken| shaken.server.alpn_protocol());
        assert_eq!(found, expected.map(str::as_bytes), "{keys}, {names:?}");
    }
}

#[test]
fn an_upstream_is_shown_our_certificate_and_takes_up_sessions() {
    let keys = "tls: { ca: ca.pem, server_name: old.internal, \
                certificate: { cert: a.pem, key: a.key } }";
    let mut world = World::new(&listener(&format!("{{ {BOTH} }}")), keys);
    let plan = world.plan();
    let tls = plan.upstreams[0].tls.as_ref().unwrap();
    let server = origin(&world, &["old.internal"], &world.authority);
    let first = shake(&tls.config, &server, "old.internal").unwrap();
    let shown = first.server.peer_certificates().unwrap();
    assert_eq!(
        shown[0].as_ref(),
        der(&world.files[&PathBuf::from("a.pem")])
    );
    assert!(
        shake(&tls.config, &server, "old.internal")
            .unwrap()
            .is_resumed()
    );
}

#[test]
fn the_name_of_an_upstream_is_that_of_its_endpoints_if_they_have_one() {
    let cases = [
        ("static: [\"127.0.0.1:1\"]", None),
        ("static: [\"127.0.0.1:1\", \"127.0.0.2:1\"]", None),
        (
            "static: [\"a.internal:1\", \"a.internal:2\"]",
            Some("a.internal"),
        ),
        ("dns: \"b.internal:1\"", Some("b.internal")),
        (
            "dns: \"b.internal:1\", tls: { server_name: c.internal, ca: x.pem }",
            Some("c.internal"),
        ),
        ("file: /list", None),
    ];
    for (source, expected) in cases {
        let text = format!(
            "listen: \"127.0.0.1:9\"\nupstreams: {{ u: {{ {source}, protocol: h2 }} }}\n\
             splits: {{ s: {{ stable: u }} }}\n"
        );
        let config = config::load(&text, "x.yaml").unwrap().0;
        let tls = config.upstreams[0].tls.as_ref().unwrap();
        assert_eq!(tls.server_name.as_deref(), expected, "{source}");
    }
}
