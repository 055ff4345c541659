//! The marks by which programs know what a file is: where they look, and what has to stand there.

/// Where a program looks, and what it wants to find there.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Mark {
    /// These bytes at this offset from the beginning.
    At(usize, &'static [u8]),
    /// What a function finds in the beginning: the offset of the mark. The words say what it wants.
    Rule(&'static str, fn(&[u8]) -> Option<usize>),
    /// These bytes so many bytes before the end.
    End(usize, &'static [u8]),
}

impl Mark {
    /// The offset of the mark in a file that begins like this. A mark at the end has none.
    #[must_use]
    pub fn find(&self, head: &[u8]) -> Option<usize> {
        match *self {
            Mark::At(at, magic) => head.get(at..)?.starts_with(magic).then_some(at),
            Mark::Rule(_, rule) => rule(head),
            Mark::End(..) => None,
        }
    }

    /// How far before the end of a file with these last bytes the mark is, if it is a mark at the end.
    #[must_use]
    pub fn find_last(&self, last: &[u8]) -> Option<usize> {
        let Mark::End(before, magic) = *self else { return None };
        let from = last.len().checked_sub(before)?;
        last[from..].starts_with(magic).then_some(before)
    }
}

/// Something that is known by its marks; any one of them is enough.
#[derive(Debug)]
#[non_exhaustive]
pub struct Known<T: 'static> {
    /// What it is, with its article.
    pub what: &'static str,
    /// The well-known programs that look for these marks.
    pub readers: &'static str,
    /// Its marks.
    pub marks: &'static [Mark],
    /// What it is to whoever has the table.
    pub is: T,
}

impl<T> Known<T> {
    /// A row of a table.
    pub(crate) const fn new(
        what: &'static str,
        readers: &'static str,
        marks: &'static [Mark],
        is: T,
    ) -> Self {
        Known { what, readers, marks, is }
    }

    /// The offset of the first of its marks that a file has that begins like this.
    #[must_use]
    pub fn find(&self, head: &[u8]) -> Option<usize> {
        self.marks.iter().find_map(|mark| mark.find(head))
    }

    /// How far before the end the first of its marks is that a file has that ends like this.
    #[must_use]
    pub fn find_last(&self, last: &[u8]) -> Option<usize> {
        self.marks.iter().find_map(|mark| mark.find_last(last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_found_where_they_stand() {
        let known = Known::new(
            "a thing",
            "nobody",
            &[
                Mark::At(2, b"cd"),
                Mark::End(3, b"xyz"),
                Mark::Rule("an e", |head| head.iter().position(|&b| b == b'e')),
            ],
            (),
        );
        assert_eq!(known.find(b"abcd"), Some(2));
        assert_eq!(known.find(b"abe"), Some(2));
        assert_eq!(known.find(b"ab"), None);
        assert_eq!(known.find_last(b"abxyz"), Some(3));
        assert_eq!(known.find_last(b"abxyz."), None);
        assert_eq!(known.find_last(b"yz"), None);
    }
}
