//! The page, read by a parser of HTML: what it is made of, and that nothing hostile is part of it.

use std::process::Command;

use serde_json::{Value, json};

use crate::common::{Scratch, disk, gzip, piped, reports, stdout};
use crate::{document, images, python, testdata};

/// The page as JSON: its elements with their attributes, its text, and whether every element is closed
/// where it should be.
const READ: &str = r#"
import html.parser, json, sys
VOID = {"meta", "br"}
class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.elements, self.open, self.text, self.wrong, self.decl = [], [], [], [], None
    def handle_decl(self, decl):
        self.decl = decl
    def handle_comment(self, data):
        self.wrong.append("comment " + data)
    def handle_starttag(self, tag, attributes):
        names = [name for name, _ in attributes]
        if len(set(names)) != len(names):
            self.wrong.append("twice in " + tag)
        self.elements.append([tag, dict(attributes)])
        if tag not in VOID:
            self.open.append(tag)
    def handle_startendtag(self, tag, attributes):
        self.elements.append([tag, dict(attributes)])
    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append("end of " + tag)
    def handle_data(self, data):
        if "style" not in self.open:
            self.text.append(data)
page = Page()
page.feed(sys.stdin.buffer.read().decode("utf-8"))
page.close()
json.dump({"decl": page.decl, "elements": page.elements, "wrong": page.wrong + page.open,
           "text": "".join(page.text)}, sys.stdout)
"#;

const ELEMENTS: [&str; 46] = [
    "html",
    "head",
    "meta",
    "title",
    "style",
    "body",
    "header",
    "h1",
    "h2",
    "h3",
    "h4",
    "p",
    "nav",
    "div",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "a",
    "bdi",
    "span",
    "code",
    "strong",
    "main",
    "section",
    "article",
    "pre",
    "mark",
    "ul",
    "li",
    "dl",
    "dt",
    "dd",
    "figure",
    "figcaption",
    "footer",
    "svg",
    "path",
    "rect",
    "defs",
    "pattern",
    "br",
    "em",
    "small",
];

/// Reads a page and holds it against what every page has to be.
fn read(page: &str) -> Option<Value> {
    let found = python(READ, page)?;
    assert_eq!(found["decl"], "DOCTYPE html");
    assert_eq!(found["wrong"], json!([]));
    let elements = found["elements"].as_array().unwrap();
    let mut ids = Vec::new();
    let mut level = 0;
    for element in elements {
        let (tag, attributes) = (element[0].as_str().unwrap(), element[1].as_object().unwrap());
        // A title in an SVG is what a picture of a partition is called.
        assert!(ELEMENTS.contains(&tag), "{element}");
        for (name, value) in attributes {
            let value = value.as_str().unwrap();
            assert!(!name.starts_with("on") && name != "src" && name != "style", "{element}");
            assert!(name != "href" || value.starts_with("#image-"), "{element}");
            assert!(!value.contains("url("), "{element}");
        }
        if let Some(id) = attributes.get("id") {
            assert!(!ids.contains(&id), "{id} twice");
            ids.push(id);
        }
        if let ("h", Some(next)) = (&tag[..1], tag[1..].parse::<u32>().ok()) {
            assert!(next <= level + 1, "a heading is left out before {element}");
            level = next;
        }
        if tag == "svg" {
            let named = attributes.get("role") == Some(&json!("img"))
                && attributes.get("aria-label").is_some_and(|label| label != "");
            assert!(named || attributes.contains_key("aria-hidden"), "{element}");
        }
    }
    for (tag, count) in
        [("h1", 1), ("main", 1), ("header", 1), ("footer", 1), ("style", 1), ("body", 1)]
    {
        let there = elements.iter().filter(|element| element[0] == tag).count();
        assert_eq!(there, count, "{tag}");
    }
    for element in elements {
        let target = element[1]["href"].as_str().and_then(|href| href.strip_prefix('#'));
        assert!(target.is_none_or(|target| ids.iter().any(|id| *id == target)), "{element}");
    }
    Some(found)
}

#[test]
fn nothing_hostile_is_part_of_the_page() {
    let scratch = Scratch::new();
    let images = images(&scratch);
    let page = document("html", &["--keep-going"], &images);
    assert!(
        !page.chars().any(|c| c.is_control() && c != '\n' || c == '\u{202e}' || c == '\u{fffe}')
    );
    let Some(found) = read(&page) else { return };
    let text = found["text"].as_str().unwrap();
    // It is there all the same, as text.
    assert!(text.contains("<script>alert(1)<"), "{text}");
}

#[test]
fn all_that_was_found_is_on_the_page() {
    let images = testdata();
    let reports = reports(&images).1;
    let Some(found) = read(&document("html", &[], &images)) else { return };
    let text = found["text"].as_str().unwrap();
    for report in &reports {
        for finding in report["findings"].as_array().unwrap() {
            for key in ["message", "remedy", "code"] {
                // Commands are elements of their own, without what joins the words to them.
                for said in finding[key].as_str().unwrap().split('`') {
                    let said = said.trim_matches([' ', ',', '.', ';', ':']);
                    assert!(text.contains(said), "{said}: {finding}");
                }
            }
        }
        assert!(text.contains(report["source"].as_str().unwrap()));
        if let Some(digest) = report["digests"]["sha256"].as_str() {
            assert!(text.contains(digest), "{digest}");
        }
    }
    let elements = found["elements"].as_array().unwrap();
    let links = elements.iter().filter(|element| element[0] == "a").count();
    assert_eq!(links, images.len());
}

/// The bytes that are marked.
fn marked(page: &str) -> Vec<&str> {
    page.split("<mark>").skip(1).map(|rest| rest.split("</mark>").next().unwrap()).collect()
}

#[test]
fn the_bytes_at_fault_are_marked() {
    let scratch = Scratch::new();
    let mut broken = disk();
    broken[512 + 16] ^= 1;
    let page = document("html", &[], &[scratch.write("disk.raw", &broken)]);
    assert_eq!(marked(&page), ["45"], "{page}");
    assert!(page.contains("EFI PART"));
    assert!(page.contains("class=\"map\""), "no map: {page}");
    // A disk in a container is read through it.
    let data = |name| std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name);
    let page = document("html", &[], &[data("blank.qcow2")]);
    assert_eq!(marked(&page), ["00"]);
    // Where the image ends before the place, that is said.
    let page = document("html", &[], &[data("gpt-cut.raw")]);
    assert!(page.contains("ends here"), "{page}");
}

#[test]
fn what_is_not_looked_at_again_says_why() {
    let scratch = Scratch::new();
    let packed = scratch.write("packed.raw.gz", &gzip(&[0; 4096]));
    let page = document("html", &[], &[packed]);
    assert!(page.contains("The bytes are not shown: the file is compressed."), "{page}");
    assert!(page.contains("No map: the file is compressed."));

    let output = piped(&["--quiet", "--format", "html", "-"], &[0; 4096]);
    let page = stdout(&output);
    assert!(page.contains("No map: it came over the network or through a pipe"), "{page}");

    // Opening it once more would block for ever.
    let fifo = scratch.path("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let writer = {
        let fifo = fifo.clone();
        std::thread::spawn(move || std::fs::write(fifo, disk()))
    };
    let page = document("html", &[], &[fifo]);
    writer.join().unwrap().unwrap();
    assert!(page.contains("No map: it came through a pipe"), "{page}");
}
