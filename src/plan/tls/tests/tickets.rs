//! Clients that come back: to any worker, to a new certificate, and not to where they were never.

use super::*;

const ONE: &str = "certificates: [{ cert: a.pem, key: a.key }]";

fn server(plan: &Plan, place: usize) -> Arc<ServerConfig> {
    Arc::clone(&plan.listeners[place].tls.as_ref().unwrap().config)
}

#[test]
fn a_session_goes_on_after_a_new_certificate() {
    let mut world = World::new(&listener(&format!("{{ {ONE} }}")), "");
    let before = world.plan();
    let client = Arc::new(world.client(&[]));
    assert!(
        !shake(&client, &server(&before, 0), "a.example")
            .unwrap()
            .is_resumed()
    );
    assert!(
        shake(&client, &server(&before, 0), "a.example")
            .unwrap()
            .is_resumed()
    );
    world.renew("a", &["a.example"]);
    let after = world.plan_after(Some(&before));
    assert_ne!(after.listeners, before.listeners);
    assert!(
        shake(&client, &server(&after, 0), "a.example")
            .unwrap()
            .is_resumed()
    );
    let stranger = Arc::new(world.client(&[]));
    let shaken = shake(&stranger, &server(&after, 0), "a.example").unwrap();
    let renewed = &world.files[&PathBuf::from("a.pem")];
    assert_eq!(
        shaken.certificate(),
        CertificateDer::from_pem_slice(renewed).unwrap().as_ref()
    );
}

#[test]
fn old_versions_of_tls_take_sessions_up_too() {
    let mut world = World::new(&listener(&format!("{{ {ONE} }}")), "");
    let plan = world.plan();
    let mut client = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(world.roots())
        .with_no_client_auth();
    client.alpn_protocols = vec![b"h2".to_vec()];
    let client = Arc::new(client);
    let first = shake(&client, &server(&plan, 0), "a.example").unwrap();
    let version = first.server.protocol_version();
    assert_eq!(version, Some(rustls::ProtocolVersion::TLSv1_2));
    assert!(
        shake(&client, &server(&plan, 0), "a.example")
            .unwrap()
            .is_resumed()
    );
}

#[test]
fn a_ticket_of_one_listener_does_not_open_another_one() {
    let open = format!("  - {{ name: open, address: \"127.0.0.1:1\", tls: {{ {ONE} }} }}");
    let closed = format!(
        "  - {{ name: closed, address: \"127.0.0.1:2\", \
         tls: {{ {ONE}, client_ca: ca.pem }} }}"
    );
    let mut world = World::new(&format!("{open}\n{closed}"), "");
    let plan = world.plan();
    let client = Arc::new(world.client(&[]));
    shake(&client, &server(&plan, 0), "a.example").unwrap();
    assert!(
        shake(&client, &server(&plan, 0), "a.example")
            .unwrap()
            .is_resumed()
    );
    let refused = shake(&client, &server(&plan, 1), "a.example");
    assert!(refused.is_err(), "{refused:?}");
}

#[test]
fn a_ticket_does_not_outlive_the_authority_that_it_was_given_under() {
    let tls = format!("{{ {ONE}, client_ca: clients.pem }}");
    let mut world = World::new(&listener(&tls), "");
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    world.file("clients.pem", old.pem.clone());
    let before = world.plan();
    let client = Arc::new(world.client_with(&old.issue(&["client.example"])));
    shake(&client, &server(&before, 0), "a.example").unwrap();
    assert!(
        shake(&client, &server(&before, 0), "a.example")
            .unwrap()
            .is_resumed()
    );
    world.file("clients.pem", new.pem);
    let after = world.plan_after(Some(&before));
    let refused = shake(&client, &server(&after, 0), "a.example");
    assert!(refused.is_err(), "{refused:?}");
}
