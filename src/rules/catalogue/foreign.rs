use super::{Recipe, Remedy, Remedy::Judge, Row, mended_beside, physics, repairable, run};
use crate::facts::Code;

const FORMATS: &str =
    "DigitalOcean custom images, requirements: raw (.img), qcow2, VHDX, VDI or VMDK";
const QCOW: &str = "QEMU 10.0, block/qcow.c";
const VHD: &str = "Virtual Hard Disk Image Format Specification, Microsoft, 2006";
const NO_IMAGE: &str =
    "DigitalOcean custom images, requirements: an image of a disk, raw, qcow2, VHDX, VDI or VMDK";
const ONE_FILE: &str = "DigitalOcean API, create a custom image: one URL, one file";

const TAKE_OUT: Remedy = run("Take the disk out of it", Recipe::Repack, "");
const CONVERT: Remedy = run("Convert it", Recipe::Convert, "");
const LOOK: Remedy = run(
    "This is probably the wrong file. Look at its beginning",
    Recipe::Show("head -c 300 {} | cat -v"),
    "",
);

pub(super) const ROWS: &[Row] = &[
    repairable(physics(
        Code::FormatVpc,
        "a VHD image",
        "VHD is the older format of Virtual PC, Hyper-V and Azure. DigitalOcean takes VHDX, but not VHD.",
        TAKE_OUT,
        FORMATS,
    )),
    physics(
        Code::VpcHeaderInvalid,
        "a VHD header is not valid",
        "A header or footer of the VHD image has values that contradict each other, or that only some programs read; or the image holds only the differences to another one. So its disk is not taken out of it.",
        Judge(
            "See whether QEMU can read it (qemu-img info -f vpc), and compare what comes out with the machine's disk. Of a differencing disk, merge the chain where it was made.",
        ),
        VHD,
    ),
    physics(
        Code::VpcTableInvalid,
        "the VHD's table of blocks is not valid",
        "The table leads to places that are not in the image or are taken by something else, the bits of a block contradict its bytes, or no entry names data that has room for a block. Programs would read different disks from it, or a part of the disk is lost.",
        Judge(
            "Fetch the image again, or export it again where it was made. If it stays like this, it is damaged.",
        ),
        VHD,
    ),
    repairable(physics(
        Code::FormatQcow1,
        "a qcow image of version 1",
        "The first qcow format shares little more than its first bytes with qcow2, and DigitalOcean takes only qcow2.",
        TAKE_OUT,
        FORMATS,
    )),
    physics(
        Code::Qcow1HeaderInvalid,
        "a qcow header that leads to no disk",
        "The header of the qcow image has values that QEMU refuses, or says that the disk is encrypted, or that the image holds only the differences to another one. So its disk is not taken out of it.",
        Judge(
            "See what QEMU makes of it (qemu-img info -f qcow). An encrypted disk needs its key, and a difference the image that it names.",
        ),
        QCOW,
    ),
    physics(
        Code::Qcow1TableInvalid,
        "the qcow's tables are not valid",
        "An entry of a table leads to no place where a cluster can be, or to one that something else has, the compressed data there is damaged, or no entry names clusters with data. A part of the disk cannot be read, or is lost.",
        Judge("Fetch the image again, or make it again. If it stays like this, it is damaged."),
        QCOW,
    ),
    physics(
        Code::FormatQed,
        "a QED image",
        "QED is a format of QEMU that was given up in favour of qcow2. DigitalOcean does not take it.",
        CONVERT,
        FORMATS,
    ),
    physics(
        Code::FormatParallels,
        "a Parallels image",
        "This is a disk of Parallels (.hds). DigitalOcean does not take that format.",
        CONVERT,
        FORMATS,
    ),
    physics(
        Code::FormatLuks,
        "a LUKS encrypted volume",
        "All of the image is encrypted. Without the key nobody can find a partition table or boot from it, and DigitalOcean has no way to take a key.",
        Judge("Unlock it with cryptsetup, and image the disk inside."),
        FORMATS,
    ),
    physics(
        Code::FormatDmg,
        "an Apple disk image",
        "This is a disk image of macOS (.dmg). DigitalOcean does not take that format.",
        Judge(
            "If it holds a Unix-like system for a server, convert it with a program that reads it, such as dmg2img or QEMU, and check what comes out.",
        ),
        FORMATS,
    ),
    physics(
        Code::FormatIso9660,
        "an ISO image",
        "This is an optical disc, mostly an installer or a live system, without a partition table. DigitalOcean does not support ISO images.",
        Judge(
            "Take the distribution's cloud image. Or install the system from this one into a new disk, in a virtual machine, and check that disk.",
        ),
        "DigitalOcean custom images, limits: ISO is not supported",
    ),
    physics(
        Code::FormatCowd,
        "a COWD extent of VMware ESX",
        "This is the sparse format of old ESX servers, mostly one layer of a snapshot. DigitalOcean cannot use it without the files around it.",
        Judge(
            "Convert the disk's .vmdk descriptor, with all its files beside it. On the server vmkfstools -i clones the disk into one file.",
        ),
        FORMATS,
    ),
    physics(
        Code::FormatSesparse,
        "a seSparse extent of VMware ESXi",
        "This is the format in which ESXi keeps the changes of a snapshot. DigitalOcean cannot use it without the files around it.",
        Judge(
            "Export the machine from ESXi as OVF, which joins its snapshots, and take the .vmdk from that.",
        ),
        FORMATS,
    ),
    mended_beside(physics(
        Code::FormatVmdkDescriptor,
        "a VMDK descriptor without its disk",
        "This small text file only names the files that hold the disk. DigitalOcean gets this file alone, and would have no disk.",
        run(
            "If all the files that it names are beside it, take the disk out of them (tidegate opens those files, in this folder and in no other)",
            Recipe::Parts,
            "Parts of another kind, such as those of ESXi, are joined by qemu-img convert, which opens whatever is named.",
        ),
        ONE_FILE,
    )),
    physics(
        Code::FormatVmdkSplit,
        "one piece of a split VMDK",
        "VMware cut the disk into several files (as in disk-s001.vmdk), and this is one of them. DigitalOcean gets this file alone, and would miss the rest.",
        run(
            "Take the disk out of all the pieces, by the small descriptor file beside them",
            Recipe::Join,
            "All pieces have to be there. tidegate opens those that the descriptor names, in its folder and in no other.",
        ),
        ONE_FILE,
    ),
    physics(
        Code::FormatEwf,
        "a forensic image (EnCase)",
        "This is an Expert Witness image (.E01, .Ex01 or .L01), as forensic tools make them. DigitalOcean does not take that format.",
        Judge(
            "Export the disk in it as raw with ewfexport, and check that. A logical image (.L01) holds files only, no disk.",
        ),
        FORMATS,
    ),
    physics(
        Code::FormatBochs,
        "a Bochs image",
        "This is a growing disk of the Bochs emulator. DigitalOcean does not take that format.",
        Judge(
            "Convert it with a program that reads it, such as qemu-img with -f bochs, and check what comes out.",
        ),
        FORMATS,
    ),
    physics(
        Code::FormatCloop,
        "a cloop image",
        "This is a compressed loop image, as old live systems such as Knoppix use them. DigitalOcean does not take that format.",
        Judge(
            "Convert it with a program that reads it, such as qemu-img with -f cloop, and check what comes out: mostly it is a bare file system that cannot boot.",
        ),
        FORMATS,
    ),
    physics(
        Code::FormatAndroidSparse,
        "an Android sparse image",
        "This is a partition or disk in the form that fastboot flashes. DigitalOcean does not take that format.",
        run(
            "Make the plain image of it",
            Recipe::Unsparse,
            "Mostly it is one partition and no disk: then the check says so.",
        ),
        FORMATS,
    ),
    physics(
        Code::FormatOther,
        "an image of another program",
        "The finding names the format. DigitalOcean takes raw, qcow2, VHDX, VDI and VMDK, and nothing else.",
        Judge("Export the disk as raw or qcow2 with the program that wrote it."),
        FORMATS,
    ),
    physics(
        Code::ContentElf,
        "a program, not a disk",
        "This is an ELF file: a program, a library or a kernel. A Droplet boots from a disk, not from such a file.",
        Judge(
            "This is probably the wrong file. A kernel or unikernel has to be put onto a disk with a boot loader first.",
        ),
        NO_IMAGE,
    ),
    physics(
        Code::ContentHtml,
        "a web page, not a disk",
        "This is HTML. Instead of the image an error page, a login page or a download page was saved.",
        Judge(
            "Look at where the URL leads, and fetch the image with curl -f, which saves no error pages.",
        ),
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
        Judge(
            "Fetch the file itself with git lfs pull. In CI, let the checkout step fetch LFS files.",
        ),
        "Git LFS specification, the pointer",
    ),
    physics(
        Code::ContentPointer,
        "a pointer, not the file",
        "git-annex, git-xet or DVC keeps the image elsewhere; this is only the note that says where. The checkout did not fetch the file itself.",
        Judge(
            "Fetch the file itself with the program that the finding names: git annex get, git xet checkout or dvc pull.",
        ),
        "git-annex internals, pointer files; git-xet and DVC documentation",
    ),
    physics(
        Code::ContentEmpty,
        "nothing at all",
        "There is not a single byte in it. A build or download failed without saying so, or wrote elsewhere.",
        Judge(
            "See what the step before this one wrote. In a shell pipe, set -o pipefail shows failures.",
        ),
        NO_IMAGE,
    ),
    physics(
        Code::ContentUnknown,
        "a document, not a disk",
        "The first bytes are those of a picture, a PDF, a database or a key. There is no disk in such a file.",
        Judge("This is probably the wrong file. See where it came from."),
        NO_IMAGE,
    ),
];
