//! Text of a .t file → blocks of named sections. Knows the syntax, not what the sections mean.

use crate::Outcome;

/// Every section there is.
pub const SECTIONS: [&str; 35] = [
    "access_log",
    "conf_files",
    "config",
    "control",
    "env",
    "error_code",
    "error_log",
    "http2",
    "http_config",
    "isolated",
    "log_level",
    "main_config",
    "more_headers",
    "must_die",
    "no_access_log",
    "no_error_log",
    "pipelined_requests",
    "port",
    "raw_request",
    "raw_response_headers_like",
    "raw_response_headers_unlike",
    "redis",
    "request",
    "response_body",
    "response_body_like",
    "response_body_unlike",
    "response_headers",
    "response_headers_like",
    "response_json",
    "server_config",
    "skip_flavour",
    "ssl",
    "timeout",
    "user_files",
    "workers",
];

const FILTERS: [&str; 3] = ["chomp", "json", "latin1"];

/// One case as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The file it is in.
    pub file: String,
    /// The line of its `===`.
    pub line: usize,
    /// What stands behind `===`.
    pub name: String,
    /// Its sections in the order written.
    pub sections: Vec<Section>,
}

/// One section as written, filters applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// What stands behind `---`.
    pub name: String,
    /// The line of its `---`.
    pub line: usize,
    /// Its value.
    pub value: String,
    /// Whether its characters are bytes (`latin1`) and not text to be sent as UTF-8.
    pub latin1: bool,
}

impl Block {
    /// `FILE:LINE` of the block.
    pub fn place(&self) -> String {
        format!("{}:{}", self.file, self.line)
    }

    /// A section, if the block has it.
    pub fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name)
    }

    /// A section's value, if the block has it.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.section(name).map(|section| section.value.as_str())
    }

    /// The block with every section's value replaced by what `change` makes of it.
    pub fn map(&self, mut change: impl FnMut(&str) -> Outcome<String>) -> Outcome<Self> {
        let mut block = self.clone();
        for section in &mut block.sections {
            section.value = change(&section.value)?;
        }
        Ok(block)
    }
}

/// The blocks of a file. The error names file and line.
pub fn parse(file: &str, text: &str) -> Outcome<Vec<Block>> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut lines = text.lines().zip(1..).peekable();
    while let Some((line, number)) = lines.next() {
        let fail = |why: String| Err(format!("{file}:{number}: {why}").into());
        if let Some(name) = line.strip_prefix("===") {
            let name = name.trim().to_owned();
            if name.is_empty() {
                return fail("a block needs a name".to_owned());
            }
            if let Some(other) = blocks.iter().find(|block| block.name == name) {
                return fail(format!("the name is taken by the block in line {}", other.line));
            }
            let (file, sections) = (file.to_owned(), Vec::new());
            blocks.push(Block { file, line: number, name, sections });
        } else if let Some(header) = line.strip_prefix("---") {
            let mut body = Vec::new();
            while let Some((line, _)) =
                lines.next_if(|(line, _)| !line.starts_with("===") && !line.starts_with("---"))
            {
                body.push(line);
            }
            let Some(block) = blocks.last_mut() else {
                return fail("a section before the first block".to_owned());
            };
            match section(header, number, &body) {
                Ok(section) if block.section(&section.name).is_some() => {
                    return fail(format!("section \"{}\" is duplicate", section.name));
                }
                Ok(section) => block.sections.push(section),
                Err(why) => return fail(why),
            }
        } else if blocks.is_empty() && !line.trim().is_empty() && !line.starts_with('#') {
            return fail("only comments may stand before the first block".to_owned());
        }
    }
    Ok(blocks)
}

