//! Whatever moved traffic, and whoever tried to, is a line of the audit log, and stays one.

use serde_json::Value;
use serin::model::Share;
use tokio::time::timeout;

use crate::{
    PATIENCE, WITH_TOKENS,
    house::{ADMIN, House, OPERATE, READ, bearer},
};

/// Who, what, before and after, and how it ended, the newest first.
async fn lines(house: &House, query: &str) -> Vec<String> {
    let answer = house
        .ask(&format!("GET /v1/audit{query}"), &bearer(READ), "")
        .await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let json: Value = serde_json::from_str(&answer.body).unwrap();
    let line = |act: &Value| {
        let text = |name: &str| act[name].as_str().unwrap_or("-").to_owned();
        let (before, after, result) = (text("before"), text("after"), text("result"));
        let result = result.split(':').next().unwrap();
        let (who, what) = (text("who"), text("act"));
        format!(
            "{who} | {what} | {before} {after} | {} | {result}",
            text("reason")
        )
    };
    json["acts"].as_array().unwrap().iter().map(line).collect()
}

#[tokio::test]
async fn what_moves_traffic_is_written_down_with_who_and_outlives_the_process() {
    let mut house = House::open(WITH_TOKENS);
    let json = "content-type: application/json\r\n";
    let deploy = format!("{}{json}x-serin-actor: lee\r\n", bearer(OPERATE));
    let put = "PUT /v1/splits/shop/weights";
    let weights = "{\"canary\":\"7%\",\"reason\":\"try more\"}";
    assert_eq!(house.ask(put, &deploy, weights).await.status, 200);
    let reader = format!("{}{json}", bearer(READ));
    assert_eq!(
        house
            .ask("POST /v1/splits/shop:abort", &reader, "{}")
            .await
            .status,
        403
    );
    assert_eq!(
        house
            .ask("POST /v1/splits/shop:undo", &deploy, "{}")
            .await
            .status,
        409
    );
    let eject = "POST /v1/endpoints/127.0.0.1:2:eject";
    assert_eq!(house.ask(eject, &deploy, "{}").await.status, 200);
    house.save_weight("9%");
    let nine = Share::from_basis_points(900).unwrap();
    let mut status = house.running().handle.watch();
    let moved = status.wait_for(|status| status.splits[0].share == nine);
    timeout(PATIENCE, moved).await.unwrap().unwrap();
    assert_eq!(
        house
            .ask("POST /v1/config:reload", &bearer(ADMIN), "")
            .await
            .status,
        202
    );

    let by_deploy = "deploy (token, 127.0.0.1), says lee";
    let expected = [
        "kim (token, 127.0.0.1) | config reload | - - | - | done".to_owned(),
        "config | weight_set | 7% 9% | the file says so | done".to_owned(),
        format!("{by_deploy} | eject | - - | - | done"),
        format!("{by_deploy} | undo | 7% 7% | - | refused"),
        "grafana (token, 127.0.0.1) | POST /v1/splits/shop:abort | - - | - | refused".to_owned(),
        format!("{by_deploy} | set-weight 7% | 5% 7% | try more | done"),
        "config | started | 0% 5% | canary new | done".to_owned(),
    ];
    let told = lines(&house, "").await;
    assert_eq!(told, expected);
    assert_eq!(lines(&house, "?limit=2").await, expected[..2]);
    let of_split = lines(&house, "?split=shop").await;
    assert_eq!(of_split, [1, 3, 5, 6].map(|place| expected[place].clone()));
    for wrong in ["?limit=0", "?limit=x", "?limit=1001", "?split=a%20b"] {
        let answer = house
            .ask(&format!("GET /v1/audit{wrong}"), &bearer(READ), "")
            .await;
        assert_eq!(answer.status, 422, "{wrong}: {}", answer.body);
    }

    house.restart().await;
    let kept = lines(&house, "").await;
    assert_eq!(kept[kept.len() - expected.len()..], expected, "{kept:?}");
    house.close().await;
}
