//! Just enough reading of Rust for the rules: paths with their lines, and the tree of modules.

use std::path::Path;

/// A file of the house.
pub(crate) struct Module {
    /// Below `src`, with slashes.
    pub(crate) path: String,
    /// Behind the feature `io`, itself or by where it hangs.
    pub(crate) io: bool,
    /// Built for tests only.
    pub(crate) test: bool,
}

/// The modules of a crate, from its root file on, as the compiler finds them.
pub(crate) fn module_tree(folder: &Path, root: &str) -> Vec<Module> {
    let mut found = Vec::new();
    let module = Module { path: root.to_owned(), io: root != "lib.rs", test: false };
    walk(folder, module, "", &mut found);
    found
}

fn walk(folder: &Path, module: Module, below: &str, found: &mut Vec<Module>) {
    let Ok(text) = std::fs::read_to_string(folder.join(&module.path)) else { return };
    let (mut io, mut test) = (module.io, module.test);
    for (code, written) in strip(&text).lines().zip(text.lines()) {
        let code = code.trim();
        let bare = code.trim_start_matches("pub(crate) ").trim_start_matches("pub ");
        if code.starts_with("#[cfg") {
            io |= written.contains(concat!("feature = ", "\"io\""));
            test |= code == "#[cfg(test)]";
        } else if let Some(name) = bare.strip_prefix("mod ").and_then(|m| m.strip_suffix(';')) {
            let flat = format!("{below}{name}.rs");
            let own = format!("{below}{name}/");
            let path = if folder.join(&flat).exists() { flat } else { format!("{own}mod.rs") };
            walk(folder, Module { path, io, test }, &own, found);
            (io, test) = (module.io, module.test);
        } else if !code.is_empty() && !code.starts_with("#[") {
            (io, test) = (module.io, module.test);
        }
    }
    found.push(module);
}

/// Blanks comments, strings and characters, line for line.
pub(crate) fn strip(text: &str) -> String {
    let c: Vec<char> = text.chars().collect();
    let at = |i: usize| c.get(i).copied().unwrap_or('\0');
    let mut out = String::with_capacity(text.len());
    let mut i = 0;
    while i < c.len() {
        let end = match (c[i], at(i + 1)) {
            ('/', '/') => (i..c.len()).find(|&j| c[j] == '\n').unwrap_or(c.len()),
            ('/', '*') => (i + 2..c.len())
                .find(|&j| c[j] == '/' && c[j - 1] == '*')
                .map_or(c.len(), |j| j + 1),
            ('"', _) => string_end(&c, i),
            ('r', '"' | '#') if i == 0 || !is_word(c[i - 1]) || c[i - 1] == 'b' => raw_end(&c, i),
            ('\'', '\\') => (i + 3..c.len()).find(|&j| c[j] == '\'').map_or(c.len(), |j| j + 1),
            ('\'', _) if at(i + 2) == '\'' => i + 3,
            _ => i,
        };
        if end == i {
            out.push(c[i]);
            i += 1;
        } else {
            out.extend(c[i..end].iter().map(|&c| if c == '\n' { '\n' } else { ' ' }));
            i = end;
        }
    }
    out
}

fn string_end(c: &[char], start: usize) -> usize {
    let mut i = start + 1;
    while i < c.len() && c[i] != '"' {
        i += if c[i] == '\\' { 2 } else { 1 };
    }
    (i + 1).min(c.len())
}

