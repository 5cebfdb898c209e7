//! What happened in a life.

/// What happened in a life, to know that things do happen.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) rollbacks: u64,
    pub(crate) passes: u64,
    pub(crate) promotions: u64,
    pub(crate) restarts: u64,
    pub(crate) states_lost: u64,
    pub(crate) rises: u64,
    pub(crate) climbs: u64,
    pub(crate) gates: u64,
    pub(crate) records: u64,
    pub(crate) fails_again: u64,
}

impl Seen {
    pub(crate) fn add(&mut self, other: &Self) {
        self.rollbacks += other.rollbacks;
        self.passes += other.passes;
        self.promotions += other.promotions;
        self.restarts += other.restarts;
        self.states_lost += other.states_lost;
        self.rises += other.rises;
        self.climbs += other.climbs;
        self.gates += other.gates;
        self.records += other.records;
        self.fails_again += other.fails_again;
    }
}
