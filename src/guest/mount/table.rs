//! Mounts volumes below the root: as its fstab says, and what that does not name, by the types of partitions.

use super::super::fs::{Node, Trouble};
use super::super::tree::{Text, Tree};
use super::super::volumes::{Holds, Volume};
use super::super::{PartitionTable, Scheme};
use super::root::Rooted;
use super::source::resolve;

/// Lines of fstab that are followed.
const MOST_LINES: usize = 64;

/// Types of a GPT, of the Discoverable Partitions Specification.
const ESP: &str = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B";
const XBOOTLDR: &str = "BC13C2FF-59E6-4262-A352-B275FD6F7172";
const USR: &str = "8484680C-9521-48C6-9C11-B0720656F69E";
const VAR: &str = "4D21B016-B534-45C2-A9FB-5C16E091FD2D";
const FLATCAR_USR: &str = "5DFBF5F4-2848-4BAC-AA5E-0D9A20B745A6";

/// Of an MBR, the EFI system partition.
const MBR_ESP: &str = "ef";

/// A line of fstab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) source: Vec<u8>,
    /// Where it is mounted, without a slash at the end: the root's is empty.
    pub(super) at: Vec<u8>,
    pub(super) options: Vec<u8>,
}

impl Line {
    /// The option that names a subvolume, such as `subvol=@home`.
    pub(super) fn subvolume(&self) -> Option<&[u8]> {
        let mut options = self.options.split(|&byte| byte == b',');
        options.find(|option| option.starts_with(b"subvol=") || option.starts_with(b"subvolid="))
    }

    fn has(&self, option: &[u8]) -> bool {
        self.options.split(|&byte| byte == b',').any(|other| other == option)
    }

    /// Whether the guest leaves it unmounted. A `/boot` that it mounts to write to is one all the same.
    fn is_left(&self) -> bool {
        let boots = [&b"/boot"[..], b"/efi"].iter().any(|path| self.at.starts_with(path));
        self.has(b"bind") || self.has(b"rbind") || self.has(b"noauto") && !boots
    }
}

/// The lines of fstab that mount something at a path.
pub(super) fn lines(text: &Text) -> Vec<Line> {
    let mut lines = Vec::new();
    for (_, line) in text.lines() {
        let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
        let mut fields = line.split(blank).filter(|field| !field.is_empty());
        let (Some(source), Some(at)) = (fields.next(), fields.next()) else { continue };
        let at = unescaped(at);
        if source.starts_with(b"#") || !at.starts_with(b"/") {
            continue;
        }
        let at = normal(&at);
        let options = unescaped(fields.nth(1).unwrap_or_default());
        lines.push(Line { source: unescaped(source), at, options });
        if lines.len() == MOST_LINES {
            break;
        }
    }
    lines
}

/// A path without empty components, `.`, and a slash at its end.
fn normal(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for part in path.split(|&byte| byte == b'/').filter(|part| !part.is_empty() && *part != b".") {
        out.push(b'/');
        out.extend_from_slice(part);
    }
    out
}

/// Blanks in a field are written as their number in octal.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = field;
    while let [first, tail @ ..] = rest {
        let byte = match rest {
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..] => {
                Some((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0'))
            }
            _ => None,
        };
        (rest, _) = match byte {
            Some(byte) => (&rest[4..], out.push(byte)),
            None => (tail, out.push(*first)),
        };
    }
    out
}

/// Mounts the root, and everything below it.
pub(super) fn mount(
    tree: &mut Tree<'_>,
    root: &Rooted,
    table: &PartitionTable,
) -> Result<(), Trouble> {
    root.mount(tree);
    let mut lines = lines_of(tree)?;
    // What is mounted below something else comes after it.
    lines.sort_by_key(|line| line.at.iter().filter(|&&byte| byte == b'/').count());
    for line in lines.iter().filter(|line| !line.at.is_empty() && !line.is_left()) {
        let Some(volume) = resolve(tree.volumes(), &line.source) else { continue };
        let Some(node) = subvolume(tree, volume, line.subvolume())? else { continue };
        let at = place(tree, &line.at)?;
        tree.mount(&at, volume, node);
    }
    let named = |path: &[u8]| lines.iter().any(|line| line.at == path);
    by_type(tree, table, root, &named)
}

/// The lines of the root's fstab. One that cannot be read is the business of whoever judges it.
pub(super) fn lines_of(tree: &mut Tree<'_>) -> Result<Vec<Line>, Trouble> {
    Ok(skipped(tree.text("/etc/fstab"))?.flatten().map(|text| lines(&text)).unwrap_or_default())
}

/// What was read, or nothing if it cannot be; only the end of the source goes on.
pub(super) fn skipped<T>(read: Result<T, Trouble>) -> Result<Option<T>, Trouble> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(Trouble::Left(_)) => Ok(None),
        Err(halt) => Err(halt),
    }
}

/// What of a volume is mounted with such an option: `Some(None)` is its root. `None` if there is no such subvolume.
pub(super) fn subvolume(
    tree: &mut Tree<'_>,
    volume: usize,
    option: Option<&[u8]>,
) -> Result<Option<Option<Node>>, Trouble> {
    let Some(system) = tree.system(volume) else { return Ok(None) };
    let Some(option) = option else { return Ok(Some(None)) };
    Ok(skipped(system.subvolume(option))?.flatten().map(Some))
}

