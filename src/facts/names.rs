/// Declares an enum whose variants have one stable name each, used in the JSON report.
macro_rules! named {
    ($(#[$meta:meta])* $type:ident { $($variant:ident $name:literal $doc:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum $type { $(#[doc = $doc] $variant,)* }

        impl $type {
            /// The stable name in reports.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $($type::$variant => $name,)* }
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                match <String as serde::Deserialize>::deserialize(from)?.as_str() {
                    $($name => Ok($type::$variant),)*
                    _ => Err(serde::de::Error::custom("there is no such name")),
                }
            }
        }
    };
}

named! {
    /// How the file is packed, by its first bytes. DigitalOcean takes the first three.
    Compression {
        None "none" "Not packed at all.",
        Gzip "gzip" "gzip (RFC 1952).",
        Bzip2 "bzip2" "bzip2.",
        Xz "xz" "xz, refused.",
        Zstd "zstd" "Zstandard, refused.",
        Lz4 "lz4" "lz4, refused.",
        Lzma "lzma" "Bare LZMA, refused.",
        Compress "compress" "Unix compress (.Z), refused.",
        Zip "zip" "A zip archive, refused.",
        SevenZip "7z" "A 7z archive, refused.",
        Rar "rar" "A rar archive, refused.",
        Tar "tar" "A tar archive, refused.",
        Lzip "lzip" "lzip, refused.",
        Lzop "lzop" "lzop, refused.",
        Lrzip "lrzip" "lrzip, refused.",
        Zlib "zlib" "A zlib stream without gzip's header, refused.",
        Cpio "cpio" "A cpio archive, refused.",
        Ar "ar" "An ar archive or a Debian package, refused.",
        Rpm "rpm" "An RPM package, refused.",
        Cab "cab" "A cabinet file, refused.",
        Xar "xar" "A xar archive, refused.",
        Wim "wim" "A Windows Imaging file, refused.",
        Other "other" "Another compression or archive, which a finding names, refused.",
    }
}

named! {
    /// What the image is. DigitalOcean takes the first five.
    DiskFormat {
        Raw "raw" "The sectors of a disk, as they are.",
        Qcow2 "qcow2" "QEMU copy-on-write, version 2 or 3.",
        Vhdx "vhdx" "Hyper-V virtual hard disk v2.",
        Vdi "vdi" "VirtualBox disk image.",
        Vmdk "vmdk" "VMware sparse extent with its descriptor.",
        Vpc "vpc" "Virtual PC / Hyper-V VHD, refused.",
        Qcow "qcow" "QEMU copy-on-write version 1, refused.",
        Qed "qed" "QEMU enhanced disk, refused.",
        Parallels "parallels" "Parallels disk image, refused.",
        Luks "luks" "LUKS encrypted volume, refused.",
        Dmg "dmg" "Apple disk image, refused.",
        Iso9660 "iso9660" "Optical disc without a partition table, refused.",
        Cowd "cowd" "VMware COWD extent of old ESX, refused.",
        Sesparse "sesparse" "VMware seSparse extent, refused.",
        Ewf "ewf" "Expert Witness (EnCase) image, refused.",
        Bochs "bochs" "Bochs growing image, refused.",
        Cloop "cloop" "Compressed loop image, refused.",
        AndroidSparse "android-sparse" "Android sparse image, refused.",
        Other "other" "Another program's image, which a finding names, refused.",
        Elf "elf" "An executable, refused.",
        Html "html" "A web page, refused.",
        Xml "xml" "An XML document, refused.",
        Json "json" "A JSON document, refused.",
        Text "text" "Plain text, refused.",
        GitLfsPointer "git-lfs-pointer" "A Git LFS pointer instead of the file, refused.",
        Pointer "pointer" "A pointer of git-annex, git-xet or DVC instead of the file, refused.",
        Empty "empty" "No bytes at all, refused.",
        Unknown "unknown" "Something else that is no disk, refused.",
    }
}
