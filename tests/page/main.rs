//! The page in Chromium, with all of Serin behind it: what it shows is what the API says at the
//! same moment, its buttons do what they say, and nothing on it comes from anywhere else.
//!
//! Without Debian's `chromium` and `chromium-driver` these tests say so and check nothing.
//! `SERIN_PICTURES=docs cargo test --test page pictures` takes the pictures of the documents anew.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test stops where it stands, and writes the files that it edits"
)]

mod browser;
#[path = "../detection/load.rs"]
mod load;
mod numbers;
mod pictures;
mod stage;
#[path = "../support/mod.rs"]
mod support;
#[path = "../detection/version.rs"]
#[expect(dead_code, reason = "the scenes of detection need more of it")]
mod version;

use std::{fs, os::unix::fs::PermissionsExt as _, time::Duration};

use browser::Browser;
use serin::control::Command;
use stage::Stage;
use version::Fault;

/// Longer than anything a test waits for.
const PATIENCE: Duration = Duration::from_mins(1);
/// As `WebDriver` writes them.
const ENTER: char = '\u{E007}';
const ESCAPE: char = '\u{E00C}';
const TAB: char = '\u{E004}';

const BY_HAND: &str = "    rollout:\n      steps:\n        - set_weight: 30%\n\
                       \x20       - pause: {}\n        - set_weight: 60%\n\
                       \x20       - pause: {}\n        - set_weight: 100%\n        - bake: 1s\n\
                       \x20   analysis: { warm_up: 0s }\n";

/// An expression: what the page shows of the split's phase.
const PHASE: &str = "document.querySelector('#verdict .phase')?.innerText.trim()";

/// An expression: how the page shows 5,000 endpoints of which one is ejected.
const CROWD: &str = "import('/page/endpoints.js').then(page => {\n\
                     const cell = (_, n) => ({ count: 20, address: `10.0.0.${n}:80`,\n\
                     state: n === 7 ? 'ejected' : 'healthy', why: null, failures: 0,\n\
                     ejected_seconds: n === 7 ? 9 : null, latency_ms: 5, in_flight: 1 });\n\
                     const cells = Array.from({ length: 250 }, cell);\n\
                     const upstream = { upstream: 'ecs', endpoints: 5000, per_cell: 20, cells };\n\
                     page.showEndpoints(serin.frame, serin.frame.splits[0],\n\
                     { upstreams: [upstream] });\n\
                     const grid = document.querySelector('[data-upstream=ecs]');\n\
                     const count = kind => grid.querySelectorAll(kind).length;\n\
                     return [count('.cell'), count('.cell.ejected'), grid.innerText]; })";

fn is_phase(word: &str) -> String {
    format!("{PHASE}.endsWith({word:?})")
}

