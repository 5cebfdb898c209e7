//! What each piece on the path costs, in instructions: counted by valgrind, so the same on a busy
//! machine, and bounded.
//!
//! `benches/run` counts and says what is over. Each bench says what was measured; growth of more
//! than 5 % fails. Whoever makes a piece dearer on purpose writes the new figure here, and why in
//! the commit; whoever makes one cheaper writes the new figure, so that it stays.
//!
//! Pieces of the path are counted [`TIMES`] times over, so that small ones are told exactly. The
//! figures are of x86-64 with AVX2 and Debian 12's C library; elsewhere they differ a little.

#![expect(
    missing_docs,
    unused_qualifications,
    clippy::unwrap_used,
    reason = "what the macros make has no documentation; a bench stops where it stands"
)]

mod support;

use std::hint::black_box;

use gungraun::prelude::*;
use gungraun::{Callgrind, EventKind};
use serin::{
    judge::{Criteria, Evidence, judge},
    model::{EndpointKey, Moment},
    plan::{self, Ask, Load, Plan, Reader},
    proxy::h1::{RequestHead, ResponseHead},
};

use support::{
    judging::{Ticks, evidence},
    traffic::{self, ANSWER, Counted, Question, REQUEST, Written},
};

/// How often each piece of the path is done.
const TIMES: u64 = 100;
/// A file with everything in it.
const REFERENCE: &str = include_str!("../config/reference.yaml");

/// Fails if more than a twentieth is added to the instructions that were measured.
fn measured(instructions: u64) -> LibraryBenchmarkConfig {
    let mut callgrind = Callgrind::with_args(["--cache-sim=no"]);
    callgrind.hard_limits([(EventKind::Ir, instructions + instructions / 20)]);
    let mut config = LibraryBenchmarkConfig::default();
    config.tool(callgrind);
    config
}

#[library_benchmark(config = measured(22_190))]
#[bench::of_one_split(args = (1), setup = Question::among)]
fn route(question: Question) -> Question {
    for _ in 0..TIMES {
        black_box(black_box(&question).route());
    }
    question
}

#[library_benchmark(config = measured(63_490))]
#[bench::of_a_thousand_splits(args = (1_000), setup = Question::among)]
fn route_among_many(question: Question) -> Question {
    for _ in 0..TIMES {
        black_box(black_box(&question).route());
    }
    question
}

#[library_benchmark(config = measured(10_790))]
#[bench::by_weight(args = (1), setup = Question::among)]
fn split(mut question: Question) -> Question {
    for _ in 0..TIMES {
        black_box(black_box(&mut question).assign());
    }
    question
}

#[library_benchmark(config = measured(148_088))]
#[bench::valid(setup = Question::known)]
fn sticky_cookie_read(mut question: Question) -> Question {
    for _ in 0..TIMES {
        let assignment = black_box(black_box(&mut question).assign());
        assert!(assignment.user.is_some() && assignment.remember.is_none());
    }
    question
}

fn stranger() -> (Question, Vec<u8>) {
    (Question::stranger(), Vec::with_capacity(4_096))
}

#[library_benchmark(config = measured(161_007))]
#[bench::of_a_new_client(setup = stranger)]
fn sticky_cookie_written((mut question, mut out): (Question, Vec<u8>)) -> (Question, Vec<u8>) {
    for _ in 0..TIMES {
        out.clear();
        black_box(&mut question).write_cookie(&mut out);
        black_box(&out);
    }
    (question, out)
}

/// Of ten endpoints.
fn ten() -> Plan {
    Written::new(&traffic::text(1, 10, "")).plan(None)
}

#[library_benchmark(config = measured(16_504))]
#[bench::of_ten(setup = ten)]
fn endpoint(plan: Plan) -> Plan {
    for at in 0..TIMES {
        let upstream = plan.upstreams.first().unwrap();
        let ask = Ask {
            random: at.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            turn: at,
            hash: None,
            now: Moment::ZERO,
            avoid: &[],
            most: None,
        };
        let load = |key: EndpointKey| Load {
            requests: key.0 & 3,
            latency: 5_000 + key.0,
        };
        black_box(black_box(upstream).choose(load, &ask));
    }
    plan
}

#[library_benchmark(config = measured(331_673))]
#[bench::of_twelve_fields(setup = RequestHead::new)]
fn request_head_parsed(mut head: RequestHead) -> RequestHead {
    for _ in 0..TIMES {
        traffic::parse_request(&mut head, black_box(REQUEST));
    }
    head
}

fn request() -> (RequestHead, Vec<u8>) {
    let mut head = RequestHead::new();
    traffic::parse_request(&mut head, REQUEST);
    (head, Vec::with_capacity(4_096))
}

