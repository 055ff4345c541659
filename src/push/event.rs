use std::sync::Arc;
use std::time::Duration;

/// The steps of a push, as its users see them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Whether the API takes the token.
    Account,
    /// A temporary key for the bucket is made.
    Key,
    /// Whether the bucket takes objects, and lets everybody read them.
    Probe,
    /// The image is checked; if it is staged, it is uploaded in the same pass.
    Check,
    /// The upload becomes an object.
    Complete,
    /// The object is read again, if it is to be, and held against what was sent.
    ReadBack,
    /// The object becomes public, and is looked at as the importer will.
    Publish,
    /// The image is created.
    Create,
    /// DigitalOcean imports it.
    Import,
    /// The object is removed.
    Remove,
    /// The image is copied to other regions.
    Transfer,
    /// The image becomes a snapshot.
    Convert,
}

impl Step {
    /// A stable name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Step::Account => "account",
            Step::Key => "key",
            Step::Probe => "probe",
            Step::Check => "check",
            Step::Complete => "complete",
            Step::ReadBack => "read-back",
            Step::Publish => "publish",
            Step::Create => "create",
            Step::Import => "import",
            Step::Remove => "remove",
            Step::Transfer => "transfer",
            Step::Convert => "convert",
        }
    }
}

/// What happens while a push is under way. Text is fit to be shown.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A step begins.
    Begun {
        /// Which.
        step: Step,
        /// What it is done with.
        what: &'a str,
    },
    /// Bytes are uploaded.
    Uploaded {
        /// Bytes that have arrived.
        bytes: u64,
        /// Bytes of the file, where they are known.
        total: Option<u64>,
    },
    /// Bytes of the object are read again.
    ReadBack {
        /// Bytes so far.
        bytes: u64,
        /// Bytes of the object.
        total: u64,
    },
    /// A step has come to its end.
    Done {
        /// Which.
        step: Step,
        /// What it brought.
        what: &'a str,
        /// How long it took.
        took: Duration,
    },
    /// A finding of an image that is accepted all the same, before anything is made of it.
    Warning {
        /// Its code.
        code: &'a str,
        /// What was found.
        what: &'a str,
    },
    /// What may cost the user something that is done all the same.
    Caution(&'a str),
    /// Something that the user should know.
    Note(&'a str),
    /// Something is undone or cleaned up.
    Undo(&'a str),
}

/// Is told of events.
pub type Listener = Arc<dyn Fn(&Event<'_>) + Send + Sync>;
