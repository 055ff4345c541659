use super::super::super::fs::memory::Memory;
use super::super::super::tree::testing::tree;
use super::super::testing::{codes, judged};
use super::*;

/// A Debian whose sshd is on.
pub(in crate::guest) fn debian() -> Memory {
    let unit = "[Unit]\nDescription=x\n[Install]\nWantedBy=multi-user.target\nAlias=sshd.service\n";
    Memory::new()
        .link("/lib", "usr/lib")
        .link("/sbin", "usr/sbin")
        .link("/usr/sbin/init", "/lib/systemd/systemd")
        .program("/usr/lib/systemd/systemd")
        .with("/etc/machine-id", "")
        .with("/usr/lib/systemd/system/graphical.target", "[Unit]\nRequires=multi-user.target\n")
        .with("/usr/lib/systemd/system/multi-user.target", "[Unit]\nRequires=basic.target\n")
        .with(
            "/usr/lib/systemd/system/basic.target",
            "[Unit]\nRequires=sysinit.target\nWants=sockets.target \\\n  timers.target\n",
        )
        .with("/usr/lib/systemd/system/rescue.target", "[Unit]\n")
        .with("/usr/lib/systemd/system/sockets.target", "[Unit]\n")
        .with("/usr/lib/systemd/system/timers.target", "[Unit]\n")
        .link("/usr/lib/systemd/system/default.target", "graphical.target")
        .link("/usr/lib/systemd/system/runlevel3.target", "multi-user.target")
        .with("/usr/lib/systemd/system/ssh.service", unit)
        .with(
            "/usr/lib/systemd/system/ssh.socket",
            "[Socket]\n[Install]\nWantedBy=sockets.target\n",
        )
        .link("/etc/systemd/system/sshd.service", "/lib/systemd/system/ssh.service")
        .link(SSH_WANTED, "/lib/systemd/system/ssh.service")
}

/// Where the link of its sshd is.
pub(in crate::guest) const SSH_WANTED: &str =
    "/etc/systemd/system/multi-user.target.wants/ssh.service";

fn state(system: Memory, names: &[&str]) -> On {
    let mut tree = tree(vec![system]);
    let init = init(&mut tree).unwrap().unwrap();
    is_on(&mut tree, init, names).unwrap()
}

fn state_with(system: Memory, command_line: &str) -> On {
    let mut tree = tree(vec![system]);
    let systemd = Systemd::read(&mut tree, Some(command_line.as_bytes())).unwrap();
    systemd.is_on(&mut tree, &["ssh"]).unwrap()
}

#[test]
fn a_unit_is_on_if_the_default_target_leads_to_it() {
    assert_eq!(state(debian(), &["ssh"]), On::Yes);
    assert_eq!(state(debian(), &["sshd.service"]), On::Yes);
    assert_eq!(state(debian(), &["nothing", "ssh.service"]), On::Yes);
    assert_eq!(state(debian(), &["nothing"]), On::Absent);
    let off = || debian().without(SSH_WANTED);
    assert_eq!(state(off(), &["ssh", "sshd"]), On::No);
    let wants = |target: &str| format!("/etc/systemd/system/{target}.wants/ssh.service");
    let place = "/nowhere/ssh.service";
    for target in ["graphical.target", "default.target", "runlevel3.target", "sockets.target"] {
        assert_eq!(state(off().link(&wants(target), place), &["ssh"]), On::Yes, "{target}");
    }
    for target in ["rescue.target", "nothing.target"] {
        assert_eq!(state(off().link(&wants(target), place), &["ssh"]), On::No, "{target}");
    }
    // By an alias, by a service that is on, by a file, and by a drop-in.
    let by_alias = "/etc/systemd/system/multi-user.target.wants/sshd.service";
    assert_eq!(state(off().link(by_alias, place), &["ssh"]), On::Yes);
    let other = off()
        .with("/etc/systemd/system/other.service", "[Service]\n")
        .link("/etc/systemd/system/multi-user.target.wants/other.service", "../other.service")
        .link("/etc/systemd/system/other.service.wants/ssh.service", place);
    assert_eq!(state(other, &["ssh"]), On::Yes);
    let drop_in = "/etc/systemd/system/multi-user.target.d/x.conf";
    assert_eq!(state(off().with(drop_in, "[Unit]\nWants=ssh.service\n"), &["ssh"]), On::Yes);
    assert_eq!(state(off().with(drop_in, "[Service]\nWants=ssh.service\n"), &["ssh"]), On::No);
    // A vendor's link counts unless one of the same name hides it.
    let vendor =
        off().link("/usr/lib/systemd/system/multi-user.target.wants/ssh.service", "../ssh.service");
    assert_eq!(state(vendor, &["ssh"]), On::Yes);
    let vendor =
        off().link("/usr/lib/systemd/system/multi-user.target.wants/ssh.service", "../ssh.service");
    assert_eq!(state(vendor.link(SSH_WANTED, "/dev/null"), &["ssh"]), On::No);
    // A link alone starts nothing.
    assert_eq!(
        state(debian().without("/usr/lib/systemd/system/ssh.service"), &["ssh"]),
        On::Absent
    );
}

