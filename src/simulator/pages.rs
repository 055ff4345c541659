use serde::Serialize;
use serde_json::{Map, Value, json};

/// Objects on a page, unless the request says otherwise.
const USUAL: usize = 20;
/// The most objects on a page.
const MOST: usize = 200;

/// What a request says after its question mark.
#[derive(Debug, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn parse(text: &str) -> Query {
        Query(url::form_urlencoded::parse(text.as_bytes()).into_owned().collect())
    }

    /// The value of a parameter, the first if there are several.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// A number from 1 on; what is none counts as not given, as nothing is published about it.
    fn number(&self, name: &str) -> Option<usize> {
        self.get(name)?.parse().ok().filter(|number| *number > 0)
    }
}

/// The document of a list: one page of `all` under `name`, with links and meta.
///
/// `place` is the address of the list without its query.
pub(super) fn document<T: Serialize>(name: &str, all: &[T], place: &str, query: &Query) -> Value {
    let size = query.number("per_page").unwrap_or(USUAL).min(MOST);
    let last = all.len().div_ceil(size).max(1);
    let page = query.number("page").unwrap_or(1);
    let shown: Vec<&T> = all.iter().skip((page - 1).saturating_mul(size)).take(size).collect();
    let link = |page: usize| {
        let mut to = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in query.0.iter().filter(|(name, _)| name != "page") {
            to.append_pair(name, value);
        }
        format!("{place}?{}", to.append_pair("page", &page.to_string()).finish())
    };
    let mut pages = Map::new();
    if page > 1 {
        pages.insert("first".into(), link(1).into());
        pages.insert("prev".into(), link((page - 1).min(last)).into());
    }
    if page < last {
        pages.insert("next".into(), link(page + 1).into());
        pages.insert("last".into(), link(last).into());
    }
    let links = if pages.is_empty() { json!({}) } else { json!({ "pages": pages }) };
    json!({ name: shown, "links": links, "meta": { "total": all.len() } })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(total: usize, query: &str) -> Value {
        let all: Vec<usize> = (0..total).collect();
        document("images", &all, "http://h/v2/images", &Query::parse(query))
    }

    #[test]
    fn links_are_those_that_apply() {
        let first = page(45, "per_page=20&private=true");
        assert_eq!(first["images"].as_array().unwrap().len(), 20);
        assert_eq!(
            first["links"]["pages"],
            json!({"next": "http://h/v2/images?per_page=20&private=true&page=2",
                   "last": "http://h/v2/images?per_page=20&private=true&page=3"})
        );
        assert_eq!(first["meta"], json!({"total": 45}));
        let middle = page(45, "page=2");
        assert_eq!(middle["links"]["pages"].as_object().unwrap().len(), 4);
        let last = page(45, "page=3");
        assert_eq!(last["images"].as_array().unwrap().len(), 5);
        assert_eq!(
            last["links"]["pages"],
            json!({"first": "http://h/v2/images?page=1", "prev": "http://h/v2/images?page=2"})
        );
    }

    #[test]
    fn one_page_has_no_links() {
        for (total, query) in [(0, ""), (20, ""), (200, "per_page=200")] {
            assert_eq!(page(total, query)["links"], json!({}), "{total}");
        }
        assert_eq!(page(201, "per_page=1000")["images"].as_array().unwrap().len(), 200);
        let beyond = page(3, "page=18446744073709551615");
        assert_eq!(beyond["images"], json!([]));
    }
}
