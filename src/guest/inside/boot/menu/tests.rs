use proptest::prelude::*;

use super::super::super::super::fs::memory::Memory;
use super::super::super::super::tree::testing::{tree, tree_on, volume};
use super::*;

/// In the shape of what grub-mkconfig writes on Debian.
const DEBIAN: &str = include_str!("debian.cfg");

fn text(contents: &str) -> Text {
    Text { path: b"/boot/grub/grub.cfg".to_vec(), bytes: contents.into(), cut: false }
}

/// The entry of a grub.cfg that boots, with these variables in grubenv.
fn of_grub(contents: &str, block: &str) -> Option<Entry> {
    let mut environment = Environment::default();
    environment.read_block(&text(block));
    grub::Script::run(&text(contents), &mut environment).chosen()
}

fn kernel(entry: &Option<Entry>) -> &str {
    entry
        .as_ref()
        .and_then(|entry| entry.kernel.as_deref())
        .map_or("", |kernel| std::str::from_utf8(kernel).unwrap())
}

#[test]
fn the_first_entry_of_debian_boots() {
    let entry = of_grub(DEBIAN, "").unwrap();
    assert_eq!(entry.title, b"Debian GNU/Linux");
    assert_eq!(entry.kernel.as_deref(), Some(&b"/boot/vmlinuz-6.1.0-57-cloud-amd64"[..]));
    assert_eq!(entry.initrds, [b"/boot/initrd.img-6.1.0-57-cloud-amd64"]);
    assert_eq!(
        entry.options,
        b"root=UUID=0a1b2c3d-1111-2222-3333-444455556666 ro  console=tty0 console=ttyS0,115200"
            .replace_blanks()
    );
    assert_eq!(entry.on, On::Uuid(b"0a1b2c3d-1111-2222-3333-444455556666".to_vec()));
}

trait Blanks {
    fn replace_blanks(&self) -> Vec<u8>;
}

impl Blanks for [u8] {
    fn replace_blanks(&self) -> Vec<u8> {
        let words: Vec<&[u8]> =
            self.split(|&byte| byte == b' ').filter(|word| !word.is_empty()).collect();
        words.join(&b' ')
    }
}

#[test]
fn the_default_is_a_number_a_title_or_an_id_in_submenus() {
    let menu = |default: &str| {
        format!(
            "set default=\"{default}\"\n\
         menuentry 'A' --id a {{ linux /a }}\n\
         submenu 'More' $menuentry_id_option 'more' {{\n menuentry 'B' --class x {{\n linux /b x=\"y z\" ; initrd /i /j\n }}\n\
         menuentry 'C > D' {{\n linux16 /c\n }}\n}}\n\
         menuentry \"E\" {{\n\tlinuxefi\t/e\n}}\n"
        )
    };
    for (default, expected) in [
        ("0", "/a"),
        ("1", "/b"),
        ("1>1", "/c"),
        ("2", "/e"),
        ("E", "/e"),
        ("a", "/a"),
        ("More>B", "/b"),
        ("more>C >> D", "/c"),
        ("nothing", "/a"),
        ("9", "/a"),
        ("1>9", "/b"),
        ("", "/a"),
        ("saved_entry", "/a"),
        ("0>1", "/a"),
    ] {
        assert_eq!(kernel(&of_grub(&menu(default), "")), expected, "{default}");
    }
    let entry = of_grub(&menu("1"), "").unwrap();
    assert_eq!((&entry.options[..], entry.initrds.len()), (&b"x=y z"[..], 2));
}

#[test]
fn the_saved_entry_comes_from_grubenv() {
    let menu = "load_env\nif [ \"${next_entry}\" ] ; then\n set default=\"${next_entry}\"\n set next_entry=\nelse\n\
                set default=\"${saved_entry}\"\nfi\nmenuentry A { linux /a\n}\nmenuentry B { linux /b\n}\nmenuentry C {\nlinux /c\n}\n";
    let block = |line: &str| format!("# GRUB Environment Block\n{line}\n#######");
    assert_eq!(kernel(&of_grub(menu, &block(""))), "/a");
    assert_eq!(kernel(&of_grub(menu, &block("saved_entry=B"))), "/b");
    assert_eq!(kernel(&of_grub(menu, &block("saved_entry=B\nnext_entry=2"))), "/c");
}

