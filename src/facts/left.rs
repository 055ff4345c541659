use serde::{Deserialize, Serialize};

/// Whose doing it is that a part of a check was not made to its end.
///
/// The later ones are the graver ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Cause {
    /// It decides nothing about the image.
    Aside,
    /// A quick check was asked for.
    Quick,
    /// The image says that its disk is not in it. Whoever allows that knows that nobody looked at the disk.
    Elsewhere,
    /// The source cannot be read in the order that it takes. Another way to read it helps.
    Source,
    /// The image itself. What it keeps from being looked at is never called good.
    Image,
}

/// Declares the reasons, each with its cause and its words.
macro_rules! reasons {
    ($($variant:ident $cause:ident $why:literal,)*) => {
        /// Why a part of a check was not made to its end.
        ///
        /// These are all the reasons there are: every place that gives up on something takes one of them, and
        /// the report decides by its [`Cause`] what that makes of the verdict. An examiner has no other way to say
        /// that it did not look. `tests/cli/closed.rs` has an image or a call for each.
        #[allow(missing_docs)] // the words beside each say it
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Left { $($variant,)* }

        impl Left {
            /// Every reason there is.
            pub const ALL: &'static [Left] = &[$(Left::$variant,)*];

            /// The reason in words, as the end of a sentence.
            #[must_use]
            pub fn why(self) -> &'static str {
                match self { $(Left::$variant => $why,)* }
            }

            /// Whose doing it is.
            #[must_use]
            pub fn cause(self) -> Cause {
                match self { $(Left::$variant => Cause::$cause,)* }
            }

            /// The graver of two reasons; of equally grave ones the first.
            #[must_use]
            pub fn or_graver(self, other: Option<Left>) -> Left {
                match other {
                    Some(other) if other.cause() > self.cause() => other,
                    _ => self,
                }
            }
        }
    };
}

reasons! {
    QuickEnd Quick "a quick check does not read to the end",
    QuickFar Quick "a quick check does not decompress that far",
    QuickPacked Quick "a quick check does not decompress the data of the disk",
    QuickFile Quick "a quick check does not read all of the file",
    QuickGuest Quick "a quick check does not look inside the disk",

    Behind Source "it lies behind what was read, and the source cannot be read again",
    PackedBehind Source "the compressed data of the disk lies behind what was read; --spool keeps it",

    OnePass Source "its clusters are too small to be counted in one pass; --spool keeps it",

    Scattered Image "its parts lie so that the source would have to be read too often; --spool reads them in any order",
    PackedTooMany Image "more compressed data lies behind its tables than any writer places there; --spool reads it in any order",
    TablesTooSmall Image "the grains or grain tables are too small for all of them to be held",
    TooManyBlocks Image "there are more blocks than are compared with each other",
    MarkersBroken Image "the markers of the stream are broken",
    FooterBroken Image "the footer is broken",
    TableCut Image "the image ends inside a table",
    RefcountsUnusable Image "the refcount table cannot be used",
    SideTableUnread Image "a snapshot or bitmap table could not be read",
    TooManyClusters Image "there are more clusters than a check counts",
    TooManyTables Image "there are more L2 tables than a check follows",
    TooManyRefcounts Image "there are more refcount blocks than a check follows",
    HeadersBroken Image "nothing more can be found with the headers",
    DiskTooLarge Image "the disk is too large",
    DiskUnreadable Image "a part of the disk cannot be read",
    FileTooLarge Image "the file goes on far past the limit",
    NotToTheEnd Image "the bytes were not read to their end",
    Refused Image "the image is refused already",
    Stopped Image "reading stopped at what was found",

    Elsewhere Elsewhere "the disk cannot be read from this file alone",

    Snapshots Aside "snapshots are not imported: their tables are checked, their data is not read",
    GuestInPart Aside "a part of what is inside could not be examined: a finding says which",
    GuestUnread Aside "it could not be examined: a finding says why",
    GuestUnknown Aside "no volume of the disk holds anything that is known",
    Proxy Aside "a proxy hides who answered",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_words_of_its_own() {
        for (index, left) in Left::ALL.iter().enumerate() {
            assert!(left.why().len() > 10, "{left:?}");
            assert_eq!(left.or_graver(Some(Left::Refused)).cause(), Cause::Image);
            assert_eq!(left.or_graver(None), *left);
            assert!(Left::ALL[..index].iter().all(|other| other.why() != left.why()), "{left:?}");
        }
    }
}
