/// Declares the codes of all anomalies, in the order in which they are listed.
macro_rules! codes {
    ($($variant:ident $name:literal,)*) => {
        /// The kind of an anomaly. Its name is public and stable; what it means stands in the
        /// catalogue of `rules`.
        #[allow(missing_docs)] // the catalogue says it, with remedy and source
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Code { $($variant,)* }

        impl Code {
            /// Every code there is.
            pub const ALL: &'static [Code] = &[$(Code::$variant,)*];

            /// The stable name, as in reports and on the command line.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$variant => $name,)* }
            }

            /// The code of this name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Code> {
                match name { $($name => Some(Code::$variant),)* _ => None }
            }
        }
    };
}

codes! {
    // The file: packing, integrity, name.
    GzipHeaderInvalid "gzip-header-invalid",
    GzipTruncated "gzip-truncated",
    GzipDamaged "gzip-damaged",
    GzipCrcMismatch "gzip-crc-mismatch",
    GzipSizeMismatch "gzip-size-mismatch",
    GzipTrailingZeros "gzip-trailing-zeros",
    GzipTrailingGarbage "gzip-trailing-garbage",
    GzipMultipleMembers "gzip-multiple-members",
    Bzip2Truncated "bzip2-truncated",
    Bzip2Damaged "bzip2-damaged",
    Bzip2TrailingZeros "bzip2-trailing-zeros",
    Bzip2TrailingGarbage "bzip2-trailing-garbage",
    Bzip2MultipleStreams "bzip2-multiple-streams",
    XzTruncated "xz-truncated",
    XzDamaged "xz-damaged",
    XzWindowTooLarge "xz-window-too-large",
    XzUnsupported "xz-unsupported",
    ZstdTruncated "zstd-truncated",
    ZstdDamaged "zstd-damaged",
    ZstdWindowTooLarge "zstd-window-too-large",
    ZstdUnsupported "zstd-unsupported",
    TarTruncated "tar-truncated",
    TarDamaged "tar-damaged",
    TarUnsupported "tar-unsupported",
    TarNoImage "tar-no-image",
    TarSeveralImages "tar-several-images",
    CompressionXz "compression-xz",
    CompressionZstd "compression-zstd",
    CompressionLz4 "compression-lz4",
    CompressionLzma "compression-lzma",
    CompressionCompress "compression-compress",
    CompressionLzip "compression-lzip",
    CompressionLzop "compression-lzop",
    CompressionLrzip "compression-lrzip",
    CompressionZlib "compression-zlib",
    CompressionOther "compression-other",
    CompressionNested "compression-nested",
    ArchiveZip "archive-zip",
    ArchiveZipAtEnd "archive-zip-at-end",
    Archive7z "archive-7z",
    ArchiveRar "archive-rar",
    ArchiveTar "archive-tar",
    ArchiveOva "archive-ova",
    ArchiveCpio "archive-cpio",
    ArchiveAr "archive-ar",
    ArchiveRpm "archive-rpm",
    ArchiveCab "archive-cab",
    ArchiveXar "archive-xar",
    ArchiveWim "archive-wim",
    ArchiveOther "archive-other",
    DigestMismatch "digest-mismatch",
    ImageDigestMismatch "image-digest-mismatch",
    NameMismatch "name-mismatch",
    FileTooLarge "file-too-large",

    // The URL: whether DigitalOcean could fetch it.
    UrlNotHttps "url-not-https",
    UrlCredentials "url-credentials",
    UrlQuery "url-query",
    UrlNoFileName "url-no-file-name",
    UrlPrivateHost "url-private-host",
    UrlHeadRefused "url-head-refused",
    UrlHeadDiffers "url-head-differs",
    UrlLoginPage "url-login-page",
    UrlNoLength "url-no-length",
    UrlContentEncoding "url-content-encoding",
    UrlRedirected "url-redirected",
    UrlUnpinned "url-unpinned",

    // The image as a whole.
    ImageTooLarge "image-too-large",
    DiskTooLarge "disk-too-large",
    DiskEmpty "disk-empty",
    DiskTiny "disk-tiny",
    ImageTruncated "image-truncated",
    ImageOffsetImpossible "image-offset-impossible",
    ImageEndUnusual "image-end-unusual",
    ImageZerosBehind "image-zeros-behind",
    ImagePadded "image-padded",
    ImageTailZeros "image-tail-zeros",
    StructureNotExamined "structure-not-examined",
    StructureUnexaminable "structure-unexaminable",
    DiskNotExamined "disk-not-examined",
    FormatPolyglot "format-polyglot",
    IsoHybrid "iso-hybrid",
    IsoShell "iso-shell",

    // What is no image that DigitalOcean takes.
    FormatVpc "format-vpc",
    VpcHeaderInvalid "vpc-header-invalid",
    VpcTableInvalid "vpc-table-invalid",
    FormatQcow1 "format-qcow1",
    Qcow1HeaderInvalid "qcow1-header-invalid",
    Qcow1TableInvalid "qcow1-table-invalid",
    FormatQed "format-qed",
    FormatParallels "format-parallels",
    FormatLuks "format-luks",
    FormatDmg "format-dmg",
    FormatIso9660 "format-iso9660",
    FormatCowd "format-cowd",
    FormatSesparse "format-sesparse",
    FormatVmdkDescriptor "format-vmdk-descriptor",
    FormatVmdkSplit "format-vmdk-split",
    FormatEwf "format-ewf",
    FormatBochs "format-bochs",
    FormatCloop "format-cloop",
    FormatAndroidSparse "format-android-sparse",
    FormatOther "format-other",
    ContentElf "content-elf",
    ContentHtml "content-html",
    ContentXml "content-xml",
    ContentJson "content-json",
    ContentText "content-text",
    ContentGitLfsPointer "content-git-lfs-pointer",
    ContentPointer "content-pointer",
    ContentEmpty "content-empty",
    ContentUnknown "content-unknown",
    ContentUnrecognised "content-unrecognised",

    // raw
    RawNoPartitionTable "raw-no-partition-table",
    RawSizeUnaligned "raw-size-unaligned",

    // qcow2
    Qcow2VersionUnsupported "qcow2-version-unsupported",
    Qcow2HeaderInvalid "qcow2-header-invalid",
    Qcow2BackingFile "qcow2-backing-file",
    Qcow2BackingNameWithoutOffset "qcow2-backing-name-without-offset",
    Qcow2ClusterSizeInvalid "qcow2-cluster-size-invalid",
    Qcow2SizeUnaligned "qcow2-size-unaligned",
    Qcow2Encrypted "qcow2-encrypted",
    Qcow2L1TableInvalid "qcow2-l1-table-invalid",
    Qcow2RefcountTableInvalid "qcow2-refcount-table-invalid",
    Qcow2Snapshots "qcow2-snapshots",
    Qcow2SnapshotTableInvalid "qcow2-snapshot-table-invalid",
    Qcow2Dirty "qcow2-dirty",
    Qcow2Corrupt "qcow2-corrupt",
    Qcow2DataFile "qcow2-data-file",
    Qcow2Zstd "qcow2-zstd",
    Qcow2ExtendedL2 "qcow2-extended-l2",
    Qcow2FeatureUnknown "qcow2-feature-unknown",
    Qcow2CompressionTypeInvalid "qcow2-compression-type-invalid",
    Qcow2ExtensionInvalid "qcow2-extension-invalid",
    Qcow2TableEntryInvalid "qcow2-table-entry-invalid",
    Qcow2ClusterDamaged "qcow2-cluster-damaged",
    Qcow2ClusterUnended "qcow2-cluster-unended",
    Qcow2RefcountTooLow "qcow2-refcount-too-low",
    Qcow2RefcountStale "qcow2-refcount-stale",
    Qcow2ClustersLeaked "qcow2-clusters-leaked",
    Qcow2ClustersLost "qcow2-clusters-lost",
    Qcow2SpaceUnused "qcow2-space-unused",
    Qcow2ClustersZeroed "qcow2-clusters-zeroed",
    Qcow2ClustersBehindDisk "qcow2-clusters-behind-disk",
    Qcow2ClustersOverlap "qcow2-clusters-overlap",
    Qcow2CompressedTwice "qcow2-compressed-twice",
    Qcow2CopiedFlagWrong "qcow2-copied-flag-wrong",
    Qcow2BitmapsInvalid "qcow2-bitmaps-invalid",
    Qcow2BitmapsStale "qcow2-bitmaps-stale",
    Qcow2TrailingBytes "qcow2-trailing-bytes",

    // vhdx
    VhdxHeaderDamaged "vhdx-header-damaged",
    VhdxNoValidHeader "vhdx-no-valid-header",
    VhdxHeadersConflict "vhdx-headers-conflict",
    VhdxVersionUnsupported "vhdx-version-unsupported",
    VhdxLogDirty "vhdx-log-dirty",
    VhdxLogInvalid "vhdx-log-invalid",
    VhdxRegionTableDamaged "vhdx-region-table-damaged",
    VhdxFirstRegionTableDamaged "vhdx-first-region-table-damaged",
    VhdxNoRegionTable "vhdx-no-region-table",
    VhdxRegionInvalid "vhdx-region-invalid",
    VhdxRegionUnknown "vhdx-region-unknown",
    VhdxMetadataInvalid "vhdx-metadata-invalid",
    VhdxMetadataUnknown "vhdx-metadata-unknown",
    VhdxMetadataMissing "vhdx-metadata-missing",
    VhdxParent "vhdx-parent",
    VhdxBlockSizeInvalid "vhdx-block-size-invalid",
    VhdxSectorSize "vhdx-sector-size",
    VhdxSizeInvalid "vhdx-size-invalid",
    VhdxBatInvalid "vhdx-bat-invalid",
    VhdxBatEntryInvalid "vhdx-bat-entry-invalid",
    VhdxBlocksOverlap "vhdx-blocks-overlap",
    VhdxFixedBlockMissing "vhdx-fixed-block-missing",
    VhdxLogStale "vhdx-log-stale",
    VhdxTrailingBytes "vhdx-trailing-bytes",
    VhdxSpaceUnused "vhdx-space-unused",
    VhdxBlockUndefined "vhdx-block-undefined",
    VhdxBlocksUnmapped "vhdx-blocks-unmapped",
    VhdxFieldUnknown "vhdx-field-unknown",

    // vdi
    VdiVersionUnsupported "vdi-version-unsupported",
    VdiHeaderInvalid "vdi-header-invalid",
    VdiTypeUnsupported "vdi-type-unsupported",
    VdiParent "vdi-parent",
    VdiSectorSizeInvalid "vdi-sector-size-invalid",
    VdiBlockSize "vdi-block-size",
    VdiBlockSizeInvalid "vdi-block-size-invalid",
    VdiSizeUnaligned "vdi-size-unaligned",
    VdiBlockMapInvalid "vdi-block-map-invalid",
    VdiBlockCountMismatch "vdi-block-count-mismatch",
    VdiBlockMapEntryInvalid "vdi-block-map-entry-invalid",
    VdiBlocksOverlap "vdi-blocks-overlap",
    VdiBlocksUnused "vdi-blocks-unused",
    VdiTrailingBytes "vdi-trailing-bytes",
    VdiSpaceUnused "vdi-space-unused",

    // vmdk
    VmdkVersionUnsupported "vmdk-version-unsupported",
    VmdkNewlinesBroken "vmdk-newlines-broken",
    VmdkUnclean "vmdk-unclean",
    VmdkCapacityZero "vmdk-capacity-zero",
    VmdkHeaderInvalid "vmdk-header-invalid",
    VmdkDescriptorMisplaced "vmdk-descriptor-misplaced",
    VmdkDescriptorInvalid "vmdk-descriptor-invalid",
    VmdkDescriptorMismatch "vmdk-descriptor-mismatch",
    VmdkCreateType "vmdk-create-type",
    VmdkCreateTypeMismatch "vmdk-create-type-mismatch",
    VmdkCreateTypeCase "vmdk-create-type-case",
    VmdkDescriptorOverlong "vmdk-descriptor-overlong",
    VmdkExtentsInvalid "vmdk-extents-invalid",
    VmdkParent "vmdk-parent",
    VmdkEncrypted "vmdk-encrypted",
    VmdkGrainSizeInvalid "vmdk-grain-size-invalid",
    VmdkGrainTableInvalid "vmdk-grain-table-invalid",
    VmdkCompressionInvalid "vmdk-compression-invalid",
    VmdkFooterInvalid "vmdk-footer-invalid",
    VmdkFooterMismatch "vmdk-footer-mismatch",
    VmdkTrailingBytes "vmdk-trailing-bytes",
    VmdkTableEntryInvalid "vmdk-table-entry-invalid",
    VmdkGrainDamaged "vmdk-grain-damaged",
    VmdkGrainsOverlap "vmdk-grains-overlap",
    VmdkTableCopiesDiffer "vmdk-table-copies-differ",
    VmdkMarkersMismatch "vmdk-markers-mismatch",
    VmdkGrainsUnordered "vmdk-grains-unordered",
    VmdkCidInvalid "vmdk-cid-invalid",
    VmdkExtentLineInvalid "vmdk-extent-line-invalid",
    VmdkExtentName "vmdk-extent-name",
    VmdkSizeRounded "vmdk-size-rounded",
    VmdkBytesBehind "vmdk-bytes-behind",
    VmdkGrainsZeroed "vmdk-grains-zeroed",
    VmdkFeatureUnknown "vmdk-feature-unknown",
    VmdkSpaceUnused "vmdk-space-unused",

    // The disk: partition tables.
    DiskNoPartitionTable "disk-no-partition-table",
    DiskMemberSignature "disk-member-signature",
    DiskFileSystem "disk-file-system",
    DiskFileSystemLeftOver "disk-file-system-left-over",
    PartitionTableEmpty "partition-table-empty",
    MbrInvalid "mbr-invalid",
    MbrPartitionPastEnd "mbr-partition-past-end",
    MbrPartitionsOverlap "mbr-partitions-overlap",
    MbrExtendedInvalid "mbr-extended-invalid",
    MbrEntryAmbiguous "mbr-entry-ambiguous",
    MbrPartitionOverTable "mbr-partition-over-table",
    MbrActiveTwice "mbr-active-twice",
    MbrExtendedAmbiguous "mbr-extended-ambiguous",
    MbrExtendedUnusual "mbr-extended-unusual",
    MbrInVolume "mbr-in-volume",
    MbrPartitionDivided "mbr-partition-divided",
    MbrHybrid "mbr-hybrid",
    PartitionTableSecond "partition-table-second",
    PartitionsTooMany "partitions-too-many",
    GptMissing "gpt-missing",
    GptPrimaryDamaged "gpt-primary-damaged",
    GptBackupDamaged "gpt-backup-damaged",
    GptBackupMisplaced "gpt-backup-misplaced",
    GptDamaged "gpt-damaged",
    GptSectorSize "gpt-sector-size",
    GptPastEnd "gpt-past-end",
    GptEntryInvalid "gpt-entry-invalid",
    GptPartitionsOverlap "gpt-partitions-overlap",
    GptDuplicateGuid "gpt-duplicate-guid",
    GptCopiesDiffer "gpt-copies-differ",
    GptEntrySize "gpt-entry-size",
    GptRevision "gpt-revision",
    GptOverItself "gpt-over-itself",
    GptProtectiveMbrTwice "gpt-protective-mbr-twice",
    GptProtectiveMbrOdd "gpt-protective-mbr-odd",

    // What is inside the disk: which of it could be examined.
    GuestNotExamined "guest-not-examined",
    GuestUnexaminable "guest-unexaminable",
    GuestNoRoot "guest-no-root",
    GuestSeveralRoots "guest-several-roots",

    // The system and its file systems.
    SystemDefaultTarget "system-default-target",

    // What boots.
    BootNoLoader "boot-no-loader",
    BootUefiOnly "boot-uefi-only",
    BootGrubNotInstalled "boot-grub-not-installed",
    BootLoaderUnknown "boot-loader-unknown",
    BootSyslinuxIncomplete "boot-syslinux-incomplete",
    BootNoMenu "boot-no-menu",
    BootKernelMissing "boot-kernel-missing",
    BootInitrdMissing "boot-initrd-missing",
    BootInitramfsDamaged "boot-initramfs-damaged",
    BootDriverNotInInitramfs "boot-driver-not-in-initramfs",
    BootNoInitramfs "boot-no-initramfs",
    BootRootMissing "boot-root-missing",
    BootRootDevice "boot-root-device",
    BootRootSubvolume "boot-root-subvolume",
    BootRootNeedsInitramfs "boot-root-needs-initramfs",
    BootResumeMissing "boot-resume-missing",
    BootSerialConsoleOnly "boot-serial-console-only",
    KernelInvalid "kernel-invalid",
    KernelNoModules "kernel-no-modules",
    KernelNoVirtioDisk "kernel-no-virtio-disk",
    KernelNoVirtioNet "kernel-no-virtio-net",
    KernelNoRootDriver "kernel-no-root-driver",
    KernelNoIsofs "kernel-no-isofs",
    KernelNoPacket "kernel-no-packet",
    KernelModuleDisabled "kernel-module-disabled",
    KernelModuleBlacklisted "kernel-module-blacklisted",

    // What the fstab mounts.

    // What sets a Droplet up.

    // Logging in.

    // The network.

    // What is left over of the build.
    GptWithoutProtectiveMbr "gpt-without-protective-mbr",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_kebab_case_and_found_again() {
        for &code in Code::ALL {
            let name = code.as_str();
            assert_eq!(Code::from_name(name), Some(code));
            assert!(
                name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            );
        }
    }
}
