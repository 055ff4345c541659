use serde::{Deserialize, Serialize};

use super::regions::{self, Region};

/// What state an image is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Status {
    /// The create call was answered, nothing more.
    #[serde(rename = "NEW")]
    New,
    /// It is being imported.
    #[serde(rename = "pending")]
    Pending,
    /// It can be used.
    #[serde(rename = "available")]
    Available,
    /// The import failed; `error_message` says why.
    #[serde(rename = "deleted")]
    Deleted,
}

/// An image in full, name for name as published.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Image {
    pub(super) id: u64,
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) distribution: String,
    pub(super) slug: Option<String>,
    pub(super) public: bool,
    pub(super) regions: Vec<String>,
    pub(super) created_at: String,
    pub(super) min_disk_size: Option<u64>,
    pub(super) size_gigabytes: Option<f64>,
    pub(super) description: String,
    pub(super) tags: Vec<String>,
    pub(super) status: Status,
    pub(super) error_message: String,
}

/// What the answer to a create call shows of an image.
#[derive(Debug, Serialize)]
pub(super) struct NewImage<'a> {
    created_at: &'a str,
    description: &'a str,
    distribution: &'a str,
    error_message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u64>,
    name: &'a str,
    regions: &'a [String],
    status: Status,
    tags: &'a [String],
    #[serde(rename = "type")]
    kind: &'a str,
    /// Not published, but seen in the answers of 2021 that were two documents.
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_at: Option<&'a str>,
}

impl Image {
    /// As a create call shows it; `stray` as it is shown behind an error.
    pub(super) fn as_new(&self, with_id: bool, stray: bool) -> NewImage<'_> {
        NewImage {
            created_at: &self.created_at,
            description: &self.description,
            distribution: &self.distribution,
            error_message: &self.error_message,
            id: with_id.then_some(self.id),
            name: &self.name,
            regions: &self.regions,
            status: self.status,
            tags: &self.tags,
            kind: &self.kind,
            updated_at: stray.then_some(&self.created_at),
        }
    }
}

/// What a fault plan wants of an import.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Fate {
    /// What comes out.
    #[default]
    Open,
    /// It stays pending for ever.
    Hangs,
    /// It fails, with this message.
    Fails(String),
    /// It succeeds under another id.
    ChangesId,
}

/// An image and what the simulator knows beyond it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) image: Image,
    /// Where it comes from, with all secrets that are in the URL; empty for a public image.
    pub(super) url: String,
    /// Where it was asked for.
    pub(super) region: String,
    /// Milliseconds since 1970.
    pub(super) born: u64,
    #[serde(default)]
    pub(super) fate: Fate,
}

/// What can be done with an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ActionKind {
    /// Into a snapshot.
    Convert,
    /// Into one more region.
    Transfer,
}

/// How far an action is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Progress {
    /// Under way.
    #[serde(rename = "in-progress")]
    UnderWay,
    /// Done.
    Completed,
    /// Failed; nothing says why.
    Errored,
}

/// What a fault plan wants of an action.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Course {
    /// It completes.
    #[default]
    Completes,
    /// It ends as errored.
    Errs,
    /// It stays in progress for ever.
    Hangs,
}

/// An action as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Action {
    pub(super) id: u64,
    pub(super) status: Progress,
    #[serde(rename = "type")]
    pub(super) kind: ActionKind,
    pub(super) started_at: String,
    pub(super) completed_at: Option<String>,
    pub(super) resource_id: u64,
    pub(super) region_slug: Option<String>,
    #[serde(default)]
    pub(super) course: Course,
}

/// An action as it is shown.
#[derive(Debug, Serialize)]
pub(super) struct ShownAction<'a> {
    id: u64,
    status: Progress,
    #[serde(rename = "type")]
    kind: ActionKind,
    started_at: &'a str,
    completed_at: Option<&'a str>,
    resource_id: u64,
    resource_type: &'static str,
    region: Option<Region>,
    region_slug: Option<&'a str>,
}

impl Action {
    /// Name for name as published.
    pub(super) fn shown(&self) -> ShownAction<'_> {
        ShownAction {
            id: self.id,
            status: self.status,
            kind: self.kind,
            started_at: &self.started_at,
            completed_at: self.completed_at.as_deref(),
            resource_id: self.resource_id,
            resource_type: "image",
            region: self.region_slug.as_deref().and_then(regions::find),
            region_slug: self.region_slug.as_deref(),
        }
    }
}
