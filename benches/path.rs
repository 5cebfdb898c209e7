//! What a request costs on its path in nanoseconds, and what of it is httparse, which reads the
//! heads: for people. What is held to a figure is counted in `instructions.rs`.
//!
//! `cargo bench --bench path`.

mod support;

use std::{hint::black_box, mem::MaybeUninit};

use criterion::{Criterion, criterion_group, criterion_main};
use serin::proxy::h1::{MAX_FIELDS, RequestHead, ResponseHead};

use support::traffic::{self, ANSWER, Counted, Question, REQUEST};

fn heads(criterion: &mut Criterion) {
    criterion.bench_function("httparse alone: a request of 12 fields", |bench| {
        bench.iter(|| {
            let mut slots = [const { MaybeUninit::uninit() }; MAX_FIELDS];
            let mut raw = httparse::Request::new(&mut []);
            raw.parse_with_uninit_headers(black_box(REQUEST), &mut slots)
                .map(|status| status.is_complete())
        });
    });
    criterion.bench_function("a request's head parsed", |bench| {
        let mut head = RequestHead::new();
        bench.iter(|| traffic::parse_request(&mut head, black_box(REQUEST)));
    });
    criterion.bench_function("a request's head rewritten", |bench| {
        let (mut head, mut out) = (RequestHead::new(), Vec::with_capacity(4_096));
        traffic::parse_request(&mut head, REQUEST);
        bench.iter(|| traffic::rewrite_request(black_box(&head), REQUEST, &mut out));
    });
    criterion.bench_function("an answer's head parsed and rewritten", |bench| {
        let (mut head, mut out) = (ResponseHead::new(), Vec::with_capacity(4_096));
        bench.iter(|| {
            traffic::parse_answer(&mut head, black_box(ANSWER));
            traffic::rewrite_answer(&head, ANSWER, &mut out);
        });
    });
}

fn decisions(criterion: &mut Criterion) {
    criterion.bench_function("a route of 1,000 splits, and its version", |bench| {
        let mut question = Question::among(1_000);
        bench.iter(|| (question.route(), question.assign()));
    });
    criterion.bench_function("a sticky client's version", |bench| {
        let mut question = Question::known();
        bench.iter(|| question.assign());
    });
    criterion.bench_function("all that is counted of a request", |bench| {
        let mut counted = Counted::new();
        bench.iter(|| counted.one());
    });
}

criterion_group!(benches, heads, decisions);
criterion_main!(benches);
