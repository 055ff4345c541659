//! Structures of a container that are inserted, removed, moved, doubled and cut, where other edits only
//! change what a number says. A few bytes say what is done, so that a fuzzer can learn of them, and a case
//! is written down by them.

mod model;
mod qcow2;
mod vdi;
mod vhdx;
mod vmdk;

use self::model::{List, Model, Pointer};
use super::edits::{Input, repair_vhdx};
use crate::formats::MemoryImage;

/// Edits of one image: mostly one, as several are more often refused for what is not new.
const EDITS: [u8; 4] = [1, 1, 2, 3];

/// Bytes after a place that are moved at most, if something is inserted or removed there.
const MOST_MOVED: u64 = 8 << 20;

/// An image with other structures than the one it was made of.
#[non_exhaustive]
pub struct Edited<'i> {
    /// The image.
    pub image: MemoryImage<'i>,
    /// What was done, for people.
    pub said: Vec<String>,
    /// Whether a reader has to accept it as before: only what every reader skips was added.
    pub harmless: bool,
}

/// The image that `input` makes of a container. `None` if it is none that is known.
#[must_use]
pub fn edited<'i>(bytes: &'i [u8], input: &[u8]) -> Option<Edited<'i>> {
    let mut model = Model::of(bytes)?;
    let mut image = MemoryImage::from(bytes);
    let mut input = Input(input);
    let flags = input.byte();
    let mut said = Vec::new();
    let harmless = flags & 0xf0 == 0xf0;
    if harmless {
        said.extend(model.add_harmless(&mut image, &mut input));
    } else {
        for _ in 0..EDITS[usize::from(flags % 4)] {
            said.push(model.edit(&mut image, &mut input));
        }
    }
    // Every eighth keeps the checksums that are wrong then.
    if model.sealed && (harmless || flags & 0x0c != 0x0c) {
        repair_vhdx(&mut image);
    }
    Some(Edited { image, said, harmless })
}

impl Model {
    /// Adds something that readers skip.
    fn add_harmless(
        &mut self,
        image: &mut MemoryImage<'_>,
        input: &mut Input<'_>,
    ) -> Option<String> {
        let lists: Vec<&mut List> =
            self.lists.iter_mut().filter(|list| !list.harmless.is_empty()).collect();
        let count = lists.len();
        let list = lists.into_iter().nth(input.below(count))?;
        let record = list.harmless.get(input.below(list.harmless.len()))?.clone();
        if let Some((at, len)) = list.harmless_room {
            image.resize(at + len);
        }
        let at = list.records.len().saturating_sub(list.last);
        list.records.insert(at, record);
        list.write(image, 1);
        Some(format!("{}: what readers skip is added as number {at}", list.name))
    }

    fn edit(&mut self, image: &mut MemoryImage<'_>, input: &mut Input<'_>) -> String {
        match input.byte() % 8 {
            0..4 if !self.lists.is_empty() => {
                let index = input.below(self.lists.len());
                self.lists[index].edit(image, input)
            }
            4..7 if !self.pointers.is_empty() => self.repoint(image, input),
            _ => self.reshape(image, input),
        }
    }

