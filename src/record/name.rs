//! The names of records' files: `SPLIT-EPOCH.rec`, and `SPLIT-EPOCH.2.rec` for what is judged anew
//! within an epoch, after a restart or by other criteria.

use std::fmt;

use crate::model::{Epoch, SplitName};

/// The name of a record's file.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    /// The split.
    pub split: SplitName,
    /// Its rollout.
    pub epoch: Epoch,
    /// From 1: how many times the judge has begun anew in this rollout.
    pub part: u32,
}

impl Name {
    /// The name that a file has; `None`: it is no record's.
    pub fn parse(file: &str) -> Option<Self> {
        let (split, rest) = file.strip_suffix(".rec")?.rsplit_once('-')?;
        let (epoch, part) = rest.split_once('.').unwrap_or((rest, "1"));
        let name = Self {
            split: SplitName::new(split).ok()?,
            epoch: Epoch(epoch.parse().ok()?),
            part: part.parse().ok()?,
        };
        // `x-01.rec` and `x-1.1.rec` are nobody's.
        (name.to_string() == file).then_some(name)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.part {
            1 => write!(f, "{}-{}.rec", self.split, self.epoch),
            part => write!(f, "{}-{}.{part}.rec", self.split, self.epoch),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_was_written_and_strangers_are_left_alone() {
        for split in ["shop", "shop-2", "a.b-1.2", "..", "x-"] {
            for (epoch, part) in [(0, 1), (1, 2), (17, 300)] {
                let name = Name {
                    split: SplitName::new(split).unwrap(),
                    epoch: Epoch(epoch),
                    part,
                };
                assert_eq!(Name::parse(&name.to_string()), Some(name));
            }
        }
        for stranger in [
            "shop.rec",
            "shop-1.txt",
            "shop-1.1.rec",
            "shop-01.rec",
            "-1.rec",
        ] {
            assert_eq!(Name::parse(stranger), None, "{stranger}");
        }
    }
}
