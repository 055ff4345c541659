//! Trees: nodes that are read, held against their sums and kept, and items from a key on.

use std::collections::HashMap;
use std::rc::Rc;

use super::chunks::{CHUNK, Chunks};
use super::superblock::{Sum, Superblock};
use super::{Area, Trouble, Why, le32, le64};

/// Bytes of nodes that are kept.
const MOST_KEPT: usize = 2 << 20;

/// Levels of a tree at most (BTRFS_MAX_LEVEL).
const MOST_LEVELS: u8 = 8;

/// Bytes of the header of a node, of an item of a leaf, and of a pointer of a node above.
const HEADER: usize = 101;
const ITEM: usize = 25;
const POINTER: usize = 33;

/// The address of an item in its tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) object: u64,
    pub(super) kind: u8,
    pub(super) offset: u64,
}

impl Key {
    pub(super) const SIZE: usize = 17;

    /// From the beginning of at least as many bytes.
    pub(super) fn parse(bytes: &[u8]) -> Key {
        Key { object: le64(bytes, 0), kind: bytes[8], offset: le64(bytes, 9) }
    }
}

/// What is called with items, and says whether to go on.
type Each<'e> = &'e mut dyn FnMut(Key, &[u8]) -> Result<bool, Trouble>;

/// Where a tree begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) at: u64,
    pub(super) level: u8,
}

/// A node that was found to be sound.
struct Node {
    bytes: Vec<u8>,
    level: u8,
    count: usize,
}

impl Node {
    /// The key of an entry.
    fn key(&self, index: usize) -> Key {
        let size = if self.level == 0 { ITEM } else { POINTER };
        Key::parse(&self.bytes[HEADER + size * index..])
    }

    /// The first entry whose key is this one or larger.
    fn search(&self, key: Key) -> usize {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.key(middle) < key {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        low
    }

    /// What a leaf has at an entry.
    fn item(&self, index: usize) -> Result<&[u8], Trouble> {
        let at = HEADER + ITEM * index;
        let (start, len) =
            (le32(&self.bytes, at + 17) as usize, le32(&self.bytes, at + 21) as usize);
        let item = HEADER.checked_add(start).and_then(|start| self.bytes.get(start..)?.get(..len));
        item.ok_or_else(|| Why::damaged("an item of a tree lies outside of its node"))
    }
}

/// Which items a walk begins with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum From {
    /// The first one whose key is the wanted one or larger.
    Ceiling,
    /// The last one whose key is the wanted one or smaller, if there is any.
    Floor,
}

/// Reads nodes.
pub(super) struct Nodes<'d> {
    pub(super) area: Area<'d>,
    pub(super) chunks: Chunks,
    sum: Sum,
    size: u32,
    kept: HashMap<u64, (u64, Rc<Node>)>,
    turn: u64,
}

impl<'d> Nodes<'d> {
    pub(super) fn new(area: Area<'d>, superblock: &Superblock, chunks: Chunks) -> Self {
        let (sum, size) = (superblock.sum, superblock.node);
        Nodes { area, chunks, sum, size, kept: HashMap::new(), turn: 0 }
    }

    /// Adds the chunks that their tree lists.
    pub(super) fn find_chunks(&mut self, tree: Place) -> Result<(), Trouble> {
        // The walk goes by what is known when it begins: the chunks of this tree are in the superblock.
        let mut chunks = self.chunks.clone();
        self.walk(tree, Key { object: 0, kind: 0, offset: 0 }, &mut |key, item| {
            if key.kind == CHUNK {
                chunks.add(key, item)?;
            }
            Ok(true)
        })?;
        self.chunks = chunks;
        Ok(())
    }

    /// Calls `each` with items of a tree from a key on, in order, until it returns false.
    pub(super) fn walk(&mut self, tree: Place, from: Key, each: Each<'_>) -> Result<(), Trouble> {
        self.walk_from(tree, (From::Ceiling, from), each)
    }

    /// The same from the last item on that is not behind the key.
    pub(super) fn walk_around(
        &mut self,
        tree: Place,
        from: Key,
        each: Each<'_>,
    ) -> Result<(), Trouble> {
        self.walk_from(tree, (From::Floor, from), each)
    }