/// The path without links that a mount point has; as it is written if it is not there, as systemd makes it then.
fn place(tree: &mut Tree<'_>, at: &[u8]) -> Result<Vec<u8>, Trouble> {
    let found = skipped(tree.stat(at))?.flatten();
    Ok(found.map_or_else(|| at.to_vec(), |found| found.path))
}

/// Whether there is nothing in a directory, and whether there is one.
fn is_empty(tree: &mut Tree<'_>, path: &str) -> Result<bool, Trouble> {
    Ok(skipped(tree.list(path))?.flatten().is_some_and(|entries| entries.is_empty()))
}

fn is_there(tree: &mut Tree<'_>, path: &str) -> Result<bool, Trouble> {
    Ok(skipped(tree.is_directory(path))?.unwrap_or(false))
}

/// Mounts by the types of partitions what fstab does not name, as systemd's gpt-auto-generator does.
fn by_type(
    tree: &mut Tree<'_>,
    table: &PartitionTable,
    root: &Rooted,
    named: &dyn Fn(&[u8]) -> bool,
) -> Result<(), Trouble> {
    let mut mounted: Vec<usize> = tree.mounted().into_iter().map(|(volume, _)| volume).collect();
    let of = |tree: &Tree<'_>, mounted: &[usize], kind: &str| {
        let opened = tree.opened();
        let is = |&volume: &usize| {
            !mounted.contains(&volume) && tree.volumes()[volume].kind.as_deref() == Some(kind)
        };
        opened.into_iter().find(is)
    };
    if !named(b"/usr") && (is_empty(tree, "/usr")? || !is_there(tree, "/usr")?) {
        let usr = of(tree, &mounted, USR).or_else(|| chosen(tree, table));
        if let Some(usr) = usr {
            tree.mount(b"/usr", usr, None);
            mounted.push(usr);
        }
    }
    if let Some(var) = of(tree, &mounted, VAR).filter(|_| !named(b"/var") && !root.is_ostree()) {
        tree.mount(b"/var", var, None);
        mounted.push(var);
    }
    let extended =
        of(tree, &mounted, XBOOTLDR).or_else(|| root.boot.filter(|boot| !mounted.contains(boot)));
    let extended = extended.filter(|_| !named(b"/boot"));
    if let Some(boot) = extended {
        tree.mount(b"/boot", boot, None);
        mounted.push(boot);
    }
    if named(b"/boot/efi") || named(b"/efi") {
        return Ok(());
    }
    let esp = match table.scheme {
        Scheme::Mbr => of(tree, &mounted, MBR_ESP),
        _ => of(tree, &mounted, ESP),
    };
    let Some(esp) = esp.filter(|&esp| tree.volumes()[esp].holds == Holds::Vfat) else {
        return Ok(());
    };
    for path in ["/boot/efi", "/efi"] {
        if is_empty(tree, path)? {
            tree.mount(path.as_bytes(), esp, None);
            return Ok(());
        }
    }
    let boot_is_free = extended.is_none() && !named(b"/boot");
    if boot_is_free && (is_empty(tree, "/boot")? || !is_there(tree, "/boot")?) {
        tree.mount(b"/boot", esp, None);
    }
    Ok(())
}

/// Of Flatcar's pair of volumes for `/usr`, the one that its boot loader takes: that of the higher priority in bits 48 to 51
/// of the attributes, the first one of equals.
fn chosen(tree: &Tree<'_>, table: &PartitionTable) -> Option<usize> {
    let opened = tree.opened();
    let is = |volume: &&usize| is_flatcar_usr(&tree.volumes()[**volume]);
    opened
        .iter()
        .filter(is)
        .copied()
        .rev()
        .max_by_key(|&volume| priority(&tree.volumes()[volume], table))
}

/// Whether it is one of Flatcar's volumes for `/usr`.
pub(super) fn is_flatcar_usr(volume: &Volume) -> bool {
    volume.kind.as_deref() == Some(FLATCAR_USR)
}

/// The priority that boot loaders of ChromeOS and Flatcar go by.
pub(super) fn priority(volume: &Volume, table: &PartitionTable) -> u64 {
    let mut partitions = table.partitions.iter();
    let partition = partitions.find(|partition| Some(partition.number) == volume.partition);
    partition.map_or(0, |partition| partition.attributes >> 48 & 0xf)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_mount_reads_them() {
        let text = "# /etc/fstab\n\nUUID=1 / ext4 defaults 0 1\r\n\t/dev/vda2\t/my\\040data/ btrfs rw,subvol=@d\\040x\n\
                    swap none swap\nx /a\n  # y /b\nbad\n/dev/vda3 //boot/./efi/ vfat noauto\n";
        let text = Text { path: Vec::new(), bytes: text.as_bytes().to_vec(), cut: false };
        let lines = lines(&text);
        let shown: Vec<(&str, &str, &str)> = lines
            .iter()
            .map(|line| {
                let text = |bytes| str::from_utf8(bytes).unwrap();
                (text(&line.source), text(&line.at), text(&line.options))
            })
            .collect();
        assert_eq!(
            shown,
            [
                ("UUID=1", "", "defaults"),
                ("/dev/vda2", "/my data", "rw,subvol=@d x"),
                ("x", "/a", ""),
                ("/dev/vda3", "/boot/efi", "noauto"),
            ]
        );
        assert_eq!(lines[1].subvolume(), Some(&b"subvol=@d x"[..]));
        assert!(!lines[3].is_left());
    }
}
