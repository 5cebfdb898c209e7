//! What is told of judgements that decide nothing, and what is shown of them.

use super::*;
use crate::config::{Auto, DryRun};

fn kinds(news: &mut tokio::sync::broadcast::Receiver<News>) -> Vec<&'static str> {
    let told = std::iter::from_fn(|| news.try_recv().ok());
    told.map(|news| news.what).collect()
}

#[test]
fn a_metric_that_is_only_tried_is_told_once_and_moves_nothing() {
    let mut split = shop(10);
    split.analysis.dry_run = DryRun {
        errors: true,
        ..DryRun::default()
    };
    let mut desk = Desk::of(split, None);
    let mut news = desk.handle.news();
    for _ in 0..50 {
        desk.traffic(90, 10, 5);
    }
    assert_eq!(kinds(&mut news), ["dry_run_failed"]);
    assert_eq!(desk.phase(), ("progressing", share(10)));
}

#[test]
fn a_pause_that_nobody_asked_for_is_for_a_person_to_look_at() {
    let mut split = ramp();
    split.rollout.as_mut().unwrap().on_failure = OnFailure::Pause;
    let mut desk = Desk::of(split, None);
    let mut news = desk.handle.news();
    for _ in 0..20 {
        desk.traffic(90, 10, 5);
    }
    let told = std::iter::from_fn(|| news.try_recv().ok());
    let paused = told.into_iter().find(|news| news.what == "paused");
    assert!(paused.unwrap().is_warning);
    desk.ask(Command::Resume, None).unwrap();
    desk.ask(Command::Pause, None).unwrap();
    let told = std::iter::from_fn(|| news.try_recv().ok());
    let paused = told.into_iter().find(|news| news.what == "paused");
    assert!(!paused.unwrap().is_warning, "a person has paused it");
}

#[test]
fn evidence_that_cannot_be_trusted_is_told_until_it_can() {
    let mut desk = Desk::of(shop(10), None);
    for _ in 0..10 {
        desk.traffic(90, 10, 0);
    }
    let mut news = desk.handle.news();
    desk.now += 3_000;
    desk.traffic(90, 10, 0);
    assert_eq!(
        kinds(&mut news),
        ["evidence_invalid"],
        "the judge stood still"
    );
    for _ in 0..10 {
        desk.traffic(90, 10, 0);
    }
    assert_eq!(kinds(&mut news), ["evidence_valid"]);
}

#[test]
fn what_is_spent_of_a_harm_budget_is_shown_while_the_weight_rises() {
    let mut split = ramp();
    let auto = Auto {
        from: share(10),
        to: share(50),
        failed_requests: 200,
        min_step: Duration::from_mins(1),
        max: None,
    };
    split.rollout.as_mut().unwrap().steps = vec![Step::Auto(auto)];
    let mut desk = Desk::of(split, None);
    for _ in 0..20 {
        desk.traffic(900, 100, 0);
    }
    desk.traffic(900, 100, 8);
    desk.now += 300;
    desk.on(Event::Tick);
    let (spent, all) = desk.handle.status().splits[0].harm_budget.unwrap();
    assert!((spent - 6.95).abs() < 0.01, "{spent}");
    assert_eq!(all, 200);
    desk.ask(Command::Abort, None).unwrap();
    assert_eq!(desk.handle.status().splits[0].harm_budget, None);
}
