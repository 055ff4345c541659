//! A line of the configuration as words (argv_split of OpenSSH).

pub(super) type Words = Vec<Vec<u8>>;

/// The keyword of a line and its words: `None` instead of those if a quote does not end.
pub(super) fn split(line: &[u8]) -> Option<(Vec<u8>, Option<Words>)> {
    const SPACES: &[u8] = b" \t\r\n\x0c";
    let is_space = |byte: &u8| SPACES.contains(byte);
    let from = line.iter().position(|byte| !is_space(byte))?;
    let to = line.iter().rposition(|byte| !is_space(byte))? + 1;
    let line = &line[from..to];
    if line[0] == b'#' {
        return None;
    }
    let end = line.iter().position(|byte| is_space(byte) || b"=\"".contains(byte));
    let (keyword, mut rest) = line.split_at(end.unwrap_or(line.len()));
    let mut keyword = keyword.to_vec();
    if rest.first() == Some(&b'"') {
        let Some(end) = rest[1..].iter().position(|&byte| byte == b'"') else {
            return Some((keyword, None));
        };
        keyword.extend_from_slice(&rest[1..=end]);
        rest = &rest[end + 2..];
    } else {
        let skip = |rest: &mut &[u8]| {
            let count = rest.iter().take_while(|byte| is_space(byte)).count();
            *rest = &rest[count..];
        };
        skip(&mut rest);
        if rest.first() == Some(&b'=') {
            rest = &rest[1..];
            skip(&mut rest);
        }
    }
    Some((keyword, words(rest)))
}

/// The words of a line, without quotes and escapes; `None` if a quote does not end.
fn words(text: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (mut words, mut at) = (Vec::new(), 0);
    loop {
        at += text[at..].iter().take_while(|byte| b" \t".contains(byte)).count();
        if text.get(at).is_none_or(|&byte| byte == b'#') {
            return Some(words);
        }
        let (mut word, mut quote) = (Vec::new(), None);
        while let Some(&byte) = text.get(at) {
            let next = text.get(at + 1);
            match byte {
                b'\\'
                    if next.is_some_and(|next| {
                        b"'\"\\".contains(next) || quote.is_none() && *next == b' '
                    }) =>
                {
                    at += 1;
                    word.push(text[at]);
                }
                b' ' | b'\t' if quote.is_none() => break,
                b'"' | b'\'' if quote.is_none() => quote = Some(byte),
                _ if quote == Some(byte) => quote = None,
                _ => word.push(byte),
            }
            at += 1;
        }
        if quote.is_some() {
            return None;
        }
        words.push(word);
    }
}
