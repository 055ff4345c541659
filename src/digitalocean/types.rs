//! Bodies of requests and answers, by the names of their schemas. Text in answers is hostile: it is shown
//! through [`Hostile`](crate::bytes::Hostile).

use serde::{Deserialize, Serialize};

use super::lenient;
use super::names::{ActionStatus, ActionType, Distribution, ImageStatus, ImageType, RegionSlug};

/// `image`: an image as the API describes it. A create is answered with a part of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Image {
    /// What identifies it.
    #[serde(deserialize_with = "lenient::id")]
    pub id: u64,
    /// Its name.
    #[serde(default, deserialize_with = "lenient::text")]
    pub name: String,
    /// Its kind.
    #[serde(
        rename = "type",
        default,
        deserialize_with = "lenient::maybe_text",
        skip_serializing_if = "Option::is_none"
    )]
    pub kind: Option<ImageType>,
    /// Its distribution.
    #[serde(
        default,
        deserialize_with = "lenient::maybe_text",
        skip_serializing_if = "Option::is_none"
    )]
    pub distribution: Option<Distribution>,
    /// The name of a public image.
    #[serde(
        default,
        deserialize_with = "lenient::maybe_text",
        skip_serializing_if = "Option::is_none"
    )]
    pub slug: Option<String>,
    /// Whether everybody can use it.
    #[serde(
        default,
        deserialize_with = "lenient::maybe_truth",
        skip_serializing_if = "Option::is_none"
    )]
    pub public: Option<bool>,
    /// Where it is.
    #[serde(default, deserialize_with = "lenient::names")]
    pub regions: Vec<RegionSlug>,
    /// When it was made, in ISO 8601.
    #[serde(
        default,
        deserialize_with = "lenient::maybe_text",
        skip_serializing_if = "Option::is_none"
    )]
    pub created_at: Option<String>,
    /// The smallest disk that takes it, in GB.
    #[serde(
        default,
        deserialize_with = "lenient::maybe_whole",
        skip_serializing_if = "Option::is_none"
    )]
    pub min_disk_size: Option<u64>,
    /// Its size in GB.
    #[serde(
        default,
        deserialize_with = "lenient::maybe_number",
        skip_serializing_if = "Option::is_none"
    )]
    pub size_gigabytes: Option<f64>,
    /// What its owner wrote about it.
    #[serde(default, deserialize_with = "lenient::text")]
    pub description: String,
    /// Its tags.
    #[serde(default, deserialize_with = "lenient::names")]
    pub tags: Vec<String>,
    /// How far it is.
    #[serde(
        default,
        deserialize_with = "lenient::status",
        skip_serializing_if = "Option::is_none"
    )]
    pub status: Option<ImageStatus>,
    /// Why the import failed, as it came, but empty if it was blank, as in the API's own example.
    /// [`Image::failure`] reads it.
    #[serde(default, deserialize_with = "lenient::message")]
    pub error_message: String,
}

impl Image {
    /// DigitalOcean's reason why the import failed, if it did; before its end, what it says on the way.
    #[must_use]
    pub fn failure(&self) -> Option<&str> {
        Some(self.error_message.trim()).filter(|message| !message.is_empty())
    }

    /// Whether it can be used.
    #[must_use]
    pub fn is_available(&self) -> bool {
        self.status == Some(ImageStatus::Available)
    }

    /// Whether it has come to an end other than being available.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(self.status, Some(ImageStatus::Deleted | ImageStatus::Retired))
    }
}

/// `image_new_custom`: what a create asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in")]
pub struct ImageNewCustom {
    /// The name of the image.
    pub name: String,
    /// Where the importer fetches it.
    pub url: String,
    /// The one region that it is imported to.
    pub region: RegionSlug,
    /// Its distribution.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distribution: Option<Distribution>,
    /// What is written about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Its tags; each one needs the scope `tag:create`.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "lenient::nullable"
    )]
    pub tags: Vec<String>,
}

/// `image_update`: what is to change; the rest stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in")]
pub struct ImageUpdate {
    /// Another name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Another distribution.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distribution: Option<Distribution>,
    /// Another description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// `image_action_base` and `image_action_transfer`: what an action asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in")]
pub struct NewAction {
    /// What to do.
    #[serde(rename = "type")]
    pub kind: ActionType,
    /// Where to, of a transfer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<RegionSlug>,
}

/// `action`: something that is being done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Action {
    /// What identifies it. Old answers have none; then it cannot be followed.
    #[serde(default, deserialize_with = "lenient::maybe_whole")]
    pub id: Option<u64>,
    /// How far it is.
    #[serde(deserialize_with = "lenient::some_status")]
    pub status: ActionStatus,
    /// What it is.
    #[serde(rename = "type", default, deserialize_with = "lenient::maybe_text")]
    pub kind: Option<ActionType>,
    /// When it began, in ISO 8601.
    #[serde(default, deserialize_with = "lenient::maybe_text")]
    pub started_at: Option<String>,
    /// When it ended.
    #[serde(default, deserialize_with = "lenient::maybe_text")]
    pub completed_at: Option<String>,
    /// What it is done to.
    #[serde(default, deserialize_with = "lenient::maybe_whole")]
    pub resource_id: Option<u64>,
    /// What kind of thing that is.
    #[serde(default, deserialize_with = "lenient::maybe_text")]
    pub resource_type: Option<String>,
    /// The region, in full.
    #[serde(default, deserialize_with = "lenient::empty", skip_serializing_if = "Option::is_none")]
    pub region: Option<Region>,
    /// The region.
    #[serde(default, deserialize_with = "lenient::maybe_text")]
    pub region_slug: Option<RegionSlug>,
}

