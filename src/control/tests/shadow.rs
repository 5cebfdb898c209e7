//! Stable tried against itself, while the rollout goes its way.

use super::*;

impl Desk {
    /// A tenth of a second of stable, which fails so many of the shadow's requests.
    fn shadow_traffic(&mut self, failures: u64) {
        self.now += 100;
        let (key, stage) = self.in_force();
        let mut sample = Sample::default();
        for (is_shadow, trials, failures) in [(false, 90, 0), (true, 10, failures)] {
            let key = CellKey {
                is_shadow,
                ..cell_key(key, stage, Role::Stable)
            };
            sample.cells.insert(key, cell(trials, failures));
        }
        self.on(Event::Sampled(Box::new(sample)));
        self.on(Event::Tick);
    }

    fn shadow(&self) -> ShadowStatus {
        self.handle.status().splits[0].shadow.clone().unwrap()
    }
}

#[test]
fn an_alarm_of_the_shadow_is_told_and_moves_nothing() {
    for canary in [None, Some("v2")] {
        let mut desk = Desk::of(fixture::split("shop", "v1", canary), None);
        let phase = desk.phase();
        let mut news = desk.handle.news();
        for _ in 0..650 {
            desk.shadow_traffic(0);
        }
        let quiet = desk.shadow();
        assert_eq!(quiet.alarms, 0);
        let is_counted = (6_300..=6_500).contains(&quiet.requests);
        assert!(is_counted && quiet.evidence < 1.0, "{quiet:?}");
        for _ in 0..20 {
            desk.shadow_traffic(5);
        }
        assert!(desk.shadow().alarms > 0);
        assert_eq!(desk.phase(), phase);
        let told = std::iter::from_fn(|| news.try_recv().ok());
        let alarm = told
            .into_iter()
            .find(|news| news.what == "shadow_alarm")
            .unwrap();
        assert!(alarm.is_warning);
        let expected = "stable was found worse than itself by critical:error_rate: ";
        assert!(alarm.text.starts_with(expected), "{}", alarm.text);
        let status = desk.handle.status();
        let arm = status.splits[0].arm(Role::Stable).unwrap();
        assert_eq!(
            (arm.trials, arm.failures),
            (67_000, 100),
            "both parts are stable's"
        );
    }
}

#[test]
fn without_stable_there_is_no_shadow() {
    let mut desk = Desk::of(shop(10), None);
    for _ in 0..50 {
        desk.shadow_traffic(0);
    }
    assert!(desk.shadow().requests > 0);
    desk.ask(Command::Promote { full: true }, None).unwrap();
    for _ in 0..20 {
        desk.shadow_traffic(10);
    }
    let shadow = desk.shadow();
    assert_eq!((shadow.alarms, shadow.requests), (0, 0));
}

#[test]
fn of_many_splits_some_are_looked_at_in_each_turn_and_none_is_left_out() {
    let mut desk = Desk::of(shop(0), None);
    let split = |number| fixture::split(&format!("shop-{number}"), "v1", None);
    desk.save(2, (0..100).map(split).collect());
    let mut sample = Sample::default();
    for split in &desk.reader.current().splits {
        for is_shadow in [false, true] {
            let key = CellKey {
                is_shadow,
                ..cell_key(split.key, split.stage, Role::Stable)
            };
            sample.cells.insert(key, cell(10, 0));
        }
    }
    desk.now += 1_000;
    desk.on(Event::Sampled(Box::new(sample)));
    let mut seen = Vec::new();
    for _ in 0..4 {
        desk.now += 50;
        desk.on(Event::Tick);
        let courses = desk.control.courses.values();
        let shadows = courses.filter_map(|course| course.shadow.status());
        seen.push(shadows.filter(|shadow| shadow.requests > 0).count());
    }
    assert_eq!(seen, [32, 64, 96, 100]);
}
