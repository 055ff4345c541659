//! A file system for tests, made of paths and contents.

use std::collections::BTreeMap;

use super::{FileSystem, Inode, Kind, Node, Space, State, Trouble, Why};

/// One inode.
struct Entry {
    inode: Inode,
    /// What a regular file holds, or where a link leads.
    bytes: Vec<u8>,
    /// What a directory holds.
    names: BTreeMap<Vec<u8>, u64>,
}

/// A file system whose files are given one by one; the directories above them make themselves.
pub(in crate::guest) struct Memory {
    entries: Vec<Entry>,
    pub(in crate::guest) space: Option<Space>,
    pub(in crate::guest) state: State,
}

impl Memory {
    pub(in crate::guest) fn new() -> Self {
        let mut memory = Memory { entries: Vec::new(), space: None, state: State::Clean };
        memory.push(Kind::Directory, 0o755, Vec::new());
        memory
    }

    fn push(&mut self, kind: Kind, mode: u16, bytes: Vec<u8>) -> u64 {
        let size = bytes.len() as u64;
        let inode = Inode { kind, mode, uid: 0, gid: 0, size, modified: Some(0) };
        self.entries.push(Entry { inode, bytes, names: BTreeMap::new() });
        self.entries.len() as u64 - 1
    }

    /// Puts something at a path in the place of what is there.
    fn put(mut self, path: &str, kind: Kind, mode: u16, bytes: &[u8]) -> Self {
        let mut at = 0usize;
        let parts: Vec<&[u8]> =
            path.as_bytes().split(|&b| b == b'/').filter(|part| !part.is_empty()).collect();
        let (last, above) = parts.split_last().expect("a path has a name");
        for part in above {
            at = match self.entries[at].names.get(*part) {
                Some(&number) => number as usize,
                None => {
                    let number = self.push(Kind::Directory, 0o755, Vec::new());
                    self.entries[at].names.insert(part.to_vec(), number);
                    number as usize
                }
            };
        }
        let number = self.push(kind, mode, bytes.to_vec());
        self.entries[at].names.insert(last.to_vec(), number);
        self
    }

    /// A regular file with mode 0644.
    pub(in crate::guest) fn with(self, path: &str, contents: impl AsRef<[u8]>) -> Self {
        self.put(path, Kind::Regular, 0o644, contents.as_ref())
    }

    /// A program: a regular file with mode 0755.
    pub(in crate::guest) fn program(self, path: &str) -> Self {
        self.put(path, Kind::Regular, 0o755, b"#!/bin/sh\n")
    }

    /// A regular file with this mode.
    pub(in crate::guest) fn with_mode(
        self,
        path: &str,
        mode: u16,
        contents: impl AsRef<[u8]>,
    ) -> Self {
        self.put(path, Kind::Regular, mode, contents.as_ref())
    }

    /// A symbolic link.
    pub(in crate::guest) fn link(self, path: &str, target: &str) -> Self {
        self.put(path, Kind::Link, 0o777, target.as_bytes())
    }

    /// An empty directory.
    pub(in crate::guest) fn directory(self, path: &str) -> Self {
        self.put(path, Kind::Directory, 0o755, b"")
    }

    /// An empty directory with this mode, in the place of what is there.
    pub(in crate::guest) fn directory_with_mode(self, path: &str, mode: u16) -> Self {
        self.put(path, Kind::Directory, mode, b"")
    }

    /// The same without what is at this path, which has to be there.
    pub(in crate::guest) fn without(mut self, path: &str) -> Self {
        let mut at = 0usize;
        let parts: Vec<&[u8]> =
            path.as_bytes().split(|&b| b == b'/').filter(|part| !part.is_empty()).collect();
        let (last, above) = parts.split_last().expect("a path has a name");
        for part in above {
            at = self.entries[at].names[*part] as usize;
        }
        assert!(self.entries[at].names.remove(*last).is_some(), "{path} is not there");
        self
    }

    fn entry(&self, node: Node) -> Result<&Entry, Trouble> {
        self.entries.get(node.number as usize).ok_or_else(|| Why::damaged("there is no such inode"))
    }
}

impl FileSystem for Memory {
    fn root(&self) -> Node {
        Node { tree: 0, number: 0 }
    }

    fn inode(&mut self, node: Node) -> Result<Inode, Trouble> {
        Ok(self.entry(node)?.inode)
    }

    fn list(
        &mut self,
        directory: Node,
        each: &mut dyn FnMut(&[u8], Node) -> bool,
    ) -> Result<(), Trouble> {
        for (name, &number) in &self.entry(directory)?.names {
            if !each(name, Node { tree: 0, number }) {
                break;
            }
        }
        Ok(())
    }

    fn read(&mut self, node: Node, at: u64, buf: &mut [u8]) -> Result<usize, Trouble> {
        let bytes = &self.entry(node)?.bytes;
        let from = (at as usize).min(bytes.len());
        let count = (bytes.len() - from).min(buf.len());
        buf[..count].copy_from_slice(&bytes[from..from + count]);
        Ok(count)
    }

    fn target(&mut self, node: Node) -> Result<Vec<u8>, Trouble> {
        Ok(self.entry(node)?.bytes.clone())
    }

    fn space(&mut self) -> Result<Option<Space>, Trouble> {
        Ok(self.space)
    }

    fn state(&self) -> State {
        self.state.clone()
    }
}
