//! `serin validate`: all problems of a file at once, without starting anything. The same code reads
//! the file when the proxy starts and when it is saved, so what passes here is taken there.

use std::{
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use crate::{
    config::{self, Problems},
    control,
};

/// Every file is fine; warnings may have been shown.
const FINE: u8 = 0;
/// A file has an error.
const FAULTY: u8 = 1;
/// A file cannot be read, or the answer cannot be written.
const UNREADABLE: u8 = 2;

/// Checks files (`-` is standard input) and writes what is wrong, for people or as one JSON object
/// `{ok, errors, warnings, files, problems}`. Returns the exit code: 0 fine, 1 a file has errors,
/// 2 a file cannot be read.
pub fn validate(files: &[PathBuf], json: bool, out: &mut impl Write) -> u8 {
    let reports: Vec<Report> = files.iter().map(|file| check(file)).collect();
    let written = if json {
        as_json(&reports, out)
    } else {
        as_text(&reports, out)
    };
    let worst = reports.iter().map(Report::code).max().unwrap_or(FINE);
    if written.is_ok() { worst } else { UNREADABLE }
}

/// What is known of one file.
struct Report {
    name: String,
    outcome: Result<Problems, io::Error>,
}

impl Report {
    fn code(&self) -> u8 {
        match &self.outcome {
            Err(_) => UNREADABLE,
            Ok(problems) if problems.has_errors() => FAULTY,
            Ok(_) => FINE,
        }
    }

    fn problems(&self) -> Option<&Problems> {
        self.outcome.as_ref().ok()
    }
}

fn check(file: &Path) -> Report {
    let is_stdin = file == Path::new("-");
    let name = if is_stdin {
        "<stdin>".to_owned()
    } else {
        file.display().to_string()
    };
    let outcome = read(file, is_stdin).map(|text| match config::load(&text, &name) {
        // What the file names is looked at, too, if it is known from where.
        Ok(_) if !is_stdin => match control::read_config(file) {
            Ok(loaded) => loaded.warnings,
            Err(problems) => problems,
        },
        Ok((_, problems)) | Err(problems) => problems,
    });
    Report { name, outcome }
}

/// The text of a file or of standard input.
#[expect(
    clippy::disallowed_methods,
    reason = "a command that reads a file and ends"
)]
pub(super) fn read(file: &Path, is_stdin: bool) -> io::Result<String> {
    if !is_stdin {
        return std::fs::read_to_string(file);
    }
    let mut text = String::new();
    io::stdin().read_to_string(&mut text)?;
    Ok(text)
}

fn as_text(reports: &[Report], out: &mut impl Write) -> io::Result<()> {
    for (i, Report { name, outcome }) in reports.iter().enumerate() {
        if i > 0 {
            writeln!(out)?;
        }
        match outcome {
            Err(error) => writeln!(out, "error[unreadable]: cannot read {name}: {error}")?,
            Ok(problems) if problems.is_empty() => writeln!(out, "{name}: ok")?,
            Ok(problems) => {
                let verdict = if problems.has_errors() { "" } else { "ok, " };
                writeln!(out, "{problems}\n{name}: {verdict}{}", problems.summary())?;
            }
        }
    }
    Ok(())
}

fn as_json(reports: &[Report], out: &mut impl Write) -> io::Result<()> {
    let count = |of: fn(&Problems) -> usize| -> usize {
        reports.iter().filter_map(Report::problems).map(of).sum()
    };
    let unreadable = reports
        .iter()
        .filter(|report| report.outcome.is_err())
        .count();
    let problems: Vec<Value> = reports.iter().flat_map(problems_of).collect();
    let answer = json!({
        "ok": reports.iter().all(|report| report.code() == FINE),
        "errors": count(Problems::errors) + unreadable,
        "warnings": count(Problems::warnings),
        "files": reports.iter().map(|report| report.name.as_str()).collect::<Vec<_>>(),
        "problems": problems,
    });
    writeln!(out, "{answer:#}")
}

fn problems_of(report: &Report) -> Vec<Value> {
    match &report.outcome {
        Ok(problems) => problems.to_json().as_array().cloned().unwrap_or_default(),
        Err(error) => vec![json!({
            "file": report.name,
            "line": Value::Null,
            "column": Value::Null,
            "width": Value::Null,
            "level": "error",
            "code": "unreadable",
            "message": error.to_string(),
            "help": "",
        })],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = env!("CARGO_MANIFEST_DIR");

    fn run(files: &[&str], json: bool) -> (u8, String) {
        let files: Vec<PathBuf> = files
            .iter()
            .map(|file| Path::new(ROOT).join(file))
            .collect();
        let mut out = Vec::new();
        let code = validate(&files, json, &mut out);
        (
            code,
            String::from_utf8(out)
                .unwrap()
                .replace(&format!("{ROOT}/"), ""),
        )
    }

    #[test]
    fn the_exit_code_tells_fine_from_faulty_from_unreadable() {
        let (code, said) = run(&["config/minimal.yaml"], false);
        assert_eq!((code, said.as_str()), (0, "config/minimal.yaml: ok\n"));
        let bad = "tests/fixtures/bad-configs/01-unknown-key.yaml";
        let (code, said) = run(&["config/minimal.yaml", bad], false);
        assert_eq!(code, 1);
        assert!(said.contains("error[unknown_key]"), "{said}");
        assert!(said.ends_with("01-unknown-key.yaml: 1 error\n"), "{said}");
        let (code, said) = run(&[bad, "config/absent.yaml"], false);
        assert_eq!(code, 2);
        assert!(said.contains("cannot read config/absent.yaml"), "{said}");
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test writes what it reads")]
    fn what_the_file_names_is_looked_at() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().display();
        let tls = format!("{{ certificates: [{{ cert: {place}/a.pem, key: {place}/a.key }}] }}");
        let text = format!(
            "listeners: [{{ name: web, address: \"127.0.0.1:0\", tls: {tls} }}]\n\
             upstreams: {{ a: {{ static: [\"127.0.0.1:1\"] }} }}\n\
             splits: {{ s: {{ stable: a }} }}\n"
        );
        let file = directory.path().join("serin.yaml");
        std::fs::write(&file, text).unwrap();
        let (code, said) = run(&[file.to_str().unwrap()], false);
        assert_eq!(code, 1, "{said}");
        assert_eq!(said.matches("error[tls_unreadable]").count(), 2, "{said}");
        std::fs::write(directory.path().join("a.pem"), "no certificate").unwrap();
        let (_, said) = run(&[file.to_str().unwrap()], false);
        assert!(said.contains("holds no certificate"), "{said}");
    }

    #[test]
    fn json_has_every_problem_with_its_place() {
        let (code, said) = run(&["tests/fixtures/bad-configs/01-unknown-key.yaml"], true);
        let answer: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(code, 1);
        assert_eq!(answer["ok"], false);
        assert_eq!(answer["errors"], 1);
        assert_eq!(answer["problems"][0]["code"], "unknown_key");
        assert_eq!(answer["problems"][0]["level"], "error");
        assert!(answer["problems"][0]["line"].is_u64());
    }
}
