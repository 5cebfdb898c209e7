//! The pictures of the documents, taken anew when they are asked for.

use std::path::PathBuf;

use super::{Browser, Fault, Stage, is_phase};

const RAMP: &str = "    sticky: { cookie: shop_version }\n    rollout:\n      steps:\n\
                    \x20       - set_weight: 5%\n        - pause: 8s\n        - set_weight: 10%\n\
                    \x20       - pause: 8s\n        - set_weight: 25%\n\
                    \x20       - analysis: { until: decided, max: 10m }\n\
                    \x20       - set_weight: 100%\n        - bake: 10m\n\
                    \x20   analysis: { warm_up: 0s }\n";

/// The page at several widths, in both schemes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pictures() {
    let Some(into) = std::env::var_os("SERIN_PICTURES").map(PathBuf::from) else {
        eprintln!("SKIPPED: SERIN_PICTURES=docs takes the pictures of the documents anew");
        return;
    };
    let Some(browser) = Browser::start().await else {
        return;
    };
    let stage = Stage::set(RAMP, 500).await;
    browser.size(1_440, 1_480).await;
    browser.scheme("light").await;
    browser.open(&stage.page()).await;
    stage
        .until(|split| split.step.is_some_and(|(step, _)| step >= 6))
        .await;
    browser
        .until("serin.frame.splits[0].versions[1].requests > 1600")
        .await;
    shot(&browser, &into, "page-progress").await;
    stage.canary.spoil(3, Fault::Fails("/checkout"));
    browser.until(&is_phase("Rolled back")).await;
    let before = browser.value("Date.parse(serin.frame.at)").await;
    browser
        .until(&format!("Date.parse(serin.frame.at) - {before} > 6000"))
        .await;
    browser.scheme("dark").await;
    shot(&browser, &into, "page-rollback").await;
    if std::env::var_os("SERIN_PICTURES_ALL").is_some() {
        browser.scheme("light").await;
        shot(&browser, &into, "page-rollback-light").await;
        browser.size(1_440, 1_000).await;
        browser.run("window.scrollTo(0, 9000)").await;
        shot(&browser, &into, "page-below").await;
        browser.size(360, 1_500).await;
        for part in 0..4 {
            browser
                .run(&format!("window.scrollTo(0, {part} * 1500)"))
                .await;
            shot(&browser, &into, &format!("page-narrow-{part}")).await;
        }
        browser.run("window.scrollTo(0, 0)").await;
        browser.size(1_000, 700).await;
        browser.keys("a").await;
        shot(&browser, &into, "page-dialog").await;
    }
    browser.quit().await;
}

async fn shot(browser: &Browser, into: &std::path::Path, name: &str) {
    let at = browser.value("Date.parse(serin.frame.at)").await;
    // A frame more: it is drawn as wide and in the colours that were asked for.
    browser
        .until(&format!(
            "Date.parse(document.documentElement.dataset.at) > {at}"
        ))
        .await;
    browser.photograph(&into.join(format!("{name}.png"))).await;
}
