//! What may be wrong with a stream.

/// What is wrong with a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::codec) enum Fault {
    /// A block of the kind that is reserved.
    #[error("a block is of the reserved type 3")]
    Kind,
    /// A stored block whose length and its complement disagree.
    #[error("the two lengths of a stored block disagree")]
    Stored,
    /// More codes than there are: literals and lengths, distances.
    #[error("a block announces more codes than there are")]
    Codes,
    /// Lengths of the code lengths' code that make no code.
    #[error("the code of the code lengths is not complete")]
    Lengths,
    /// A repeated code length without one before it.
    #[error("a code length is repeated before the first one")]
    NothingToRepeat,
    /// A repeated code length that goes on behind the last.
    #[error("a code length is repeated behind the last one")]
    TooMany,
    /// A block without a code for its end.
    #[error("a block has no code for its end")]
    Endless,
    /// Code lengths of literals and lengths that make no code.
    #[error("the code of the literals and lengths is not complete")]
    LiteralCode,
    /// Code lengths of distances that make no code.
    #[error("the code of the distances is not complete")]
    DistanceCode,
    /// Bits that are no literal and no length.
    #[error("a code stands for no literal and no length")]
    Literal,
    /// Bits that are no distance.
    #[error("a code stands for no distance")]
    Distance,
    /// A match that begins before the data.
    #[error("a match begins before the data")]
    TooFar,
}
