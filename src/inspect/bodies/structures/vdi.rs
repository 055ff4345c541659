use super::model::{List, Model, Number, number};

/// The block map, the identifiers in the header, and where map and data are.
pub(super) fn model(bytes: &[u8]) -> Model {
    let word = |at| number(bytes, Number::little(at, 4));
    let (map, blocks) = (word(0x154), word(0x180));
    let entry = |value: u32| value.to_le_bytes().to_vec();
    let entries = List {
        room: blocks.next_multiple_of(128) * 4,
        counts: vec![Number::little(0x180, 4)],
        templates: vec![entry(u32::MAX), entry(u32::MAX - 1), entry(0), entry(blocks as u32)],
        ..List::table("block map", bytes, map, 4, blocks)
    };
    let identifiers = List {
        templates: vec![vec![7; 16], vec![0; 16]],
        ..List::table("identifiers", bytes, 0x188, 16, 4)
    };
    let mut model = Model {
        lists: vec![entries, identifiers],
        pointers: Vec::new(),
        unit: 1 << 20,
        sealed: false,
    };
    let all = (u64::MAX, 1);
    model.point("the block map's offset", Number::little(0x154, 4), all, blocks * 4);
    model.point("the data's offset", Number::little(0x158, 4), all, 1 << 20);
    model
}
