//! What is made of the files of other proxies, and that nothing in them breaks it.

use super::*;

type Convert = fn(&str) -> Result<String, String>;

const SAMPLES: [(&str, &str, Convert); 6] = [
    (
        "haproxy",
        include_str!("../../../tests/fixtures/convert/haproxy.cfg"),
        haproxy::convert,
    ),
    (
        "nginx",
        include_str!("../../../tests/fixtures/convert/nginx.conf"),
        nginx::convert,
    ),
    (
        "envoy",
        include_str!("../../../tests/fixtures/convert/envoy.yaml"),
        envoy::convert,
    ),
    (
        "traefik",
        include_str!("../../../tests/fixtures/convert/traefik.yaml"),
        traefik::convert,
    ),
    (
        "flagger",
        include_str!("../../../tests/fixtures/convert/flagger.yaml"),
        kubernetes::flagger,
    ),
    (
        "argo",
        include_str!("../../../tests/fixtures/convert/argo.yaml"),
        kubernetes::argo,
    ),
];
/// Broken copies of each sample.
const MUTATIONS: u64 = 200;

#[test]
fn each_sample_becomes_a_file_that_is_valid() {
    for (name, text, convert) in SAMPLES {
        let made = convert(text).unwrap();
        insta::assert_snapshot!(name, made);
        let loaded = config::load(&made, name);
        let (_, problems) = loaded.unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(problems.errors(), 0, "{problems}");
    }
}

#[test]
fn a_broken_file_is_converted_or_refused_and_what_comes_out_is_valid() {
    for (name, text, convert) in SAMPLES {
        let (mut is_made, mut wrong) = (0, Vec::new());
        for seed in 0..MUTATIONS {
            let broken = mutated(text, seed);
            if let Ok(made) = convert(&broken) {
                is_made += 1;
                let loaded = config::load(&made, name);
                wrong.extend(loaded.err().map(|problems| format!("{seed}: {problems}")));
            }
        }
        assert!(wrong.is_empty(), "{name} {}", wrong.join("\n"));
        assert!(is_made > MUTATIONS / 10, "{name}: only {is_made} were made");
    }
}

/// A few lines are lost, doubled, swapped or hit by a stray letter.
fn mutated(text: &str, seed: u64) -> String {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for _ in 0..random.usize(1..4) {
        let place = random.usize(..lines.len());
        match random.u8(..5) {
            0 => drop(lines.remove(place)),
            1 => lines.insert(place, lines[place].clone()),
            2 => {
                let other = random.usize(..lines.len());
                lines.swap(place, other);
            }
            3 => {
                let strays: Vec<char> = "{}[]:;%\"'#-&*!|>x9 \u{e9}/".chars().collect();
                let stray = strays[random.usize(..strays.len())];
                let mut letters: Vec<char> = lines[place].chars().collect();
                letters.insert(random.usize(..=letters.len()), stray);
                lines[place] = letters.into_iter().collect();
            }
            _ => {
                let kept = lines[place].chars().count();
                let kept = random.usize(..=kept);
                lines[place] = lines[place].chars().take(kept).collect();
            }
        }
    }
    lines.join("\n")
}

#[test]
fn what_is_no_such_file_is_refused() {
    for (name, _, convert) in SAMPLES {
        for text in ["", "\n\n", "%&$", "{", "a: b", "server {"] {
            assert!(convert(text).is_err(), "{name}: {text:?}");
        }
    }
}
