//! How many different users there were, from their hashes, in a few KiB whatever their number.
//!
//! `HyperLogLog` (Flajolet, Fusy, Gandouet and Meunier, 2007) with 16,384 registers: the standard
//! error is 0.8 %. The estimate is Ertl's ("New cardinality estimation algorithms for HyperLogLog
//! sketches", 2017), which needs no tables and no other formula for small numbers. While there are
//! few users, only the registers that are not empty are kept.

use crate::model::number::{long, real, real_len};

/// Bits of a hash that choose its register.
const CHOOSING: u32 = 14;
/// How many registers there are.
const REGISTERS: usize = 1 << CHOOSING;
/// The highest value of a register: all bits that did not choose it are 0.
const HIGHEST: u8 = 51;
/// With so many registers in use, all are kept.
const SPARSE_MAX: usize = 1_024;

/// A register that was raised by a user: what samples carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seen {
    register: u16,
    value: u8,
}

impl Seen {
    fn of(hash: u64) -> Self {
        let register = hash >> (u64::BITS - CHOOSING);
        // A bit is set behind the last one, so that there is always one to be found.
        let rest = (hash << CHOOSING) | (1 << (CHOOSING - 1));
        Self {
            register: u16::try_from(register).unwrap_or_default(),
            value: u8::try_from(rest.leading_zeros() + 1).unwrap_or(HIGHEST),
        }
    }
}

/// A set of users that can only be counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Users(Kept);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kept {
    /// In the order of their registers; the others are 0.
    Few(Vec<Seen>),
    /// The value of each register.
    All(Box<[u8]>),
}

impl Default for Users {
    fn default() -> Self {
        Self(Kept::Few(Vec::new()))
    }
}

impl Users {
    /// Adds a user by the hash; `None`: it changes nothing.
    pub fn see(&mut self, hash: u64) -> Option<Seen> {
        let seen = Seen::of(hash);
        self.add(seen).then_some(seen)
    }

    /// Adds what was seen elsewhere; whether it changes anything.
    pub fn add(&mut self, seen: Seen) -> bool {
        match &mut self.0 {
            Kept::All(registers) => {
                let register = registers.get_mut(usize::from(seen.register));
                register.is_some_and(|value| {
                    let is_higher = seen.value > *value;
                    *value = seen.value.max(*value);
                    is_higher
                })
            }
            Kept::Few(few) => {
                let place = few.binary_search_by_key(&seen.register, |known| known.register);
                match place {
                    Ok(place) => few.get_mut(place).is_some_and(|known| {
                        let is_higher = seen.value > known.value;
                        known.value = seen.value.max(known.value);
                        is_higher
                    }),
                    Err(place) => {
                        few.insert(place, seen);
                        if few.len() > SPARSE_MAX {
                            self.keep_all();
                        }
                        true
                    }
                }
            }
        }
    }

    /// How many there are, about.
    pub fn count(&self) -> u64 {
        let mut counts = [0_u64; 52];
        let mut note = |value: u8| {
            if let Some(count) = counts.get_mut(usize::from(value)) {
                *count += 1;
            }
        };
        match &self.0 {
            Kept::All(registers) => registers.iter().copied().for_each(&mut note),
            Kept::Few(few) => {
                for seen in few {
                    note(seen.value);
                }
                let empty = REGISTERS - few.len();
                counts[0] = long(empty);
            }
        }
        crate::model::number::whole(estimate(&counts).round())
    }

    fn keep_all(&mut self) {
        let Kept::Few(few) = &self.0 else { return };
        let mut registers = vec![0_u8; REGISTERS].into_boxed_slice();
        for seen in few {
            if let Some(value) = registers.get_mut(usize::from(seen.register)) {
                *value = seen.value;
            }
        }
        self.0 = Kept::All(registers);
    }
}

/// From how many registers have each value, to how many users there were.
fn estimate(counts: &[u64; 52]) -> f64 {
    let all = real_len(REGISTERS);
    let [empty, between @ .., full] = counts;
    let mut sum = all * of_full(1.0 - real(*full) / all);
    for count in between.iter().rev() {
        sum = 0.5 * (sum + real(*count));
    }
    sum += all * of_empty(real(*empty) / all);
    all * all / (2.0 * std::f64::consts::LN_2 * sum)
}

/// Ertl's sigma: the part of registers that nobody has touched.
fn of_empty(share: f64) -> f64 {
    if share >= 1.0 {
        return f64::INFINITY;
    }
    let (mut power, mut weight, mut sum) = (share, 1.0, share);
    loop {
        power *= power;
        let more = power * weight;
        sum += more;
        weight += weight;
        if more <= sum * f64::EPSILON {
            return sum;
        }
    }
}

/// Ertl's tau: the part of registers that are not full.
fn of_full(share: f64) -> f64 {
    if share <= 0.0 || share >= 1.0 {
        return 0.0;
    }
    let (mut root, mut weight, mut sum) = (share, 1.0, 1.0 - share);
    loop {
        root = root.sqrt();
        weight *= 0.5;
        let less = (1.0 - root) * (1.0 - root) * weight;
        sum -= less;
        if less <= sum * f64::EPSILON {
            return sum / 3.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, test_runner::RngSeed};

    use super::*;

    /// As good as random (`SplitMix64`).
    fn hash(number: u64) -> u64 {
        let mut mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn of(hashes: impl IntoIterator<Item = u64>) -> Users {
        let mut users = Users::default();
        for hash in hashes {
            users.see(hash);
        }
        users
    }

    #[test]
    fn few_are_counted_to_the_last_one() {
        assert_eq!(Users::default().count(), 0);
        for number in [1, 2, 3, 10, 50] {
            assert_eq!(of((0..number).map(hash)).count(), number);
        }
    }

    #[test]
    fn the_error_is_about_one_percent_at_every_size() {
        for size in [100, 1_000, 1_500, 10_000, 40_000, 60_000, 200_000_u64] {
            let errors = (0..10).map(|run: u64| {
                let users = of((0..size).map(|number| hash(hash(run) ^ number)));
                real(users.count()) / real(size) - 1.0
            });
            let errors: Vec<f64> = errors.collect();
            let spread = errors.iter().map(|error| error * error).sum::<f64>() / 10.0;
            let worst = errors
                .iter()
                .fold(0.0_f64, |worst, error| worst.max(error.abs()));
            assert!(spread.sqrt() <= 0.012, "{size}: {errors:?}");
            assert!(worst <= 0.025, "{size}: {errors:?}");
        }
    }

    #[test]
    fn hashes_at_the_edges_are_counted() {
        assert_eq!(of([0]).count(), 1);
        assert_eq!(of([0, u64::MAX]).count(), 2);
        assert_eq!(Seen::of(0).value, HIGHEST);
        assert_eq!(Seen::of(u64::MAX).value, 1);
        assert_eq!(usize::from(Seen::of(u64::MAX).register), REGISTERS - 1);
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 64,
            rng_seed: RngSeed::Fixed(1),
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn what_was_raised_says_all_in_any_order(
            hashes in prop::collection::vec(any::<u64>(), 0..3_000),
            turn in 0..3_000_usize,
        ) {
            let mut here = Users::default();
            let mut raised: Vec<Seen> = hashes.iter().filter_map(|it| here.see(*it)).collect();
            let turn = turn.min(raised.len());
            raised.rotate_left(turn);
            let mut there = Users::default();
            for seen in raised.iter().chain(&raised) {
                there.add(*seen);
            }
            prop_assert_eq!(&there, &here);
            prop_assert!(hashes.iter().all(|it| here.see(*it).is_none()));
        }
    }
}
