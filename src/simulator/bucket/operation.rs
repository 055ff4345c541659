use super::keys::Permission;
use super::problem::{METHOD_NOT_ALLOWED, NOT_IMPLEMENTED, Problem};
use super::request::Call;
use super::sign;

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Operation {
    ListBuckets,
    HeadBucket,
    GetBucketLocation,
    ListObjects,
    ListMultipartUploads,
    ListObjectVersions,
    GetBucketVersioning,
    PutBucketVersioning,
    PutObject,
    HeadObject,
    GetObject,
    DeleteObject,
    DeleteObjects,
    PutObjectAcl,
    GetObjectAcl,
    CreateMultipartUpload,
    UploadPart,
    ListParts,
    CompleteMultipartUpload,
    AbortMultipartUpload,
}

/// Parameters that say nothing: clients name what they believe to ask for.
const IGNORED: [&str; 1] = ["x-id"];

impl Operation {
    /// What a request asks for. A parameter that would make it another one than those above is refused.
    pub(super) fn of(call: &Call) -> Result<Operation, Problem> {
        use Operation::*;
        let has = |name| call.get(name).is_some();
        let asked = (call.method.as_str(), call.bucket.is_some(), call.key.is_some());
        let (operation, known): (Operation, &[&str]) = match asked {
            ("GET", false, _) => (ListBuckets, &[]),
            ("HEAD", true, false) => (HeadBucket, &[]),
            ("GET", true, false) if has("location") => (GetBucketLocation, &["location"]),
            ("GET", true, false) if has("uploads") => (
                ListMultipartUploads,
                &[
                    "uploads",
                    "prefix",
                    "key-marker",
                    "upload-id-marker",
                    "max-uploads",
                    "encoding-type",
                ],
            ),
            ("GET", true, false) if has("versioning") => (GetBucketVersioning, &["versioning"]),
            ("PUT", true, false) if has("versioning") => (PutBucketVersioning, &["versioning"]),
            ("GET", true, false) if has("versions") => (
                ListObjectVersions,
                &[
                    "versions",
                    "prefix",
                    "key-marker",
                    "version-id-marker",
                    "max-keys",
                    "encoding-type",
                ],
            ),
            ("GET", true, false) if call.get("list-type") == Some("2") => (
                ListObjects,
                &[
                    "list-type",
                    "prefix",
                    "delimiter",
                    "max-keys",
                    "continuation-token",
                    "start-after",
                    "fetch-owner",
                    "encoding-type",
                ],
            ),
            // Whatever else of a bucket can be asked for has a parameter that is not among these.
            ("GET", true, false) if !has("list-type") => {
                (ListObjects, &["prefix", "delimiter", "max-keys", "marker", "encoding-type"])
            }
            ("POST", true, false) if has("delete") => (DeleteObjects, &["delete"]),
            ("PUT", _, true) if has("acl") => (PutObjectAcl, &["acl", "versionId"]),
            ("PUT", _, true) if has("uploadId") || has("partNumber") => {
                (UploadPart, &["uploadId", "partNumber"])
            }
            ("PUT", _, true) => (PutObject, &[]),
            ("HEAD", _, true) => (HeadObject, &["versionId"]),
            ("GET", _, true) if has("acl") => (GetObjectAcl, &["acl", "versionId"]),
            ("GET", _, true) if has("uploadId") => {
                (ListParts, &["uploadId", "part-number-marker", "max-parts", "encoding-type"])
            }
            ("GET", _, true) => (GetObject, &["versionId"]),
            ("POST", _, true) if has("uploads") => (CreateMultipartUpload, &["uploads"]),
            ("POST", _, true) if has("uploadId") => (CompleteMultipartUpload, &["uploadId"]),
            ("DELETE", _, true) if has("uploadId") => (AbortMultipartUpload, &["uploadId"]),
            ("DELETE", _, true) => (DeleteObject, &["versionId"]),
            ("GET" | "PUT" | "POST" | "DELETE", true, false) => {
                return Err(Problem::said(NOT_IMPLEMENTED, "this is not simulated"));
            }
            _ => return Err(Problem::of(METHOD_NOT_ALLOWED)),
        };
        let own = |name: &str| {
            known.contains(&name) || IGNORED.contains(&name) || sign::IN_QUERY.contains(&name)
        };
        match call.query.iter().find(|(name, _)| !own(name)) {
            // Anybody's HEAD and GET may have a query; the importer's do not, and neither do these.
            Some((name, _)) => {
                Err(Problem::because(NOT_IMPLEMENTED, format!("{name:?} is not simulated")))
            }
            None => Ok(operation),
        }
    }

    /// In plans and in the log.
    pub(super) fn name(self) -> &'static str {
        use Operation::*;
        match self {
            ListBuckets => "list-buckets",
            HeadBucket => "head-bucket",
            GetBucketLocation => "get-bucket-location",
            ListObjects => "list-objects",
            ListMultipartUploads => "list-multipart-uploads",
            ListObjectVersions => "list-object-versions",
            GetBucketVersioning => "get-bucket-versioning",
            PutBucketVersioning => "put-bucket-versioning",
            PutObject => "put-object",
            HeadObject => "head-object",
            GetObject => "get-object",
            DeleteObject => "delete-object",
            DeleteObjects => "delete-objects",
            PutObjectAcl => "put-object-acl",
            GetObjectAcl => "get-object-acl",
            CreateMultipartUpload => "create-multipart-upload",
            UploadPart => "upload-part",
            ListParts => "list-parts",
            CompleteMultipartUpload => "complete-multipart-upload",
            AbortMultipartUpload => "abort-multipart-upload",
        }
    }

    /// What a key has to be granted for it.
    pub(super) fn needs(self) -> Permission {
        use Operation::*;
        match self {
            PutObject
            | DeleteObject
            | DeleteObjects
            | CreateMultipartUpload
            | UploadPart
            | CompleteMultipartUpload
            | AbortMultipartUpload => Permission::ReadWrite,
            PutObjectAcl | PutBucketVersioning => Permission::FullAccess,
            _ => Permission::Read,
        }
    }
}
