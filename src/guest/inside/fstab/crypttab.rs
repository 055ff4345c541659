//! crypttab: what is decrypted at boot, and whether somebody has to type a passphrase for it.

use super::super::super::fs::Trouble;
use super::super::{Case, shown};
use super::source::{Source, found};
use super::{Line, lines};
use crate::facts::Code;

const CRYPTTAB: &str = "/etc/crypttab";

/// Looks at what is decrypted at boot, and returns the names that are given to it.
pub(super) fn crypttab(case: &mut Case<'_, '_>) -> Result<Vec<Vec<u8>>, Trouble> {
    let Some(text) = case.tree.text(CRYPTTAB)? else { return Ok(Vec::new()) };
    let mut names = Vec::new();
    for Line { number, source: name, at: device, kind: key, options } in lines(&text)? {
        let has = |option: &[u8]| {
            options.split(|&byte| byte == b',').any(|other| {
                other.strip_prefix(option).is_some_and(|rest| rest.is_empty() || rest[0] == b'=')
            })
        };
        names.push(name.clone());
        let by_others: [&[u8]; 8] = [
            b"noauto",
            b"nofail",
            b"tpm2-device",
            b"fido2-device",
            b"pkcs11-uri",
            b"keyscript",
            b"headless",
            b"_netdev",
        ];
        let is_there = found(&case.tree, &device, &[]) != Source::Missing;
        if by_others.iter().any(|option| has(option))
            || !is_there
            || case.tree.exists("/usr/bin/clevis")?
        {
            continue;
        }
        let asks = match &key[..] {
            b"" | b"none" | b"-" => {
                let by_name = [b"/etc/cryptsetup-keys.d/", &name[..], b".key"].concat();
                !case.tree.exists(by_name)?
            }
            // A key on another device is called PATH:DEVICE.
            path => {
                let is_made = path.starts_with(b"/dev/")
                    || path.starts_with(b"/run/")
                    || path.contains(&b':');
                path.starts_with(b"/") && !is_made && !case.tree.exists(path)?
            }
        };
        if asks {
            let said = format!(
                "{} is opened as {} by a passphrase that somebody types at the console, and the boot waits for it.",
                shown(&device),
                shown(&name)
            );
            case.book.found_in(Code::CrypttabKeyAsked, CRYPTTAB, number, said);
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::super::super::super::fs::memory::Memory;
    use super::super::super::services::Init;
    use super::super::super::testing::codes;
    use super::super::FSTAB;
    use super::super::tests::found_in;
    use super::*;

    #[test]
    fn what_is_decrypted_needs_a_key_that_is_there() {
        let with = |crypttab: &str, key: &str| {
            let memory = Memory::new().with(CRYPTTAB, crypttab).with(key, "k");
            codes(&found_in(Some(Init::Systemd), memory))
        };
        for line in [
            "data UUID=00000000-0000-0000-0000-000000000002 none luks\n",
            "data /dev/vda2\n",
            "data /dev/vda2 -\n",
            "data /dev/vda2 /etc/missing.key luks\n",
        ] {
            assert_eq!(with(line, "/x"), ["crypttab-key-asked"], "{line}");
        }
        for line in [
            "# data /dev/vda2 none\n",
            "data /dev/vda2 /etc/keys/data luks\n",
            "data /dev/vda2 none luks,nofail\n",
            "data /dev/vda2 none luks,tpm2-device=auto\n",
            "swap /dev/vda2 /dev/urandom swap\n",
            "data UUID=dead none\n",
        ] {
            assert_eq!(with(line, "/etc/keys/data"), [""; 0], "{line}");
        }
        assert_eq!(with("data /dev/vda2 none\n", "/etc/cryptsetup-keys.d/data.key"), [""; 0]);
        let mapped = Memory::new()
            .with(CRYPTTAB, "data /dev/vda2 /key luks\n")
            .with("/key", "k")
            .with(FSTAB, "/dev/mapper/data /data ext4\n");
        assert!(found_in(Some(Init::Systemd), mapped).is_empty());
    }
}
