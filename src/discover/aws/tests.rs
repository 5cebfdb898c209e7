//! What AWS may answer instead of an answer, and what people are told then.

use http::{HeaderMap, HeaderValue, StatusCode, header::DATE};

use super::{
    Action, CallError, Caller, Environment, Service,
    refusal::{Refusal, of_json, of_xml},
};
use crate::{config::Aws, discover::DiscoverError, model::Moment};

const LIST: Action = Action(Service::Ecs, "ListTasks");

fn understood(status: u16, body: &str) -> CallError {
    let mut headers = HeaderMap::new();
    headers.insert(
        DATE,
        HeaderValue::from_static("Thu, 26 Nov 2026 16:10:00 GMT"),
    );
    let (code, sentence) = of_json(&headers, body.as_bytes());
    let refusal = Refusal {
        action: LIST,
        status: StatusCode::from_u16(status).unwrap(),
        headers: &headers,
        code,
        sentence,
    };
    // 16:03 of the same day.
    refusal.understood(Moment::from_millis(1_795_708_980_000))
}

#[test]
fn a_refusal_says_what_to_mend_and_what_to_do() {
    let throttled = |words: &str| CallError::Throttled(words.to_owned());
    let credentials = |words: &str| CallError::Credentials(words.to_owned());
    let other = |words: &str| CallError::Other(DiscoverError::Unreachable(words.to_owned()));
    let cases = [
        (
            400,
            r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#,
            throttled("AWS throttles `ecs:ListTasks` (ThrottlingException: Rate exceeded)"),
        ),
        (
            400,
            r#"{"__type":"com.amazonaws.ecs#ServerException","message":"Rate exceeded."}"#,
            throttled("AWS throttles `ecs:ListTasks` (ServerException: Rate exceeded)"),
        ),
        (429, "", throttled("AWS throttles `ecs:ListTasks`")),
        (503, "<html>", throttled("AWS throttles `ecs:ListTasks`")),
        (
            400,
            r#"{"__type":"AccessDeniedException",
                "Message":"User: arn:aws:sts::1:role/x is not authorized"}"#,
            other(
                "AWS denies `ecs:ListTasks`: allow this action in the policy of the role that \
                 Serin has (AccessDeniedException: User: arn:aws:sts::1:role/x is not \
                 authorized)",
            ),
        ),
        (
            400,
            r#"{"__type":"ExpiredTokenException","message":"The security token is expired"}"#,
            credentials(
                "AWS does not take the credentials for `ecs:ListTasks` (ExpiredTokenException: \
                 The security token is expired)",
            ),
        ),
        (
            403,
            r#"{"__type":"InvalidSignatureException",
                "message":"Signature expired: 1 is now earlier than 2"}"#,
            credentials(
                "AWS refuses `ecs:ListTasks`: this machine's clock is 7 min behind theirs; set it \
                 right (NTP) (InvalidSignatureException: Signature expired: 1 is now earlier than \
                 2)",
            ),
        ),
        (
            400,
            r#"{"__type":"ClusterNotFoundException","message":"Cluster not found."}"#,
            other("`ecs:ListTasks` answered 400 (ClusterNotFoundException: Cluster not found)"),
        ),
        (500, "\u{0}garbage", other("`ecs:ListTasks` answered 500")),
        (
            500,
            "{\"__type\":\"A\\r\\nB\",\"message\":\"\\u001b[31m\"}",
            other("`ecs:ListTasks` answered 500 (A  B: [31m)"),
        ),
    ];
    for (status, body, expected) in cases {
        assert_eq!(understood(status, body), expected, "{status} {body}");
    }
}

#[test]
fn the_query_protocol_tells_errors_in_xml() {
    let body = "<?xml version=\"1.0\"?><Response><Errors><Error><Code>UnauthorizedOperation</Code>\
                <Message>You are not authorized. Encoded authorization failure message: XYZ\
                </Message></Error></Errors><RequestID>1</RequestID></Response>";
    let (code, sentence) = of_xml(body);
    let headers = HeaderMap::new();
    let refusal = Refusal {
        action: Action(Service::Ec2, "DescribeInstances"),
        status: StatusCode::FORBIDDEN,
        headers: &headers,
        code,
        sentence,
    };
    let words = refusal.understood(Moment::ZERO).to_string();
    let expected = "AWS denies `ec2:DescribeInstances`: allow this action in the policy of the \
                    role that Serin has";
    assert_eq!(words, expected);
    assert_eq!(of_xml("no xml"), (String::new(), String::new()));
}

#[tokio::test]
async fn an_api_is_asked_where_the_file_says_else_the_environment_else_the_region() {
    let of = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let all = of("AWS_ENDPOINT_URL", "http://127.0.0.1:4566/");
    let ecs = of("AWS_ENDPOINT_URL_ECS", "http://127.0.0.1:1");
    let map = of("AWS_ENDPOINT_URL_SERVICEDISCOVERY", "http://127.0.0.1:2");
    let none = Vec::new();
    let cases = [
        (
            Service::Ecs,
            "eu-west-1",
            &none,
            "https://ecs.eu-west-1.amazonaws.com",
        ),
        (
            Service::Ec2,
            "us-east-1",
            &none,
            "https://ec2.us-east-1.amazonaws.com",
        ),
        (
            Service::Ecs,
            "cn-north-1",
            &none,
            "https://ecs.cn-north-1.amazonaws.com.cn",
        ),
        (
            Service::CloudMap,
            "eu-west-1",
            &none,
            "https://data-servicediscovery.eu-west-1.amazonaws.com",
        ),
        (
            Service::Ecs,
            "x",
            &vec![all.clone()],
            "http://127.0.0.1:4566",
        ),
        (
            Service::Ecs,
            "x",
            &vec![all.clone(), ecs.clone()],
            "http://127.0.0.1:1",
        ),
        (
            Service::Ec2,
            "x",
            &vec![all.clone(), ecs.clone()],
            "http://127.0.0.1:4566",
        ),
        (
            Service::CloudMap,
            "x",
            &vec![all, map],
            "http://127.0.0.1:2",
        ),
    ];
    for (service, region, variables, expected) in cases {
        let environment = Environment::of(variables.clone());
        let caller = Caller::new(Aws::default(), environment).await.unwrap();
        assert_eq!(caller.place(service, region), expected);
    }
    let aws = Aws {
        endpoint: Some("https://vpce.internal".to_owned()),
        ..Aws::default()
    };
    let caller = Caller::new(aws, Environment::of([ecs])).await.unwrap();
    assert_eq!(caller.place(Service::Ecs, "x"), "https://vpce.internal");
}