/// Nothing on the page has failed, and nothing was asked of anybody else.
async fn is_clean(browser: &Browser, stage: &Stage) {
    let complaints = browser.complaints().await;
    assert!(complaints.is_empty(), "{complaints:#?}");
    let own = format!("http://{}/", stage.admin());
    for url in browser.asked().await {
        let is_blank = url.starts_with("data:") || url.starts_with("chrome:");
        assert!(url.starts_with(&own) || is_blank, "{url} was asked for");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_canary_is_watched_until_it_is_promoted() {
    let Some(browser) = Browser::start().await else {
        return;
    };
    let stage = Stage::set(BY_HAND, 400).await;
    browser.open(&stage.page()).await;
    browser.until(&is_phase("Paused")).await;
    browser
        .until("serin.frame.splits[0].versions[1].requests > 200")
        .await;
    numbers::are_those_of_the_api(&browser).await;
    assert!(
        browser
            .text("#verdict .step")
            .await
            .starts_with("Step 2 of 6: waits for a person")
    );
    browser
        .until("document.querySelectorAll('#differences figure').length >= 3")
        .await;
    browser
        .until("document.querySelector('#differences path.band') !== null")
        .await;
    browser
        .until("document.querySelectorAll('#latency path.curve').length === 2")
        .await;
    browser
        .until("document.querySelectorAll('#traffic path.area').length === 2")
        .await;
    browser
        .until("document.querySelectorAll('#endpoints .cell.healthy').length === 6")
        .await;
    assert!(
        browser
            .text("#errors")
            .await
            .contains("No attempt has failed")
    );

    let crowded = browser.value(CROWD).await;
    assert_eq!(crowded[0], 250, "{crowded}");
    assert_eq!(crowded[1], 1, "{crowded}");
    let told = crowded[2].as_str().unwrap();
    assert!(
        told.contains("10.0.0.7:80 (the worst of 20): ejected"),
        "{told}"
    );

    browser.click("#act-promote").await;
    let reason = "looks <script>document.title = 'stolen'</script> & good";
    browser.keys(reason).await;
    browser.click("#act-do").await;
    browser.until("!document.getElementById('act').open").await;
    browser
        .until("document.querySelector('#verdict .step').innerText.includes('Step 4 of 6')")
        .await;
    browser
        .until("document.getElementById('timeline').innerText.includes('<script>')")
        .await;
    numbers::are_those_of_the_api(&browser).await;

    browser.keys("m").await;
    browser.click("#act-full").await;
    browser.click("#act-do").await;
    browser.until(&is_phase("Promoted")).await;
    let title = browser.value("document.title").await;
    assert_eq!(title, "\u{2713} shop promoted - Serin");
    numbers::are_those_of_the_api(&browser).await;
    is_clean(&browser, &stage).await;
    browser.quit().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_canary_is_rolled_back_before_ones_eyes() {
    let Some(browser) = Browser::start().await else {
        return;
    };
    let stage = Stage::set("    weight: 50%\n    analysis: { warm_up: 0s }\n", 400).await;
    browser.open(&stage.page()).await;
    browser
        .until("serin.frame.splits[0].versions[1].requests > 300")
        .await;
    stage.canary.spoil(3, Fault::Fails("/checkout"));
    let seen = browser.until(&is_phase("Rolled back")).await;
    let split = stage.until(|split| split.phase == "rolled_back").await;
    let decided = split.history.last().unwrap().at.millis();
    let late = seen.saturating_sub(decided);
    println!("the rollback was on the page {late} ms after the weight was 0");
    assert!(late < 5_000, "{late} ms");

    browser
        .until("document.querySelector('#aftermath .links') !== null")
        .await;
    let said = browser.text("#aftermath").await;
    assert!(
        said.contains("found") && said.contains("Users who paid"),
        "{said}"
    );
    assert!(browser.text("#verdict .verdict").await.contains("FAIL"));
    assert!(
        browser
            .text("#spoken")
            .await
            .contains("Rolled back, canary 0%")
    );
    let errors = browser.text("#errors").await;
    assert!(
        errors.contains("answered 5xx") && errors.contains("clients saw fail"),
        "{errors}"
    );
    browser
        .until("document.querySelectorAll('#errors rect.kind').length > 0")
        .await;
    browser
        .until("document.querySelector('#differences figure.bad') !== null")
        .await;
    browser
        .until("document.querySelector('#culprits tr.proof') !== null")
        .await;
    assert!(browser.text("#culprits").await.contains("checkout"));
    let link = "fetch(document.querySelector('#aftermath a').href).then(it => it.status)";
    assert_eq!(browser.value(link).await, 200);
    numbers::are_those_of_the_api(&browser).await;

    for scheme in ["dark", "light"] {
        browser.scheme(scheme).await;
        for width in [360, 800, 1_440] {
            browser.size(width, 900).await;
            let wide = browser.value("document.documentElement.scrollWidth").await;
            assert!(
                wide.as_u64() <= Some(width.into()),
                "{scheme}: {wide} of {width}"
            );
        }
    }
    browser.keys("t").await;
    browser.keys("a new build").await;
    browser.keys(&ENTER.to_string()).await;
    browser.until(&is_phase("Progressing")).await;
    is_clean(&browser, &stage).await;
    browser.quit().await;
}

/// Does the act of the open dialog, and waits for its refusal.
async fn refused(browser: &Browser) -> String {
    browser.keys(&ENTER.to_string()).await;
    browser
        .until("!document.getElementById('act-refusal').hidden")
        .await;
    browser.text("#act-refusal").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_is_done_by_keys_and_a_refusal_is_told_in_words() {
    let Some(browser) = Browser::start().await else {
        return;
    };
    let stage = Stage::set(BY_HAND, 100).await;
    browser.open(&stage.page()).await;
    browser.until(&is_phase("Paused")).await;

    browser.keys("?").await;
    browser.until("document.getElementById('help').open").await;
    browser.keys(&ESCAPE.to_string()).await;
    browser.until("!document.getElementById('help').open").await;

    // Every button can be come to, and shows that it is there.
    browser.keys(&TAB.to_string().repeat(3)).await;
    let is_seen = "document.activeElement.matches('button:focus-visible')";
    assert_eq!(browser.value(is_seen).await, true);

    browser.keys("r").await;
    browser.keys("too late").await;
    stage.ask(Command::Abort).await;
    browser.until(&is_phase("Rolled back")).await;
    let refusal = refused(&browser).await;
    assert!(
        refusal.starts_with("Refused: split shop: the canary was rolled back"),
        "{refusal}"
    );
    browser.keys(&ESCAPE.to_string()).await;
    browser.until("!document.getElementById('act').open").await;

    browser.keys("t").await;
    stage.ask(Command::Retry).await;
    browser.until("serin.frame.splits[0].epoch === 2").await;
    let refusal = refused(&browser).await;
    assert!(
        refusal.contains("the epoch of shop is 2 now, not 1"),
        "{refusal}"
    );
    browser.keys(&ESCAPE.to_string()).await;
    browser.until(&is_phase("Paused")).await;

    browser.keys("a").await;
    browser.keys("by keys alone").await;
    browser.keys(&ENTER.to_string()).await;
    browser.until(&is_phase("Rolled back")).await;
    browser
        .until("document.getElementById('timeline').innerText.includes('by keys alone')")
        .await;
    let split = stage.until(|split| split.phase == "rolled_back").await;
    assert_eq!(split.history.last().unwrap().what, "aborted");
    browser.quit().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_is_told_loudly_and_a_lost_connection_comes_back() {
    let Some(browser) = Browser::start().await else {
        return;
    };
    let mut stage = Stage::set("    weight: 10%\n", 50).await;
    browser.open(&stage.page()).await;
    browser.until(&is_phase("Progressing")).await;
    assert_eq!(browser.text("#alarms").await, "");
    stage.write("    wait: 10%\n");
    browser
        .until("document.querySelector('#alarms pre')?.innerText.includes('^')")
        .await;
    let said = browser.text("#alarms").await;
    assert!(
        said.contains("not in force") && said.contains("`wait`"),
        "{said}"
    );
    stage.write("    weight: 20%\n");
    browser
        .until("document.getElementById('alarms').children.length === 0")
        .await;

    stage.down().await;
    browser
        .until("!document.getElementById('lost').hidden")
        .await;
    assert!(
        browser
            .text("#lost")
            .await
            .contains("The connection to Serin is lost")
    );
    stage.up();
    browser
        .until("document.getElementById('lost').hidden")
        .await;
    browser
        .until("serin.frame.splits[0].weight.effective === '20%'")
        .await;
    browser.quit().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_tokens_are_needed_the_page_asks_for_them_and_says_who_may_act() {
    let Some(browser) = Browser::start().await else {
        return;
    };
    let place = tempfile::tempdir().unwrap();
    let tokens = place.path().join("tokens");
    fs::write(
        &tokens,
        "read kim kim-0123456789-abcdef\noperate lee lee-0123456789-abcdef\n",
    )
    .unwrap();
    fs::set_permissions(&tokens, fs::Permissions::from_mode(0o600)).unwrap();
    let path = tokens.display();
    let line = format!("admin: {{ http: \"127.0.0.1:0\", tokens_file: \"{path}\" }}");
    let stage = Stage::with(place, &line, "    weight: 10%\n", 50).await;
    browser.open(&stage.page()).await;
    browser.until("document.getElementById('login').open").await;
    assert_eq!(browser.text("#health").await, "", "nothing is told");
    browser.keys("kim-0123456789-abcdef").await;
    browser.keys(&ENTER.to_string()).await;
    browser.until(&is_phase("Progressing")).await;
    browser
        .until("serin.frame.splits[0].versions[1].requests > 5")
        .await;

    browser.keys("a").await;
    browser
        .until("!document.getElementById('act-token-row').hidden")
        .await;
    let said = browser.text("#act-who").await;
    assert!(
        said.starts_with("kim (token, 127.0.0.1) may not act (role: read)"),
        "{said}"
    );
    browser.click("#act-do").await;
    browser
        .until("!document.getElementById('act-refusal').hidden")
        .await;
    browser.keys("lee-0123456789-abcdef").await;
    browser.keys(&ENTER.to_string()).await;
    browser.until(&is_phase("Rolled back")).await;
    let split = stage.until(|split| split.phase == "rolled_back").await;
    assert_eq!(split.history.last().unwrap().by, "lee (token, 127.0.0.1)");
    browser.quit().await;
}
