//! Which rules of the catalogue a check held an image against, and what became of each.
//!
//! A rule that has nothing to say about this kind of image is not among them. One that has, but whose
//! part of the check was not made to its end, is there with the reason, so that silence is never taken
//! for a pass.

use crate::facts::{Code, Compression, DiskFormat, Layer};
use crate::guest::Scheme;
use crate::inspect::{Finding, Mode, Report, State};
use crate::rules::{Row, row};

/// What became of a rule.
pub(super) enum Outcome<'r> {
    /// It was broken, in these places.
    Broken(Vec<&'r Finding>),
    /// It was held.
    Held,
    /// That is not known, for this reason.
    Unknown(&'r str),
}

/// A rule that concerns the image.
pub(super) struct Case<'r> {
    /// The rule.
    pub(super) row: &'static Row,
    /// What became of it.
    pub(super) outcome: Outcome<'r>,
}

/// All rules that concern the image, in the order of the catalogue.
pub(super) fn cases(report: &Report) -> Vec<Case<'_>> {
    Code::ALL
        .iter()
        .filter_map(|&code| {
            let found: Vec<_> = report.findings.iter().filter(|f| f.code == code).collect();
            let outcome = match part(code, report) {
                _ if !found.is_empty() => Outcome::Broken(found),
                None => return None,
                Some(part) => outcome(part, report),
            };
            Some(Case { row: row(code), outcome })
        })
        .collect()
}

fn outcome(part: Part, report: &Report) -> Outcome<'_> {
    let id = match part {
        Part::Known => return Outcome::Held,
        Part::Check(id) => id,
    };
    match report.checks.iter().find(|check| check.id == id) {
        Some(check) if check.state == State::Done => Outcome::Held,
        Some(check) => Outcome::Unknown(&check.why),
        None => Outcome::Unknown("the check ended before it came to this"),
    }
}

