//! What is wrong with files; what is shared between plans; what is never shown.

use super::*;

const FULL: &str = "{ certificates: [{ cert: a.pem, key: a.key, ocsp: a.ocsp }], \
                    client_ca: ca.pem }";
const UPSTREAM: &str = "tls: { ca: ca.pem, certificate: { cert: b.pem, key: b.key } }";

fn whole() -> World {
    let mut world = World::new(&listener(FULL), UPSTREAM);
    world.file("a.ocsp", [0x30, 3, 2, 1, 0]);
    world
}

#[test]
fn what_is_wrong_with_a_file_is_told_with_its_owner() {
    let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let no_key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let (web, old) = ("listener web", "upstream old");
    let cases: [(&str, &str, &str, ReadError); 10] = [
        ("a.pem", "", web, ReadError::NoCertificate),
        ("a.pem", "not PEM", web, ReadError::NoCertificate),
        ("a.pem", garbage, web, ReadError::BadCertificate(1)),
        ("a.key", "", web, ReadError::NoKey),
        ("a.key", garbage, web, ReadError::NoKey),
        ("a.key", no_key, web, ReadError::BadKey),
        ("a.ocsp", "-----BEGIN", web, ReadError::BadOcsp),
        ("ca.pem", "x", web, ReadError::NoCertificate),
        ("b.pem", garbage, old, ReadError::BadCertificate(1)),
        ("b.key", "x", old, ReadError::NoKey),
    ];
    for (file, content, owner, why) in cases {
        let mut world = whole();
        world.file(file, content);
        let (tls, problems) = world.read();
        let told: Vec<_> = problems
            .iter()
            .map(|p| (&*p.owner, p.path.clone(), &p.why))
            .collect();
        assert_eq!(
            told,
            [(owner, Some(file.into()), &why)],
            "{file}: {content}"
        );
        assert!(!why.help().is_empty());
        let name = owner.split_once(' ').unwrap().1;
        let is_left = tls.servers.keys().any(|listener| listener.as_str() == name)
            || tls.clients.keys().any(|upstream| upstream.as_str() == name);
        assert!(!is_left, "{file}: what cannot be used is not used");
    }
}

#[test]
fn a_key_of_another_certificate_is_told_and_all_files_are_looked_at() {
    let mut world = whole();
    let other = world.files[&PathBuf::from("b.key")].clone();
    world.file("a.key", other);
    world.file("b.pem", "");
    let (_, problems) = world.read();
    let told: Vec<_> = problems
        .into_iter()
        .map(|problem| (problem.path, problem.why))
        .collect();
    let mismatch = ReadError::OtherKey("a.pem".into());
    assert_eq!(
        told,
        [
            (Some("a.key".into()), mismatch),
            (Some("b.pem".into()), ReadError::NoCertificate)
        ]
    );
}

#[test]
fn without_authorities_an_upstream_has_a_problem() {
    let mut world = World::new(
        "  - { name: web, address: \"127.0.0.1:1\" }",
        "protocol: h2",
    );
    let (_, problems) = world.read();
    assert_eq!(problems[0].why, ReadError::NoRoots);
    assert!(needs_system_roots(&world.config()));
    world.write(
        "  - { name: web, address: \"127.0.0.1:1\" }",
        "tls: { verify: none }",
    );
    assert!(!needs_system_roots(&world.config()));
}

#[test]
fn what_was_not_read_is_left_out_of_the_plan_and_never_plain() {
    let world = whole();
    let config = world.config();
    let one = crate::model::Endpoint::new("127.0.0.1:1".parse().unwrap());
    let inputs = Inputs {
        config: &config,
        endpoints: &[(config.upstreams[0].name.clone(), Arc::from([one]))].into(),
        shifts: &HashMap::new(),
        secrets: &Secrets::default(),
        tls: &Tls::default(),
        previous: None,
        generation: Generation(1),
        now: Moment::ZERO,
    };
    let plan = compile(&inputs, &mut Keys::default());
    assert!(plan.listeners.is_empty());
    assert!(plan.upstreams[0].endpoints.is_empty());
}

#[test]
fn what_did_not_change_is_shared() {
    let mut world = whole();
    let first = world.plan();
    let second = world.plan_after(Some(&first));
    assert!(Arc::ptr_eq(&first.listeners, &second.listeners));
    assert!(Arc::ptr_eq(&first.upstreams[0], &second.upstreams[0]));
    // Another upstream's certificate is no reason to touch the listener.
    world.renew("b", &["b.example"]);
    let third = world.plan_after(Some(&second));
    assert!(Arc::ptr_eq(&second.listeners, &third.listeners));
    assert!(!Arc::ptr_eq(&second.upstreams[0], &third.upstreams[0]));
    world.file("a.ocsp", [0x30, 0]);
    let fourth = world.plan_after(Some(&third));
    assert!(!Arc::ptr_eq(&third.listeners, &fourth.listeners));
    let known = world.read().0;
    assert!(known.is_read_from(&world.files));
    world.renew("a", &["a.example"]);
    assert!(!known.is_read_from(&world.files));
}

#[test]
fn a_listener_that_changes_otherwise_keeps_its_sessions() {
    let mut world = whole();
    let first = world.plan();
    world.text = world
        .text
        .replace("name: web,", "name: web, limits: { max_body: 1MiB },");
    let second = world.plan_after(Some(&first));
    assert!(!Arc::ptr_eq(&first.listeners, &second.listeners));
    let config = |plan: &Plan| Arc::clone(&plan.listeners[0].tls.as_ref().unwrap().config);
    assert!(Arc::ptr_eq(&config(&first), &config(&second)));
}

#[test]
fn a_private_key_is_never_shown() {
    let mut world = whole();
    let (plan, (tls, _)) = (world.plan(), world.read());
    let shown = format!("{plan:?} {tls:?}");
    assert!(shown.contains("a.pem"), "{shown}");
    for name in ["a.key", "b.key"] {
        let pem = String::from_utf8(world.files[&PathBuf::from(name)].clone()).unwrap();
        let line = pem.lines().nth(1).unwrap();
        let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap();
        let bytes = format!("{:?}", &key.secret_der()[8..24]);
        let bytes = bytes.trim_matches(['[', ']']);
        assert!(!shown.contains(line) && !shown.contains(bytes), "{name}");
    }
}

#[test]
fn the_end_of_a_certificate_is_known() {
    let mut world = whole();
    let mut params = params(&["a.example"]);
    params.not_after = rcgen::date_time_ymd(2031, 5, 4);
    let (certificate, key) = world.authority.sign(&params);
    world.file("a.pem", certificate);
    world.file("a.key", key);
    let tls = world.read().0;
    let ends = tls.servers.values().next().unwrap().not_after();
    assert_eq!(ends.map(Moment::millis), Some(1_935_619_200_000));
    let mut owners: Vec<_> = tls.certificates().map(|(owner, _)| owner).collect();
    owners.sort();
    assert_eq!(owners, ["listener web", "upstream old"]);
}