fn section(header: &str, line: usize, body: &[&str]) -> Result<Section, String> {
    let (words, inline) = match header.split_once(':') {
        Some((words, inline)) => (words, Some(inline.trim())),
        None => (header, None),
    };
    let mut words = words.split_whitespace();
    let name = words.next().ok_or("a section needs a name")?.to_owned();
    if matches!(name.as_str(), "ONLY" | "LAST" | "SKIP") {
        return Err(format!("\"{name}\" is not for committed files: give cargo test a name"));
    }
    if !SECTIONS.contains(&name.as_str()) {
        return Err(format!("unknown section \"{name}\""));
    }
    let filters: Vec<&str> = words.collect();
    if let Some(filter) = filters.iter().find(|filter| !FILTERS.contains(filter)) {
        return Err(format!("unsupported filter \"{filter}\""));
    }
    let blank = |line: &&str| line.trim().is_empty();
    let mut value = match inline {
        Some(inline) if body.iter().all(blank) => inline.to_owned(),
        Some(_) => return Err(format!("section \"{name}\" has a value behind \":\" and below")),
        None => {
            // As Test::Base has it: blank lines at either end do not count, the last newline does.
            let start = body.iter().take_while(|line| blank(line)).count();
            let end = body.len() - body.iter().rev().take_while(|line| blank(line)).count();
            let lines = body.get(start..end).unwrap_or_default();
            lines.iter().flat_map(|line| [line, "\n"]).collect()
        }
    };
    for filter in &filters {
        match *filter {
            "chomp" => value = value.strip_suffix('\n').unwrap_or(&value).to_owned(),
            "json" => {
                value = serde_json::from_str(&value)
                    .map_err(|error| format!("section \"{name}\" is no JSON string: {error}"))?;
            }
            _ => {}
        }
    }
    Ok(Section { name, line, value, latin1: filters.contains(&"latin1") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_hold_what_is_written_behind_or_below_them() {
        let text = "\
# about this file

=== one: with a colon
What it is for.
--- config

    location / { return 200 'a'; }

    # kept

--- request: GET /
--- response_body chomp
a
--- more_headers json
\"X-A: 1\\nX-B: \\u00ff\"
--- http2
=== two
--- request
POST /

body
";
        let blocks = parse("x.t", text).unwrap();
        let value = |block: usize, name| blocks[block].text(name);
        assert_eq!(blocks.len(), 2);
        assert_eq!((blocks[0].name.as_str(), blocks[0].line), ("one: with a colon", 3));
        assert_eq!(value(0, "config"), Some("    location / { return 200 'a'; }\n\n    # kept\n"));
        assert_eq!(value(0, "request"), Some("GET /"));
        assert_eq!(value(0, "response_body"), Some("a"));
        assert_eq!(value(0, "more_headers"), Some("X-A: 1\nX-B: \u{ff}"));
        assert_eq!(value(0, "http2"), Some(""));
        assert_eq!(value(1, "request"), Some("POST /\n\nbody\n"));
        assert_eq!(value(1, "config"), None);
    }

    #[test]
    fn mistakes_are_named_with_file_and_line() {
        for (text, error) in [
            ("=== a\n--- requst: GET /\n", "x.t:2: unknown section \"requst\""),
            ("=== a\n\n--- request eval\n\"x\"\n", "x.t:3: unsupported filter \"eval\""),
            ("--- request: GET /\n", "x.t:1: a section before the first block"),
            ("use Test::Nginx;\n", "x.t:1: only comments may stand before the first block"),
            ("=== a\n=== a\n", "x.t:2: the name is taken by the block in line 1"),
            ("===\n", "x.t:1: a block needs a name"),
            ("=== a\n---\n", "x.t:2: a section needs a name"),
            (
                "=== a\n--- ONLY\n",
                "x.t:2: \"ONLY\" is not for committed files: give cargo test a name",
            ),
            ("=== a\n--- timeout: 1\n--- timeout: 2\n", "x.t:3: section \"timeout\" is duplicate"),
            (
                "=== a\n--- timeout: 1\n2\n",
                "x.t:2: section \"timeout\" has a value behind \":\" and below",
            ),
            ("=== a\n--- request json\nx\n", "x.t:2: section \"request\" is no JSON string: "),
        ] {
            let got = parse("x.t", text).unwrap_err().to_string();
            assert!(got.starts_with(error), "{text:?}: {got}");
        }
    }
}