fn raw_end(c: &[char], start: usize) -> usize {
    let hashes = c[start + 1..].iter().take_while(|&&c| c == '#').count();
    if c.get(start + 1 + hashes) != Some(&'"') {
        return start;
    }
    let closes = |i: usize| {
        c[i] == '"' && c[i + 1..].iter().take(hashes).filter(|&&c| c == '#').count() == hashes
    };
    (start + 2 + hashes..c.len()).find(|&i| closes(i)).map_or(c.len(), |i| i + 1 + hashes)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Blanks what `#[cfg(test)]` guards; `code` has been stripped.
pub(crate) fn mask_tests(code: &str) -> String {
    let mut out = code.to_owned();
    while let Some(start) = out.find("#[cfg(test)]") {
        let rest = &out[start..];
        let brace = rest.find('{').unwrap_or(rest.len());
        let semicolon = rest.find(';').unwrap_or(rest.len());
        let mut end = semicolon.min(rest.len() - 1) + 1;
        if brace < semicolon {
            let mut depth = 0;
            let close = rest.char_indices().find(|&(_, c)| {
                depth += match c {
                    '{' => 1,
                    '}' => -1,
                    _ => 0,
                };
                c == '}' && depth == 0
            });
            end = close.map_or(rest.len(), |(i, _)| i + 1);
        }
        let blank: String =
            rest[..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
        out.replace_range(start..start + end, &blank);
    }
    out
}

/// The words and marks of a file, with their lines.
pub(crate) struct Source {
    tokens: Vec<(usize, String)>,
}

impl Source {
    /// Of text without comments and strings.
    pub(crate) fn new(code: &str) -> Self {
        let mut tokens: Vec<(usize, String)> = Vec::new();
        for (number, line) in code.lines().enumerate() {
            let c: Vec<char> = line.chars().collect();
            let mut i = 0;
            while i < c.len() {
                let start = i;
                if is_word(c[i]) {
                    while i < c.len() && is_word(c[i]) {
                        i += 1;
                    }
                } else if c[i] == ':' && c.get(i + 1) == Some(&':') {
                    i += 2;
                } else {
                    i += 1;
                }
                let token: String = c[start..i].iter().collect();
                if !token.trim().is_empty() {
                    tokens.push((number + 1, token));
                }
            }
        }
        Self { tokens }
    }

    /// Every path with at least two steps, and every import, written out in full.
    pub(crate) fn paths(&self) -> Vec<(usize, Vec<String>)> {
        let mut found = Vec::new();
        let mut i = 0;
        while i < self.tokens.len() {
            if self.word(i) == "use" {
                i = self.tree(i + 1, &[], &mut found);
            } else if is_word(self.first(i)) && self.word(i + 1) == "::" {
                let line = self.tokens[i].0;
                let mut steps = vec![self.word(i).to_owned()];
                while self.word(i + 1) == "::" && is_word(self.first(i + 2)) {
                    steps.push(self.word(i + 2).to_owned());
                    i += 2;
                }
                found.push((line, steps));
                i += 1;
                // What follows belongs to this path still: `a::<B>::c`.
                while self.word(i) == "::" {
                    i += 1;
                }
            } else {
                i += 1;
            }
        }
        found
    }

    /// One branch of a `use` from token `i` on; where it ends.
    fn tree(
        &self,
        mut i: usize,
        before: &[String],
        found: &mut Vec<(usize, Vec<String>)>,
    ) -> usize {
        let mut steps = before.to_vec();
        let line = self.tokens.get(i).map_or(0, |t| t.0);
        while i < self.tokens.len() {
            match self.word(i) {
                "::" => i += 1,
                "{" => {
                    i += 1;
                    while i < self.tokens.len() && self.word(i) != "}" {
                        i = self.tree(i, &steps, found);
                        if self.word(i) == "," {
                            i += 1;
                        }
                    }
                    return i + 1;
                }
                "as" => i += 2,
                "*" => i += 1,
                word if is_word(self.first(i)) => {
                    steps.push(word.to_owned());
                    i += 1;
                }
                _ => break,
            }
        }
        found.push((line, steps));
        i
    }

    fn word(&self, i: usize) -> &str {
        self.tokens.get(i).map_or("", |t| t.1.as_str())
    }

    fn first(&self, i: usize) -> char {
        self.word(i).chars().next().unwrap_or('\0')
    }
}
