//! Every number on the page beside the one in the frame that it was made from, and that frame
//! beside what the API says.

use serde_json::Value;

use super::browser::Browser;

/// So often the page is looked at until it has drawn the frame that it holds.
const LOOKS_MAX: usize = 200;

/// Looks at all numbers at one moment.
pub(crate) async fn are_those_of_the_api(browser: &Browser) {
    let fields = drawn(browser).await;
    assert!(fields.len() > 20, "{fields:#?}");
    let wrong: Vec<String> = fields
        .iter()
        .filter(|field| !agrees(field["text"].as_str().unwrap(), &field["value"]))
        .map(ToString::to_string)
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    is_frame_of_the_api(browser).await;
}

/// Each field with its text and with what the frame has in its place.
async fn drawn(browser: &Browser) -> Vec<Value> {
    let script = "if (document.documentElement.dataset.at !== serin.frame.at) return null;\n\
                  const step = (it, key) => it?.[key];\n\
                  const found = path => path.split('.').reduce(step, serin.frame);\n\
                  return [...document.querySelectorAll('[data-field]')].map(it => ({\n\
                  field: it.dataset.field, text: it.textContent,\n\
                  value: found(it.dataset.field) ?? null }));";
    for _ in 0..LOOKS_MAX {
        if let Value::Array(fields) = browser.run(script).await {
            return fields;
        }
    }
    panic!("the page does not draw");
}

/// Both are made from control's snapshots; a snapshot is replaced now and then between the two.
async fn is_frame_of_the_api(browser: &Browser) {
    let script = "return fetch('v1/splits').then(it => it.json()).then(said =>\n\
                  JSON.stringify(said.splits) === JSON.stringify(serin.frame.splits));";
    for _ in 0..LOOKS_MAX {
        if browser.run(script).await == true {
            return;
        }
    }
    panic!("the frame is never what /v1/splits says");
}

/// Whether a text is a number of the API as people read it, or a word of it.
fn agrees(text: &str, value: &Value) -> bool {
    match value {
        Value::String(word) => {
            let plain = |text: &str| text.to_lowercase().replace('_', " ");
            plain(text) == plain(word)
        }
        Value::Number(number) => is_rounded(text, number.as_f64().unwrap()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => false,
    }
}

fn is_rounded(text: &str, number: f64) -> bool {
    let bare = text.replace(',', "").replace('\u{2212}', "-");
    let bare = bare.trim_start_matches('+');
    if let Some(most) = bare.strip_prefix("< ") {
        return number < most.parse().unwrap();
    }
    if let Some(least) = bare.strip_prefix("> ") {
        return number >= least.parse().unwrap();
    }
    let units = [("%", 100.0), (" pp", 100.0), (" ms", 1.0), (" s", 0.001)];
    let known = units.iter().find_map(|(unit, factor)| {
        let digits = bare.strip_suffix(unit)?;
        Some((digits, *factor))
    });
    let (digits, factor) = known.unwrap_or((bare, 1.0));
    let Ok(shown) = digits.parse::<f64>() else {
        return false;
    };
    let places = digits.split_once('.').map_or(0, |(_, part)| part.len());
    let places = i32::try_from(places).unwrap();
    let step = if shown == 0.0 {
        0.001
    } else {
        0.5 * 10.0_f64.powi(-places)
    };
    (shown - number * factor).abs() <= step * 1.001
}

#[test]
fn numbers_as_people_read_them_are_read_back() {
    let cases = [
        ("1,234", 1_234.0, true),
        ("1,235", 1_234.0, false),
        ("24.8%", 0.248_3, true),
        ("24.8%", 0.249_1, false),
        ("+0.3 pp", 0.003, true),
        ("\u{2212}0.1 pp", -0.001, true),
        ("0 pp", 0.000_003, true),
        ("1.5 s", 1_502.0, true),
        ("12 ms", 12.03, true),
        ("< 0.01", 0.002, true),
        ("> 1,000,000", 5e9, true),
        ("nothing", 0.0, false),
    ];
    for (text, number, expected) in cases {
        assert_eq!(is_rounded(text, number), expected, "{text} {number}");
    }
}
