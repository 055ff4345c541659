//! The system inside of the disk, and what sets a Droplet up when it boots first.

use super::{Remedy::Judge, Row, Severity::*, in_guest, judged};
use crate::facts::Code;

/// DigitalOcean's own list of what an image needs.
const LIMITS: &str = "DigitalOcean, Custom Images, Limits";

/// How cloud-init finds its datasource.
const IDENTIFY: &str = "cloud-init, tools/ds-identify; cloud-init documentation, boot stages";

pub(super) const ROWS: &[Row] = &[
    judged(
        Code::SystemUnknown,
        Note,
        "which system is on the disk is not known",
        "Neither os-release nor any of the files before it names a system that is known here. Images of any Unix-like system can be imported; DigitalOcean shows the distribution as Unknown.",
        Judge("If you know it, give --distribution."),
        "os-release(5)",
    ),
    judged(
        Code::SystemArchitecture,
        Reject,
        "the system is for another processor",
        "Droplets have x86-64 processors. The programs that start this system are for another one, so it cannot boot.",
        Judge("Build the image for x86-64 (amd64)."),
        "DigitalOcean, droplet-agent README: amd64 only; System V ABI, ELF header, e_machine",
    ),
    judged(
        Code::System32Bit,
        Note,
        "the system is for 32-bit processors",
        "The programs that start this system are for i386. A Droplet's processor runs them; systems for 32 bits cannot use all of its memory well, and few are still maintained.",
        Judge("If you can, build the image for x86-64 (amd64)."),
        "System V ABI, ELF header, e_machine",
    ),
    judged(
        Code::SystemWindows,
        Warn,
        "Windows seems to be on the disk",
        "DigitalOcean does not support Windows: custom images have to be of a Unix-like system. By its partitions the disk is one of Windows; its files were not read.",
        Judge("Use an image of a Unix-like system."),
        LIMITS,
    ),
    judged(
        Code::SystemInstaller,
        Reject,
        "the disk has an installer, not an installed system",
        "What is here starts the installation of a system from removable media. A Droplet has no such media, and nobody is at its console when it boots first.",
        Judge(
            "Install the system to a disk first, in a virtual machine, and make the image of that disk.",
        ),
        "casper(7); dracut, LiveOS layout; Anaconda, images/install.img",
    ),
    judged(
        Code::ProvisionerMissing,
        Warn,
        "nothing sets a Droplet up",
        "Neither cloud-init nor anything else that is known here takes the owner's keys from a Droplet's metadata. Nobody can log in but with what the image brings along, and a custom image's root password cannot be reset.",
        Judge(
            "Install cloud-init 0.7.7 or newer from the system's packages, and enable its services.",
        ),
        LIMITS,
    ),
    judged(
        Code::ProvisionerOther,
        Note,
        "something other than cloud-init sets a Droplet up",
        "The image has something of its own that asks for a Droplet's metadata. What it does with it was not examined.",
        Judge(
            "See that it writes the keys of /metadata/v1/public-keys for a user that can log in.",
        ),
        LIMITS,
    ),
    judged(
        Code::ProvisionerOld,
        Warn,
        "cloud-init is older than 0.7.7",
        "DigitalOcean wants cloud-init 0.7.7 or newer. Older ones do not read all data of a Droplet.",
        Judge("Update cloud-init from the system's packages."),
        LIMITS,
    ),
    judged(
        Code::ProvisionerSwitchedOff,
        Reject,
        "cloud-init is switched off",
        "cloud-init is installed, and a file or the kernel's command line keeps it from running. A Droplet gets neither the owner's keys nor its name.",
        in_guest(
            "Remove what switches it off, and take cloud-init=disabled and ci.di.policy= out of the kernel's command line",
            "rm -f /etc/cloud/cloud-init.disabled /etc/cloud/ds-identify.cfg",
            "",
        ),
        IDENTIFY,
    ),
    judged(
        Code::ProvisionerNotEnabled,
        Reject,
        "cloud-init does not start",
        "cloud-init is installed, and nothing starts its services, or they are masked. A Droplet gets neither the owner's keys nor its name.",
        Judge("Unmask and enable the services of cloud-init, or install its package again."),
        "cloud-init, systemd/*.service.tmpl and cloud-init-generator.tmpl, sysvinit/openrc, sysvinit/freebsd",
    ),
    judged(
        Code::ProvisionerConfigUnread,
        Warn,
        "cloud-init's configuration was not evaluated in full",
        "A part of the configuration is a template, is no YAML that can be read, or is set where it cannot be seen in the image. Who gets the keys, and where cloud-init takes its data from, may differ from what was found here.",
        Judge("Read the file with cloud-init schema --config-file, and mend or remove it."),
        "cloud-init, cloudinit/util.py, read_conf_with_confd",
    ),
    judged(
        Code::ProvisionerDatasource,
        Reject,
        "cloud-init does not look for a Droplet's data",
        "A Droplet has data for the datasources ConfigDrive and DigitalOcean. The list of the image has neither, so cloud-init gets no keys.",
        in_guest(
            "Set the list, and remove datasource from /etc/cloud/ds-identify.cfg and ds= from the kernel's command line",
            "echo 'datasource_list: [ ConfigDrive, DigitalOcean ]' >> /etc/cloud/cloud.cfg.d/zz-digitalocean.cfg",
            "",
        ),
        IDENTIFY,
    ),
    judged(
        Code::ProvisionerDatasourceModule,
        Reject,
        "cloud-init cannot read a Droplet's data",
        "Some distributions package each datasource by itself. None that a Droplet has data for is installed, so cloud-init gets no keys.",
        Judge("Install the packages of the datasources ConfigDrive and DigitalOcean."),
        "Alpine Linux, package cloud-init and its subpackages",
    ),
    judged(
        Code::ProvisionerDatasourceTaken,
        Reject,
        "cloud-init takes the image's own data for a Droplet's",
        "The image has data of a datasource that cloud-init finds before the Droplet's. cloud-init sets every Droplet up by it, and ignores the owner's keys.",
        in_guest(
            "Remove the data, and what of /etc/cloud/cloud.cfg.d configures the datasource",
            "rm -rf /var/lib/cloud/seed /config-drive",
            "",
        ),
        "DigitalOcean, Custom Images, Limits; cloud-init, cloudinit/sources/DataSourceNoCloud.py, DataSourceConfigDrive.py",
    ),
    judged(
        Code::ProvisionerDatasourcePerhaps,
        Warn,
        "cloud-init may take the image's own data for a Droplet's",
        "The image has what another datasource may find before cloud-init reads the Droplet's data. If it does, cloud-init ignores the owner's keys.",
        Judge(
            "Remove the seed, the volume or the configuration of that datasource, or set datasource_list: [ ConfigDrive, DigitalOcean ].",
        ),
        "DigitalOcean, Custom Images, Limits; cloud-init, cloudinit/sources",
    ),
    judged(
        Code::ProvisionerListUnseen,
        Warn,
        "the list of datasources is not seen by ds-identify",
        "ds-identify reads the list with grep and needs it in one line, between brackets. It takes its own list for one that is written over several lines.",
        Judge("Write the list in one line: datasource_list: [ ConfigDrive, DigitalOcean ]."),
        IDENTIFY,
    ),
    judged(
        Code::ProvisionerMetadataOnly,
        Note,
        "cloud-init takes a Droplet's data from the metadata alone",
        "The list of datasources has DigitalOcean and not ConfigDrive. That works today; cloud-init calls the datasource DigitalOcean deprecated since 23.2.",
        Judge("Use datasource_list: [ ConfigDrive, DigitalOcean ]."),
        "cloud-init documentation, datasources, DigitalOcean",
    ),
    judged(
        Code::ProvisionerKept,
        Reject,
        "cloud-init keeps the instance of the build",
        "With manual_cache_clean, cloud-init takes the instance that is left in /var/lib/cloud for the one it runs on. Every Droplet stays what the build machine was, and cloud-init ignores the owner's keys.",
        in_guest(
            "Remove what the build left, and set manual_cache_clean: false",
            "cloud-init clean",
            "",
        ),
        "cloud-init documentation, explanation of first boot determination",
    ),
    judged(
        Code::ProvisionerKeys,
        Reject,
        "the owner's keys reach nobody",
        "cloud-init gets the keys of a Droplet's owner, and there is no user that it writes them for and that may log in with them. A custom image's root password cannot be reset.",
        Judge(
            "Let users have default and system_info.default_user have a name, or set disable_root: false, and keep the modules users-groups and ssh.",
        ),
        "cloud-init, cloudinit/config/cc_ssh.py, cloudinit/distros/ug_util.py",
    ),
    judged(
        Code::ProvisionerKeysOwn,
        Warn,
        "the owner's keys may reach nobody",
        "As far as it was evaluated, cloud-init's configuration has no user that gets the keys of a Droplet's owner. Whoever has a key that the image brings along can log in, if there is one.",
        Judge(
            "Let users have default and system_info.default_user have a name, or set disable_root: false, and keep the modules users-groups and ssh.",
        ),
        "cloud-init, cloudinit/config/cc_ssh.py, cloudinit/distros/ug_util.py",
    ),
    judged(
        Code::ProvisionerPasswords,
        Warn,
        "cloud-init sets passwords, or lets users log in with them",
        "A password that the image sets is the same on all Droplets made from it, and whoever has the image knows it. DigitalOcean wants logins by password off.",
        Judge("Set ssh_pwauth: false, and remove passwords from the configuration of cloud-init."),
        LIMITS,
    ),
    judged(
        Code::ProvisionerNetworkOff,
        Note,
        "cloud-init leaves the network alone",
        "cloud-init is configured to leave the network alone. The system has to get an address by DHCP by itself.",
        Judge(
            "See that the system uses DHCP on any network card, whatever its name and MAC address.",
        ),
        "cloud-init documentation, network configuration, disabling network configuration",
    ),
    judged(
        Code::ProvisionerNetworkOwn,
        Warn,
        "cloud-init's own files configure the network",
        "A network configuration in cloud.cfg.d counts before that of a Droplet. This one does not fit any Droplet: it has no DHCP, or is for one MAC address.",
        Judge("Remove the key network from the files in /etc/cloud/cloud.cfg.d."),
        "cloud-init, cloudinit/sources/__init__.py, network_config_sources",
    ),
    judged(
        Code::ProvisionerNoRenderer,
        Warn,
        "cloud-init has nothing to configure the network with",
        "cloud-init writes the configuration of netplan, NetworkManager, networkd, ifupdown or the sysconfig scripts, and none of these is installed. The system has to get an address by DHCP by itself.",
        Judge("Install one of them, or see that the system uses DHCP on any network card."),
        "cloud-init, cloudinit/net/renderers.py",
    ),
    judged(
        Code::ProvisionerState,
        Note,
        "the build left a state of cloud-init",
        "cloud-init ran in the build. On a Droplet it sees another instance and starts afresh.",
        in_guest("Remove it as the last step of the build", "cloud-init clean --logs", ""),
        "DigitalOcean, marketplace-partners, 99-img-check.sh",
    ),
    judged(
        Code::ProvisionerDoneOnce,
        Warn,
        "modules of cloud-init count as done for ever",
        "What is marked in /var/lib/cloud/sem ran once for all instances, and does not run again on a Droplet.",
        in_guest("Remove the marks", "rm -rf /var/lib/cloud/sem", ""),
        "cloud-init, cloudinit/helpers.py, FileSemaphores",
    ),
    judged(
        Code::ProvisionerPlatform,
        Reject,
        "the image is made for another platform",
        "Ignition and Afterburn do what the platform's identifier on the kernel's command line says. With another one than digitalocean, a Droplet gets no keys.",
        Judge("Use the image that the project publishes for DigitalOcean."),
        "coreos/afterburn, systemd/afterburn-sshkeys@.service.in; coreos/ignition, supported platforms",
    ),
];
