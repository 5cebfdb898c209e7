//! Certificates that are written anew under a running Serin.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_is_shown_and_no_connection_is_touched() {
    let (_origin, upstream) = plain().await;
    let live = Live::start("", &upstream);
    let before = live.status().generation;
    let client = live.authority.client(&[], None);
    let mut kept = live.connect(&client).await;
    kept.get("").await.unwrap();
    let renewed = live.renew();
    live.until("a new plan", |status| status.generation > before)
        .await;
    let stranger = live.authority.client(&[], None);
    // Workers see the plan at their next request or tick; both have by then.
    let mut shown = live.connect(&stranger).await;
    for _ in 0..200 {
        if shown.certificate() == renewed.der() {
            break;
        }
        shown.get("").await.unwrap();
        shown = live.connect(&live.authority.client(&[], None)).await;
    }
    assert_eq!(shown.certificate(), renewed.der());
    assert!(kept.get("").await.unwrap().ends_with("fine"));
    live.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_certificate_leaves_the_old_one_in_force_and_is_told() {
    let (_origin, upstream) = plain().await;
    let live = Live::start("", &upstream);
    let client = live.authority.client(&[], None);
    let before = live.connect(&client).await.certificate();
    fs::write(live.place.path().join("shop.pem"), "broken").unwrap();
    live.until("a problem", |status| status.config.problem.is_some())
        .await;
    let stranger = live.authority.client(&[], None);
    let mut connection = live.connect(&stranger).await;
    assert_eq!(connection.certificate(), before);
    assert!(connection.get("").await.unwrap().ends_with("fine"));
    let problem = live.status().config.problem.clone().unwrap();
    assert!(problem.contains("shop.pem cannot be used"), "{problem}");
    assert!(!problem.contains("PRIVATE"));
    live.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_taken_up_by_every_worker_and_after_a_renewal() {
    let (_origin, upstream) = plain().await;
    let live = Live::start("", &upstream);
    let before = live.status().generation;
    let client = live.authority.client(&[], None);
    // An answer brings the tickets along.
    live.connect(&client).await.get("").await.unwrap();
    for round in 0..32 {
        let mut connection = live.connect(&client).await;
        assert!(connection.is_resumed(), "round {round}");
        connection.get("").await.unwrap();
        if round == 16 {
            live.renew();
            live.until("a new plan", |status| status.generation > before)
                .await;
        }
    }
    live.end().await;
}

/// Certificates change twenty times while clients ask; nobody sees anything of it.
#[tokio::test(flavor = "multi_thread")]
async fn renewals_under_load_fail_no_request_and_end_no_connection() {
    let (_origin, upstream) = plain().await;
    let live = Live::start("", &upstream);
    let is_over = Arc::new(AtomicBool::new(false));
    let asked = Arc::new(AtomicU64::new(0));
    let mut tasks = Vec::new();
    for keeps in [true, true, false] {
        let client = live.authority.client(&[], None);
        let (address, is_over, asked) = (live.address, Arc::clone(&is_over), Arc::clone(&asked));
        tasks.push(tokio::spawn(async move {
            let mut connection = Secure::connect(address, &client).await?;
            while !is_over.load(Ordering::Relaxed) {
                if !keeps {
                    connection = Secure::connect(address, &client).await?;
                }
                connection.get("").await?;
                asked.fetch_add(1, Ordering::Relaxed);
            }
            Ok::<_, std::io::Error>(())
        }));
    }
    for _ in 0..20 {
        let (before, had) = (live.status().generation, asked.load(Ordering::Relaxed));
        live.renew();
        live.until("a new plan", |status| status.generation > before)
            .await;
        while asked.load(Ordering::Relaxed) < had + 10 {
            tokio::task::yield_now().await;
        }
    }
    is_over.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(live.status().config.problem, None);
    live.end().await;
}