#[test]
fn conditions_that_are_known_are_decided() {
    let menu = |condition: &str| {
        format!(
            "if {condition}; then\nmenuentry A {{\nlinux /a\n}}\nelse\nmenuentry B {{\nlinux /b\n}}\nfi\n"
        )
    };
    for (condition, expected) in [
        ("[ \"$grub_platform\" = \"efi\" ]", "/b"),
        ("[ ${grub_platform} = pc ]", "/a"),
        ("[ x$feature_menuentry_id = xy ]", "/a"),
        ("[ -z \"$nothing\" ]", "/a"),
        ("[ \"${nothing}\" ]", "/b"),
        ("[ -s $prefix/grubenv ]", "/a"),
        ("sleep 1", "/a"),
    ] {
        assert_eq!(kernel(&of_grub(&menu(condition), "")), expected, "{condition}");
    }
    let chain = "if [ a = b ]; then\nset k=/a\nelif [ a = a ]; then\nset k=/b\nelse\nset k=/c\nfi\nmenuentry X {\nlinux $k\n}";
    assert_eq!(kernel(&of_grub(chain, "")), "/b");
}

#[test]
fn a_script_that_goes_on_elsewhere_has_no_last_word() {
    let goes_on =
        |contents: &str| grub::Script::run(&text(contents), &mut Environment::default()).goes_on;
    assert!(goes_on("search --fs-uuid --set=root x\nconfigfile ($root)/boot/grub/grub.cfg\n"));
    assert!(!goes_on(DEBIAN));
}

#[test]
fn functions_and_variables_that_are_not_known_do_not_make_paths() {
    let flatcar = "function gptprio {\n set gptprio_kernel=/flatcar/vmlinuz-a\n}\nset default=\"flatcar\"\n\
                   menuentry \"Flatcar default\" --id=flatcar --unrestricted {\n gptprio\n linux$suf $gptprio_kernel $gptprio_cmdline rootflags=rw\n}\n";
    let entry = of_grub(flatcar, "").unwrap();
    assert_eq!((entry.title, entry.kernel), (b"Flatcar default".to_vec(), None));
}

#[test]
fn paths_are_relative_to_the_volume_that_is_searched() {
    for (lines, expected) in [
        ("set root='hd0,msdos2'", On::Partition(2)),
        ("root=hd0,gpt3", On::Partition(3)),
        (
            "search --no-floppy --fs-uuid --set=root --hint-bios=hd0,gpt1 AB-12",
            On::Uuid(b"AB-12".to_vec()),
        ),
        ("search --set=root --label boot", On::Label(b"boot".to_vec())),
        ("search --set root -f /vmlinuz", On::File(b"/vmlinuz".to_vec())),
        ("search --fs-uuid --set=other AB-12", On::Menu),
        ("search.fs_uuid AB-12 root hd0,gpt1", On::Uuid(b"AB-12".to_vec())),
    ] {
        let menu = format!("menuentry A {{\n{lines}\nlinux /a\n}}");
        if lines.starts_with("search.") {
            continue;
        }
        assert_eq!(of_grub(&menu, "").unwrap().on, expected, "{lines}");
        assert_eq!(
            of_grub(&format!("{lines}\nmenuentry A {{\nlinux /a\n}}"), "").unwrap().on,
            expected
        );
    }
}

