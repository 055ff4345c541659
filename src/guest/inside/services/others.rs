//! Services of the systems that have no systemd.

use super::super::super::fs::{Kind, Trouble};
use super::super::super::tree::Tree;
use super::super::sh;
use super::On;

/// Runlevels of OpenRC that tidegate reads at most: one may stand on others.
const MOST_LEVELS: usize = 16;

fn on(yes: bool) -> On {
    if yes { On::Yes } else { On::No }
}

/// Whether one of these paths leads to anything.
fn any(tree: &mut Tree<'_>, paths: &[String]) -> Result<bool, Trouble> {
    for path in paths {
        if tree.exists(path)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// OpenRC: links in the runlevels of a boot, and in those that they stand on.
pub(super) fn openrc(tree: &mut Tree<'_>, name: &str) -> Result<On, Trouble> {
    if !any(tree, &[format!("/etc/init.d/{name}"), format!("/usr/local/etc/init.d/{name}")])? {
        return Ok(On::Absent);
    }
    let mut levels: Vec<Vec<u8>> = ["sysinit", "boot", "default"].map(|it| it.into()).to_vec();
    let mut at = 0;
    while at < levels.len().min(MOST_LEVELS) {
        let path = [b"/etc/runlevels/", &levels[at][..]].concat();
        at += 1;
        for entry in tree.list(&path)?.unwrap_or_default() {
            if entry.name == name.as_bytes() && entry.kind != Kind::Directory {
                return Ok(On::Yes);
            }
            let below = [&path[..], b"/", &entry.name].concat();
            let may_stand_on = matches!(entry.kind, Kind::Link | Kind::Directory);
            if may_stand_on
                && !levels.contains(&entry.name)
                && levels.len() < MOST_LEVELS
                && tree.is_directory(below)?
            {
                levels.push(entry.name);
            }
        }
    }
    Ok(On::No)
}

/// runit: directories of the services that are supervised, without a file `down` in them.
pub(super) fn runit(tree: &mut Tree<'_>, name: &str) -> Result<On, Trouble> {
    let places = [
        "/etc/runit/runsvdir/default",
        "/etc/service",
        "/var/service",
        "/service",
        "/etc/runit/runsvdir/current",
    ];
    for place in places {
        if tree.is_directory(format!("{place}/{name}"))? {
            return Ok(on(!tree.exists(format!("{place}/{name}/down"))?));
        }
    }
    let is_there = any(tree, &[format!("/etc/sv/{name}"), format!("/etc/runit/sv/{name}")])?;
    Ok(if is_there { On::No } else { On::Absent })
}

/// rc.conf of a BSD: the last value counts.
pub(super) fn bsd(tree: &mut Tree<'_>, name: &str) -> Result<On, Trouble> {
    let scripts = [format!("/etc/rc.d/{name}"), format!("/usr/local/etc/rc.d/{name}")];
    if !any(tree, &scripts)? {
        return Ok(On::Absent);
    }
    let name = name.replace('-', "_");
    // FreeBSD has NAME_enable, NetBSD NAME, and OpenBSD NAME_flags, which is NO for what is off.
    let [enable, plain, flags] = [format!("{name}_enable"), name.clone(), format!("{name}_flags")];
    if let Some(value) = rc_value(tree, &name, &enable)? {
        return Ok(on(is_yes(&value)));
    }
    if let Some(value) = rc_value(tree, &name, &plain)? {
        return Ok(on(is_yes(&value)));
    }
    Ok(on(rc_value(tree, &name, &flags)?.is_some_and(|value| value != b"NO")))
}

/// A value of rc.conf, as a service of this name sees it.
pub(in super::super) fn rc_value(
    tree: &mut Tree<'_>,
    service: &str,
    key: &str,
) -> Result<Option<Vec<u8>>, Trouble> {
    let mut paths: Vec<Vec<u8>> = [
        "/etc/defaults/rc.conf",
        "/etc/defaults/vendor.conf",
        "/etc/rc.conf",
        "/etc/rc.conf.local",
    ]
    .map(|path| path.into())
    .to_vec();
    for place in ["/etc/rc.conf.d", "/usr/local/etc/rc.conf.d"] {
        let path = format!("{place}/{service}");
        match tree.list(&path)? {
            None => paths.push(path.into()),
            Some(entries) => {
                let below = |name: &Vec<u8>| [path.as_bytes(), b"/", name].concat();
                paths.extend(entries.iter().map(|entry| below(&entry.name)));
            }
        }
    }
    let mut value = None;
    for path in paths {
        if let Some(text) = tree.text(path)? {
            value = sh::value(&text, key).or(value);
        }
    }
    Ok(value)
}

/// What FreeBSD's checkyesno takes for a yes.
fn is_yes(value: &[u8]) -> bool {
    [&b"yes"[..], b"true", b"on", b"1"].iter().any(|yes| value.eq_ignore_ascii_case(yes))
}

/// Scripts that run in the default runlevel, or in any of those that are ordinary.
pub(super) fn sysv(tree: &mut Tree<'_>, name: &str) -> Result<On, Trouble> {
    // Slackware starts what is executable, busybox of a Buildroot all that begins with S.
    let plain = format!("/etc/rc.d/rc.{name}");
    if let Some(found) = tree.stat(&plain)? {
        return Ok(on(found.inode.is_executable()));
    }
    let is_start = |entry: &[u8]| match entry.strip_prefix(b"S") {
        Some([a, b, rest @ ..]) => {
            a.is_ascii_digit()
                && b.is_ascii_digit()
                && rest.strip_prefix(b"-").unwrap_or(rest) == name.as_bytes()
        }
        _ => false,
    };
    let mut places: Vec<String> = vec!["/etc/rcS.d".into(), "/etc/init.d".into()];
    for level in levels(tree)? {
        let level = char::from(level);
        places.extend([format!("/etc/rc{level}.d"), format!("/etc/rc.d/rc{level}.d")]);
    }
    for place in places {
        for entry in tree.list(&place)?.unwrap_or_default() {
            let path = [place.as_bytes(), b"/", &entry.name].concat();
            if is_start(&entry.name)
                && tree.stat(path)?.is_some_and(|found| found.inode.is_executable())
            {
                return Ok(On::Yes);
            }
        }
    }
    let scripts = [format!("/etc/init.d/{name}"), format!("/etc/rc.d/init.d/{name}")];
    Ok(if any(tree, &scripts)? { On::No } else { On::Absent })
}

/// The default runlevel of inittab, or all that it may be.
fn levels(tree: &mut Tree<'_>) -> Result<Vec<u8>, Trouble> {
    if let Some(text) = tree.text("/etc/inittab")? {
        for (_, line) in text.lines() {
            let mut fields = line.split(|&byte| byte == b':').skip(1);
            let (level, action) = (fields.next(), fields.next());
            if let (Some(&[level @ b'1'..=b'5']), Some(b"initdefault")) = (level, action) {
                return Ok(vec![level]);
            }
        }
    }
    Ok(b"2345".to_vec())
}