/// The part of a check that decides about a rule.
enum Part {
    /// Whatever was read is enough.
    Known,
    /// The check of this name, made to its end.
    Check(&'static str),
}

/// What decides about a rule; `None` if it has nothing to say about this image, or only speaks up. Every code is named, so
/// that none can be added without a decision.
fn part(code: Code, report: &Report) -> Option<Part> {
    use Code::*;
    let packed = report.compression?;
    let format = report.disk_format;
    let check = |applies: bool, id| applies.then_some(Part::Check(id));
    let is = |one: DiskFormat| format == Some(one);
    let known = |applies: bool| applies.then_some(Part::Known);
    // A quick check may know where the image ends, but does not look at what is there.
    let tail = if report.mode == Mode::Quick { "file-digest" } else { "image-end" };
    match code {
        DigestMismatch => known(report.compared.contains(&Layer::File)),
        ImageDigestMismatch => known(report.compared.contains(&Layer::Image)),
        NameMismatch => check(report.source != "-", "format"),
        FileTooLarge => {
            check(true, if report.file_size.is_some() { "format" } else { "image-end" })
        }
        GzipHeaderInvalid | GzipTruncated | GzipDamaged | GzipCrcMismatch | GzipSizeMismatch
        | GzipTrailingZeros | GzipTrailingGarbage | GzipMultipleMembers => {
            check(packed == Compression::Gzip, "compressed-stream")
        }
        Bzip2Truncated | Bzip2Damaged | Bzip2TrailingZeros | Bzip2TrailingGarbage
        | Bzip2MultipleStreams => check(packed == Compression::Bzip2, "compressed-stream"),
        // Of what is refused as it is, only whoever repacks it looks inside.
        XzTruncated | XzDamaged | XzWindowTooLarge | XzUnsupported | ZstdTruncated
        | ZstdDamaged | ZstdWindowTooLarge | ZstdUnsupported | TarTruncated | TarDamaged
        | TarUnsupported | TarNoImage | TarSeveralImages | VpcHeaderInvalid | VpcTableInvalid
        | Qcow1HeaderInvalid | Qcow1TableInvalid => None,
        CompressionXz | CompressionZstd | CompressionLz4 | CompressionLzma
        | CompressionCompress | CompressionLzip | CompressionLzop | CompressionLrzip
        | CompressionZlib | CompressionOther | ArchiveZip | Archive7z | ArchiveRar | ArchiveTar
        | ArchiveOva | ArchiveCpio | ArchiveAr | ArchiveRpm | ArchiveCab | ArchiveXar
        | ArchiveWim | ArchiveOther => Some(Part::Known),
        CompressionNested => check(packed != Compression::None, "format"),

        // Whether there is a proxy matters to who answered, and to nothing else.
        UrlNotHttps | UrlCredentials | UrlQuery | UrlNoFileName | UrlHeadRefused
        | UrlHeadDiffers | UrlLoginPage | UrlNoLength | UrlRedirected => {
            known(has_check(report, "importer-fetch"))
        }
        UrlPrivateHost => check(has_check(report, "importer-fetch"), "importer-fetch"),
        UrlUnpinned | UrlContentEncoding => known(report.identity.is_some()),

        ImageTooLarge => check(true, "image-end"),
        DiskTooLarge | DiskEmpty | DiskTiny if is(DiskFormat::Raw) => check(true, "image-end"),
        DiskTooLarge | DiskEmpty | DiskTiny => check(is_container(format), "headers"),
        ImageTruncated | ImageOffsetImpossible => check(is_container(format), "allocation-tables"),
        ImageEndUnusual => check(is_container(format), "allocation-tables"),
        ImageZerosBehind | ImagePadded | ImageTailZeros => check(is_container(format), tail),
        // They say themselves what was not examined.
        StructureNotExamined | StructureUnexaminable | DiskNotExamined => None,
        // Their marks are at the end.
        FormatPolyglot | FormatVpc | FormatDmg | ArchiveZipAtEnd => check(true, "image-end"),
        IsoHybrid | IsoShell => check(is_disk(format), "partition-table"),
        FormatQcow1 | FormatQed | FormatParallels | FormatLuks | FormatIso9660 | FormatCowd
        | FormatSesparse | FormatVmdkDescriptor | FormatVmdkSplit | FormatEwf | FormatBochs
        | FormatCloop | FormatAndroidSparse | FormatOther | ContentElf | ContentHtml
        | ContentXml | ContentJson | ContentText | ContentGitLfsPointer | ContentPointer
        | ContentEmpty | ContentUnknown => check(true, "format"),

        RawNoPartitionTable => check(is(DiskFormat::Raw), "partition-table"),
        RawSizeUnaligned => check(is(DiskFormat::Raw), "image-end"),

        Qcow2VersionUnsupported
        | Qcow2HeaderInvalid
        | Qcow2BackingFile
        | Qcow2BackingNameWithoutOffset
        | Qcow2ClusterSizeInvalid
        | Qcow2SizeUnaligned
        | Qcow2Encrypted
        | Qcow2L1TableInvalid
        | Qcow2Snapshots
        | Qcow2Corrupt
        | Qcow2DataFile
        | Qcow2Zstd
        | Qcow2ExtendedL2
        | Qcow2FeatureUnknown
        | Qcow2CompressionTypeInvalid
        | Qcow2SpaceUnused
        | Qcow2ExtensionInvalid => check(is(DiskFormat::Qcow2), "headers"),
        Qcow2TableEntryInvalid
        | Qcow2RefcountTableInvalid
        | Qcow2RefcountTooLow
        | Qcow2RefcountStale
        | Qcow2ClustersLeaked
        | Qcow2ClustersLost
        | Qcow2ClustersZeroed
        | Qcow2ClustersBehindDisk
        | Qcow2ClustersOverlap
        | Qcow2CompressedTwice
        | Qcow2CopiedFlagWrong
        | Qcow2BitmapsInvalid
        | Qcow2BitmapsStale
        | Qcow2SnapshotTableInvalid
        | Qcow2Dirty => check(is(DiskFormat::Qcow2), "allocation-tables"),
        Qcow2ClusterDamaged | Qcow2ClusterUnended => {
            check(is(DiskFormat::Qcow2) && has_check(report, "packed-data"), "packed-data")
        }

        Qcow2TrailingBytes => check(is(DiskFormat::Qcow2), tail),
        VhdxTrailingBytes => check(is(DiskFormat::Vhdx), tail),
        VdiTrailingBytes => check(is(DiskFormat::Vdi), tail),
        VmdkBytesBehind => check(is(DiskFormat::Vmdk), tail),

        VhdxHeaderDamaged
        | VhdxNoValidHeader
        | VhdxHeadersConflict
        | VhdxVersionUnsupported
        | VhdxLogDirty
        | VhdxLogInvalid
        | VhdxLogStale
        | VhdxRegionTableDamaged
        | VhdxFirstRegionTableDamaged
        | VhdxNoRegionTable
        | VhdxRegionInvalid
        | VhdxRegionUnknown
        | VhdxMetadataInvalid
        | VhdxMetadataUnknown
        | VhdxMetadataMissing
        | VhdxBlockSizeInvalid
        | VhdxSectorSize
        | VhdxSizeInvalid
        | VhdxFieldUnknown
        | VhdxBatInvalid => check(is(DiskFormat::Vhdx), "headers"),
        VhdxParent
        | VhdxBatEntryInvalid
        | VhdxBlocksOverlap
        | VhdxFixedBlockMissing
        | VhdxSpaceUnused
        | VhdxBlockUndefined
        | VhdxBlocksUnmapped => check(is(DiskFormat::Vhdx), "allocation-tables"),

        VdiVersionUnsupported
        | VdiHeaderInvalid
        | VdiTypeUnsupported
        | VdiParent
        | VdiSectorSizeInvalid
        | VdiBlockSize
        | VdiBlockSizeInvalid
        | VdiSizeUnaligned
        | VdiBlockMapInvalid => check(is(DiskFormat::Vdi), "headers"),
        VdiBlockCountMismatch
        | VdiBlockMapEntryInvalid
        | VdiBlocksOverlap
        | VdiBlocksUnused
        | VdiSpaceUnused => check(is(DiskFormat::Vdi), "allocation-tables"),

        VmdkVersionUnsupported
        | VmdkNewlinesBroken
        | VmdkCapacityZero
        | VmdkHeaderInvalid
        | VmdkDescriptorMisplaced
        | VmdkDescriptorInvalid
        | VmdkDescriptorMismatch
        | VmdkCreateType
        | VmdkCreateTypeMismatch
        | VmdkCreateTypeCase
        | VmdkDescriptorOverlong
        | VmdkExtentsInvalid
        | VmdkParent
        | VmdkEncrypted
        | VmdkGrainSizeInvalid
        | VmdkCidInvalid
        | VmdkExtentLineInvalid
        | VmdkExtentName
        | VmdkFeatureUnknown
        | VmdkSizeRounded
        | VmdkCompressionInvalid => check(is(DiskFormat::Vmdk), "headers"),
        VmdkTableEntryInvalid
        | VmdkGrainTableInvalid
        | VmdkGrainsOverlap
        | VmdkTableCopiesDiffer
        | VmdkMarkersMismatch
        | VmdkFooterInvalid
        | VmdkFooterMismatch
        | VmdkTrailingBytes
        | VmdkGrainsUnordered
        | VmdkGrainsZeroed
        | VmdkSpaceUnused
        | VmdkUnclean => check(is(DiskFormat::Vmdk), "allocation-tables"),
        VmdkGrainDamaged => {
            check(is(DiskFormat::Vmdk) && has_check(report, "packed-data"), "packed-data")
        }

        DiskNoPartitionTable => check(is_container(format), "partition-table"),
        ContentUnrecognised
        | DiskMemberSignature
        | DiskFileSystem
        | DiskFileSystemLeftOver
        | PartitionTableEmpty
        | PartitionTableSecond
        | PartitionsTooMany
        | MbrInvalid
        | MbrHybrid
        | MbrInVolume
        | GptMissing
        | GptWithoutProtectiveMbr => check(is_disk(format), "partition-table"),
        MbrPartitionPastEnd
        | MbrPartitionsOverlap
        | MbrExtendedInvalid
        | MbrExtendedAmbiguous
        | MbrExtendedUnusual
        | MbrEntryAmbiguous
        | MbrPartitionOverTable
        | MbrActiveTwice
        | MbrPartitionDivided => check(has_scheme(report, Scheme::Mbr), "partition-table"),
        GptPrimaryDamaged
        | GptBackupDamaged
        | GptBackupMisplaced
        | GptDamaged
        | GptSectorSize
        | GptPastEnd
        | GptEntryInvalid
        | GptPartitionsOverlap
        | GptDuplicateGuid
        | GptCopiesDiffer
        | GptEntrySize
        | GptRevision
        | GptOverItself
        | GptProtectiveMbrTwice
        | GptProtectiveMbrOdd => check(has_scheme(report, Scheme::Gpt), "partition-table"),

        // They say themselves what was not examined.
        GuestNotExamined | GuestUnexaminable => None,
        // Of a disk that nobody looked into, a note says so, and no hundred rules.
        GuestNoRoot
        | GuestSeveralRoots
        | FstabSourceMissing
        | FstabDeviceName
        | FstabTypeWrong
        | FstabSubvolumeMissing
        | CrypttabKeyAsked
        | FstabMountFails
        | FstabRootDiffers
        | FstabConfigDrive
        | FstabRemote
        | FstabSwapMissing
        | RootNotGrown
        | RootFull
        | NetworkNone
        | NetworkStaticOnly
        | NetworkMacOnly
        | NetworkIpv6Only
        | NetworkNoDhcpClient
        | NetworkRendererOff
        | NetworkProfileInsecure
        | NetworkMacPinned
        | NetworkStaticLeftOver
        | NetworkNameFixed
        | NetworkConfigInvalid
        | NetworkRendered
        | NetworkInstallerLeftOver
        | NetworkHandMade
        | NetworkResolverPrivate
        | SystemDefaultTarget
        | SshNoServer
        | SshOff
        | SshMasked
        | SshNotToBeRun
        | SshConfigInvalid
        | SshPubkeyOff
        | SshMethods
        | SshMethodsMore
        | SshHostsDeny
        | SshPamAccess
        | SystemNoInit
        | SshUserRefused
        | SshRootRefused
        | SshHomeUnsafe
        | SshHomeGroup
        | SshKeysFile
        | SshPort
        | SshListenAddress
        | SshPasswords
        | SshEmptyPasswords
        | SshHostKeysMissing
        | SshHostKeysNever
        | SshFirewalled
        | AccountNologin
        | AccountLocked
        | AccountExpired
        | AccountShell
        | BootNoLoader
        | BootUefiOnly
        | BootGrubNotInstalled
        | BootLoaderUnknown
        | BootSyslinuxIncomplete
        | BootNoMenu
        | BootKernelMissing
        | BootInitrdMissing
        | BootInitramfsDamaged
        | BootDriverNotInInitramfs
        | BootNoInitramfs
        | BootRootMissing
        | BootRootDevice
        | BootRootSubvolume
        | BootRootNeedsInitramfs
        | BootResumeMissing
        | BootSerialConsoleOnly
        | KernelInvalid
        | KernelNoModules
        | KernelNoVirtioDisk
        | KernelNoVirtioNet
        | KernelNoRootDriver
        | KernelNoIsofs
        | KernelNoPacket
        | KernelModuleDisabled
        | KernelModuleBlacklisted
        | AccountEmptyPassword
        | AccountPassword
        | AccountUidZero
        | LeftoverSudo
        | LeftoverHostKeys
        | LeftoverHostKeysReplaced
        | LeftoverMachineId
        | LeftoverRandomSeed
        | LeftoverAuthorizedKeys
        | LeftoverVagrantKey
        | LeftoverPrivateKey
        | LeftoverKnownHosts
        | LeftoverHistory
        | LeftoverCredentials
        | LeftoverProxy
        | LeftoverInstaller
        | LeftoverLvmDevices
        | LeftoverTools
        | LeftoverDigitalOcean
        | LeftoverSwap
        | LeftoverLogs
        | SystemUnknown
        | SystemArchitecture
        | System32Bit
        | SystemWindows
        | SystemInstaller
        | ProvisionerMissing
        | ProvisionerOther
        | ProvisionerOld
        | ProvisionerSwitchedOff
        | ProvisionerNotEnabled
        | ProvisionerConfigUnread
        | ProvisionerDatasource
        | ProvisionerDatasourceModule
        | ProvisionerDatasourceTaken
        | ProvisionerDatasourcePerhaps
        | ProvisionerListUnseen
        | ProvisionerMetadataOnly
        | ProvisionerKept
        | ProvisionerKeys
        | ProvisionerKeysOwn
        | ProvisionerPasswords
        | ProvisionerNetworkOff
        | ProvisionerNetworkOwn
        | ProvisionerNoRenderer
        | ProvisionerState
        | ProvisionerDoneOnce
        | ProvisionerPlatform => check(report.guest.is_some(), "guest"),
        BootedNotUp
        | BootedCommandFailed
        | BootedProvisionerErrors
        | BootedRootNotGrown
        | BootedNoShutdown => known(report.boot.is_some()),
    }
}

fn has_check(report: &Report, id: &str) -> bool {
    report.checks.iter().any(|check| check.id == id)
}

fn is_container(format: Option<DiskFormat>) -> bool {
    use DiskFormat::{Qcow2, Vdi, Vhdx, Vmdk};
    matches!(format, Some(Qcow2 | Vhdx | Vdi | Vmdk))
}

fn is_disk(format: Option<DiskFormat>) -> bool {
    is_container(format) || format == Some(DiskFormat::Raw)
}

fn has_scheme(report: &Report, scheme: Scheme) -> bool {
    report.partition_table.as_ref().is_some_and(|table| table.scheme == scheme)
}