impl Action {
    /// The region that it is about.
    #[must_use]
    pub fn region(&self) -> Option<&RegionSlug> {
        self.region_slug.as_ref().or(self.region.as_ref().map(|region| &region.slug))
    }
}

/// `region`: a region and what it offers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Region {
    /// Its name for people.
    #[serde(default, deserialize_with = "lenient::text")]
    pub name: String,
    /// Its name.
    pub slug: RegionSlug,
    /// What it offers, such as `image_transfer`.
    #[serde(default, deserialize_with = "lenient::names")]
    pub features: Vec<String>,
    /// Whether new Droplets can be made there.
    #[serde(default, deserialize_with = "lenient::empty")]
    pub available: bool,
    /// Sizes of Droplets.
    #[serde(default, deserialize_with = "lenient::names")]
    pub sizes: Vec<String>,
}

impl Region {
    /// Whether images can be transferred there.
    #[must_use]
    pub fn takes_transfers(&self) -> bool {
        self.features.iter().any(|feature| feature == "image_transfer")
    }
}

/// `error`: why something was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ErrorBody {
    /// The kind of error, such as `not_found`.
    #[serde(default, deserialize_with = "lenient::text")]
    pub id: String,
    /// A sentence.
    #[serde(deserialize_with = "lenient::message")]
    pub message: String,
    /// What DigitalOcean's support asks for.
    #[serde(
        default,
        deserialize_with = "lenient::maybe_text",
        skip_serializing_if = "Option::is_none"
    )]
    pub request_id: Option<String>,
}

/// `pagination`: where the other pages are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Pagination {
    /// The links; none if everything is on one page.
    #[serde(default, deserialize_with = "lenient::nullable")]
    pub pages: PageLinks,
}

/// `page_links`: whole URLs, only those that apply.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PageLinks {
    /// The first page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<String>,
    /// The page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prev: Option<String>,
    /// The page after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// The last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<String>,
}

/// `meta_properties`: how many there are on all pages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MetaProperties {
    /// How many.
    #[serde(default, deserialize_with = "lenient::maybe_whole")]
    pub total: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn part<T: serde::de::DeserializeOwned>(text: &str, key: &str) -> T {
        let mut value: Value = serde_json::from_str(text).unwrap();
        serde_json::from_value(value[key].take()).unwrap()
    }

    #[test]
    fn the_published_answers_are_understood() {
        let image: Image = part(include_str!("../../testdata/api/create.json"), "image");
        assert_eq!((image.id, image.kind.clone()), (38_413_969, Some(ImageType::Custom)));
        assert_eq!(image.status, Some(ImageStatus::New));
        assert_eq!(image.tags, ["base-image", "prod"]);
        assert!(image.failure().is_none() && image.slug.is_none() && image.regions.is_empty());
        let image: Image =
            part(include_str!("../../testdata/api/create-in-the-wild.json"), "image");
        assert_eq!(image.distribution, Some(Distribution::Other("Unknown OS".into())));
        let action: Action = part(include_str!("../../testdata/api/action.json"), "action");
        assert_eq!(
            (action.id, action.status.clone()),
            (Some(36_805_527), ActionStatus::InProgress)
        );
        assert_eq!(action.region(), Some(&RegionSlug::Nyc3));
        assert!(action.region.unwrap().takes_transfers());
    }

    #[test]
    fn requests_are_written_as_published() {
        let text = include_str!("../../testdata/api/create-request.json");
        let request: ImageNewCustom = serde_json::from_str(text).unwrap();
        let value: Value = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_value(&request).unwrap(), value);
        let transfer = NewAction { kind: ActionType::Transfer, region: Some(RegionSlug::Nyc2) };
        assert_eq!(
            serde_json::to_value(transfer).unwrap(),
            json!({"type": "transfer", "region": "nyc2"})
        );
        let convert = NewAction { kind: ActionType::Convert, region: None };
        assert_eq!(serde_json::to_value(convert).unwrap(), json!({"type": "convert"}));
    }

    #[test]
    fn one_blank_is_no_error_and_null_is_empty() {
        let image: Image = serde_json::from_value(json!({
            "id": 1, "error_message": " ", "tags": null, "regions": null, "description": null,
            "slug": null, "min_disk_size": null, "size_gigabytes": 2.34, "new": {"field": [1]}
        }))
        .unwrap();
        assert!(image.failure().is_none() && image.tags.is_empty());
        assert_eq!(serde_json::to_value(&image).unwrap()["error_message"], "");
        assert_eq!(image.size_gigabytes, Some(2.34));
        assert!(serde_json::from_value::<Image>(json!({"name": "x"})).is_err());
    }
}
