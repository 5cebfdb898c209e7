//! Where credentials come from, and what happens when they end.

use super::{Watched, amazon, config, web};
use crate::support::ecs::{Amazon, Key, Mood, Task};

const SERVES: &str = "127.1.0.1:3000+";

async fn serving() -> Amazon {
    let amazon = amazon().await;
    amazon.change(|world| {
        let task = Task::at("1", "web", "127.1.0.1:3000".parse().unwrap());
        world.tasks = vec![task.healthy()];
    });
    amazon
}

fn key(id: &str) -> Key {
    Key {
        id: id.to_owned(),
        secret: format!("{id}/very+secret"),
        token: Some(format!("{id}-token==")),
    }
}

fn variable(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// The environment of a task whose agent is the stand-in.
fn in_a_task(amazon: &Amazon, agent: &Amazon) -> Vec<(String, String)> {
    vec![
        variable("AWS_ENDPOINT_URL_ECS", &amazon.url()),
        variable("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
        variable("AWS_DEFAULT_REGION", "eu-west-1"),
        variable(
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            &format!("{}/role", agent.url()),
        ),
        variable("AWS_CONTAINER_AUTHORIZATION_TOKEN", "Basic abc"),
        variable("AWS_EC2_METADATA_DISABLED", "true"),
    ]
}

#[tokio::test]
async fn a_tasks_agent_is_asked_and_asked_again_when_its_key_is_refused() {
    let amazon = serving().await;
    amazon.change(|world| {
        world.keys = vec![key("ASIA1")];
        world.agent_token = Some("Basic abc".to_owned());
    });
    let file = config(&[("web", web(""))]);
    let mut watched = Watched::start(&file, in_a_task(&amazon, &amazon));
    watched.tells("web", SERVES).await;
    let asked = amazon.count("/role");
    for _ in 0..5 {
        watched.tells("web", SERVES).await;
    }
    assert_eq!(
        amazon.count("/role"),
        asked,
        "a key that holds is not asked for"
    );
    amazon.change(|world| world.keys = vec![key("ASIA2")]);
    let error = watched.fails("web", "does not take the credentials").await;
    assert!(
        !error.contains("secret") && !error.contains("-token"),
        "{error}"
    );
    watched.tells("web", SERVES).await;

    amazon.change(|world| {
        world.keys = vec![key("ASIA3")];
        world.agent_token = Some("another".to_owned());
    });
    watched.fails("web", "does not take the credentials").await;
    amazon.change(|world| world.agent_token = Some("Basic abc".to_owned()));
    // The old ones were kept for half a minute when the agent refused; the API's word is newer.
    watched.tells("web", SERVES).await;
}

#[tokio::test]
async fn a_key_is_used_on_while_its_agent_is_gone() {
    let (amazon, agent) = (serving().await, amazon().await);
    for stand_in in [&amazon, &agent] {
        stand_in.change(|world| world.keys = vec![key("ASIA1")]);
    }
    agent.change(|world| world.agent_token = Some("Basic abc".to_owned()));
    let file = config(&[("web", web(""))]);
    let mut watched = Watched::start(&file, in_a_task(&amazon, &agent));
    watched.tells("web", SERVES).await;
    drop(agent);
    amazon.change(|world| world.mood = Mood::Expired);
    watched.fails("web", "does not take the credentials").await;
    amazon.change(|world| world.mood = Mood::Well);
    watched.tells("web", SERVES).await;
}

#[tokio::test]
async fn an_instance_tells_its_roles_key_and_its_region() {
    let amazon = serving().await;
    amazon.change(|world| {
        world.keys = vec![key("ASIA1")];
        world.is_instance = true;
    });
    let variables = vec![
        variable("AWS_ENDPOINT_URL", &amazon.url()),
        variable("AWS_EC2_METADATA_SERVICE_ENDPOINT", &amazon.url()),
    ];
    let file = config(&[("web", web(""))]);
    let mut watched = Watched::start(&file, variables);
    watched.tells("web", SERVES).await;
    assert_eq!(amazon.count("/latest/api/token"), 1);
}

#[tokio::test]
async fn an_instance_that_does_not_answer_is_given_a_second_twice() {
    let (amazon, lost) = (serving().await, amazon().await);
    lost.change(|world| world.mood = Mood::Slow);
    let variables = vec![
        variable("AWS_ENDPOINT_URL", &amazon.url()),
        variable("AWS_REGION", "eu-west-1"),
        variable("AWS_EC2_METADATA_SERVICE_ENDPOINT", &lost.url()),
    ];
    let file = config(&[("web", web(""))]);
    let mut watched = Watched::start(&file, variables);
    watched.fails("web", "no whole answer in 1s").await;
    // The next round may have begun.
    assert!(matches!(lost.count("/latest/api/token"), 2 | 3));
    lost.change(|world| (world.mood, world.is_instance) = (Mood::Well, true));
    watched.tells("web", SERVES).await;
}

#[tokio::test]
async fn a_file_is_read_again_when_its_key_is_refused() {
    let amazon = serving().await;
    let folder = tempfile::tempdir().unwrap();
    let source = format!(
        "ecs: {{ cluster: shop, service: web, port: 3000, container: web, {} }}",
        amazon.keys(folder.path(), "100ms")
    );
    let file = config(&[("web", source)]);
    let mut watched = Watched::start(&file, Vec::new());
    watched.tells("web", SERVES).await;
    amazon.change(|world| world.keys[0].secret.push('x'));
    watched.fails("web", "does not take the credentials").await;
    amazon.credentials_file(folder.path());
    watched.tells("web", SERVES).await;
}

#[tokio::test]
async fn what_is_missing_is_told() {
    let amazon = serving().await;
    let url = variable("AWS_ENDPOINT_URL", &amazon.url());
    let region = variable("AWS_REGION", "eu-west-1");
    let disabled = variable("AWS_EC2_METADATA_DISABLED", "TRUE");
    let nobody = variable("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1");
    let far = variable("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://10.0.0.1/role");
    let cases = [
        (
            vec![url.clone(), disabled.clone()],
            "no region: write `region:`, or set `AWS_REGION`",
        ),
        (
            vec![url.clone(), region.clone(), disabled],
            "no credentials for AWS: no `AWS_ACCESS_KEY_ID`",
        ),
        (
            vec![url.clone(), region.clone(), nobody],
            "the instance's metadata at http://127.0.0.1:1/latest/api/token cannot",
        ),
        (
            vec![url, region, far],
            "where credentials could be read on the way",
        ),
    ];
    for (variables, words) in cases {
        let file = config(&[("web", web(""))]);
        let mut watched = Watched::start(&file, variables);
        watched.fails("web", words).await;
    }
}
