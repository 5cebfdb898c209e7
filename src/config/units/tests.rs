//! Texts with units, as people write and mistype them.

use super::*;

/// The code of the misfit, or the value as debug text.
fn said<T: std::fmt::Debug>(result: Result<T, Misfit>) -> String {
    result.map_or_else(
        |misfit| misfit.code.to_owned(),
        |value| format!("{value:?}"),
    )
}

#[test]
fn durations_need_a_unit_and_end_within_a_year() {
    let cases = [
        ("500ms", "500ms"),
        ("1.5s", "1.5s"),
        ("1h30m", "5400s"),
        ("250us", "250µs"),
        ("0s", "0ns"),
        ("1d", "86400s"),
        ("30", "missing_unit"),
        ("1h30", "missing_unit"),
        ("", "bad_value"),
        ("s", "bad_value"),
        ("-5s", "bad_value"),
        ("5 s", "bad_value"),
        ("1.s", "bad_value"),
        (".5s", "bad_value"),
        ("1e3s", "bad_value"),
        ("5sec", "bad_value"),
        ("400d", "out_of_range"),
        ("999999999999999d", "out_of_range"),
        ("99999999999999999999s", "bad_value"),
    ];
    for (text, expected) in cases {
        assert_eq!(said(duration(text)), expected, "{text:?}");
    }
}

#[test]
fn sizes_need_a_unit() {
    let cases = [
        ("64KiB", "65536"),
        ("512B", "512"),
        ("10MB", "10000000"),
        ("65536", "missing_unit"),
        ("64kib", "bad_value"),
        ("64K", "bad_value"),
        ("1.5KiB", "bad_value"),
        ("", "bad_value"),
        ("99999999999GiB", "out_of_range"),
        ("18446744073709551616B", "bad_value"),
    ];
    for (text, expected) in cases {
        assert_eq!(said(size(text)), expected, "{text:?}");
    }
}

#[test]
fn shares_have_steps_of_a_hundredth_of_a_percent() {
    let cases = [
        ("5%", "Share(500)"),
        ("0.01%", "Share(1)"),
        ("33.33%", "Share(3333)"),
        ("100%", "Share(10000)"),
        ("0%", "Share(0)"),
        ("100.01%", "out_of_range"),
        ("0.005%", "out_of_range"),
        ("5", "missing_unit"),
        ("0.05", "missing_unit"),
        ("5 %", "bad_value"),
        ("+5%", "bad_value"),
        ("5pp", "bad_value"),
        ("%", "bad_value"),
    ];
    for (text, expected) in cases {
        assert_eq!(said(share(text)), expected, "{text:?}");
    }
}

#[test]
fn every_share_is_read_as_it_is_shown() {
    for points in 0..=10_000 {
        let written = Share::from_basis_points(points).unwrap();
        assert_eq!(share(&written.to_string()), Ok(written));
    }
}

#[test]
fn margins_are_points_or_factors_or_both() {
    let rate = |text: &str| said(margin(text).map(Margin::of_rate));
    let cases = [
        ("+0.5pp", "RateMargin { ratio: 1.0, absolute: 0.005 }"),
        ("+5%", "RateMargin { ratio: 1.05, absolute: 0.0 }"),
        ("1.05x", "RateMargin { ratio: 1.05, absolute: 0.0 }"),
        (
            "+5% +0.05pp",
            "RateMargin { ratio: 1.05, absolute: 0.0005 }",
        ),
        (
            "1.05x + 0.05pp",
            "RateMargin { ratio: 1.05, absolute: 0.0005 }",
        ),
        ("0.5", "missing_unit"),
        ("0.9x", "out_of_range"),
        ("+101pp", "out_of_range"),
        ("-5%", "bad_value"),
        ("+5% +5%", "bad_value"),
        ("", "bad_value"),
        ("+", "bad_value"),
    ];
    for (text, expected) in cases {
        assert_eq!(rate(text), expected, "{text:?}");
    }
    assert_eq!(margin("+20%").map(|margin| margin.relative), Ok(Some(0.2)));
}

#[test]
fn networks_have_a_prefix_that_fits() {
    let cases = [
        ("10.0.0.0/8", "Cidr { address: 10.0.0.0, prefix: 8 }"),
        ("10.0.0.1", "Cidr { address: 10.0.0.1, prefix: 32 }"),
        ("::1/128", "Cidr { address: ::1, prefix: 128 }"),
        ("10.0.0.0/33", "bad_value"),
        ("10.0.0/8", "bad_value"),
        ("/8", "bad_value"),
    ];
    for (text, expected) in cases {
        assert_eq!(said(cidr(text)), expected, "{text:?}");
    }
}