    fn walk_from(
        &mut self,
        tree: Place,
        (which, from): (From, Key),
        each: Each<'_>,
    ) -> Result<(), Trouble> {
        // The way down, each with the entry that is next there.
        let mut way: Vec<(Rc<Node>, usize)> = Vec::new();
        let mut next = self.node(tree)?;
        loop {
            let found = next.search(from);
            let is_exact = found < next.count && next.key(found) == from;
            let before = next.level > 0 || which == From::Floor;
            let index = if before && !is_exact { found.saturating_sub(1) } else { found };
            if next.level == 0 {
                way.push((next, index));
                break;
            }
            let below = below(&next, index)?;
            way.push((next, index + 1));
            next = self.node(below)?;
        }
        while let Some((node, index)) = way.pop() {
            if index >= node.count {
                continue;
            }
            if node.level > 0 {
                let below = below(&node, index)?;
                way.push((node, index + 1));
                let below = self.node(below)?;
                way.push((below, 0));
                continue;
            }
            for index in index..node.count {
                self.area.spend(1)?;
                if !each(node.key(index), node.item(index)?)? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The node at an address, which has to be of this level.
    fn node(&mut self, Place { at, level }: Place) -> Result<Rc<Node>, Trouble> {
        self.area.spend(4)?;
        self.turn += 1;
        if let Some((used, node)) = self.kept.get_mut(&at)
            && node.level == level
        {
            *used = self.turn;
            return Ok(Rc::clone(node));
        }
        self.area.spend(60)?;
        if level >= MOST_LEVELS {
            return Err(damaged("a tree has too many levels"));
        }
        let (copies, len) = self.chunks.resolve(at)?;
        if len < u64::from(self.size) {
            return Err(damaged("a node of a tree reaches out of its chunk"));
        }
        let mut trouble = damaged("a node of a tree is nowhere");
        let mut bytes = vec![0; self.size as usize];
        for copy in copies.into_iter().flatten() {
            match self.area.read(copy, &mut bytes) {
                Ok(()) if self.sum.holds(&bytes) => {
                    let node = Rc::new(parse(bytes, at, level)?);
                    self.keep(at, &node);
                    return Ok(node);
                }
                Ok(()) => trouble = damaged("a node of a tree has a wrong check sum"),
                Err(Trouble::Left(why)) => trouble = why.into(),
                Err(halt) => return Err(halt),
            }
        }
        Err(trouble)
    }

    fn keep(&mut self, at: u64, node: &Rc<Node>) {
        let most = (MOST_KEPT / self.size as usize).max(2);
        if self.kept.len() >= most {
            // The older half goes, so that it is not looked for at each node.
            let mut used: Vec<u64> = self.kept.values().map(|(used, _)| *used).collect();
            used.sort_unstable();
            let middle = used[used.len() / 2];
            self.kept.retain(|_, (used, _)| *used > middle);
        }
        self.kept.insert(at, (self.turn, Rc::clone(node)));
    }

    /// Fills the buffer with contents from an address on.
    pub(super) fn contents(&self, mut at: u64, mut buf: &mut [u8]) -> Result<(), Trouble> {
        while !buf.is_empty() {
            let (copies, len) = self.chunks.resolve(at)?;
            let count = len.min(buf.len() as u64) as usize;
            let (now, rest) = buf.split_at_mut(count);
            let mut copies = copies.into_iter().flatten();
            let Some(first) = copies.next() else { return Err(damaged("contents are nowhere")) };
            match (self.area.read(first, now), copies.next()) {
                (Err(Trouble::Left(_)), Some(second)) => self.area.read(second, now)?,
                (read, _) => read?,
            }
            at = at.saturating_add(count as u64);
            buf = rest;
        }
        Ok(())
    }
}

/// Where an entry of a node leads to.
fn below(node: &Node, index: usize) -> Result<Place, Trouble> {
    if index >= node.count {
        return Err(damaged("a node of a tree is empty"));
    }
    let at = le64(&node.bytes, HEADER + POINTER * index + Key::SIZE);
    Ok(Place { at, level: node.level - 1 })
}

fn parse(bytes: Vec<u8>, at: u64, level: u8) -> Result<Node, Trouble> {
    let count = le32(&bytes, 96) as usize;
    if le64(&bytes, 48) != at || bytes[100] != level {
        return Err(damaged("a node of a tree is another one"));
    }
    let size = if level == 0 { ITEM } else { POINTER };
    if count > (bytes.len() - HEADER) / size {
        return Err(damaged("a node of a tree has more entries than there is room for"));
    }
    let node = Node { bytes, level, count };
    if (1..count).any(|index| node.key(index - 1) >= node.key(index)) {
        return Err(damaged("the entries of a node are out of order"));
    }
    Ok(node)
}

fn damaged(said: &str) -> Trouble {
    Why::damaged(said)
}
