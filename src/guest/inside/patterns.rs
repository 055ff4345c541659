//! Patterns with wildcards, as presets, `Include` and lists of users have them.

/// Whether a name matches a pattern of `*`, `?`, and, where `sets` says so, `[a-z]` and `\`.
///
/// It takes at most as many steps as the product of both lengths.
pub(super) fn matches(pattern: &[u8], name: &[u8], sets: bool) -> bool {
    let (mut at, mut here) = (0, 0);
    // Where the last star was, and how much of the name it stands for so far.
    let mut star: Option<(usize, usize)> = None;
    while here < name.len() {
        match step(&pattern[at..], name[here], sets) {
            Step::Star => {
                star = Some((at + 1, here));
                at += 1;
            }
            Step::Took(len) => {
                at += len;
                here += 1;
            }
            Step::No => match &mut star {
                Some((after, from)) => {
                    *from += 1;
                    (at, here) = (*after, *from);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|&byte| byte == b'*')
}

/// Whether a text has a wildcard.
pub(super) fn has_wildcard(text: &[u8]) -> bool {
    text.iter().any(|byte| b"*?[".contains(byte))
}

enum Step {
    Star,
    /// The byte matches so many bytes of the pattern.
    Took(usize),
    No,
}

fn step(pattern: &[u8], byte: u8, sets: bool) -> Step {
    let took = |yes: bool, len| if yes { Step::Took(len) } else { Step::No };
    match pattern {
        [] => Step::No,
        [b'*', ..] => Step::Star,
        [b'?', ..] => Step::Took(1),
        [b'\\', escaped, ..] if sets => took(*escaped == byte, 2),
        [b'[', rest @ ..] if sets => match set(rest, byte) {
            Some((is_in, len)) => took(is_in, len + 1),
            None => took(byte == b'[', 1),
        },
        [other, ..] => took(*other == byte, 1),
    }
}

/// Whether a byte is in the set that begins here, and how long the set is; `None` if it does not end.
fn set(rest: &[u8], byte: u8) -> Option<(bool, usize)> {
    let negated = matches!(rest, [b'!' | b'^', ..]);
    let (mut at, mut is_in, mut first) = (usize::from(negated), false, true);
    loop {
        match *rest.get(at)? {
            b']' if !first => return Some((is_in != negated, at + 1)),
            low => {
                let high = match rest.get(at + 1..at + 3) {
                    Some(&[b'-', high]) if high != b']' => {
                        at += 2;
                        high
                    }
                    _ => low,
                };
                is_in |= (low..=high).contains(&byte);
                at += 1;
            }
        }
        first = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_as_in_fnmatch() {
        for (pattern, name, is) in [
            ("*", "", true),
            ("*.conf", "50-a.conf", true),
            ("*.conf", "50-a.conf.bak", false),
            ("ssh?.service", "sshd.service", true),
            ("ssh?.service", "ssh.service", false),
            ("a*b*c", "aXbYbc", true),
            ("a*b*c", "aXbYb", false),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[]]x", "]x", true),
            ("[a", "[a", true),
            ("\\*", "*", true),
            ("\\*", "x", false),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes(), true), is, "{pattern} {name}");
        }
        assert!(matches(b"[ab]", b"[ab]", false));
        // It does not take forever.
        assert!(!matches(&b"*a".repeat(500), &[b'a'; 400], true));
    }
}