#[test]
fn a_mask_wins() {
    let mask = |to: &str| debian().link("/etc/systemd/system/ssh.service", to);
    for to in ["/dev/null", "../../../dev/null"] {
        assert_eq!(state(mask(to), &["ssh"]), On::Masked);
        assert_eq!(state(mask(to), &["sshd", "ssh"]), On::Masked);
    }
    assert_eq!(state(debian().with("/etc/systemd/system/ssh.service", ""), &["ssh"]), On::Masked);
    assert_eq!(state_with(debian(), "quiet systemd.mask=ssh.service"), On::Masked);
    // What is linked from elsewhere is no mask, nor is a link that leads nowhere.
    assert_eq!(state(mask("/usr/lib/systemd/system/ssh.service"), &["ssh"]), On::Yes);
    assert_eq!(state(mask("/nowhere/ssh.service"), &["ssh"]), On::Yes);
}

#[test]
fn sockets_and_timers_start_services() {
    let off = || debian().without(SSH_WANTED);
    let socket = "/etc/systemd/system/sockets.target.wants/ssh.socket";
    assert_eq!(state(off().link(socket, "/lib/systemd/system/ssh.socket"), &["ssh"]), On::Yes);
    assert_eq!(
        state(off().link(socket, "/lib/systemd/system/ssh.socket"), &["ssh.socket"]),
        On::Yes
    );
    let masked = off().link(socket, "/lib/systemd/system/ssh.socket");
    assert_eq!(
        state(masked.link("/etc/systemd/system/ssh.service", "/dev/null"), &["ssh"]),
        On::Masked
    );
    let other = |service: &str| {
        off()
            .with("/etc/systemd/system/door.socket", format!("[Socket]\nService={service}\n"))
            .link("/etc/systemd/system/sockets.target.wants/door.socket", "../door.socket")
    };
    assert_eq!(state(other("ssh.service"), &["ssh"]), On::Yes);
    assert_eq!(state(other("x.service"), &["ssh"]), On::No);
    let instances = debian()
        .without("/usr/lib/systemd/system/ssh.service")
        .with("/usr/lib/systemd/system/ssh@.service", "[Service]\n")
        .link(socket, "x");
    assert_eq!(state(instances, &["ssh@.service"]), On::Yes);
    let getty = debian()
        .with("/usr/lib/systemd/system/getty@.service", "[Service]\n")
        .link("/etc/systemd/system/multi-user.target.wants/getty@tty1.service", "x");
    assert_eq!(state(getty, &["getty@tty1"]), On::Yes);
}

