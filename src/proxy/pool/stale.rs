//! Whether a kept connection that breaks had merely grown old.

/// How often a kept connection of an endpoint may break under a request before that is taken for
/// the failure that it may well be: thrice, and once more in each 64 whole answers. An endpoint
/// that goes down in good order, or closes connections that have rested, does that seldom.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stale(u16);

impl Default for Stale {
    fn default() -> Self {
        Self(Self::MAX)
    }
}

impl Stale {
    const PRICE: u16 = 64;
    const MAX: u16 = 3 * Self::PRICE;

    /// A whole answer has come.
    pub(super) fn earn(&mut self) {
        self.0 = (self.0 + 1).min(Self::MAX);
    }

    /// A kept connection has broken; whether it had merely grown old.
    pub(super) fn spend(&mut self) -> bool {
        let is_old = self.0 >= Self::PRICE;
        if is_old {
            self.0 -= Self::PRICE;
        }
        is_old
    }
}
