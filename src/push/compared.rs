//! What the description of an image says until the image was compared with what was checked. Only an image of
//! a URL that is handed over has to be; so one that nobody compared is known without its journal.

use super::entry::{Entry, Intent, Outcome};
use super::journal::Journal;
use super::world::World;
use crate::bytes::{Command, Options};
use crate::digitalocean::wait::Patience;
use crate::digitalocean::{Error, Image, ImageKey, ImageUpdate, Images, Kind};

/// Says that an image was not compared with what was checked.
pub(super) const WORD: &str = "[tidegate: not compared yet]";

/// How often it is tried to take that out.
const TRIES: u32 = 3;

/// The description of an image that is about to be made. The word stands in front: long text may be cut.
pub(super) fn not_yet(description: Option<&str>) -> String {
    match description {
        None | Some("") => WORD.to_owned(),
        Some(text) => format!("{WORD} {text}"),
    }
}

/// Whether an image's description says that it was not compared.
pub(super) fn says_not_yet(image: &Image) -> bool {
    image.description.contains(WORD)
}

/// The description without the word.
pub(super) fn without(description: &str) -> String {
    description.replace(&format!("{WORD} "), "").replace(WORD, "")
}

/// Why an image that can be used is left as it is.
pub(super) fn unknown(id: u64, why: &str) -> String {
    format!(
        "image {id} is available, but nobody knows whether it is made of what was checked: {why}; \
         {} removes it",
        Command::image("delete").number(id)
    )
}

/// Takes the word out of the description of an image that was compared, if it may be there. If that cannot be
/// done it is told, and no failure: the comparison was good.
pub(super) async fn tell(journal: &mut Journal, world: &World, patience: &Patience, id: u64) {
    if !journal.state().says_uncompared {
        return;
    }
    let mut record = |entry| {
        if let Some(error) = journal.note(entry) {
            world.note(&error.to_string());
        }
    };
    record(Entry::Intent(Intent::Describe));
    let mut wanted = None;
    let described = take_out(&world.api.images(), patience, id, &mut wanted).await;
    record(Entry::Outcome(Outcome::Describe { completed: described.is_ok() }));
    if let Err(why) = described {
        let update = wanted.map_or(String::new(), |description| {
            let description = Options::default().value("--description", description);
            let update = Command::image("update").with(&description).number(id);
            format!("; {update} changes it, with a token that has the scope image:update")
        });
        world.note(&format!(
            "image {id} was compared with what was checked, but its description still says \"{WORD}\": {why}{update}"
        ));
    }
}

/// Takes the word out of a description, as it is now. `wanted` is the description without it, once that is seen.
async fn take_out(
    images: &Images,
    patience: &Patience,
    id: u64,
    wanted: &mut Option<String>,
) -> Result<(), String> {
    let mut tries = 1;
    loop {
        match try_to_take_out(images, id, wanted).await {
            Ok(true) => return Ok(()),
            Ok(false) => return Err("the API did not change it".into()),
            // An image may be missing right after its import; and doing it twice is as doing it once.
            Err(error) if passes(&error) && tries < TRIES => {}
            Err(error) => return Err(error.to_string()),
        }
        tries += 1;
        tokio::time::sleep(patience.first).await;
    }
}

fn passes(error: &Error) -> bool {
    error.is_passing() || error.is_ambiguous() || matches!(error.kind, Kind::NotFound)
}

/// Whether the word is out of a description.
async fn try_to_take_out(
    images: &Images,
    id: u64,
    wanted: &mut Option<String>,
) -> Result<bool, Error> {
    let image = images.get(&ImageKey::Id(id)).await?;
    if !says_not_yet(&image) {
        return Ok(true);
    }
    let description = wanted.insert(without(&image.description)).clone();
    let update = ImageUpdate { description: Some(description), ..ImageUpdate::default() };
    let image = images.update(id, &update).await?;
    Ok(!says_not_yet(&image))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_is_put_in_and_taken_out() {
        for text in ["", "mine", "mine [tidegate push x]", " ü "] {
            let said = not_yet(Some(text));
            assert!(said.starts_with(WORD), "{said}");
            assert_eq!(without(&said), text);
            // Whoever takes a description over from such an image takes the word over too.
            assert_eq!(without(&not_yet(Some(&said))), text);
            assert_eq!(without(text), text);
        }
        assert_eq!(not_yet(None), WORD);
    }
}
