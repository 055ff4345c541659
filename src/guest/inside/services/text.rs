//! The text of units.

use super::super::super::tree::Text;

/// The values of these keys in a section of a unit, each with its line; a backslash joins lines.
pub(super) fn values(text: &Text, section: &[u8], keys: &[&[u8]]) -> Vec<(u32, Vec<u8>)> {
    let (mut found, mut is_in) = (Vec::new(), false);
    // The line that goes on, if it is of one of the keys.
    let mut goes_on: Option<Option<usize>> = None;
    for (number, line) in text.lines() {
        let trimmed = line.trim_ascii();
        let is_comment = matches!(trimmed.first(), Some(b'#' | b';'));
        if is_comment || trimmed.is_empty() && goes_on.is_none() {
            continue;
        }
        let (part, more) = match trimmed.strip_suffix(b"\\") {
            Some(part) => (part, true),
            None => (trimmed, false),
        };
        let at = match goes_on.take() {
            Some(at) => {
                if let Some((_, value)) = at.and_then(|at: usize| found.get_mut(at)) {
                    let value: &mut Vec<u8> = value;
                    value.push(b' ');
                    value.extend_from_slice(part);
                }
                at
            }
            None if part.first() == Some(&b'[') => {
                is_in =
                    part.strip_prefix(b"[").and_then(|it| it.strip_suffix(b"]")) == Some(section);
                None
            }
            None => {
                let equals = part.iter().position(|&byte| byte == b'=');
                let key = equals.map(|at| (part[..at].trim_ascii(), &part[at + 1..]));
                key.filter(|(key, _)| is_in && keys.contains(key)).map(|(_, value)| {
                    found.push((number, value.to_vec()));
                    found.len() - 1
                })
            }
        };
        goes_on = more.then_some(at);
    }
    found
}

/// The words of a line.
pub(super) fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(bytes: &[u8]) -> Text {
        Text { path: Vec::new(), bytes: bytes.to_vec(), cut: false }
    }

    #[test]
    fn values_are_those_of_their_section_with_lines_joined() {
        let unit = "[Install]\nWants=no\n[Unit]\n Wants = a b \\\n# c\n  d\n;Wants=e\nWants=f\r\n[Service]\nWants=g\n";
        let found = values(&text(unit.as_bytes()), b"Unit", &[b"Wants"]);
        let found: Vec<(u32, Vec<&[u8]>)> =
            found.iter().map(|(line, value)| (*line, words(value).collect())).collect();
        assert_eq!(found, [(4, vec![&b"a"[..], b"b", b"d"]), (8, vec![b"f"])]);
    }

    proptest! {
        #[test]
        fn any_text_has_values(bytes in proptest::collection::vec(any::<u8>(), 0..200), unit in "(\\[Unit\\]|Wants=|a|\\\\|\n| ){0,40}") {
            values(&text(&bytes), b"Unit", &[b"Wants"]);
            let found = values(&text(unit.as_bytes()), b"Unit", &[b"Wants"]);
            prop_assert!(found.len() <= unit.lines().count());
        }
    }
}