#[test]
fn entries_of_the_boot_loader_specification_come_by_version() {
    let bls = |version: &str| {
        format!(
            "title Fedora {version}\nversion {version}\nlinux /vmlinuz-{version}\ninitrd /initramfs-{version}.img $tuned_initrd\n\
         options root=UUID=x ro $kernelopts\ngrub_users $grub_users\n"
        )
    };
    let menu = "set default=\"${saved_entry}\"\ninsmod blscfg\nblscfg\nif [ -s x ]; then\nmenuentry 'UEFI' {\nfwsetup\n}\nfi\n";
    let with = |block: &str| {
        let boot = Memory::new()
            .with("/grub2/grub.cfg", menu)
            .with("/grub2/grubenv", format!("{block}\nkernelopts=quiet x=y\n"))
            .with("/loader/entries/m-6.9.7-200.conf", bls("6.9.7-200"))
            .with("/loader/entries/m-6.10.1-200.conf", bls("6.10.1-200"))
            .with("/loader/entries/m-0-rescue.conf", bls("0-rescue"))
            .with("/vmlinuz-6.10.1-200", "k");
        let mut tree = tree(vec![Memory::new().directory("/boot"), boot]);
        assert!(tree.mount(b"/boot", 1, None));
        let menu = find(&mut tree, Some(Loader::Grub)).unwrap().unwrap();
        let entry = menu.entry.clone().unwrap();
        let led = menu.lead(&mut tree, &entry, b"/vmlinuz-6.10.1-200").unwrap();
        assert!(matches!(led, Led::To(found) if found.volume == 1));
        entry
    };
    let entry = with("");
    assert_eq!(entry.kernel.as_deref(), Some(&b"/vmlinuz-6.10.1-200"[..]));
    assert_eq!(entry.path, b"/boot/loader/entries/m-6.10.1-200.conf");
    assert_eq!((entry.line, &entry.options[..]), (3, &b"root=UUID=x ro quiet x=y"[..]));
    assert_eq!(entry.initrds, [b"/initramfs-6.10.1-200.img"]);
    let saved = with("saved_entry=m-6.9.7-200");
    assert_eq!(saved.kernel.as_deref(), Some(&b"/vmlinuz-6.9.7-200"[..]));
}

#[test]
fn versions_have_an_order() {
    let mut names = ["6.9", "6.10", "6.10~rc1", "0-rescue", "6.10.1", "6.a"].map(str::as_bytes);
    names.sort_by(|one, other| newer(one, other));
    let names = names.map(|name| std::str::from_utf8(name).unwrap());
    assert_eq!(names, ["6.10.1", "6.10", "6.10~rc1", "6.9", "6.a", "0-rescue"]);
}

#[test]
fn menus_of_syslinux() {
    let extlinux = "DEFAULT menu.c32\nPROMPT 0\nTIMEOUT 10\nMENU TITLE Alpine\nLABEL virt\n  MENU DEFAULT\n  MENU LABEL Linux virt\n\
                    \x20 LINUX vmlinuz-virt\n  INITRD initramfs-virt, /boot/extra\n  APPEND root=UUID=x modules=ext4 quiet\n\nLABEL old\nKERNEL /old\n";
    let entry = lists::syslinux(&text(extlinux)).unwrap();
    assert_eq!(
        (kernel(&Some(entry.clone())), entry.initrds.len(), entry.line),
        ("vmlinuz-virt", 2, 8)
    );
    assert_eq!(entry.options, b"root=UUID=x modules=ext4 quiet");
    let other = lists::syslinux(&text(
        "default old\nlabel a\nkernel /a\nlabel OLD\nkernel /b\nappend initrd=/c ro\n",
    ));
    assert_eq!(
        (kernel(&other), &other.as_ref().unwrap().initrds[..]),
        ("/b", &[b"/c".to_vec()][..])
    );
    let plain = lists::syslinux(&text("DEFAULT vmlinuz root=/dev/vda1 initrd=i\n"));
    assert_eq!(
        (kernel(&plain), &plain.as_ref().unwrap().options[..]),
        ("vmlinuz", &b"root=/dev/vda1"[..])
    );
    assert_eq!(lists::syslinux(&text("")), None);
}

#[test]
fn menus_of_grub_legacy() {
    let menu = "default=1\ntimeout 5\ntitle A\n root (hd0,0)\n kernel /a ro\ntitle B\n root (hd0,1)\n kernel --no-mem-option /b root=/dev/vda2 ro\n initrd /i\n";
    let entry = lists::legacy(&text(menu)).unwrap();
    assert_eq!(
        (kernel(&Some(entry.clone())), &entry.options[..]),
        ("/b", &b"root=/dev/vda2 ro"[..])
    );
    assert_eq!((&entry.on, entry.line), (&On::Partition(2), 8));
    assert_eq!(lists::legacy(&text("timeout 5\n")), None);
}

