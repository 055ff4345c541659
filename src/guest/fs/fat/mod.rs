//! FAT12, FAT16 and FAT32, with long names.
//!
//! Read as Linux's `vfat` reads them. There are no inodes: the node of a file is the byte offset of its entry in the volume, and
//! that of the root is 0. `layout` is the boot sector, `table` the chains of clusters, `directory` and `names` the entries.

mod directory;
mod layout;
mod names;
mod table;

use super::{Area, FileSystem, Inode, Kind, Node, Space, State, Trouble, Why};
use directory::{ENTRY, Entry};
use layout::{Layout, Root};
use table::Table;

/// A file system of FAT12, FAT16 or FAT32.
pub struct Fat<'d> {
    area: Area<'d>,
    layout: Layout,
    table: Table,
}

const ROOT: Node = Node { tree: 0, number: 0 };

impl<'d> Fat<'d> {
    /// Opens what is in a volume.
    ///
    /// # Errors
    /// If it is damaged or cannot be read.
    pub fn open(area: Area<'d>) -> Result<Self, Trouble> {
        let layout = Layout::parse(&area.array(0)?)?;
        let table = Table::new(&layout);
        Ok(Fat { area, layout, table })
    }

    /// The entry of a file that is not the root.
    fn entry(&self, node: Node) -> Result<Entry, Trouble> {
        self.area.spend(1)?;
        Ok(Entry::parse(&self.area.array::<ENTRY>(node.number)?, self.layout.is_fat32()))
    }

    /// Where the entries of a directory are.
    fn directory(&self, node: Node) -> Result<Root, Trouble> {
        if node == ROOT {
            return Ok(self.layout.root);
        }
        let entry = self.entry(node)?;
        if !entry.is_directory() {
            return Err(Why::damaged(format!("the entry at byte {} is no directory", node.number)));
        }
        Ok(Root::Chain(entry.first))
    }
}

impl FileSystem for Fat<'_> {
    fn root(&self) -> Node {
        ROOT
    }

    fn inode(&mut self, node: Node) -> Result<Inode, Trouble> {
        let entry = if node == ROOT { Entry::root() } else { self.entry(node)? };
        let (kind, size) = match entry.is_directory() {
            true => (Kind::Directory, 0),
            false => (Kind::Regular, u64::from(entry.size)),
        };
        let mode = if entry.is_read_only() { 0o555 } else { 0o755 };
        // Times are those of a zone that nothing says.
        Ok(Inode { kind, mode, uid: 0, gid: 0, size, modified: None })
    }

    fn list(
        &mut self,
        directory: Node,
        each: &mut dyn FnMut(&[u8], Node) -> bool,
    ) -> Result<(), Trouble> {
        let at = self.directory(directory)?;
        self.entries(at, &mut |name, _, at| each(name, Node { tree: 0, number: at }))
    }

    /// As `vfat` does it: by either name, whatever the case of its letters.
    fn find(&mut self, directory: Node, name: &[u8]) -> Result<Option<Node>, Trouble> {
        let at = self.directory(directory)?;
        let mut found = None;
        self.entries(at, &mut |long, short, at| {
            if names::are_same(long, name) || names::are_same(short, name) {
                found = Some(Node { tree: 0, number: at });
            }
            found.is_none()
        })?;
        Ok(found)
    }

    fn read(&mut self, node: Node, at: u64, buf: &mut [u8]) -> Result<usize, Trouble> {
        let entry = if node == ROOT { Entry::root() } else { self.entry(node)? };
        if entry.is_directory() {
            return Err(Why::damaged(format!("the entry at byte {} is no file", node.number)));
        }
        let left = u64::from(entry.size).saturating_sub(at).min(buf.len() as u64) as usize;
        let mut done = 0;
        while done < left {
            let at = at + done as u64;
            let size = self.layout.cluster_size;
            let cluster = self.table.nth(&self.area, entry.first, at / size)?;
            let Some(cluster) = cluster else {
                let said = format!("the file at byte {} ends before its size", node.number);
                return Err(Why::damaged(said));
            };
            let inside = at % size;
            let count = (size - inside).min((left - done) as u64) as usize;
            let place = self.layout.place(cluster) + inside;
            self.area.read(place, &mut buf[done..done + count])?;
            done += count;
        }
        Ok(left)
    }

    fn target(&mut self, node: Node) -> Result<Vec<u8>, Trouble> {
        Err(Why::damaged(format!("the entry at byte {} is no symbolic link", node.number)))
    }

    fn space(&mut self) -> Result<Option<Space>, Trouble> {
        let Some(free) = self.table.free(&self.area, &self.layout)? else { return Ok(None) };
        let size = self.layout.cluster_size;
        Ok(Some(Space {
            bytes: u64::from(self.layout.clusters) * size,
            free: u64::from(free) * size,
            inodes: None,
            free_inodes: None,
        }))
    }

    fn state(&self) -> State {
        match self.layout.is_dirty {
            true => State::NotReplayed("it was not unmounted, and has no journal".to_owned()),
            false => State::Clean,
        }
    }

    fn place(&mut self, node: Node) -> Option<u64> {
        if node == ROOT { None } else { self.area.on_disk(node.number) }
    }
}
