//! The lines of `StatsD`, several to a packet. With tags, as `DogStatsD` has them, a series is a
//! name and its labels; without, the labels' values are parts of the name.

use std::fmt::Write as _;

use super::round::{Point, Said};
use crate::model::number::real;

/// What goes over any link in one piece.
const PACKET_MAX: usize = 1_432;

/// The packets of one round.
pub(super) fn packets(points: &[Point], prefix: &str, is_tagged: bool) -> Vec<Vec<u8>> {
    let mut packets: Vec<Vec<u8>> = Vec::new();
    let mut add = |line: &str| {
        let fits = |packet: &&mut Vec<u8>| packet.len() + 1 + line.len() <= PACKET_MAX;
        if let Some(packet) = packets.last_mut().filter(fits) {
            packet.push(b'\n');
            packet.extend_from_slice(line.as_bytes());
        } else if line.len() <= PACKET_MAX {
            packets.push(line.as_bytes().to_vec());
        }
    };
    for point in points {
        let (name, tags) = names(point, prefix, is_tagged);
        match &point.said {
            Said::More(more) => add(&format!("{name}:{more}|c{tags}")),
            Said::Now(now) => {
                if *now < 0.0 && !is_tagged {
                    // A number with a sign is a step to plain `StatsD`: it begins at 0.
                    add(&format!("{name}:0|g{tags}"));
                }
                add(&format!("{name}:{now}|g{tags}"));
            }
            Said::Took(took) => {
                let kind = if is_tagged { "d" } else { "ms" };
                for (millis, count) in took {
                    let mut line = format!("{name}:{millis}|{kind}");
                    if *count > 1 {
                        // So many were like it.
                        let rate = 1.0 / real(*count);
                        let _written = write!(line, "|@{rate}");
                    }
                    line.push_str(&tags);
                    add(&line);
                }
            }
        }
    }
    packets
}

/// The name of a series, and its tags with what comes before them.
fn names(point: &Point, prefix: &str, is_tagged: bool) -> (String, String) {
    let mut name = if prefix.is_empty() {
        clean(&point.name)
    } else {
        format!("{prefix}.{}", clean(&point.name))
    };
    if !is_tagged {
        for (_, value) in &point.labels {
            name.push('.');
            name.push_str(&clean(value).replace('.', "_"));
        }
        return (name, String::new());
    }
    let tags = point.labels.iter();
    let tags: Vec<String> = tags
        .map(|(name, value)| format!("{name}:{}", clean(value)))
        .collect();
    if tags.is_empty() {
        return (name, String::new());
    }
    (name, format!("|#{}", tags.join(",")))
}

/// Without what has a meaning in a line.
fn clean(text: &str) -> String {
    text.replace([':', '|', '@', '#', ',', '\n', ' '], "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(name: &str, labels: &[(&'static str, &str)], said: Said) -> Point {
        let labels = labels.iter();
        Point {
            name: name.to_owned(),
            labels: labels
                .map(|(name, value)| (*name, (*value).to_owned()))
                .collect(),
            said,
        }
    }

    fn points() -> Vec<Point> {
        vec![
            point(
                "requests",
                &[("split", "shop"), ("odd", "a:b|c.d")],
                Said::More(3.0),
            ),
            point("estimate", &[], Said::Now(-0.5)),
            point(
                "took_ms",
                &[("split", "shop")],
                Said::Took(vec![(1.5, 1), (2.0, 4)]),
            ),
        ]
    }

    fn text(packets: &[Vec<u8>]) -> Vec<&str> {
        let texts = packets.iter().map(|packet| str::from_utf8(packet).unwrap());
        texts.flat_map(str::lines).collect()
    }

    #[test]
    fn tags_are_tags_or_parts_of_the_name() {
        let tagged = packets(&points(), "serin", true);
        let expected = [
            "serin.requests:3|c|#split:shop,odd:a_b_c.d",
            "serin.estimate:-0.5|g",
            "serin.took_ms:1.5|d|#split:shop",
            "serin.took_ms:2|d|@0.25|#split:shop",
        ];
        assert_eq!(text(&tagged), expected);
        assert_eq!(tagged.len(), 1);
        let plain = packets(&points(), "", false);
        let expected = [
            "requests.shop.a_b_c_d:3|c",
            "estimate:0|g",
            "estimate:-0.5|g",
            "took_ms.shop:1.5|ms",
            "took_ms.shop:2|ms|@0.25",
        ];
        assert_eq!(text(&plain), expected);
    }

    #[test]
    fn no_packet_is_longer_than_a_link_takes_and_no_line_is_lost() {
        let many: Vec<Point> = (0..500)
            .map(|number| {
                point(
                    "requests",
                    &[("route", &format!("r{number}"))],
                    Said::More(1.0),
                )
            })
            .collect();
        let packets = packets(&many, "serin", true);
        assert!(packets.iter().all(|packet| packet.len() <= PACKET_MAX));
        assert!(packets.len() > 5);
        assert_eq!(text(&packets).len(), 500);
        let long = point(&"x".repeat(2_000), &[], Said::More(1.0));
        assert!(super::packets(&[long], "", true).is_empty());
    }
}
