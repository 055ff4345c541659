use super::{Remedy::Judge, Row, Severity::*, in_guest, judged};
use crate::facts::Code;

const LOCKED_OUT: &str = "DigitalOcean, limits of custom images: SSH keys alone open a Droplet, and its root password cannot be reset";

pub(super) const ROWS: &[Row] = &[
    judged(
        Code::SshNoServer,
        Reject,
        "there is no SSH server",
        "A Droplet is reached by SSH. Without a server nobody gets in, and a custom image's root password cannot be reset for the console.",
        Judge(
            "Install an SSH server in the build (the package openssh-server, on some systems openssh), and enable it.",
        ),
        "DigitalOcean, limits of custom images: sshd installed and started at boot",
    ),
    judged(
        Code::SshOff,
        Reject,
        "the SSH server is not started at boot",
        "The SSH server is installed, and nothing that a boot starts leads to it, by a service or a socket. Nobody gets into a Droplet.",
        Judge(
            "Enable it in the build: with systemd, systemctl enable ssh (Debian, Ubuntu) or systemctl enable sshd (others); with OpenRC, rc-update add sshd default; on FreeBSD, sysrc sshd_enable=YES.",
        ),
        "DigitalOcean, limits of custom images: sshd installed and started at boot",
    ),
    judged(
        Code::SshMasked,
        Reject,
        "the SSH server is masked",
        "A mask keeps systemd from starting the SSH server, whatever else is enabled. Nobody gets into a Droplet.",
        Judge(
            "Take the mask away and enable it in the build: systemctl unmask ssh && systemctl enable ssh (Debian, Ubuntu), the same with sshd on others. If systemd.mask= on the kernel's command line is the mask, remove it there.",
        ),
        "systemctl(1), kernel-command-line(7)",
    ),
    judged(
        Code::SshNotToBeRun,
        Reject,
        "a file keeps the SSH server from starting",
        "Debian's unit and script for sshd do nothing while this file is there. Nobody gets into a Droplet.",
        in_guest("Remove the file", "rm -f /etc/ssh/sshd_not_to_be_run", ""),
        "Debian, openssh-server: ssh.service, README.Debian",
    ),
    judged(
        Code::SshConfigInvalid,
        Reject,
        "the SSH server does not start with its configuration",
        "sshd ends with an error when it reads this line, so nothing listens on a Droplet.",
        Judge("Correct the line, and have sshd -t read all of it in the build."),
        "openssh-portable, servconf.c; sshd_config(5)",
    ),
    judged(
        Code::SshPubkeyOff,
        Reject,
        "the SSH server takes no keys",
        "Droplets of custom images are opened with SSH keys alone, and sshd is configured to take none.",
        Judge(
            "Remove the line, or set PubkeyAuthentication yes: the first value that sshd reads is the one that counts.",
        ),
        LOCKED_OUT,
    ),
    judged(
        Code::SshMethods,
        Reject,
        "no way to log in to sshd takes a key",
        "Each list of AuthenticationMethods asks for something else than a key, and a Droplet of a custom image has nothing else.",
        Judge("Remove the line, or add publickey as a list of its own."),
        "sshd_config(5), AuthenticationMethods",
    ),
    judged(
        Code::SshMethodsMore,
        Warn,
        "the SSH server asks for more than a key",
        "Each list of AuthenticationMethods that has publickey asks for a second thing as well. Without it, the owner of a Droplet does not get in.",
        Judge("If it is not meant for the first login, add publickey as a list of its own."),
        "sshd_config(5), AuthenticationMethods",
    ),
    judged(
        Code::SshUserRefused,
        Reject,
        "the SSH server refuses the user that gets a Droplet's keys",
        "sshd's lists of users and groups refuse the account that a Droplet's keys are written for, and there is no other.",
        Judge(
            "Add the user to the list, or remove the list: AllowUsers, AllowGroups, DenyUsers, DenyGroups.",
        ),
        "sshd_config(5); openssh-portable, auth.c: allowed_user",
    ),
    judged(
        Code::SshRootRefused,
        Reject,
        "the SSH server refuses root, who alone gets a Droplet's keys",
        "A Droplet's keys are written for root alone, and sshd refuses root.",
        Judge(
            "Set PermitRootLogin prohibit-password, or let the provisioner make another user for the keys.",
        ),
        "sshd_config(5), PermitRootLogin",
    ),
    judged(
        Code::SshHomeUnsafe,
        Reject,
        "the SSH server ignores the keys of the user, whose home directory others may change",
        "sshd reads no authorized_keys below a directory that belongs to somebody else or that anybody may write to. A Droplet's keys open nothing.",
        Judge(
            "Give the home directory and its .ssh back to their user in the build, and take the right to write from others: chown, chmod go-w.",
        ),
        "sshd_config(5), StrictModes; openssh-portable, misc.c: safe_path",
    ),
    judged(
        Code::SshHomeGroup,
        Warn,
        "the SSH server may ignore the keys of the user, whose home directory its group may change",
        "sshd reads no authorized_keys below a directory that a group may write to. Debian's and Ubuntu's allow it for a group without other members.",
        Judge("Take the right to write from the group in the build: chmod g-w."),
        "sshd_config(5), StrictModes; Debian, openssh: user-group-modes.patch",
    ),
    judged(
        Code::SshKeysFile,
        Warn,
        "the SSH server does not look for keys in home directories",
        "A Droplet's keys are written to ~/.ssh/authorized_keys, and sshd is configured to look elsewhere.",
        Judge(
            "Remove the line, or set AuthorizedKeysFile .ssh/authorized_keys; if a command gives sshd its keys, see that it knows a Droplet's.",
        ),
        "sshd_config(5), AuthorizedKeysFile; cloud-init, cloudinit/ssh_util.py",
    ),
    judged(
        Code::SshPort,
        Warn,
        "the SSH server does not listen on port 22",
        "Whoever makes a Droplet has to know the port. DigitalOcean's console and most tools use 22.",
        Judge(
            "If it is not meant so, remove Port from sshd_config, or what the socket's unit listens on.",
        ),
        "sshd_config(5), Port; systemd.socket(5)",
    ),
    judged(
        Code::SshListenAddress,
        Warn,
        "the SSH server listens at a fixed address alone",
        "A Droplet gets its address when it is made. sshd cannot listen at one that is not there, and what listens at 127.0.0.1 is not reached.",
        Judge("Remove ListenAddress from sshd_config, or the address from the socket's unit."),
        "sshd_config(5), ListenAddress; systemd.socket(5)",
    ),
    judged(
        Code::SshPasswords,
        Warn,
        "passwords of the image open its Droplets",
        "All Droplets of this image have these passwords, and sshd takes them from anywhere. Whoever knows one image knows them all.",
        Judge(
            "Lock the passwords in the build with passwd -l, or set PasswordAuthentication no and KbdInteractiveAuthentication no.",
        ),
        "DigitalOcean, limits of custom images: password authentication off; marketplace-partners, 99-img-check.sh",
    ),
    judged(
        Code::SshEmptyPasswords,
        Warn,
        "the SSH server lets in who has no password",
        "An account with an empty password is open to anybody who reaches a Droplet.",
        Judge("Remove the line, or set PermitEmptyPasswords no."),
        "sshd_config(5), PermitEmptyPasswords",
    ),
    judged(
        Code::SshHostKeysMissing,
        Warn,
        "the SSH server has no host keys, and nothing seems to make them",
        "sshd does not start without a host key. Nothing was found that makes some on a Droplet's first boot: no provisioner, no unit, no script.",
        Judge(
            "Let the first boot make them: cloud-init's ssh module does, and so does a unit that runs ssh-keygen -A before sshd.",
        ),
        "sshd(8): host keys; cloud-init, cc_ssh.py",
    ),
    judged(
        Code::SshHostKeysNever,
        Reject,
        "the SSH server has no host keys, and what would make them is switched off",
        "Where cloud-init is on, the system leaves host keys to it, and cloud-init is configured not to make them. sshd does not start.",
        Judge(
            "Put ssh back into cloud_init_modules of /etc/cloud/cloud.cfg, or remove the drop-in that keeps sshd-keygen off.",
        ),
        "cloud-init, systemd/disable-sshd-keygen-if-cloud-init-active.conf, cc_ssh.py",
    ),
    judged(
        Code::SshFirewalled,
        Warn,
        "a firewall of the guest seems to keep SSH out",
        "The firewall that a boot starts drops what comes in, and no rule that was found lets SSH through.",
        Judge(
            "Let SSH in, in the build: ufw allow OpenSSH; firewall-offline-cmd --add-service=ssh; or a rule for TCP port 22.",
        ),
        "ufw(8), firewalld.zone(5), nft(8), iptables(8)",
    ),
    judged(
        Code::AccountNologin,
        Reject,
        "all users but root are kept out",
        "sshd and PAM refuse all but root while /etc/nologin is there, and a Droplet's keys go to another user.",
        in_guest("Remove the file", "rm -f /etc/nologin", ""),
        "nologin(5), sshd(8)",
    ),
    judged(
        Code::AccountLocked,
        Reject,
        "the account that gets a Droplet's keys is locked",
        "Without PAM, sshd refuses an account whose password begins with an exclamation mark, keys or not.",
        Judge(
            "Set UsePAM yes where sshd has PAM, or put an asterisk in the place of the password with usermod -p '*'.",
        ),
        "openssh-portable, auth.c: allowed_user; platform.c: platform_locked_account",
    ),
    judged(
        Code::AccountExpired,
        Reject,
        "the account that gets a Droplet's keys is expired",
        "sshd and PAM refuse an account after its last day, keys or not.",
        Judge("Take the date away in the build: chage -E -1."),
        "shadow(5); openssh-portable, auth.c: allowed_user",
    ),
    judged(
        Code::AccountShell,
        Reject,
        "the account that gets a Droplet's keys has no shell",
        "sshd refuses an account whose shell is not there, and a session with nologin or false ends at once.",
        Judge("Give the account a shell in the build: usermod -s /bin/sh, or chsh."),
        "openssh-portable, auth.c: allowed_user; nologin(8)",
    ),
];
