//! Objects in a bucket of Spaces, or of anything else that speaks S3.
//!
//! The room knows requests, answers and how they go wrong: objects and their versions, multipart uploads, who may
//! read, and the credentials. It knows neither DigitalOcean's API nor disk images.

mod body;
mod bucket;
pub mod credentials;
mod endpoint;
mod error;
pub mod limits;
mod names;
mod objects;
mod refused;
mod uploads;
mod versions;
mod xml;

pub use body::{Body, Digester, Filling};
pub use bucket::{Bucket, Event, Keys, Listener, Options};
pub use endpoint::{Endpoint, REGIONS, Region, Style};
pub use error::{Error, Kind, Operation};
pub use limits::part_size;
pub use names::{BucketName, ETag, Key, PartNumber, UploadId, VersionId};
pub use objects::{Acl, Head, Object, Seen};
pub use refused::refused;
pub use uploads::{Completed, OpenUpload, Part, Upload};
pub use versions::{Retention, Version, Versioning, lists_no_versions};
