//! The screen at several sizes, and what keys lead to.

use ratatui::{
    Terminal,
    backend::TestBackend,
    crossterm::event::{KeyCode, KeyModifiers},
    style::Color,
};
use serde_json::{Value, json};

use super::{
    draw,
    state::{Act, Mode, Todo, Top, Verb},
};

const NONE: KeyModifiers = KeyModifiers::NONE;

/// A canary at 5 %, two seconds of numbers, an endpoint that is out.
fn scene() -> Top {
    let mut top = Top::new("127.0.0.1:9900", None, true);
    for second in 0..12_u64 {
        top.told("status", &frame(second).to_string());
    }
    top.told("endpoints", &survey().to_string());
    let news = json!({
        "at": "2026-01-02T03:04:16.000Z", "event": "endpoint_ejected", "split": null,
        "epoch": null, "weight": null, "by": "proxy", "is_warning": true,
        "text": "ecs: 10.0.0.9:8080 gets no requests for 10 s: 3 failures in a row",
    });
    top.told("news", &news.to_string());
    top
}

fn frame(second: u64) -> Value {
    json!({
        "at": format!("2026-01-02T03:04:{:02}.500Z", 5 + second),
        "generation": 7, "is_ready": true, "is_draining": false, "workers": [0.11, 0.42],
        "splits": [split("cart", 3, second), split("shop", 4, second)],
        "upstreams": [upstream("mesos", 3, 3), upstream("ecs", 1, 2)],
        "config": {
            "hash": "feed", "loaded_at": "2026-01-02T03:00:00Z",
            "reloads_succeeded": 2, "reloads_failed": 0, "problem": null,
        },
    })
}

fn upstream(name: &str, usable: u64, all: u64) -> Value {
    json!({
        "name": name, "usable_endpoints": usable, "endpoints": all,
        "discovery_age_seconds": 1.0, "problem": null,
    })
}

fn split(name: &str, epoch: u64, second: u64) -> Value {
    let version = |role: &str, version: &str, all: u64, bad: u64, p99: f64| {
        json!({
            "role": role, "version": version, "requests": all * second,
            "failures": bad * second, "rate": all, "streams": 12,
            "latency_ms": { "p50": 12.0, "p90": 30.0, "p99": p99, "p99_9": 240.0 },
        })
    };
    let metric = |metric: &str, estimate: f64, interval: [f64; 2], evidence: f64, dry: bool| {
        json!({
            "metric": metric, "verdict": "inconclusive", "estimate": estimate,
            "canary": { "hits": 4, "trials": 1000 }, "stable": { "hits": 19, "trials": 19000 },
            "interval": interval, "margin": 0.005, "evidence": evidence, "is_dry_run": dry,
        })
    };
    json!({
        "name": name, "stable": "mesos", "canary": "ecs", "epoch": epoch, "revision": 1,
        "phase": "progressing", "phase_reason": "",
        "step": {
            "number": 2, "of": 5, "text": "analysis, at most 10m",
            "ends_at": "2026-01-02T03:14:05Z",
        },
        "weight": { "configured": null, "effective": "5%", "observed": 0.0498 },
        "analysis": {
            "verdict": "inconclusive", "cause": "error_rate",
            "why": "4 of 1000 canary requests failed, 19 of 19000 on stable; about 1604 more for a \
                    pass if it is as good as stable",
            "evidence": 12.5, "threshold": 1000.0, "route": null, "parts": [], "suspect": null,
            "metrics": [
                metric("latency_p99", 0.3, [0.25, 0.35], 5_000.0, true),
                metric("error_rate", 0.003, [-0.001, 0.007], 12.5, false),
            ],
            "is_worse": false, "invalid": null, "canary_requests": 1000, "needed": 1604,
            "harm": 0.0, "pace": 5.0, "first_failed": [],
        },
        "harm_budget": { "spent": 12.4, "failed_requests": 200 },
        "dispersion": null, "shadow": null,
        "forecast": {
            "to_fail": [
                { "effect": "all_fail", "need": { "requests": 4, "seconds": 0.8 } },
                { "effect": "errors_plus_5pp", "need": { "requests": 220, "seconds": 44.0 } },
            ],
            "to_pass": { "requests": 12_300, "seconds": 2_460.0 },
        },
        "warnings": [],
        "versions": [
            version("stable", "mesos", 95, 1, 80.0),
            version("canary", "ecs", 20, second % 3, 90.0 + 10.0 * f64::from(second > 5)),
        ],
        "history": [{
            "at": "2026-01-02T03:04:05Z", "what": "stepped", "weight": "5%", "by": "judge",
            "why": "the canary is no worse than the margins allow",
        }],
    })
}

