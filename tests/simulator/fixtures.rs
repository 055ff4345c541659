//! Transcribed from DigitalOcean's published OpenAPI description and from answers that users reported,
//! before there was a simulator.

/// `images_create_custom.yml`: the body of a create call.
pub(crate) const CREATE: &str = r#"{"name":"ubuntu-18.04-minimal",
 "url":"http://cloud-images.ubuntu.com/minimal/releases/bionic/release/ubuntu-18.04-minimal-cloudimg-amd64.img",
 "distribution":"Ubuntu","region":"nyc3",
 "description":"Cloud-optimized image w/ small footprint","tags":["base-image","prod"]}"#;

/// `responses/new_custom_image.yml`.
pub(crate) const CREATED: &str = r#"{"image":{"created_at":"2018-09-20T19:28:00Z","description":"Cloud-optimized image w/ small footprint",
 "distribution":"Ubuntu","error_message":"","id":38413969,"name":"ubuntu-18.04-minimal",
 "regions":[],"type":"custom","tags":["base-image","prod"],"status":"NEW"}}"#;

/// `resources/images/models/image.yml`: all properties of an image.
pub(crate) const IMAGE_KEYS: [&str; 14] = [
    "created_at",
    "description",
    "distribution",
    "error_message",
    "id",
    "min_disk_size",
    "name",
    "public",
    "regions",
    "size_gigabytes",
    "slug",
    "status",
    "tags",
    "type",
];

/// `imageActions_post.yml`: the answer to a transfer.
pub(crate) const TRANSFER: &str = r#"{"action":{"id":36805527,"status":"in-progress","type":"transfer","started_at":"2014-11-14T16:42:45Z",
 "completed_at":null,"resource_id":7938269,"resource_type":"image",
 "region":{"name":"New York 3","slug":"nyc3","sizes":["s-1vcpu-3gb"],
   "features":["private_networking","backups","ipv6","metadata","server_id","install_agent","storage","image_transfer"],"available":true},
 "region_slug":"nyc3"}}"#;

pub(crate) const UNAUTHORIZED: &str =
    r#"{"id":"unauthorized","message":"Unable to authenticate you."}"#;
pub(crate) const FORBIDDEN: &str =
    r#"{"id":"forbidden","message":"You do not have permission to perform this action."}"#;
pub(crate) const NOT_FOUND: &str =
    r#"{"id":"not_found","message":"The resource you requested could not be found."}"#;
pub(crate) const CONFLICT: &str =
    r#"{"id":"conflict","message":"The request could not be completed due to a conflict."}"#;
pub(crate) const TOO_MANY: &str =
    r#"{"id":"too_many_requests","message":"API rate limit exceeded."}"#;
pub(crate) const SERVER_ERROR: &str =
    r#"{"id":"server_error","message":"Unexpected server-side error"}"#;
/// doctl#192.
pub(crate) const NO_SUCH_ACTION: &str =
    r#"{"id":"not_found","message":"The specified action type is not available."}"#;

/// The body with the status 400 that nanovms/ops#1166 and #1182 show.
pub(crate) const TWO_DOCUMENTS: &str = r#"{"id":"bad_request","message":"Your source URL is unreachable"}
{"image":{"created_at":"2021-11-14T21:45:05Z","description":"","distribution":"Unknown OS","error_message":"","id":95739054,"name":"boringtun.img","regions":[],"status":"NEW","tags":["createdBy:ops"],"type":"custom","updated_at":"2021-11-14T21:45:05Z"}}"#;

/// terraform-provider-digitalocean#613.
pub(crate) const DECOMPRESSING: &str = "We had a problem decompressing your file. This typically happens if the archive is corrupt or contains multiple files. Please try decompressing the file locally and uploading the uncompressed image, or recompressing using gzip or bzip2.";
/// packer#7848.
pub(crate) const COMPRESSION: &str = "We don't support the compression format of your image. Please try again with a supported format (gzip, bzip2) or an uncompressed image file.";
