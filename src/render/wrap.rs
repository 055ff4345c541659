/// Breaks text at blanks into lines of at most `width` columns, each after the first indented by
/// `indent`. A longer word (a digest, a path) gets a line of its own and is not cut.
pub(super) fn wrap(text: &str, width: usize, indent: usize) -> String {
    let mut out = String::new();
    let mut column = indent;
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let len = word.chars().count();
        if column > indent && column + 1 + len > width {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', indent));
            column = indent;
        } else if column > indent {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += len;
    }
    out
}

/// Text with commands between backticks: each command has a line of its own, which is not broken. The rest is wrapped.
pub(super) fn with_commands(text: &str, width: usize, indent: usize) -> String {
    let lines: Vec<String> = parts(text)
        .into_iter()
        .map(|part| match part {
            Part::Command(command) => format!("  {command}"),
            Part::Words(words) => wrap(&words, width, indent),
        })
        .collect();
    lines.join(&format!("\n{:indent$}", ""))
}

/// A part of a text with commands between backticks.
pub(super) enum Part<'t> {
    Words(String),
    Command(&'t str),
}

/// What is between backticks, and what is not. Each part is made for a line of its own: nothing is glued to a command, so
/// that it can be copied as it is, and what joined the words to it has no place at their beginning or end.
pub(super) fn parts(text: &str) -> Vec<Part<'_>> {
    const JOINTS: [char; 5] = [' ', ',', '.', ';', ':'];
    let mut parts = Vec::new();
    let mut pieces = text.split('`').enumerate().peekable();
    while let Some((n, piece)) = pieces.next() {
        if n % 2 == 1 {
            parts.push(Part::Command(piece));
            continue;
        }
        let words = if n == 0 { piece } else { piece.trim_start_matches(JOINTS) };
        let words = match pieces.peek() {
            Some(_) => words.trim_end_matches([' ', ',', ':']),
            None => words,
        };
        if !words.is_empty() {
            let colon = if pieces.peek().is_some() { ":" } else { "" };
            parts.push(Part::Words(format!("{words}{colon}")));
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_can_be_copied() {
        let told = |text| with_commands(text, 20, 2);
        assert_eq!(told("Build it again, and all of it."), "Build it again,\n  and all of it.");
        assert_eq!(
            told(
                "Fix: Test it: `gzip -t a-long-name.img.gz | less`. If it is bad, `rm x` and `ls`."
            ),
            "Fix: Test it:\n    gzip -t a-long-name.img.gz | less\n  If it is bad:\n    rm x\n  and:\n    ls"
        );
        assert_eq!(told("`cat a`, `cat b`"), "  cat a\n    cat b");
    }

    #[test]
    fn breaks_at_blanks_and_never_inside_a_word() {
        assert_eq!(wrap("aa bb cc", 7, 2), "aa bb\n  cc");
        assert_eq!(wrap("a verylongword b", 6, 1), "a\n verylongword\n b");
        assert_eq!(wrap("", 6, 1), "");
    }
}