#[test]
fn a_first_boot_enables_what_presets_say() {
    let off = |id: Option<&str>| {
        let off = debian().without(SSH_WANTED).without("/etc/machine-id");
        match id {
            Some(id) => off.with("/etc/machine-id", id),
            None => off,
        }
    };
    assert_eq!(state(off(Some("")), &["ssh"]), On::No);
    for id in [None, Some("uninitialized\n")] {
        assert_eq!(state(off(id), &["ssh"]), On::Yes);
        let preset = |text| off(id).with("/usr/lib/systemd/system-preset/90-x.preset", text);
        assert_eq!(state(preset("disable *\n"), &["ssh"]), On::No);
        assert_eq!(state(preset("# x\nenable ssh*\ndisable *\n"), &["ssh"]), On::Yes);
        let earlier = preset("enable ssh.service\n")
            .with("/etc/systemd/system-preset/10-y.preset", "disable ssh.*\n");
        assert_eq!(state(earlier, &["ssh"]), On::No);
        let hidden =
            preset("disable *\n").link("/etc/systemd/system-preset/90-x.preset", "/dev/null");
        assert_eq!(state(hidden, &["ssh"]), On::Yes);
    }
}

#[test]
fn a_boot_for_repairs_is_found() {
    let found = |system| codes(&judged(vec![system], judge).0).join(" ");
    assert_eq!(found(debian()), "");
    let to = |target: &str| debian().link("/etc/systemd/system/default.target", target);
    assert_eq!(found(to("/lib/systemd/system/multi-user.target")), "");
    assert_eq!(found(to("/lib/systemd/system/rescue.target")), "system-default-target");
    assert_eq!(state(to("/lib/systemd/system/rescue.target"), &["ssh"]), On::No);
    assert_eq!(state_with(debian(), "systemd.unit=rescue.target"), On::No);
    assert_eq!(state_with(debian(), "single"), On::No);
    assert_eq!(state_with(debian(), "ro quiet 3"), On::Yes);
    let off = debian().without(SSH_WANTED);
    assert_eq!(state_with(off, "systemd.wants=ssh.service"), On::Yes);
    let (found, _) = judged(vec![debian()], |case| {
        case.known.command_line = Some(b"ro systemd.unit=emergency.target".to_vec());
        judge(case)
    });
    assert_eq!(codes(&found), ["system-default-target"]);
}

