//! The subset of YAML that our compose files keep to: block maps and lists, quoted and
//! plain scalars, flow lists of quoted scalars, comments on lines of their own.

#[derive(Debug, PartialEq)]
pub enum Node {
    Scalar(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

impl Node {
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries()
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, node)| node)
    }

    pub fn entries(&self) -> &[(String, Node)] {
        match self {
            Self::Map(entries) => entries,
            _ => &[],
        }
    }

    pub fn keys(&self) -> Vec<&str> {
        self.entries().iter().map(|(key, _)| key.as_str()).collect()
    }

    pub fn scalar(&self) -> &str {
        match self {
            Self::Scalar(text) => text,
            other => panic!("not a scalar: {other:?}"),
        }
    }

    pub fn scalars(&self) -> Vec<&str> {
        match self {
            Self::List(items) => items.iter().map(Node::scalar).collect(),
            other => panic!("not a list: {other:?}"),
        }
    }
}

/// # Errors
/// The line that is outside the subset.
pub fn parse(text: &str) -> Result<Node, String> {
    let mut lines: Vec<(usize, String)> = text
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
        .map(|line| (line.len() - line.trim_start().len(), line.trim().to_owned()))
        .collect();
    let mut at = 0;
    let node = block(&mut lines, &mut at, 0)?;
    match lines.get(at) {
        None => Ok(node),
        Some((_, line)) => Err(format!("unexpected indentation: {line}")),
    }
}

/// The block that begins at line `at` and is indented by `indent`.
fn block(lines: &mut [(usize, String)], at: &mut usize, indent: usize) -> Result<Node, String> {
    let (mut items, mut entries) = (Vec::new(), Vec::new());
    while let Some((_, line)) = lines.get(*at).filter(|(depth, _)| *depth == indent) {
        if let Some(item) = line.strip_prefix("- ") {
            let item = item.to_owned();
            if item.contains(": ") && !item.starts_with('"') {
                // A map whose first entry stands behind the dash.
                lines[*at] = (indent + 2, item);
                items.push(block(lines, at, indent + 2)?);
            } else {
                items.push(scalar(&item)?);
                *at += 1;
            }
        } else {
            let (key, value) = line.split_once(':').ok_or_else(|| line.clone())?;
            let (key, value) = (key.to_owned(), value.trim().to_owned());
            if entries.iter().any(|(known, _)| *known == key) {
                return Err(format!("twice: {key}"));
            }
            *at += 1;
            let below = lines
                .get(*at)
                .map(|(depth, _)| *depth)
                .filter(|depth| *depth > indent);
            let value = match below {
                Some(depth) if value.is_empty() => block(lines, at, depth)?,
                _ => scalar(&value)?,
            };
            entries.push((key, value));
        }
    }
    match (items.is_empty(), entries.is_empty()) {
        (false, true) => Ok(Node::List(items)),
        (true, false) => Ok(Node::Map(entries)),
        _ => Err("a block that is neither a list nor a map".to_owned()),
    }
}

fn scalar(text: &str) -> Result<Node, String> {
    let json = |text| serde_json::from_str(text).map_err(|error| format!("{text}: {error}"));
    match text.chars().next() {
        Some('"') => json(text).map(Node::Scalar),
        Some('[') => {
            let items: Vec<String> =
                serde_json::from_str(text).map_err(|error| format!("{text}: {error}"))?;
            Ok(Node::List(items.into_iter().map(Node::Scalar).collect()))
        }
        Some('\'' | '{' | '&' | '*' | '|' | '>' | '!' | '%' | '@' | '`') => Err(text.to_owned()),
        _ if text.contains(" #") || text.contains(": ") => Err(text.to_owned()),
        _ => Ok(Node::Scalar(text.to_owned())),
    }
}

#[test]
fn the_subset_is_read_and_what_is_beyond_it_refused() {
    let node = parse("a:\n  # note\n  b: \"x: y\"\n  c:\n    - one\n    - [\"two\", \"\"]\n  d:\n    - e: 1\n      f: 2\ng:\n").unwrap();
    let text = |text: &str| Node::Scalar(text.to_owned());
    let a = node.get("a").unwrap();
    assert_eq!(a.get("b"), Some(&text("x: y")));
    let two = Node::List(vec![text("two"), text("")]);
    assert_eq!(a.get("c"), Some(&Node::List(vec![text("one"), two])));
    let map = Node::Map(vec![("e".into(), text("1")), ("f".into(), text("2"))]);
    assert_eq!(a.get("d"), Some(&Node::List(vec![map])));
    assert_eq!(node.get("g"), Some(&text("")));
    for beyond in [
        "a: &x",
        "a: 'b'",
        "a: b # c",
        "a: 1\na: 2",
        "a",
        "a: {}",
        "a: b\n    c: d",
    ] {
        assert!(parse(beyond).is_err(), "{beyond}");
    }
}