    /// Changes where a pointer leads, or what is there.
    fn repoint(&self, image: &mut MemoryImage<'_>, input: &mut Input<'_>) -> String {
        let pointer = &self.pointers[input.below(self.pointers.len())];
        let other = &self.pointers[input.below(self.pointers.len())];
        let object = pointer.target(image);
        let done = match input.byte() % 11 {
            0 => {
                pointer.lead_to(image, other.target(image));
                format!("leads where {} does", other.name)
            }
            1 => {
                let mut bytes = vec![0; pointer.object as usize];
                image.read(object, &mut bytes);
                let end = image.len().next_multiple_of(self.unit);
                image.resize(end + pointer.object);
                image.patch(end, bytes);
                pointer.lead_to(image, end);
                format!("its object is moved to byte {end}")
            }
            2 => {
                pointer.number.write(image, 0);
                "is zero".into()
            }
            3 => {
                let end = image.len().next_multiple_of(self.unit);
                pointer.lead_to(image, end + self.unit * u64::from(input.byte()));
                "leads past the end".into()
            }
            4 => {
                let old = pointer.number.read(image);
                pointer.number.write(image, old.wrapping_add(input.number(2)));
                "leads a little farther".into()
            }
            5 => {
                pointer.lead_to(image, self.unit * u64::from(input.byte() % 16));
                "leads to the beginning".into()
            }
            6 => {
                image.patch(object, vec![0; pointer.object as usize]);
                "its object is zeros".into()
            }
            7 => {
                let text = b"The quick brown fox jumps over the lazy dog. ";
                let len = (pointer.object as usize).min(1 << usize::from(input.byte() % 17));
                image.patch(object, text.iter().copied().cycle().take(len).collect());
                format!("{len} bytes of its object are text")
            }
            8 => {
                let mut bytes = vec![0; pointer.object.min(other.object) as usize];
                image.read(other.target(image), &mut bytes);
                image.patch(object, bytes);
                format!("its object is a copy of that of {}", other.name)
            }
            9 => {
                let at = object.saturating_add(pointer.object * u64::from(input.byte() % 5) / 4);
                image.resize(at.min(image.len()));
                "the image ends in its object".into()
            }
            _ => {
                let value = other.number.read(image);
                pointer.number.write(image, value);
                format!("says what {} says", other.name)
            }
        };
        format!("{} at byte {}: {done}", pointer.name, pointer.number.at)
    }

    /// Makes the image longer or shorter, or moves a part of it.
    fn reshape(&self, image: &mut MemoryImage<'_>, input: &mut Input<'_>) -> String {
        let size = image.len();
        let at = match self.pointers.get(input.below(self.pointers.len())) {
            Some(pointer) => pointer.target(image).min(size),
            None => size,
        };
        let len = match input.byte() % 4 {
            0 => 512,
            1 => 1 + input.number(2),
            _ => self.unit,
        };
        match input.byte() % 6 {
            0 => {
                image.resize(size + len);
                format!("{len} zeros are appended")
            }
            1 => {
                let mut bytes = vec![0; len as usize];
                image.read(0, &mut bytes);
                image.resize(size + len);
                image.patch(size, bytes);
                format!("the first {len} bytes are appended")
            }
            2 => {
                image.resize(size.saturating_sub(len));
                format!("{len} bytes are cut off")
            }
            3 if size - at <= MOST_MOVED => {
                let mut rest = vec![0; (size - at) as usize];
                image.read(at, &mut rest);
                image.resize(size + len);
                image.patch(at, vec![0; len as usize]);
                image.patch(at + len, rest);
                format!("{len} zeros are inserted at byte {at}")
            }
            4 if size - at <= MOST_MOVED => {
                let len = len.min(size - at);
                let mut rest = vec![0; (size - at - len) as usize];
                image.read(at + len, &mut rest);
                image.patch(at, rest);
                image.resize(size - len);
                format!("{len} bytes are removed at byte {at}")
            }
            _ => {
                image.resize(at);
                format!("the image ends at byte {at}")
            }
        }
    }
}

