//! How much of an image is looked at in one pass.

use super::tally::BAND;

/// L2 tables of a stream that are held at once. 100 GB in clusters of 4 KiB have 50,000.
const TABLES_OF_STREAM: usize = 1 << 17;

/// How much of an image is looked at in one pass over its tables. The L1 tables are read once for each
/// group of L2 tables in each band.
#[derive(Clone, Copy)]
pub(super) struct Room {
    /// Clusters in a band, whose uses are counted.
    pub(super) clusters: u64,
    /// Bands that are looked at.
    pub(super) bands: u64,
    /// L2 tables in a group.
    pub(super) tables: usize,
    /// Groups that are looked at. Together they bound how often the L1 tables are read, and what is
    /// remembered of each L2 table.
    pub(super) groups: usize,
}

impl Room {
    /// For a source that can be read at any offset again and again. 100 GB in clusters of 512 bytes are
    /// 8 bands and 46 groups.
    pub(super) const SEEKABLE: Room =
        Room { clusters: BAND, bands: 16, tables: 1 << 16, groups: 64 };

    /// Groups of a stream that have as many tables as those of a file.
    pub(super) const MOST_OF_STREAM: usize =
        Room::SEEKABLE.groups * Room::SEEKABLE.tables / TABLES_OF_STREAM;

    /// For a source that is read in order: what does not fit into one pass waits for another, if there is one.
    pub(super) fn of_stream(scans_left: u32) -> Room {
        let groups = Room::MOST_OF_STREAM.min(1 + scans_left as usize);
        Room { clusters: u64::MAX, bands: 1, tables: TABLES_OF_STREAM, groups }
    }
}
