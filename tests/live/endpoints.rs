//! Endpoints over real sockets: who is asked whether it is well, who is put out, who is let in.

use serin::control::{EndpointCommand, EndpointStatus};

use super::*;

/// Serin in front of one upstream with these endpoints and keys.
struct House {
    running: Option<Running>,
    _place: TempDir,
    address: SocketAddr,
}

impl House {
    fn start(endpoints: &[SocketAddr], keys: &str) -> Self {
        let place = tempfile::tempdir().unwrap();
        let list: Vec<_> = endpoints.iter().map(|at| format!("\"{at}\"")).collect();
        let text = format!(
            "listen: \"127.0.0.1:0\"\nadmin: \"127.0.0.1:0\"\nworkers: 2\n\
             upstreams: {{ web: {{ static: [{}], {keys} }} }}\n\
             splits: {{ shop: {{ stable: web }} }}\n",
            list.join(", ")
        );
        let config = place.path().join("serin.yaml");
        fs::write(&config, text).unwrap();
        let state_dir = Some(place.path().join("state"));
        let running = app::start(&Options { config, state_dir }).unwrap();
        let address = running.listeners.first().unwrap().1;
        Self {
            running: Some(running),
            _place: place,
            address,
        }
    }

    fn handle(&self) -> &serin::control::Handle {
        &self.running.as_ref().unwrap().handle
    }

    async fn endpoints(&self) -> Vec<EndpointStatus> {
        self.handle().endpoints().await.unwrap()
    }

    /// Waits until an endpoint is in this state, because of this.
    async fn until(
        &self,
        address: SocketAddr,
        (state, why): (EndpointState, Option<&str>),
    ) -> EndpointStatus {
        let mut watch = self.handle().watch();
        let waiting = async {
            loop {
                let all = self.endpoints().await;
                let known = all.iter().find(|one| one.address == address).unwrap();
                if known.state == state && known.why.as_deref() == why {
                    return known.clone();
                }
                watch.changed().await.unwrap();
            }
        };
        timeout(PATIENCE, waiting).await.unwrap()
    }

    /// What answers so many requests, each over a connection of its own.
    async fn get(&self, count: usize) -> Vec<String> {
        let mut answers = Vec::new();
        for _ in 0..count {
            let mut client = Client::connect(self.address).await;
            answers.push(client.get("/", "").await.text().to_owned());
        }
        answers
    }

    async fn down(mut self) {
        let drain = Drain {
            timeout: Duration::ZERO,
            lag: Duration::ZERO,
            long_lived: None,
        };
        let running = self.running.take().unwrap();
        running.stop(drain, std::future::pending()).await;
    }
}

/// An origin that says its name, and is well or not when it is asked at `/healthz`.
async fn patient(name: &'static str) -> (Origin, Arc<AtomicBool>) {
    let is_well = Arc::new(AtomicBool::new(true));
    let well = Arc::clone(&is_well);
    let origin = Origin::answering(move |seen| match seen.path() {
        "/healthz" if well.load(Ordering::SeqCst) => ok("well"),
        "/healthz" => answer(503, "ill"),
        _ => ok(name),
    })
    .await;
    (origin, is_well)
}

#[tokio::test]
async fn who_says_that_it_is_not_well_gets_no_requests_until_it_is() {
    let [(one, _), (two, is_well), (three, _)] = [
        patient("one").await,
        patient("two").await,
        patient("three").await,
    ];
    let keys = "health_check: { interval: 100ms, timeout: 100ms }, balance: { slow_start: 0s }";
    let house = House::start(&[one.address, two.address, three.address], keys);
    house
        .until(two.address, (EndpointState::Healthy, None))
        .await;
    is_well.store(false, Ordering::SeqCst);
    house
        .until(
            two.address,
            (EndpointState::Unhealthy, Some("it answers 503")),
        )
        .await;
    let answers = house.get(40).await;
    assert!(!answers.contains(&"two".to_owned()), "{answers:?}");
    is_well.store(true, Ordering::SeqCst);
    house
        .until(two.address, (EndpointState::Healthy, None))
        .await;
    assert!(house.get(40).await.contains(&"two".to_owned()));
    house.down().await;
}

#[tokio::test]
async fn if_all_say_that_they_are_not_well_all_are_used() {
    let (one, one_is_well) = patient("one").await;
    let (two, two_is_well) = patient("two").await;
    let keys = "health_check: { interval: 100ms, timeout: 100ms }";
    let house = House::start(&[one.address, two.address], keys);
    let mut news = house.handle().news();
    for at in [one.address, two.address] {
        house.until(at, (EndpointState::Healthy, None)).await;
    }
    one_is_well.store(false, Ordering::SeqCst);
    house
        .until(
            one.address,
            (EndpointState::Unhealthy, Some("it answers 503")),
        )
        .await;
    two_is_well.store(false, Ordering::SeqCst);
    let panics = async {
        while !news
            .recv()
            .await
            .unwrap()
            .text
            .contains("which is not believed")
        {}
    };
    timeout(PATIENCE, panics).await.expect("it is told");
    let answers = house.get(40).await;
    assert!(answers.contains(&"one".to_owned()) && answers.contains(&"two".to_owned()));
    house.down().await;
}

#[tokio::test]
async fn a_person_puts_an_endpoint_out_and_it_comes_back_slowly() {
    let (one, _) = patient("one").await;
    let (two, _) = patient("two").await;
    let house = House::start(
        &[one.address, two.address],
        "balance: { policy: round_robin, slow_start: 1h }",
    );
    let ask = |command| {
        let handle = house.handle().clone();
        let at = (None, two.address);
        async move {
            handle
                .ask_of_endpoint(at, command, Asker::default())
                .await
                .unwrap()
        }
    };
    ask(EndpointCommand::Eject(None)).await;
    house
        .until(
            two.address,
            (EndpointState::Ejected, Some("no reason given")),
        )
        .await;
    assert_eq!(house.get(40).await, vec!["one"; 40]);
    ask(EndpointCommand::Uneject).await;
    let back = house
        .until(two.address, (EndpointState::Warming, None))
        .await;
    assert!((20..40).contains(&back.warmth), "{}", back.warmth);
    let answers = house.get(400).await;
    let own = answers.iter().filter(|answer| *answer == "two").count();
    assert!(
        (1..100).contains(&own),
        "a tenth of its weight brings {own} of 400"
    );
    house.down().await;
}