#[test]
fn paths_lead_through_the_volume_of_the_loader() {
    let boot = Memory::new()
        .with("/grub/grub.cfg", "menuentry A {\nlinux /vmlinuz\n}")
        .link("/vmlinuz", "vmlinuz-6.1")
        .with("/vmlinuz-6.1", "k")
        .with("/extlinux/extlinux.conf", "label a\nlinux ../vmlinuz\n")
        .with("/empty", "");
    let root = Memory::new().directory("/boot").with("/vmlinuz-of-root", "k").link("/boot/x", "/");
    let mut tree = tree(vec![root, boot]);
    let led = |tree: &mut Tree<'_>, loader, path: &str| {
        let menu = find(tree, Some(loader)).unwrap().unwrap();
        let entry = menu.entry.clone().unwrap();
        menu.lead(tree, &entry, path.as_bytes()).unwrap().is_there()
    };
    // Mounted or not, what the loader sees is the same.
    for mounted in [false, true] {
        if mounted {
            assert!(tree.mount(b"/boot", 1, None));
        }
        for (path, expected) in [
            ("/vmlinuz", Some(true)),
            ("(hd0,msdos2)/vmlinuz", Some(true)),
            ("($root)/vmlinuz", Some(true)),
            ("(hd0,gpt1)/vmlinuz-of-root", Some(true)),
            ("/boot/vmlinuz", Some(false)),
            ("/vmlinuz-of-root", Some(false)),
            ("/empty", Some(false)),
            ("(hd0,gpt7)/vmlinuz", None),
        ] {
            assert_eq!(led(&mut tree, Loader::Grub, path), expected, "{path}");
        }
        assert_eq!(led(&mut tree, Loader::Syslinux, "../vmlinuz"), Some(true));
        assert_eq!(led(&mut tree, Loader::Syslinux, "vmlinuz"), Some(false));
    }
}

#[test]
fn a_volume_that_is_not_opened_is_not_judged() {
    let root = Memory::new().with(
        "/boot/grub/grub.cfg",
        "menuentry A {\nsearch --fs-uuid --set=root 00000000-0000-0000-0000-000000000002\nlinux /vmlinuz\n}",
    );
    let mut tree = tree_on(Vec::new(), vec![(volume(1), Some(root)), (volume(2), None)]);
    let menu = find(&mut tree, Some(Loader::Grub)).unwrap().unwrap();
    let entry = menu.entry.clone().unwrap();
    assert_eq!(menu.lead(&mut tree, &entry, b"/vmlinuz").unwrap().is_there(), None);
}

proptest! {
    #[test]
    fn any_script_ends(
        parts in proptest::collection::vec(proptest::sample::select(vec![
            "menuentry ", "submenu 'a' ", "{", "}", "\n", ";", "if [ ", " ]; then ", "else", " fi\n", "elif", "$", "${", "'", "\"",
            "\\", "#", "set default=", "a", "1>", " linux ", "initrd", "function ", "for x in ", "do\n", "done\n", "search --set=root ",
            "blscfg\n", "\u{feff}", "\r\n", "=", "-f ",
        ]), 0..80),
        block in "[a-z=\\\\\n#]{0,40}",
    ) {
        let script = parts.concat();
        let _ = of_grub(&script, &block);
        let _ = lists::syslinux(&text(&script));
        let _ = lists::legacy(&text(&script));
    }

    #[test]
    fn any_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let text = Text { path: Vec::new(), bytes, cut: false };
        let mut environment = Environment::default();
        environment.read_block(&text);
        let _ = grub::Script::run(&text, &mut environment).chosen();
        let _ = lists::syslinux(&text);
        let _ = lists::legacy(&text);
        let _ = newer(&text.bytes, b"6.10~1");
    }
}
