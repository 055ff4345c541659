//! Which volume of the disk a line of fstab means.

use super::super::volumes::Volume;

/// The volume that the first field of a line of fstab names, or `root=` of a kernel; `None` if it is none of this disk.
/// Names such as `/dev/sda1` and `/dev/vda1` are taken for partitions of this disk, whatever a Droplet calls it.
pub(in crate::guest) fn resolve(volumes: &[Volume], source: &[u8]) -> Option<usize> {
    volumes.iter().position(|volume| names(volume, source))
}

fn names(volume: &Volume, source: &[u8]) -> bool {
    const TAGS: [(&[u8], &[u8]); 4] = [
        (b"UUID=", b"/dev/disk/by-uuid/"),
        (b"LABEL=", b"/dev/disk/by-label/"),
        (b"PARTUUID=", b"/dev/disk/by-partuuid/"),
        (b"PARTLABEL=", b"/dev/disk/by-partlabel/"),
    ];
    for (index, (tag, folder)) in TAGS.iter().enumerate() {
        let value = match (source.strip_prefix(*tag), source.strip_prefix(*folder)) {
            (Some(value), _) => unquoted(value).to_vec(),
            (None, Some(name)) => unescaped(name),
            (None, None) => continue,
        };
        // Of UUIDs the case of letters says nothing.
        let same = |id: &Option<String>| {
            id.as_deref().is_some_and(|id| id.as_bytes().eq_ignore_ascii_case(&value))
        };
        return match index {
            0 => same(&volume.uuid),
            1 => volume.label.as_deref() == Some(&value),
            2 => same(&volume.partuuid),
            _ => volume.partlabel.as_deref() == Some(&value),
        };
    }
    let Some(device) = source.strip_prefix(b"/dev/") else { return false };
    match &volume.logical {
        Some((group, name)) => {
            let mapped = [&doubled(group)[..], b"-", &doubled(name)].concat();
            device.strip_prefix(b"mapper/").is_some_and(|device| device == mapped)
                || device == [group, &b"/"[..], name].concat()
        }
        None => number(device) == Some(volume.partition),
    }
}

/// The number of the partition of the first disk that a name means, or the whole of that disk (`Some(None)`).
fn number(device: &[u8]) -> Option<Option<u32>> {
    const LETTERED: [&[u8]; 5] = [b"vda", b"sda", b"hda", b"xvda", b"ubda"];
    const NUMBERED: [&[u8]; 2] = [b"nvme0n1", b"mmcblk0"];
    let rest = LETTERED.iter().find_map(|disk| device.strip_prefix(*disk)).or_else(|| {
        let rest = NUMBERED.iter().find_map(|disk| device.strip_prefix(*disk))?;
        if rest.is_empty() { Some(rest) } else { rest.strip_prefix(b"p") }
    })?;
    if rest.is_empty() {
        return Some(None);
    }
    let digits =
        rest.iter().all(u8::is_ascii_digit).then(|| str::from_utf8(rest).ok()).flatten()?;
    digits.parse().ok().map(Some)
}

/// A value of a tag, which may be in quotes.
fn unquoted(value: &[u8]) -> &[u8] {
    match value {
        [b'"', inner @ .., b'"'] | [b'\'', inner @ .., b'\''] => inner,
        value => value,
    }
}

/// A name below `/dev/disk`, where udev writes odd bytes as `\x20`.
fn unescaped(name: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = name;
    while let [first, tail @ ..] = rest {
        let byte = rest
            .strip_prefix(b"\\x")
            .and_then(|digits| str::from_utf8(digits.get(..2)?).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        (rest, _) = match byte {
            Some(byte) => (&rest[4..], out.push(byte)),
            None => (tail, out.push(*first)),
        };
    }
    out
}

/// The device mapper separates group and volume by a dash, so those in their names are doubled.
fn doubled(name: &[u8]) -> Vec<u8> {
    name.iter().flat_map(|&byte| std::iter::repeat_n(byte, 1 + usize::from(byte == b'-'))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::tree::testing::volume;
    use super::*;

    fn disk() -> Vec<Volume> {
        let mut boot = volume(1);
        (boot.uuid, boot.label) = (Some("ABCD-1234".to_owned()), Some(b"my boot".to_vec()));
        (boot.partuuid, boot.partlabel) = (Some("abc-01".to_owned()), Some(b"esp".to_vec()));
        let mut logical = volume(2);
        (logical.partition, logical.partuuid) = (None, None);
        logical.logical = Some((b"my-vg".to_vec(), b"root".to_vec()));
        let mut whole = volume(3);
        whole.partition = None;
        vec![boot, logical, whole]
    }

    #[test]
    fn every_kind_of_name_is_known() {
        let volumes = disk();
        for source in [
            "UUID=ABCD-1234",
            "UUID=\"abcd-1234\"",
            "/dev/disk/by-uuid/ABCD-1234",
            "LABEL=my boot",
            "/dev/disk/by-label/my\\x20boot",
            "PARTUUID=ABC-01",
            "/dev/disk/by-partuuid/abc-01",
            "PARTLABEL=esp",
            "/dev/disk/by-partlabel/esp",
            "/dev/vda1",
            "/dev/sda1",
            "/dev/nvme0n1p1",
            "/dev/mmcblk0p1",
        ] {
            assert_eq!(resolve(&volumes, source.as_bytes()), Some(0), "{source}");
        }
        for source in ["/dev/mapper/my--vg-root", "/dev/my-vg/root"] {
            assert_eq!(resolve(&volumes, source.as_bytes()), Some(1), "{source}");
        }
        for source in ["/dev/vda", "/dev/xvda", "/dev/nvme0n1"] {
            assert_eq!(resolve(&volumes, source.as_bytes()), Some(2), "{source}");
        }
        for source in [
            "UUID=",
            "LABEL=MY BOOT",
            "LABEL=",
            "/dev/vdb1",
            "/dev/vda2",
            "/dev/vdaa",
            "/dev/vda99999999999",
            "/dev/nvme0n11",
            "/dev/mapper/my-vg-root",
            "/dev/",
            "tmpfs",
            "",
            "esp",
        ] {
            assert_eq!(resolve(&volumes, source.as_bytes()), None, "{source}");
        }
    }
}