impl List {
    fn edit(&mut self, image: &mut MemoryImage<'_>, input: &mut Input<'_>) -> String {
        let count = self.records.len();
        let (one, two) = (input.below(count), input.below(count + 1));
        let template = self.templates.get(input.below(self.templates.len())).cloned();
        let (done, more) = match (input.byte() % 9, template) {
            (0 | 1, Some(template)) => {
                self.records.insert(two, template);
                (format!("one is inserted as number {two}"), 1)
            }
            (2, Some(template)) if count > 0 => {
                self.records[one] = template;
                (format!("another stands in place of number {one}"), 0)
            }
            (3, _) if count > 0 => {
                self.records.remove(one);
                (format!("number {one} is removed"), -1)
            }
            (4, _) if count > 0 => {
                let record = self.records[one].clone();
                self.records.insert(two, record);
                (format!("number {one} is there again as number {two}"), 1)
            }
            (5, _) if count > 0 => {
                let two = two % count;
                self.records.swap(one, two);
                (format!("numbers {one} and {two} are exchanged"), 0)
            }
            (6, _) if count > 0 => {
                let record = &mut self.records[one];
                let len = input.below(record.len());
                record.truncate(len);
                (format!("number {one} is cut to {len} bytes"), 0)
            }
            (7, _) if count > 0 => {
                let record = &mut self.records[one];
                let len = record.len() + 1 + usize::from(input.byte() % 64);
                record.resize(len, 0);
                (format!("number {one} is made {len} bytes long"), 0)
            }
            (8, _) if count > 0 => {
                let record = &mut self.records[one];
                let (at, len) = (input.below(record.len()), 1 + input.below(8));
                for (byte, with) in record.iter_mut().skip(at).zip(input.bytes(len)) {
                    *byte = with;
                }
                (format!("{len} bytes of number {one} from its byte {at} on are others"), 0)
            }
            _ => {
                self.records.clear();
                ("all are removed".into(), -(count as i64))
            }
        };
        let counted = input.byte() % 8 != 7;
        self.write(image, if counted { more } else { 0 });
        let counted = if counted { "" } else { ", not counted" };
        format!("{}: {done}{counted}", self.name)
    }

    /// Writes the records where they were, and how many there are `more`.
    fn write(&mut self, image: &mut MemoryImage<'_>, more: i64) {
        let mut bytes = self.records.concat();
        let len = bytes.len();
        if self.at == 0 {
            self.at = image.len().next_multiple_of(self.room);
            image.resize(self.at + self.room);
            if let Some(place) = &self.place {
                place.write(image, self.at);
            }
        }
        match self.to_the_end {
            true => image.resize(self.at + len as u64),
            false => bytes.resize(len.max(self.length).min(self.room as usize), 0),
        }
        self.length = len;
        if let Some(bytes_of) = &self.bytes {
            bytes_of.write(image, len as u64);
        }
        for at in std::iter::once(self.at).chain(self.copy) {
            image.patch(at, bytes.clone());
        }
        for count in &self.counts {
            let old = count.read(image);
            count.write(image, old.wrapping_add_signed(more));
        }
        for (at, bytes) in &self.also {
            image.patch(*at, bytes.clone());
        }
    }
}

impl Pointer {
    /// Image offset that it leads to.
    fn target(&self, image: &MemoryImage<'_>) -> u64 {
        (self.number.read(image) & self.mask).saturating_mul(self.times)
    }

    fn lead_to(&self, image: &mut MemoryImage<'_>, at: u64) {
        let flags = self.number.read(image) & !self.mask;
        self.number.write(image, flags | (at / self.times) & self.mask);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_has_its_structures() {
        for (target, lists, pointers) in [
            (
                "qcow2",
                &["header extensions", "snapshot table", "L1 table", "refcount block"][..],
                5,
            ),
            ("vhdx", &["region table", "metadata table", "log", "BAT", "headers"], 6),
            ("vdi", &["block map", "identifiers"], 2),
            ("vmdk", &["descriptor", "grain directory", "grain table"], 5),
        ] {
            let seed = super::super::seeds(target)[0];
            let model = Model::of(seed).unwrap();
            let names: Vec<_> = model.lists.iter().map(|list| list.name).collect();
            for list in lists {
                assert!(names.contains(list), "{target}: {list} is not among {names:?}");
            }
            assert!(model.pointers.len() >= pointers, "{target}: {}", model.pointers.len());
            // As it is written, it is what it was.
            for mut list in model.lists {
                let mut image = MemoryImage::from(seed);
                let (at, also) = (list.at, !list.also.is_empty());
                list.write(&mut image, 0);
                let mut bytes = vec![0; seed.len()];
                image.read(0, &mut bytes);
                assert!(at == 0 || also || bytes == seed, "{target}: {}", list.name);
            }
        }
    }
}