#[library_benchmark(config = measured(55_595))]
#[bench::of_twelve_fields(setup = request)]
fn request_head_rewritten((head, mut out): (RequestHead, Vec<u8>)) -> (RequestHead, Vec<u8>) {
    for _ in 0..TIMES {
        traffic::rewrite_request(black_box(&head), REQUEST, &mut out);
        black_box(&out);
    }
    (head, out)
}

#[library_benchmark(config = measured(269_720))]
#[bench::of_ten_fields(setup = ResponseHead::new)]
fn answer_head_parsed(mut head: ResponseHead) -> ResponseHead {
    for _ in 0..TIMES {
        traffic::parse_answer(&mut head, black_box(ANSWER));
    }
    head
}

fn answer() -> (ResponseHead, Vec<u8>) {
    let mut head = ResponseHead::new();
    traffic::parse_answer(&mut head, ANSWER);
    (head, Vec::with_capacity(4_096))
}

#[library_benchmark(config = measured(38_054))]
#[bench::of_ten_fields(setup = answer)]
fn answer_head_rewritten((head, mut out): (ResponseHead, Vec<u8>)) -> (ResponseHead, Vec<u8>) {
    for _ in 0..TIMES {
        traffic::rewrite_answer(black_box(&head), ANSWER, &mut out);
        black_box(&out);
    }
    (head, out)
}

#[library_benchmark(config = measured(65_445))]
#[bench::of_an_attempt_and_a_request(setup = Counted::new)]
fn record(mut counted: Counted) -> Counted {
    for _ in 0..TIMES {
        black_box(&mut counted).one();
    }
    counted
}

fn some() -> Counted {
    let mut counted = Counted::new();
    (0..TIMES).for_each(|_| counted.one());
    counted
}

#[library_benchmark(config = measured(5_798))]
#[bench::of_a_hundred_requests(setup = some)]
fn sample_taken(mut counted: Counted) -> (Counted, serin::measure::Sample) {
    let sample = counted.hand_over();
    (counted, sample)
}

fn reader() -> Reader {
    plan::channel(ten()).1
}

#[library_benchmark(config = measured(1_224))]
#[bench::in_force(setup = reader)]
fn plan_loaded(mut reader: Reader) -> Reader {
    for _ in 0..TIMES {
        black_box(black_box(&mut reader).current());
    }
    reader
}

fn judged() -> (Evidence, Ticks) {
    let (mut evidence, mut ticks) = (evidence(1), Ticks::new());
    for _ in 0..200 {
        ticks.next(|tick| evidence.absorb(tick));
    }
    (evidence, ticks)
}

#[library_benchmark(config = measured(3_653_604))]
#[bench::a_quarter_of_a_second(setup = judged)]
fn judge_tick((mut evidence, mut ticks): (Evidence, Ticks)) -> (Evidence, Ticks) {
    for _ in 0..TIMES {
        ticks.next(|tick| evidence.absorb(black_box(tick)));
    }
    (evidence, ticks)
}

#[library_benchmark(config = measured(95_894))]
#[bench::with_its_numbers(setup = judged)]
fn judgement((evidence, ticks): (Evidence, Ticks)) -> (Evidence, Ticks) {
    black_box(judge(black_box(&evidence), &Criteria::default()));
    (evidence, ticks)
}

#[library_benchmark(config = measured(7_810_330))]
#[bench::of_the_reference()]
fn config_compiled() -> (Written, Plan) {
    let mut written = Written::new(black_box(REFERENCE));
    let plan = written.plan(None);
    (written, plan)
}

fn large() -> (Written, Plan) {
    let mut written = Written::new(&traffic::text(1, 2_500, ""));
    let plan = written.plan(None);
    (written, plan)
}

#[library_benchmark(config = measured(2_849_311))]
#[bench::of_five_thousand_endpoints(setup = large)]
fn plan_changed((mut written, before): (Written, Plan)) -> (Written, Plan, Plan) {
    let after = written.plan(Some(black_box(&before)));
    (written, before, after)
}

library_benchmark_group!(
    name = request_path,
    benchmarks = [
        plan_loaded,
        request_head_parsed,
        route,
        route_among_many,
        split,
        sticky_cookie_read,
        sticky_cookie_written,
        endpoint,
        request_head_rewritten,
        answer_head_parsed,
        answer_head_rewritten,
        record,
    ]
);

library_benchmark_group!(
    name = beside_it,
    benchmarks = [
        sample_taken,
        judge_tick,
        judgement,
        config_compiled,
        plan_changed
    ]
);

main!(library_benchmark_groups = request_path, beside_it);
