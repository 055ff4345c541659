//! The walk over all tables: what takes which cluster of the image, and what nothing takes.

use super::disk::{Clusters, ENTRY, entry};
use super::header::Header;
use crate::facts::{Code, Notebook};
use crate::formats::bits::Bits;
use crate::formats::zeros::first_used;
use crate::formats::{Halt, ImageView, Place};

/// What takes the clusters of the image.
struct Uses {
    /// Clusters that one thing takes: the header with the L1 table, an L2 table, a cluster of the disk.
    taken: Bits,
    /// Clusters in which packed data lies, or of which several things take parts.
    shared: Bits,
    /// Clusters of the disk that are stored as they are.
    stored: u64,
    /// Whether some are packed.
    packed: bool,
    cluster: u64,
}

impl Uses {
    /// Numbers of the image's clusters that these bytes touch.
    fn touched(&self, at: u64, len: u64) -> std::ops::Range<u64> {
        at / self.cluster..at.saturating_add(len).div_ceil(self.cluster)
    }

    /// Takes whole clusters; false if something else has one of them.
    fn take(&mut self, at: u64, len: u64) -> bool {
        let mut touched = self.touched(at, len);
        touched.all(|unit| !self.shared.has(unit) && self.taken.add(unit))
    }

    /// Takes parts of clusters, which others may share, but not with what takes all of one.
    fn share(&mut self, at: u64, len: u64) -> bool {
        let mut touched = self.touched(at, len);
        touched.all(|unit| {
            self.shared.add(unit);
            !self.taken.has(unit)
        })
    }

    fn is_free(&self, unit: u64) -> bool {
        !self.taken.has(unit) && !self.shared.has(unit)
    }
}

/// Reads every entry of both tables, and holds what they name against each other and against the image. What is wrong is
/// written down; true if nothing is.
///
/// # Errors
/// If the image cannot be read further.
pub(super) fn walk(
    clusters: &Clusters,
    view: &mut dyn ImageView,
    notebook: &Notebook<'_>,
) -> Result<bool, Halt> {
    let header = &clusters.header;
    let Some(size) = view.size()? else { return Ok(false) };
    let Some(uses) = uses(clusters, view, notebook, size)? else { return Ok(false) };
    let lost = lost(&uses, header, view, size)?;
    if let Some((at, count)) = lost {
        notebook.image(Code::Qcow1TableInvalid, at, format!(
            "{count} clusters of {} bytes from byte {at} on belong to nothing and are no zeros: the tables may have lost some.",
            header.cluster()));
    }
    Ok(lost.is_none())
}

/// What takes which clusters; `None` if something contradicts itself, which is written down.
fn uses(
    clusters: &Clusters,
    view: &mut dyn ImageView,
    notebook: &Notebook<'_>,
    size: u64,
) -> Result<Option<Uses>, Halt> {
    let header = &clusters.header;
    let cluster = header.cluster();
    let units = size.div_ceil(cluster);
    let mut uses = Uses {
        taken: Bits::new(units),
        shared: Bits::new(units),
        stored: 0,
        packed: false,
        cluster,
    };
    if units > 0 && !uses.taken.holds(units - 1) {
        let said =
            format!("The image has {units} clusters, more than are held against each other.");
        notebook.image(Code::StructureUnexaminable, 32, said);
        return Ok(None);
    }
    let invalid = |at, said: String| notebook.image(Code::Qcow1TableInvalid, at, said);
    let twice = |at: u64, what: &str| {
        invalid(at, format!("The entry at byte {at} leads to {what} where something else is."));
    };
    let l1_len = header.size.div_ceil(header.l2_span()) * ENTRY;
    uses.take(0, Header::LENGTH as u64);
    uses.touched(header.l1_at, l1_len).for_each(|unit| _ = uses.taken.add(unit));
    let mut table = vec![0; (header.l2_span() / cluster * ENTRY) as usize];
    for l1_entry in (header.l1_at..header.l1_at + l1_len).step_by(ENTRY as usize) {
        let Some(l2) = entry(view, notebook, Some(l1_entry), "an L1 entry")? else {
            return Ok(None);
        };
        if l2 == 0 {
            continue;
        }
        if !view.need(l2, &mut table, notebook, "an L2 table")? {
            return Ok(None);
        }
        if !uses.take(l2, table.len() as u64) {
            twice(l1_entry, "an L2 table");
            return Ok(None);
        }
        for (at, bytes) in (l2..).step_by(ENTRY as usize).zip(table.as_chunks().0) {
            let whole = match clusters.place(u64::from_be_bytes(*bytes), 0) {
                Ok(Place::Stored(place)) if place.is_multiple_of(cluster) => {
                    uses.stored += 1;
                    uses.take(place, cluster)
                }
                // Some program may have put it between two clusters.
                Ok(Place::Stored(place)) => uses.share(place, cluster),
                Ok(Place::Packed(packed)) => {
                    uses.packed = true;
                    uses.share(packed.at, packed.len)
                }
                Ok(_) => true,
                Err(said) => {
                    invalid(at, format!("The L2 entry at byte {at} {said}."));
                    return Ok(None);
                }
            };
            if !whole {
                twice(at, "a cluster");
                return Ok(None);
            }
        }
    }
    Ok(Some(uses))
}

/// The first cluster that nothing takes although it has more than zeros, and how many there are beside those that may be
/// left over: a packed cluster that is written again is stored elsewhere, and stays where it was.
fn lost(
    uses: &Uses,
    header: &Header,
    view: &mut dyn ImageView,
    size: u64,
) -> Result<Option<(u64, u64)>, Halt> {
    let cluster = header.cluster();
    let units = size / cluster;
    let may_be_left = if uses.packed { uses.stored } else { 0 };
    let (mut first, mut count, mut unit) = (None, 0, 0);
    while unit < units {
        let begin = unit;
        while unit < units && uses.is_free(unit) {
            unit += 1;
        }
        if begin < unit
            && let Ok(Some(used)) = first_used(view, begin * cluster, unit * cluster)?
        {
            first = first.or(Some(used / cluster * cluster));
            count += unit - used / cluster;
        }
        unit += u64::from(begin == unit);
    }
    Ok(first.filter(|_| count > may_be_left).map(|at| (at, count)))
}
