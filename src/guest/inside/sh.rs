//! Assignments of the shell, as files like rc.conf and /etc/default have them. Nothing is expanded.

use super::super::tree::Text;

/// The last value of a name in a text; `None` if it is not there.
pub(super) fn value(text: &Text, name: &str) -> Option<Vec<u8>> {
    let value = |line: &[u8]| {
        let line = line.trim_ascii_start();
        let line = line.strip_prefix(b"export ").unwrap_or(line).trim_ascii_start();
        line.strip_prefix(name.as_bytes())?.strip_prefix(b"=").map(word)
    };
    text.lines().filter_map(|(_, line)| value(line)).last()
}

/// The word at the beginning of a text, without its quotes.
fn word(text: &[u8]) -> Vec<u8> {
    let (mut word, mut quote) = (Vec::new(), None);
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        match (quote, byte) {
            (Some(open), byte) if byte == open => quote = None,
            (None, b'"' | b'\'') => quote = Some(byte),
            (None | Some(b'"'), b'\\') => word.extend(bytes.next()),
            (None, byte) if byte.is_ascii_whitespace() || b";&|".contains(&byte) => break,
            (_, byte) => word.push(byte),
        }
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_wins_without_its_quotes() {
        let text = "A=1\n#A=2\n export A='x y' # z\nB=\"q\\\"r\"s;t\nAB=3\r\nC=";
        let text = Text { path: Vec::new(), bytes: text.into(), cut: false };
        let get = |name| value(&text, name).map(|value| String::from_utf8(value).unwrap());
        assert_eq!(get("A").unwrap(), "x y");
        assert_eq!(get("B").unwrap(), "q\"rs");
        assert_eq!(get("AB").unwrap(), "3");
        assert_eq!(get("C").unwrap(), "");
        assert_eq!(get("D"), None);
    }
}
