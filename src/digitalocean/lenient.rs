//! What an answer says beside what decides. A field that has another type than the description of the API gives it
//! is read as what it can mean, or as nothing: it never makes an answer unreadable whose number, status and message
//! can be read.

use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use serde_json::{Number, Value};

/// The value, or the empty one: of `null`, of a field that is missing, and of one that has another type.
pub(super) fn empty<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned + Default,
{
    let value = Value::deserialize(from)?;
    Ok(T::deserialize(value).unwrap_or_default())
}

/// For what this program or its users write, which has to have the right type: `null` is the empty value.
pub(super) fn nullable<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// A text; a number or a truth value is its text, and anything else is none.
pub(super) fn text<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Ok(as_text(&Value::deserialize(from)?).unwrap_or_default())
}

/// As [`text`], of what need not be there.
pub(super) fn maybe_text<'de, D, T>(from: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: From<String>,
{
    Ok(as_text(&Value::deserialize(from)?).map(T::from))
}

/// A message for people: whatever is there, blanks alone being nothing.
pub(super) fn message<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let said = match Value::deserialize(from)? {
        Value::Null | Value::Bool(false) => String::new(),
        Value::Array(values) if values.is_empty() => String::new(),
        Value::Object(values) if values.is_empty() => String::new(),
        value => as_text(&value).unwrap_or_else(|| value.to_string()),
    };
    Ok(if said.trim().is_empty() { String::new() } else { said })
}

/// A status: a text, or what stands there instead of one, which is a status that nobody knows.
pub(super) fn status<'de, D, T>(from: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: From<String>,
{
    Ok(match Value::deserialize(from)? {
        Value::Null => None,
        value => Some(T::from(as_text(&value).unwrap_or_else(|| value.to_string()))),
    })
}

/// As [`status`], of what has to be there.
pub(super) fn some_status<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: From<String>,
{
    status(from)?.ok_or_else(|| D::Error::custom("its status is null"))
}

/// Names: texts, or objects that have their name under `slug` or `name`. What is neither is left out.
pub(super) fn names<'de, D, T>(from: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: From<String>,
{
    let values = match Value::deserialize(from)? {
        Value::Array(values) => values,
        one => vec![one],
    };
    let name = |value: &Value| match value {
        Value::Object(value) => ["slug", "name"].iter().find_map(|key| as_text(value.get(*key)?)),
        value => as_text(value),
    };
    Ok(values.iter().filter_map(name).map(T::from).collect())
}

/// A whole number, which may be written as a text or with a fraction of zero.
pub(super) fn maybe_whole<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    Ok(as_whole(&Value::deserialize(from)?))
}

/// A number, which may be written as a text.
pub(super) fn maybe_number<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    let number = match Value::deserialize(from)? {
        Value::String(text) => text.trim().parse().ok(),
        value => value.as_f64(),
    };
    Ok(number.filter(|number: &f64| number.is_finite()))
}

/// A truth value, which may be written as a text.
pub(super) fn maybe_truth<'de, D: Deserializer<'de>>(from: D) -> Result<Option<bool>, D::Error> {
    Ok(match Value::deserialize(from)? {
        Value::Bool(is) => Some(is),
        Value::String(text) => text.trim().to_ascii_lowercase().parse().ok(),
        _ => None,
    })
}

/// What identifies something: without it, nothing can be done with it.
pub(super) fn id<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    let value = Value::deserialize(from)?;
    as_whole(&value).ok_or_else(|| D::Error::custom("its id is no whole number"))
}

fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(is) => Some(is.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn as_whole(value: &Value) -> Option<u64> {
    // The largest up to which a double counts every whole number.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let fraction = |number: &Number| {
        let number = number.as_f64()?;
        (number.fract() == 0.0 && (0.0..=EXACT).contains(&number)).then_some(number as u64)
    };
    match value {
        Value::Number(number) => number.as_u64().or_else(|| fraction(number)),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::digitalocean::{Image, ImageStatus};

    fn image(value: Value) -> Image {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn what_does_not_decide_is_read_as_what_it_can_mean() {
        let read = image(json!({
            "id": "38413969", "status": "available", "error_message": {"code": 7}, "name": 7,
            "min_disk_size": "1", "size_gigabytes": "2.34", "created_at": 1_537_471_680,
            "tags": [{"name": "a"}, "b", 7, null, []], "regions": [{"slug": "nyc3", "name": "x"}],
            "public": "False", "description": null, "slug": false, "type": [], "distribution": {},
        }));
        assert_eq!((read.id, read.is_available()), (38_413_969, true));
        assert_eq!(read.failure(), Some("{\"code\":7}"));
        assert_eq!((read.name.as_str(), read.created_at.as_deref()), ("7", Some("1537471680")));
        assert_eq!((read.min_disk_size, read.size_gigabytes), (Some(1), Some(2.34)));
        assert_eq!(read.tags, ["a", "b", "7"]);
        assert_eq!((read.regions.len(), read.public), (1, Some(false)));
        assert!(read.kind.is_none() && read.distribution.is_none() && read.description.is_empty());
    }

    #[test]
    fn every_field_but_the_number_may_be_anything() {
        let text = include_str!("../../testdata/api/create.json");
        let whole: Value = serde_json::from_str(text).unwrap();
        let kinds = [
            json!(null),
            json!(true),
            json!(-1),
            json!(1.5),
            json!(1e300),
            json!(""),
            json!("x"),
            json!([]),
            json!([[]]),
            json!([null]),
            json!({}),
            json!({"id": 1}),
        ];
        for key in whole["image"].as_object().unwrap().keys().filter(|key| *key != "id") {
            for kind in &kinds {
                let mut changed = whole["image"].clone();
                changed[key] = kind.clone();
                assert_eq!(image(changed).id, 38_413_969, "{key}: {kind}");
            }
            let mut changed = whole["image"].clone();
            changed.as_object_mut().unwrap().remove(key);
            assert_eq!(image(changed).id, 38_413_969, "{key} is missing");
        }
        let id =
            |id: Value| serde_json::from_value::<Image>(json!({"id": id})).map(|image| image.id);
        assert_eq!((id(json!("7")).unwrap(), id(json!(7.0)).unwrap()), (7, 7));
        for none in &kinds {
            assert!(id(none.clone()).is_err(), "{none}");
        }
    }

    #[test]
    fn a_status_that_is_no_text_is_one_that_nobody_knows() {
        let status = |status: Value| image(json!({"id": 1, "status": status})).status;
        assert_eq!(status(json!(null)), None);
        assert_eq!(status(json!(3)), Some(ImageStatus::Other("3".into())));
        assert_eq!(status(json!({"a": 1})), Some(ImageStatus::Other("{\"a\":1}".into())));
        let said = |said: Value| image(json!({"id": 1, "error_message": said})).error_message;
        for none in [json!(null), json!(" "), json!([]), json!({}), json!(false)] {
            assert_eq!(said(none.clone()), "", "{none}");
        }
    }
}