#[test]
fn other_systems_start_services_their_own_way() {
    let alpine = || {
        Memory::new()
            .link("/sbin/init", "/bin/busybox")
            .program("/bin/busybox")
            .program("/sbin/openrc")
            .with("/etc/inittab", "::sysinit:/sbin/openrc sysinit\n")
            .program("/etc/init.d/sshd")
            .directory("/etc/runlevels/default")
    };
    assert_eq!(state(alpine(), &["ssh", "sshd.service"]), On::No);
    assert_eq!(state(alpine(), &["dropbear"]), On::Absent);
    let on = "/etc/runlevels/default/sshd";
    assert_eq!(state(alpine().link(on, "/etc/init.d/sshd"), &["ssh", "sshd"]), On::Yes);
    let stacked = alpine()
        .link("/etc/runlevels/default/more", "../more")
        .link("/etc/runlevels/more/sshd", "/etc/init.d/sshd");
    assert_eq!(state(stacked, &["sshd"]), On::Yes);
    let other = alpine().link("/etc/runlevels/nonetwork/sshd", "/etc/init.d/sshd");
    assert_eq!(state(other, &["sshd"]), On::No);

    let devuan = || {
        Memory::new()
            .program("/sbin/init")
            .with("/etc/inittab", "# x\nid:2:initdefault:\n")
            .directory("/etc/rc2.d")
            .program("/etc/init.d/ssh")
    };
    assert_eq!(state(devuan(), &["ssh.service"]), On::No);
    assert_eq!(state(devuan().link("/etc/rc2.d/S02ssh", "../init.d/ssh"), &["ssh"]), On::Yes);
    assert_eq!(state(devuan().link("/etc/rc3.d/S02ssh", "../init.d/ssh"), &["ssh"]), On::No);
    assert_eq!(state(devuan().link("/etc/rc2.d/K02ssh", "../init.d/ssh"), &["ssh"]), On::No);

    let void = || {
        Memory::new()
            .link("/sbin/init", "/usr/bin/runit-init")
            .program("/usr/bin/runit-init")
            .with("/etc/sv/sshd/run", "")
    };
    let on = "/etc/runit/runsvdir/default/sshd";
    assert_eq!(state(void(), &["sshd"]), On::No);
    assert_eq!(state(void().link(on, "/etc/sv/sshd"), &["sshd"]), On::Yes);
    assert_eq!(
        state(void().link(on, "/etc/sv/sshd").with("/etc/sv/sshd/down", ""), &["sshd"]),
        On::No
    );

    let bsd = |conf: &str| {
        Memory::new()
            .program("/sbin/init")
            .with("/etc/rc", "")
            .program("/etc/rc.d/sshd")
            .with("/etc/defaults/rc.conf", "sshd_enable=\"NO\"\n")
            .with("/etc/rc.conf", conf)
    };
    assert_eq!(state(bsd(""), &["sshd"]), On::No);
    assert_eq!(state(bsd("sshd_enable=\"NO\"\nsshd_enable=\"yes\" # x\n"), &["sshd"]), On::Yes);
    assert_eq!(state(bsd("#sshd_enable=YES\n"), &["sshd"]), On::No);
    let later =
        |path: &str| state(bsd("sshd_enable=YES").with(path, "sshd_enable=NO\n"), &["sshd"]);
    assert_eq!(later("/etc/rc.conf.local"), On::No);
    assert_eq!(later("/etc/rc.conf.d/sshd"), On::No);
    assert_eq!(later("/usr/local/etc/rc.conf.d/sshd/x"), On::No);
}

#[test]
fn many_units_are_not_followed_forever() {
    let mut system = debian();
    for number in 0..600 {
        let next = format!("[Unit]\nWants=t{}.target t0.target\n", number + 1);
        system = system.with(&format!("/etc/systemd/system/t{number}.target"), next);
    }
    let system =
        system.with("/etc/systemd/system/multi-user.target.d/x.conf", "[Unit]\nWants=t0.target");
    let mut tree = tree(vec![system]);
    assert!(Systemd::read(&mut tree, None).is_err());
    let circle = debian()
        .link("/etc/systemd/system/default.target", "a.target")
        .link("/etc/systemd/system/a.target", "b.target")
        .link("/etc/systemd/system/b.target", "a.target");
    assert_eq!(state(circle, &["ssh"]), On::No);
}

#[test]
fn something_has_to_be_first() {
    let found = |system: Memory, line: &str| {
        let (found, _) = judged(vec![system], |case| {
            case.known.command_line = Some(line.as_bytes().to_vec());
            judge(case)
        });
        codes(&found).join(" ")
    };
    let system = || Memory::new().directory("/usr/bin").program("/sbin/init");
    assert_eq!(found(system(), "ro"), "");
    assert_eq!(found(system().without("/sbin/init"), "ro"), "system-no-init");
    assert_eq!(found(system().with_mode("/sbin/init", 0o644, "x"), "ro"), "system-no-init");
    assert_eq!(found(system().with_mode("/sbin/init", 0o755, ""), "ro"), "system-no-init");
    assert_eq!(found(system().without("/sbin/init"), "init=/opt/init"), "");
    assert_eq!(found(system(), "init=/bin/bash"), "system-default-target");
    assert_eq!(found(system(), "ro break=premount"), "system-default-target");
    assert_eq!(found(system(), "rd.break"), "system-default-target");
    assert_eq!(found(system(), "breaker rd.breaks"), "");
}
