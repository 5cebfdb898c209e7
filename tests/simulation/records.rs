//! What was recorded of a life is judged again.

use std::{fs, path::Path};

use serin::record::{Frame, Frames, Name, Replay, Said};

/// Judges all records of this directory again; each must come to what was decided live, to the
/// last bit. How many there are, and how many of them fail.
pub(crate) fn judge_again(directory: &Path, life: &str) -> (u64, u64) {
    let Ok(entries) = fs::read_dir(directory) else {
        return (0, 0);
    };
    let (mut records, mut fails) = (0, 0);
    for entry in entries {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let name = Name::parse(name).expect("only records are there");
        let bytes = fs::read(&path).unwrap();
        let (header, mut frames) = Frames::open(&bytes).unwrap();
        assert_eq!((&header.split, header.epoch), (&name.split, name.epoch));
        let mut replay = Replay::new(&header, &header.criteria);
        let read: Vec<Frame> = frames.by_ref().map(Result::unwrap).collect();
        for frame in &read {
            replay.step(frame);
        }
        assert_eq!(frames.torn(), None, "{life}: {name} is whole");
        assert!(replay.end().is_some(), "{life}: {name} has an end");
        assert!(
            replay.is_as_live(),
            "{life}: {name}: live {:#?}, again {:#?}",
            replay.live(),
            replay.decisions()
        );
        records += 1;
        let is_fail = |decision: &serin::record::Decision| decision.said == Said::Fail;
        fails += u64::from(replay.decisions().iter().any(is_fail));
    }
    (records, fails)
}
