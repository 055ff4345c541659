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

/// Text with commands between backticks: each command has a line of its own, which is not broken and has nothing glued to
/// it, so that it can be copied as it is. The rest is wrapped.
pub(super) fn with_commands(text: &str, width: usize, indent: usize) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut parts = parts(text).peekable();
    while let Some(part) = parts.next() {
        match part {
            Part::Command(command) => lines.push(format!("  {command}")),
            Part::Words(words) => {
                // What joined the words to a command has no place at the beginning or the end of a line.
                let words = match lines.is_empty() {
                    true => words,
                    false => words.trim_start_matches([' ', ',', '.', ';', ':']),
                };
                let words = match parts.peek() {
                    Some(_) => words.trim_end_matches([' ', ',', ':']).to_owned() + ":",
                    None => words.to_owned(),
                };
                if !words.is_empty() {
                    lines.push(wrap(&words, width, indent));
                }
            }
        }
    }
    lines.join(&format!("\n{:indent$}", ""))
}

/// A part of a text with commands between backticks.
pub(super) enum Part<'t> {
    Words(&'t str),
    Command(&'t str),
}

/// What is between backticks, and what is not.
pub(super) fn parts(text: &str) -> impl Iterator<Item = Part<'_>> {
    text.split('`').enumerate().filter(|(_, part)| !part.is_empty()).map(|(n, part)| match n % 2 {
        0 => Part::Words(part),
        _ => Part::Command(part),
    })
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
    }

    #[test]
    fn breaks_at_blanks_and_never_inside_a_word() {
        assert_eq!(wrap("aa bb cc", 7, 2), "aa bb\n  cc");
        assert_eq!(wrap("a verylongword b", 6, 1), "a\n verylongword\n b");
        assert_eq!(wrap("", 6, 1), "");
    }
}