fn survey() -> Value {
    let cell = |address: &str, state: &str, latency: f64, why: Option<&str>| {
        json!({
            "count": 1, "address": address, "state": state, "why": why, "failures": 0,
            "ejected_seconds": why.map(|_| 8), "latency_ms": latency, "in_flight": 2,
        })
    };
    json!({ "upstreams": [
        of("mesos", &[cell("10.0.0.1:8080", "healthy", 4.0, None),
                      cell("10.0.0.2:8080", "healthy", 9.0, None)]),
        of("ecs", &[cell("10.0.0.8:8080", "warming", 7.0, None),
                    cell("10.0.0.9:8080", "ejected", 1.0, Some("3 failures in a row"))]),
    ] })
}

fn of(upstream: &str, cells: &[Value]) -> Value {
    json!({ "upstream": upstream, "endpoints": 2, "per_cell": 1, "cells": cells })
}

fn drawn(top: &Top, width: u16, height: u16) -> TestBackend {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw::draw(frame, top)).unwrap();
    terminal.backend().clone()
}

/// The screen as text; no line is longer than the screen is wide.
fn shown(top: &Top, width: u16, height: u16) -> String {
    let screen = drawn(top, width, height).to_string();
    let lines = screen
        .lines()
        .map(|line| line.trim_matches('"').trim_end().to_owned());
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn everything_is_on_a_small_terminal() {
    insta::assert_snapshot!("small", shown(&scene(), 80, 24));
}

#[test]
fn after_a_rollback_it_says_when_and_who_paid() {
    let mut top = scene();
    let mut over = frame(20);
    let split = &mut over["splits"][0];
    (split["phase"], split["weight"]["effective"]) = (json!("rolled_back"), json!("0%"));
    split["phase_reason"] = json!("error_rate: 40 of 1000 canary requests failed");
    split["versions"][1]["users"] = json!(412);
    split["rollback"] = json!({
        "epoch": 3, "cause": "verdict", "broke_at": "2026-01-02T03:04:20.100Z",
        "found_at": "2026-01-02T03:04:21.300Z", "applied_at": "2026-01-02T03:04:21.301Z",
        "complete_at": null, "failed_requests": 40, "users": null,
        "evidence": "/v1/rollouts/cart-3/evidence.html",
    });
    top.told("status", &over.to_string());
    insta::assert_snapshot!("rolled_back", shown(&top, 80, 24));
}

#[test]
fn a_narrow_terminal_has_less_and_a_wide_one_more() {
    insta::assert_snapshot!("narrow", shown(&scene(), 60, 20));
    insta::assert_snapshot!("wide", shown(&scene(), 120, 40));
}

#[test]
fn any_size_can_be_drawn() {
    let mut top = scene();
    for mode in ["", "?", "a"] {
        mode.chars()
            .for_each(|key| drop(top.key(KeyCode::Char(key), NONE)));
        for (width, height) in [(1, 1), (10, 3), (40, 5), (60, 10), (300, 100), (80, 1)] {
            drop(shown(&top, width, height));
        }
        let _done = top.key(KeyCode::Esc, NONE);
    }
}

#[test]
fn before_the_first_frame_and_without_splits_it_says_so() {
    let mut top = Top::new("127.0.0.1:9900", None, true);
    assert!(shown(&top, 80, 24).contains("waiting for the first frame"));
    let mut empty = frame(0);
    empty["splits"] = json!([]);
    top.told("status", &empty.to_string());
    assert!(shown(&top, 80, 24).contains("no splits"));
}

#[test]
fn what_is_wrong_is_said_loudly() {
    let mut top = scene();
    (0..6).for_each(|_| top.second());
    assert!(shown(&top, 80, 24).contains("NOTHING HEARD  for 6 s"));
    top.lost("connection refused".to_owned());
    let lost = shown(&top, 80, 24);
    assert!(lost.contains("CONNECTION LOST  6 s without news, trying again: connection refused"));
    assert!(!lost.contains("NOTHING HEARD"), "one of the two");
    let mut bad = frame(20);
    bad["config"]["problem"] = json!("serin.yaml:3:9: `wieght` is not a key\n3 | wieght: 5%");
    bad["upstreams"][1]["problem"] = json!("cannot read ecs.yaml");
    top.back();
    top.told("status", &bad.to_string());
    let said = shown(&top, 80, 24);
    assert!(said.contains("BAD FILE  the one before it is in force: serin.yaml:3:9: `wieght`"));
    assert!(said.contains("UPSTREAM  ecs: cannot read ecs.yaml"));
    assert!(!said.contains("CONNECTION LOST"));
    top.told("status", "{}");
    assert!(shown(&top, 80, 24).contains("REFUSED  cannot understand it"));
}

#[test]
fn without_colours_nothing_is_coloured_and_the_words_are_the_same() {
    let mut top = scene();
    let mut failed = frame(20);
    failed["splits"][0]["analysis"]["verdict"] = json!("fail");
    top.told("status", &failed.to_string());
    let colourful = drawn(&top, 80, 24);
    top.has_colour = false;
    let plain = drawn(&top, 80, 24);
    let is_coloured = |screen: &TestBackend| {
        screen
            .buffer()
            .content()
            .iter()
            .any(|cell| cell.fg != Color::Reset)
    };
    assert!(is_coloured(&colourful) && !is_coloured(&plain));
    assert_eq!(colourful.to_string(), plain.to_string());
}

#[test]
fn an_act_wants_a_reason_and_a_yes_and_bears_the_epoch_that_was_seen() {
    let mut top = scene();
    assert_eq!(top.key(KeyCode::Char('j'), NONE), Todo::Nothing);
    assert_eq!(top.chosen().unwrap().name, "shop");
    assert_eq!(top.key(KeyCode::Char('a'), NONE), Todo::Nothing);
    assert_eq!(top.key(KeyCode::Enter, NONE), Todo::Nothing);
    assert!(matches!(top.mode, Mode::Reason(_)), "a reason is needed");
    "too slowq"
        .chars()
        .for_each(|key| drop(top.key(KeyCode::Char(key), NONE)));
    assert_eq!(top.key(KeyCode::Backspace, NONE), Todo::Nothing);
    insta::assert_snapshot!("reason", shown(&top, 80, 24));
    assert_eq!(top.key(KeyCode::Enter, NONE), Todo::Nothing);
    let asked = shown(&top, 80, 24);
    assert!(
        asked.contains("Reason: too slow") && asked.contains("y does it"),
        "{asked}"
    );
    // The rollout goes on meanwhile; the act is about what was seen.
    let mut later = frame(30);
    later["splits"][1]["epoch"] = json!(5);
    top.told("status", &later.to_string());
    let act = Act {
        split: "shop".to_owned(),
        verb: Verb::Abort,
        reason: "too slow".to_owned(),
        epoch: 4,
    };
    assert_eq!(top.key(KeyCode::Char('y'), NONE), Todo::Act(act));
    top.say("the epoch is 5, not 4".to_owned(), true);
    assert!(shown(&top, 80, 24).contains("REFUSED  the epoch is 5, not 4"));
}

#[test]
fn an_act_is_left_by_escape_and_by_anything_but_yes() {
    for (_, verb) in Verb::ALL {
        for last in [
            KeyCode::Enter,
            KeyCode::Esc,
            KeyCode::Char('n'),
            KeyCode::Char(' '),
        ] {
            let mut top = scene();
            let key = Verb::ALL.iter().find(|(_, it)| *it == verb).unwrap().0;
            for code in [KeyCode::Char(key), KeyCode::Char('x'), KeyCode::Enter, last] {
                assert_eq!(top.key(code, NONE), Todo::Nothing);
            }
            assert_eq!(top.mode, Mode::Watching);
            assert!(shown(&top, 80, 24).contains("was not done"));
        }
    }
}

#[test]
fn control_c_ends_in_every_mode_and_q_where_nothing_is_typed() {
    for keys in ["", "?", "a", "ax"] {
        let mut top = scene();
        keys.chars()
            .for_each(|key| drop(top.key(KeyCode::Char(key), NONE)));
        assert_eq!(
            top.key(KeyCode::Char('c'), KeyModifiers::CONTROL),
            Todo::Quit
        );
    }
    let mut top = scene();
    assert_eq!(top.key(KeyCode::Char('q'), NONE), Todo::Quit);
    assert_eq!(top.key(KeyCode::Char('?'), NONE), Todo::Nothing);
    insta::assert_snapshot!("help", shown(&top, 80, 24));
    assert_eq!(
        top.key(KeyCode::Char('q'), NONE),
        Todo::Nothing,
        "it closes the help"
    );
}

#[test]
fn a_trend_counts_what_is_new_and_survives_a_new_rollout() {
    let mut top = scene();
    let failed = |top: &Top| top.trends("shop").unwrap()[1].failed.clone();
    // 20 requests a second, of which 0, 1 or 2 in all seconds together have failed.
    assert_eq!(failed(&top).len(), 12);
    let mut anew = frame(40);
    anew["splits"][1]["versions"][1]["requests"] = json!(10);
    anew["splits"][1]["versions"][1]["failures"] = json!(1);
    top.told("status", &anew.to_string());
    assert_eq!(
        failed(&top).back(),
        Some(&1_000),
        "one of ten, in hundredths of a percent"
    );
    let mut same = anew.clone();
    same["generation"] = json!(8);
    top.told("status", &same.to_string());
    assert_eq!(failed(&top).len(), 13, "a point a second");
}
