//! The file that an upstream's `file:` names: a list of endpoints, each `HOST:PORT` or a
//! mapping such as `{ address: HOST:PORT, weight: 2, zone: a, version: "7", health: healthy }`, in
//! YAML or JSON.

use super::{StaticEndpoint, problem::Problem, schema::EndpointList};

/// Reads a list of endpoints. The error says where and what, in one line.
pub fn load_endpoints(text: &str) -> Result<Vec<StaticEndpoint>, String> {
    let (list, walk) = super::read::<EndpointList>(text, "a list such as `[\"10.0.0.1:80\"]`");
    let wrong: Vec<String> = walk.problems.iter().map(one_line).collect();
    match list {
        Some(list) if wrong.is_empty() => Ok(list.value.0),
        Some(_) | None => Err(wrong.join("; ")),
    }
}

fn one_line(problem: &Problem) -> String {
    let Problem {
        line,
        column,
        message,
        help,
        ..
    } = problem;
    let help = if help.is_empty() {
        String::new()
    } else {
        format!(" ({help})")
    };
    format!("{line}:{column}: {message}{help}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Health, VersionKey, Zone};

    #[test]
    fn yaml_and_json_say_the_same() {
        let yaml = "- 10.0.0.1:80\n- { address: \"[::1]:81\", weight: 3 }\n- web-1.internal:82\n";
        let json = r#"["10.0.0.1:80", {"address": "[::1]:81", "weight": 3}, "web-1.internal:82"]"#;
        let one = |host: &str, port, weight| StaticEndpoint {
            weight,
            ..StaticEndpoint::new(host, port)
        };
        let expected = [
            one("10.0.0.1", 80, 1),
            one("::1", 81, 3),
            one("web-1.internal", 82, 1),
        ];
        assert_eq!(load_endpoints(yaml).unwrap(), expected);
        assert_eq!(load_endpoints(json).unwrap(), expected);
        assert_eq!(load_endpoints("[]").unwrap(), []);
    }

    #[test]
    fn an_entry_says_what_a_program_knows() {
        let text = "- { address: \"10.0.0.1:80\", zone: a, version: \"7\", health: unhealthy }\n\
                    - { address: \"10.0.0.2:80\", draining: true, health: healthy }\n";
        let expected = [
            StaticEndpoint {
                zone: Some(Zone::new("a")),
                version: Some(VersionKey::new("7")),
                health: Health::Unhealthy,
                ..StaticEndpoint::new("10.0.0.1", 80)
            },
            StaticEndpoint {
                health: Health::Healthy,
                draining: true,
                ..StaticEndpoint::new("10.0.0.2", 80)
            },
        ];
        assert_eq!(load_endpoints(text).unwrap(), expected);
    }

    #[test]
    fn an_error_says_where_and_what() {
        let cases = [
            ("", "1:1: the file is empty"),
            (
                "- 10.0.0.1:80\n- 10.0.0.2\n",
                "2:3: `10.0.0.2` is not a host and a port",
            ),
            (
                "- 10.0.0.1:0\n",
                "1:3: `10.0.0.1:0` is not a host and a port",
            ),
            ("- ::1:80\n", "1:3: `::1:80` is not a host and a port"),
            (
                "- { adress: \"10.0.0.1:80\" }\n",
                "1:5: unknown key `adress`",
            ),
            ("- 10.0.0.1:80\n- [\n", "2:3: "),
            ("endpoints: []\n", "1:1: expected a list"),
            (
                "- { address: \"a:80\", health: bad }\n",
                "1:30: unknown value `bad`",
            ),
            ("- 5\n", "1:3: "),
            ("- a\n- b:80\n- c\n", "1:3: `a` is not a host and a port"),
        ];
        for (text, expected) in cases {
            let error = load_endpoints(text).unwrap_err();
            assert!(error.starts_with(expected), "{text:?}: {error}");
        }
    }
}
