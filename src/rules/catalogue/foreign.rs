use super::{Row, physics, repairable};
use crate::facts::Code;

const FORMATS: &str =
    "DigitalOcean custom images, requirements: raw (.img), qcow2, VHDX, VDI or VMDK";
const QCOW: &str = "QEMU 10.0, block/qcow.c";
const VHD: &str = "Virtual Hard Disk Image Format Specification, Microsoft, 2006";
const NO_IMAGE: &str =
    "DigitalOcean custom images, requirements: an image of a disk, raw, qcow2, VHDX, VDI or VMDK";
const ONE_FILE: &str = "DigitalOcean API, create a custom image: one URL, one file";
const LOOK: &str =
    "This is probably the wrong file. Look at its beginning: `head -c 300 FILE | cat -v`.";

pub(super) const ROWS: &[Row] = &[
    repairable(physics(
        Code::FormatVpc,
        "a VHD image",
        "VHD is the older format of Virtual PC, Hyper-V and Azure. DigitalOcean takes VHDX, but not VHD.",
        "Take the disk out of it: `tidegate repack FILE`.",
        FORMATS,
    )),
    physics(
        Code::VpcHeaderInvalid,
        "a VHD header is not valid",
        "A header or footer of the VHD image has values that contradict each other, or that only some programs read; or the image holds only the differences to another one. So its disk is not taken out of it.",
        "See whether QEMU can read it, and compare what comes out with the machine's disk: `qemu-img info -f vpc FILE`. Of a differencing disk, merge the chain where it was made.",
        VHD,
    ),
    physics(
        Code::VpcTableInvalid,
        "the VHD's table of blocks is not valid",
        "The table leads to places that are not in the image or are taken by something else, or the bits of a block contradict its bytes. Programs would read different disks from it.",
        "Fetch the image again, or export it again where it was made. If it stays like this, it is damaged.",
        VHD,
    ),
    repairable(physics(
        Code::FormatQcow1,
        "a qcow image of version 1",
        "The first qcow format shares little more than its first bytes with qcow2, and DigitalOcean takes only qcow2.",
        "Take the disk out of it: `tidegate repack FILE`.",
        FORMATS,
    )),
    physics(
        Code::Qcow1HeaderInvalid,
        "a qcow header that leads to no disk",
        "The header of the qcow image has values that QEMU refuses, or says that the disk is encrypted, or that the image holds only the differences to another one. So its disk is not taken out of it.",
        "See what QEMU makes of it: `qemu-img info -f qcow FILE`. An encrypted disk needs its key, and a difference the image that it names.",
        QCOW,
    ),
    physics(
        Code::Qcow1TableInvalid,
        "the qcow's tables are not valid",
        "An entry of a table leads to no place where a cluster can be, or the compressed data there is damaged. A part of the disk cannot be read.",
        "Fetch the image again, or make it again. If it stays like this, it is damaged.",
        QCOW,
    ),
    physics(
        Code::FormatQed,
        "a QED image",
        "QED is a format of QEMU that was given up in favour of qcow2. DigitalOcean does not take it.",
        "Convert it: `qemu-img convert -f qed -O qcow2 FILE disk.qcow2`.",
        FORMATS,
    ),
    physics(
        Code::FormatParallels,
        "a Parallels image",
        "This is a disk of Parallels (.hds). DigitalOcean does not take that format.",
        "Convert it: `qemu-img convert -f parallels -O qcow2 FILE disk.qcow2`.",
        FORMATS,
    ),
    physics(
        Code::FormatLuks,
        "a LUKS encrypted volume",
        "All of the image is encrypted. Without the key nobody can find a partition table or boot from it, and DigitalOcean has no way to take a key.",
        "Unlock it and image the disk inside: `cryptsetup open FILE inner`, then `qemu-img convert -f raw -O qcow2 /dev/mapper/inner disk.qcow2`.",
        FORMATS,
    ),
    physics(
        Code::FormatDmg,
        "an Apple disk image",
        "This is a disk image of macOS (.dmg). DigitalOcean does not take that format.",
        "If it holds a Unix-like system for a server, convert it: `qemu-img convert -f dmg -O qcow2 FILE disk.qcow2`.",
        FORMATS,
    ),
    physics(
        Code::FormatIso9660,
        "an ISO image",
        "This is an optical disc, mostly an installer or a live system, without a partition table. DigitalOcean does not support ISO images.",
        "Take the distribution's cloud image, or install the system into a disk first: `qemu-img create -f qcow2 disk.qcow2 10G`, then `qemu-system-x86_64 -m 2G -cdrom FILE disk.qcow2`.",
        "DigitalOcean custom images, limits: ISO is not supported",
    ),
    physics(
        Code::FormatCowd,
        "a COWD extent of VMware ESX",
        "This is the sparse format of old ESX servers, mostly one layer of a snapshot. DigitalOcean cannot use it without the files around it.",
        "With the disk's .vmdk descriptor and all its files in one place: `qemu-img convert -f vmdk -O qcow2 disk.vmdk disk.qcow2`. On the server: `vmkfstools -i disk.vmdk -d thin whole.vmdk`, then convert that.",
        FORMATS,
    ),
    physics(
        Code::FormatSesparse,
        "a seSparse extent of VMware ESXi",
        "This is the format in which ESXi keeps the changes of a snapshot. DigitalOcean cannot use it without the files around it.",
        "Export the machine from ESXi as OVF, which joins its snapshots, and take the .vmdk from that; or, with all files in one place: `qemu-img convert -f vmdk -O qcow2 disk.vmdk disk.qcow2`.",
        FORMATS,
    ),
    physics(
        Code::FormatVmdkDescriptor,
        "a VMDK descriptor without its disk",
        "This small text file only names the files that hold the disk. DigitalOcean gets this file alone, and would have no disk.",
        "With all files that it names beside it: `qemu-img convert -f vmdk -O qcow2 FILE disk.qcow2`. Do so only with a descriptor that you trust: every file it names is opened.",
        ONE_FILE,
    ),
    physics(
        Code::FormatVmdkSplit,
        "one piece of a split VMDK",
        "VMware cut the disk into several files (as in disk-s001.vmdk), and this is one of them. DigitalOcean gets this file alone, and would miss the rest.",
        "With all pieces beside the small descriptor file, join them: `qemu-img convert -f vmdk -O qcow2 disk.vmdk disk.qcow2`.",
        ONE_FILE,
    ),
    physics(
        Code::FormatEwf,
        "a forensic image (EnCase)",
        "This is an Expert Witness image (.E01, .Ex01 or .L01), as forensic tools make them. DigitalOcean does not take that format.",
        "Export the disk in it: `ewfexport -u -f raw -t disk FILE`. A logical image (.L01) holds files only, no disk.",
        FORMATS,
    ),
    physics(
        Code::FormatBochs,
        "a Bochs image",
        "This is a growing disk of the Bochs emulator. DigitalOcean does not take that format.",
        "Convert it: `qemu-img convert -f bochs -O qcow2 FILE disk.qcow2`.",
        FORMATS,
    ),
    physics(
        Code::FormatCloop,
        "a cloop image",
        "This is a compressed loop image, as old live systems such as Knoppix use them. DigitalOcean does not take that format.",
        "Convert it, `qemu-img convert -f cloop -O qcow2 FILE disk.qcow2`, and check the result: mostly it is a bare file system that cannot boot.",
        FORMATS,
    ),
    physics(
        Code::FormatAndroidSparse,
        "an Android sparse image",
        "This is a partition or disk in the form that fastboot flashes. DigitalOcean does not take that format.",
        "Make the plain image of it, `simg2img FILE disk.img`, and check that: mostly it is one partition and no disk.",
        FORMATS,
    ),
    physics(
        Code::FormatOther,
        "an image of another program",
        "The finding names the format. DigitalOcean takes raw, qcow2, VHDX, VDI and VMDK, and nothing else.",
        "Export the disk as raw or qcow2 with the program that wrote it.",
        FORMATS,
    ),
    physics(
        Code::ContentElf,
        "a program, not a disk",
        "This is an ELF file: a program, a library or a kernel. A Droplet boots from a disk, not from such a file.",
        "This is probably the wrong file; see `file FILE`. A kernel or unikernel has to be put onto a disk with a boot loader first.",
        NO_IMAGE,
    ),
    physics(
        Code::ContentHtml,
        "a web page, not a disk",
        "This is HTML. Instead of the image an error page, a login page or a download page was saved.",
        "Look at where the URL leads, and fetch the image with `curl -fL -o FILE URL`, which saves no error pages.",
        NO_IMAGE,
    ),
    physics(
        Code::ContentXml,
        "an XML document, not a disk",
        "This is XML: often the error message of an object store that was saved instead of the image, or a machine's description such as an .ovf file.",
        LOOK,
        NO_IMAGE,
    ),
    physics(
        Code::ContentJson,
        "a JSON document, not a disk",
        "This is JSON: often the error message of an API that was saved instead of the image, or a manifest that lies beside it.",
        LOOK,
        NO_IMAGE,
    ),
    physics(
        Code::ContentText,
        "plain text, not a disk",
        "This is text: often an error message, a script or a list of check sums that was taken for the image.",
        LOOK,
        NO_IMAGE,
    ),
    physics(
        Code::ContentGitLfsPointer,
        "a Git LFS pointer, not the file",
        "Git LFS keeps the image elsewhere; this is only the note that says where. The checkout did not fetch the file itself.",
        "Fetch it: `git lfs pull`. In CI, tell the checkout step to fetch LFS files.",
        "Git LFS specification, the pointer",
    ),
    physics(
        Code::ContentPointer,
        "a pointer, not the file",
        "git-annex, git-xet or DVC keeps the image elsewhere; this is only the note that says where. The checkout did not fetch the file itself.",
        "Fetch it with the program that the finding names: `git annex get FILE`, `git xet checkout`, or `dvc pull`.",
        "git-annex internals, pointer files; git-xet and DVC documentation",
    ),
    physics(
        Code::ContentEmpty,
        "nothing at all",
        "There is not a single byte in it. A build or download failed without saying so, or wrote elsewhere.",
        "See what the step before this one wrote: `ls -l FILE`. In a shell pipe, set -o pipefail shows failures.",
        NO_IMAGE,
    ),
    physics(
        Code::ContentUnknown,
        "a document, not a disk",
        "The first bytes are those of a picture, a PDF, a database or a key. There is no disk in such a file.",
        "This is probably the wrong file; see `file FILE`.",
        NO_IMAGE,
    ),
];
