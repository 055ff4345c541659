//! What a POSIX shell does with bytes, as far as ds-identify depends on it.

/// Whether fields end here when nobody set `IFS`.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n')
}

/// Whether it is in `[[:space:]]` of the C locale.
pub(super) fn is_space(byte: u8) -> bool {
    is_blank(byte) || matches!(byte, b'\r' | 0x0b | 0x0c)
}

/// The fields of an unquoted expansion.
pub(super) fn fields(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&byte| is_blank(byte)).filter(|field| !field.is_empty())
}

/// The fields of an unquoted expansion while `IFS` is a comma: a comma ends a field, so none follows the last one.
pub(super) fn by_commas(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let fields = text.strip_suffix(b",").unwrap_or(text).split(|&byte| byte == b',');
    fields.take(if text.is_empty() { 0 } else { usize::MAX })
}

/// Without white space around it.
pub(super) fn trimmed(text: &[u8]) -> &[u8] {
    let from = text.iter().position(|&byte| !is_space(byte)).unwrap_or(text.len());
    let to = text.iter().rposition(|&byte| !is_space(byte)).map_or(from, |last| last + 1);
    &text[from..to]
}

/// The fields with one blank between them.
pub(super) fn joined_fields(text: &[u8]) -> Vec<u8> {
    fields(text).collect::<Vec<_>>().join(&b' ')
}

/// Without the quotes around it, if there are two of a kind.
pub(super) fn unquoted(text: &[u8]) -> &[u8] {
    match text {
        [b'"', inner @ .., b'"'] | [b'\'', inner @ .., b'\''] => inner,
        _ => text,
    }
}

/// Before the first such byte: `${text%%byte*}`.
pub(super) fn before(text: &[u8], byte: u8) -> &[u8] {
    text.split(|&other| other == byte).next().unwrap_or_default()
}

/// Behind the first such byte; all of it if there is none: `${text#*byte}`.
pub(super) fn behind(text: &[u8], byte: u8) -> &[u8] {
    text.iter().position(|&other| other == byte).map_or(text, |at| &text[at + 1..])
}

/// Behind the last such byte; all of it if there is none: `${text##*byte}`.
pub(super) fn behind_last(text: &[u8], byte: u8) -> &[u8] {
    text.rsplit(|&other| other == byte).next().unwrap_or_default()
}

/// Where the part begins.
pub(super) fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

/// Where the part begins for the last time.
pub(super) fn rfind(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).rposition(|window| window == part)
}

/// Whether it has the part.
pub(super) fn has(text: &[u8], part: &[u8]) -> bool {
    find(text, part).is_some()
}

/// What `while read line` gets, without `-r`: blanks around a line go, a backslash takes the special meaning from what
/// follows it and joins lines, and what comes after the last newline is no line. Each with its number.
pub(super) fn read_lines(text: &[u8]) -> Vec<(u32, Vec<u8>)> {
    let mut lines = Vec::new();
    let (mut line, mut kept, mut escaped) = (Vec::new(), 0, false);
    let (mut number, mut first) = (1u32, 1u32);
    for &byte in text.iter().filter(|&&byte| byte != 0) {
        let is_newline = byte == b'\n';
        number += u32::from(is_newline);
        if escaped {
            escaped = false;
            if !is_newline {
                line.push(byte);
                kept = line.len();
            }
        } else if byte == b'\\' {
            escaped = true;
        } else if is_newline {
            line.truncate(kept);
            lines.push((first, std::mem::take(&mut line)));
            (kept, first) = (0, number);
        } else if !is_blank(byte) {
            line.push(byte);
            kept = line.len();
        } else if kept > 0 {
            line.push(byte);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_those_that_a_shell_reads() {
        let lines = |text: &str| -> Vec<(u32, String)> {
            let lines = read_lines(text.as_bytes()).into_iter();
            lines.map(|(number, line)| (number, String::from_utf8(line).unwrap())).collect()
        };
        assert_eq!(lines(" a b \t\nc"), [(1, "a b".to_owned())]);
        assert_eq!(lines("a\\\nb\\ \nc\n"), [(1, "ab ".to_owned()), (3, "c".to_owned())]);
        assert_eq!(lines("a\r\n\n"), [(1, "a\r".to_owned()), (2, String::new())]);
        assert_eq!(lines(""), []);
    }

    #[test]
    fn a_comma_ends_a_field() {
        let commas = |text: &'static str| by_commas(text.as_bytes()).collect::<Vec<_>>();
        assert_eq!(commas(""), Vec::<&[u8]>::new());
        assert_eq!(commas(","), [b""]);
        assert_eq!(commas("a,b,"), [b"a", b"b"]);
        assert_eq!(commas(",a"), [&b""[..], b"a"]);
    }

    #[test]
    fn quotes_go_in_pairs() {
        for (text, without) in
            [("\"a\"", "a"), ("'a'", "a"), ("'a\"", "'a\""), ("'", "'"), ("''", ""), ("a", "a")]
        {
            assert_eq!(unquoted(text.as_bytes()), without.as_bytes());
        }
    }
}
