use std::io;

use crate::bytes::Hostile;

/// Why a source could not be read. It says nothing about the image: there is no verdict.
#[derive(Debug, thiserror::Error)]
#[error("{kind}: {subject}{}", self.place())]
#[non_exhaustive]
pub struct Error {
    /// What went wrong, by meaning.
    pub kind: Kind,
    /// The path as typed, or `standard input`.
    pub subject: Hostile,
    /// Byte offset in the file, where the operation had one.
    pub offset: Option<u64>,
    /// What the operating system said.
    #[source]
    pub source: Option<io::Error>,
}

/// Stable kinds of [`Error`]; their names appear in the JSON report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Kind {
    /// No such file.
    #[error("there is no such file")]
    NotFound,
    /// The operating system does not let us read it.
    #[error("no permission to read it")]
    PermissionDenied,
    /// It is a directory.
    #[error("it is a directory, not an image")]
    Directory,
    /// Something that cannot be read as a stream of bytes (a socket).
    #[error("it is neither a file, a block device nor a pipe")]
    Unsupported,
    /// A file beside the one that names it, which is no regular file by a plain name.
    #[error("a part of a disk has to be a regular file beside the descriptor, and no link")]
    Part,
    /// Size, time stamps or identity changed between opening and the end of reading.
    #[error("it changed while it was read; run the check again when nothing writes to it")]
    Changed,
    /// The temporary file that a stream is spooled into could not be written or read.
    #[error("the temporary file failed (TMPDIR says where it is)")]
    Spool,
    /// It is no URL that can be fetched.
    #[error("the URL cannot be used")]
    Url,
    /// No connection to the server came about.
    #[error("the server cannot be reached")]
    Unreachable,
    /// The server's certificate is not trusted.
    #[error("the connection is not secure (--cacert names a further certificate authority)")]
    Tls,
    /// Nothing came for too long, or too little.
    #[error("the server is silent or too slow")]
    TimedOut,
    /// The server refuses.
    #[error("the server does not give it out")]
    Status,
    /// A redirect that is not followed.
    #[error("a redirect is not followed")]
    Redirect,
    /// The connection ended before the file did.
    #[error("the connection ended before the file did")]
    Interrupted,
    /// The server's answer makes no sense.
    #[error("the server's answer makes no sense")]
    Protocol,
    /// The server gives no part that is certain to be of the same file.
    #[error("the file cannot be read in parts")]
    NoParts,
    /// Who would be asked is in a private network, and only public addresses may be asked.
    #[error("the server is not public")]
    Private,
    /// Any other failure to open or read.
    #[error("reading failed")]
    Io,
}

impl Kind {
    /// All of them.
    pub const ALL: &[Kind] = &[
        Kind::NotFound,
        Kind::PermissionDenied,
        Kind::Directory,
        Kind::Unsupported,
        Kind::Part,
        Kind::Changed,
        Kind::Spool,
        Kind::Url,
        Kind::Unreachable,
        Kind::Tls,
        Kind::TimedOut,
        Kind::Status,
        Kind::Redirect,
        Kind::Interrupted,
        Kind::Protocol,
        Kind::NoParts,
        Kind::Private,
        Kind::Io,
    ];

    /// The stable name in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::NotFound => "not-found",
            Kind::PermissionDenied => "permission-denied",
            Kind::Directory => "directory",
            Kind::Unsupported => "unsupported",
            Kind::Part => "part",
            Kind::Changed => "changed",
            Kind::Spool => "spool",
            Kind::Url => "invalid-url",
            Kind::Unreachable => "unreachable",
            Kind::Tls => "tls",
            Kind::TimedOut => "timed-out",
            Kind::Status => "http-status",
            Kind::Redirect => "redirect",
            Kind::Interrupted => "interrupted",
            Kind::Protocol => "protocol",
            Kind::NoParts => "no-parts",
            Kind::Private => "private-host",
            Kind::Io => "io",
        }
    }
}

impl Error {
    /// From an error of the operating system.
    pub(crate) fn io(subject: &Hostile, offset: Option<u64>, source: io::Error) -> Self {
        let kind = match source.kind() {
            io::ErrorKind::NotFound => Kind::NotFound,
            io::ErrorKind::PermissionDenied => Kind::PermissionDenied,
            io::ErrorKind::IsADirectory => Kind::Directory,
            _ => Kind::Io,
        };
        Error { kind, subject: subject.clone(), offset, source: Some(source) }
    }

    /// Without an error of the operating system behind it.
    pub(crate) fn of(kind: Kind, subject: &Hostile) -> Self {
        Error { kind, subject: subject.clone(), offset: None, source: None }
    }

    /// With a sentence of our own.
    #[cfg(feature = "net")]
    pub(crate) fn said(kind: Kind, subject: &Hostile, said: String) -> Self {
        let source = Some(io::Error::other(said));
        Error { kind, subject: subject.clone(), offset: None, source }
    }

    fn place(&self) -> String {
        self.offset.map(|offset| format!(", at byte {offset}")).unwrap_or_default()
    }
}
