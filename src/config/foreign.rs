//! YAML and JSON of others, for `serin convert`: a tree with the lines of what stands in it.
//!
//! The same reader as for our own file, so anchors, tags and templates are refused; files of
//! several documents are read one after the other.

use super::{
    parse::parse,
    tree::{Node, Value},
};

/// Something in a file of another program.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Foreign {
    /// In which line it stands, from 1; 0: it is not there.
    pub line: usize,
    what: What,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
enum What {
    #[default]
    Nothing,
    Text(String),
    List(Vec<Foreign>),
    Map(Vec<(String, Foreign)>),
}

/// What is not there.
static NOTHING: Foreign = Foreign {
    line: 0,
    what: What::Nothing,
};

/// Every document of a text; the error says what is wrong with it as YAML.
pub fn foreign(text: &str) -> Result<Vec<Foreign>, String> {
    let mut documents = vec![(0, String::new())];
    for (number, line) in text.lines().enumerate() {
        if line.trim_end() == "---" {
            documents.push((number + 1, String::new()));
        } else if let Some((_, document)) = documents.last_mut() {
            document.push_str(line);
            document.push('\n');
        }
    }
    let mut read = Vec::new();
    for (above, text) in documents {
        let parsed = parse(&text);
        if let Some(problem) = parsed.problems.iter().find(|it| it.code != "duplicate_key") {
            return Err(format!(
                "line {}: {}",
                above + problem.line,
                problem.message
            ));
        }
        read.extend(parsed.root.map(|root| Foreign::of(&root, above)));
    }
    read.retain(|document| document.what != What::Nothing);
    Ok(read)
}

impl Foreign {
    fn of(node: &Node, above: usize) -> Self {
        let what = match &node.value {
            Value::Null | Value::Broken => What::Nothing,
            Value::Scalar { text, .. } => What::Text(text.clone()),
            Value::List(nodes) => {
                What::List(nodes.iter().map(|node| Self::of(node, above)).collect())
            }
            Value::Map(entries) => {
                let entries = entries.iter();
                let entry =
                    |entry: &super::tree::Entry| (entry.key.clone(), Self::of(&entry.value, above));
                What::Map(entries.map(entry).collect())
            }
        };
        Self {
            line: above + node.owner.line,
            what,
        }
    }

    /// The value of a key; nothing if there is none.
    pub fn get(&self, key: &str) -> &Self {
        let mut entries = self.entries().iter();
        let found = entries.find(|(known, _)| known == key);
        found.map_or(&NOTHING, |(_, value)| value)
    }

    /// The value at the end of several keys.
    pub fn at(&self, keys: &[&str]) -> &Self {
        keys.iter().fold(self, |found, key| found.get(key))
    }

    /// What is written, if it is one value.
    pub fn text(&self) -> Option<&str> {
        match &self.what {
            What::Text(text) => Some(text),
            What::Nothing | What::List(_) | What::Map(_) => None,
        }
    }

    /// A number.
    pub fn number(&self) -> Option<f64> {
        let number: f64 = self.text()?.parse().ok()?;
        Some(number).filter(|number| number.is_finite())
    }

    /// What is in a list; a single value is a list of one.
    pub fn items(&self) -> &[Self] {
        match &self.what {
            What::List(items) => items,
            What::Text(_) => std::slice::from_ref(self),
            What::Nothing | What::Map(_) => &[],
        }
    }

    /// The keys of a mapping and their values.
    pub fn entries(&self) -> &[(String, Self)] {
        match &self.what {
            What::Map(entries) => entries,
            What::Nothing | What::Text(_) | What::List(_) => &[],
        }
    }

    /// Whether anything is there.
    pub fn is_there(&self) -> bool {
        self.what != What::Nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_read_with_their_lines() {
        let read = foreign("a: 1\n---\nb:\n  - c: { d: x }\n---\n").unwrap();
        assert_eq!(read.len(), 2);
        let b = read[1].get("b");
        assert_eq!(b.items()[0].at(&["c", "d"]).text(), Some("x"));
        assert_eq!(b.items()[0].get("c").line, 4);
        assert_eq!(read[0].get("a").number(), Some(1.0));
        assert!(!read[0].at(&["x", "y"]).is_there());
        assert!(foreign("a: [").is_err());
    }
}
