//! Another process is to take this one's place: who decides, and what is kept.

use super::*;

impl Desk {
    fn lend(&mut self) {
        let (done, lent) = oneshot::channel();
        self.on(Event::Lending(done));
        lent.blocking_recv().unwrap();
    }

    fn leave(&mut self) -> bool {
        let (answer, answered) = oneshot::channel();
        self.on(Event::Leaving(answer));
        answered.blocking_recv().unwrap()
    }

    fn fail(&mut self) {
        for _ in 0..20 {
            self.traffic(90, 10, 10);
        }
    }
}

#[test]
fn a_rollback_meanwhile_is_made_and_keeps_this_process_in_charge() {
    let directory = tempfile::tempdir().unwrap();
    let state = Some(directory.path());
    let mut desk = Desk::of(ramp(), state);
    desk.lend();
    let refusal = desk
        .ask(Command::Promote { full: false }, None)
        .unwrap_err();
    assert!(refusal.message.contains("upgraded"), "{refusal}");
    desk.fail();
    assert_eq!(desk.share_in_force(), Share::ZERO, "users do not wait");
    assert!(!desk.leave(), "the other process does not know of it");
    desk.on(Event::TakingBack);
    desk.ask(Command::Retry, None).unwrap();
    desk.fail();
    let phase = desk.phase();
    drop(desk);
    let again = Desk::of(ramp(), state);
    assert_eq!(again.phase(), phase, "all is written");
    assert_eq!(phase, ("rolled_back", Share::ZERO));
}

#[test]
fn a_process_that_has_left_decides_nothing_more() {
    let directory = tempfile::tempdir().unwrap();
    let state = Some(directory.path());
    let mut desk = Desk::of(ramp(), state);
    desk.lend();
    let mut next = Desk::of(ramp(), state);
    let begun = next.phase();
    assert!(desk.leave());
    desk.fail();
    assert_eq!(desk.phase(), begun, "it leaves that to the other one");
    assert!(desk.ask(Command::Abort, None).is_err());
    next.ask(Command::Abort, None).unwrap();
    drop(desk);
    drop(next);
    let again = Desk::of(ramp(), state);
    assert_eq!(again.phase(), ("rolled_back", Share::ZERO));
}
