//! What a journal says: each step twice, as an intent before it is taken and as an outcome after.
//!
//! Whatever a step brings into being can be found again from its intent alone: key and marks derive from the
//! push.

use serde::{Deserialize, Serialize};

use super::handed::Checked;
use super::owner::Owner;

/// A line of a journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Line {
    /// Seconds since 1970.
    pub(super) at: u64,
    /// What it says.
    #[serde(flatten)]
    pub(super) entry: Entry,
}

/// What a line says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "entry", content = "of", rename_all = "kebab-case")]
pub(super) enum Entry {
    /// The first line.
    Began(Began),
    /// A step is about to be taken.
    Intent(Intent),
    /// A step was taken.
    Outcome(Outcome),
    /// Which account it is of, and what the time is there.
    Account {
        /// A digest of what identifies it, with the push as its salt; `None` if it could not be read.
        account: Option<String>,
        /// By how many seconds the clock here is ahead of the API's; `None` if that does not say.
        ahead: Option<i64>,
    },
    /// The push is given up: what it made is to be removed, unless its image is complete.
    Abandoned,
    /// Another run goes on with it.
    Resumed {
        /// As in [`Began`], for this run.
        settle: u64,
        /// Likewise.
        #[serde(default)]
        owner: Option<Owner>,
    },
    /// Nothing is left to be done.
    Ended,
}

/// What a push is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Began {
    /// The push.
    pub(super) push: String,
    /// The absolute path, the URL without its secrets, or `-`; cut where it is long.
    pub(super) source: String,
    /// What tells it from all others: SHA-256 of all of it, in hexadecimal.
    #[serde(default)]
    pub(super) fingerprint: String,
    /// Where the API is.
    pub(super) api: String,
    /// Where the object is to be, if there is to be one.
    pub(super) place: Option<Place>,
    /// Whether the object stays, private, after an import that succeeds.
    pub(super) keep_object: bool,
    /// For how long it is looked for what may have been made, in seconds.
    pub(super) settle: u64,
    /// With what it was begun; older journals do not say.
    #[serde(default)]
    pub(super) owner: Option<Owner>,
}

/// Where an object is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// The address of the server.
    pub(super) endpoint: String,
    /// The bucket's name.
    pub(super) bucket: String,
    /// The region that requests are signed for.
    pub(super) region: String,
}

/// A step that is about to be taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub(super) enum Intent {
    /// A key for the bucket is made.
    MintKey {
        /// Its name, which only this push has.
        name: String,
    },
    /// An object of one byte is put.
    Probe {
        /// Its key.
        key: String,
    },
    /// A multipart upload is opened.
    Upload {
        /// The object's key.
        key: String,
        /// Bytes of each part but the last.
        part_size: u64,
    },
    /// The upload becomes an object.
    Complete {
        /// Bytes of the object.
        size: u64,
        /// SHA-256 of the object, in hexadecimal.
        sha256: String,
        /// SHA-256 of the file that was checked, which may have been packed; older journals do not say.
        #[serde(default)]
        checked: String,
    },
    /// Everybody may read the object.
    Publish,
    /// The image is created.
    Create {
        /// What was checked, if its own URL is handed over: there may be something else by now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        checked: Option<Checked>,
    },
    /// The description of the image says no longer that it was not compared with what was checked.
    Describe,
    /// The image is copied to a region.
    Transfer {
        /// Which.
        region: String,
    },
    /// The image becomes a snapshot.
    Convert,
    /// The image is deleted.
    DeleteImage {
        /// Which.
        image: u64,
    },
    /// Nobody but its owner may read the object any more.
    Hide,
    /// The object and what is left of its upload are deleted.
    Delete,
    /// The key is deleted.
    RevokeKey,
}

/// What a step brought.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub(super) enum Outcome {
    /// What was asked for last was answered, so nothing comes of it any more that is not there by now.
    Answered,
    /// The key can be used.
    MintKey {
        /// What identifies it. Its secret is nowhere.
        access: String,
    },
    /// The bucket takes objects, lets them be read by everybody, and the object is gone again.
    Probe,
    /// The upload is open.
    Upload {
        /// What identifies it.
        id: String,
    },
    /// The object is there.
    Complete,
    /// Everybody can read it.
    Publish,
    /// DigitalOcean has made an image.
    Create {
        /// Its number.
        image: u64,
    },
    /// DigitalOcean has not made an image.
    NotCreated,
    /// The import has come to its end.
    Import {
        /// The image's number, which may have changed.
        image: u64,
        /// Whether it can be used.
        available: bool,
    },
    /// The description of the image is what it is to be, or not.
    Describe {
        /// Whether it is.
        completed: bool,
    },
    /// A copy has come to its end.
    Transfer {
        /// Where.
        region: String,
        /// Whether the image is there.
        completed: bool,
    },
    /// The image is a snapshot, or not.
    Convert {
        /// Whether it is.
        completed: bool,
    },
    /// The image is no more.
    DeleteImage,
    /// The object is private.
    Hide,
    /// The object is no more, nor is its upload.
    Delete,
    /// The key is no more.
    RevokeKey,
}
