//! The affinity cookie and the signed override: what we signed holds, what differs from it in one
//! bit is as good as absent, whatever stands beside it.

#![no_main]

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, LazyLock},
};

use libfuzzer_sys::fuzz_target;
use serin::{
    config,
    model::{Epoch, Generation, Moment, Nonce, Point, Role, Share, Stage, VersionName},
    plan::{
        Chance, Head, Inputs, Keys, Override, Remember, Secrets, Shift, Split, Tls, Why, compile,
    },
};

const TEXT: &str = "
listen: 127.0.0.1:0
upstreams:
  old: { static: [\"127.0.0.1:1\"] }
  new: { static: [\"127.0.0.1:2\"] }
splits:
  shop:
    stable: old
    canary: new
    weight: 10%
    sticky: { cookie: { name: s } }
    override: { header: x-version, cookie: v, signed_by: secret }
";
const SECRET: &[u8] = b"a secret of a fuzz target";

static SPLIT: LazyLock<Arc<Split>> = LazyLock::new(|| {
    let (config, _warnings) = config::load(TEXT, "fuzz.yaml").expect("the text is right");
    let shift = Shift {
        epoch: Epoch(1),
        nonce: Nonce(7),
        stage: Stage(1),
        share: Share::from_basis_points(1_000).expect("a tenth"),
    };
    let shifts = config
        .splits
        .iter()
        .map(|split| (split.name.clone(), shift));
    let inputs = Inputs {
        config: &config,
        endpoints: &HashMap::new(),
        shifts: &shifts.collect(),
        secrets: &Secrets {
            default: SECRET.to_vec(),
            files: [("secret".into(), SECRET.to_vec())].into(),
        },
        tls: &Tls::default(),
        previous: None,
        generation: Generation(1),
        now: Moment::ZERO,
    };
    compile(&inputs, &mut Keys::default()).splits[0].clone()
});

fuzz_target!(|bytes: &[u8]| {
    let Some((&[kind, high, low, at, change], beside)) = bytes.split_first_chunk::<5>() else {
        return;
    };
    let split = &*SPLIT;
    let remember = Remember {
        role: if kind & 1 == 0 {
            Role::Stable
        } else {
            Role::Canary
        },
        point: Point::new(u16::from_be_bytes([high, low]) % 10_000).expect("below 10,000"),
        id: u64::from(kind) << 32 | 0x5eed,
    };
    let mut line = Vec::new();
    let affinity = split.affinity.as_ref().expect("the split is sticky");
    affinity.write_cookie(remember, &mut line);
    let pair = line.strip_prefix(b"Set-Cookie: ").expect("a field");
    let end = pair.iter().position(|b| *b == b';').expect("attributes");
    let mut pair = pair[..end].to_vec();
    let mut signed = Override::sign(SECRET, &split.name, &name(kind)).into_bytes();
    // Not the cookie's name: without it there is nothing to read.
    spoil(&mut pair[2..], at, change);
    spoil(&mut signed, at, change);

    let asked = Asked {
        cookies: [&pair, beside],
        version: &signed,
    };
    let (assignment, why) = split.assign_because(&asked, CHANCE);
    assert_eq!(assignment.overridden, change == 0, "{why:?}");
    let asked = Asked {
        version: beside,
        ..asked
    };
    let (assignment, why) = split.assign_because(&asked, CHANCE);
    assert!(!assignment.overridden, "nobody can sign");
    let is_remembered = matches!(why, Why::Cookie | Why::CookiePoint);
    assert_eq!(is_remembered, change == 0, "{why:?}");
});

const CHANCE: Chance = Chance {
    point: match Point::new(5_000) {
        Some(point) => point,
        None => panic!("below 10,000"),
    },
    fresh: 1,
};

fn name(kind: u8) -> VersionName {
    let role = if kind & 2 == 0 {
        Role::Stable
    } else {
        Role::Canary
    };
    SPLIT.version(role).name.clone()
}

fn spoil(bytes: &mut [u8], at: u8, change: u8) {
    let at = usize::from(at) % bytes.len();
    bytes[at] ^= change;
}

/// A request with these fields.
#[derive(Clone, Copy)]
struct Asked<'a> {
    cookies: [&'a [u8]; 2],
    version: &'a [u8],
}

impl Head for Asked<'_> {
    fn method(&self) -> &[u8] {
        b"GET"
    }

    fn host(&self) -> &[u8] {
        b"shop.example"
    }

    fn path(&self) -> &[u8] {
        b"/"
    }

    fn field(&self, name: &str) -> Option<&[u8]> {
        (name == "x-version").then_some(self.version)
    }

    fn cookies<'a>(&'a self, each: &mut dyn FnMut(&'a [u8])) {
        self.cookies.into_iter().for_each(each);
    }

    fn client(&self) -> IpAddr {
        Ipv4Addr::LOCALHOST.into()
    }
}
