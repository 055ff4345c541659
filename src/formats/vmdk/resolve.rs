//! The way to the grain directory of an image whose header leaves its place to the footer.

use super::disk::{Grains, Known};
use super::footer::{self, Footer};
use super::header::Header;
use super::{SECTOR, markers, tables};
use crate::facts::Notebook;
use crate::formats::{Halt, ImageView, Missing, Reach};

impl Grains {
    /// Finds the grain directory by way of the footer, unless the header has it. `marker` is the image
    /// offset of the footer's marker, if a walk found it.
    pub(super) fn resolve(
        &mut self,
        view: &mut dyn ImageView,
        notebook: &Notebook<'_>,
        reach: &mut Reach,
        marker: Option<u64>,
    ) -> Result<(), Halt> {
        if self.located.is_some() {
            return Ok(());
        }
        self.unlocated = match footer::read(view, notebook, &self.header, marker)? {
            Footer::Broken => Missing::Broken,
            Footer::NotRead => Missing::Quick,
            Footer::Found(footer) => {
                reach.include("the footer", footer.at, 2 * SECTOR);
                let located = Header {
                    at: footer.at,
                    directory: footer.directory,
                    redundant_directory: footer.redundant_directory,
                    ..self.header.clone()
                };
                let first_free = self.header.first_free_sector();
                if tables::check_directories(&located, first_free, notebook, reach) {
                    self.located = Some(located);
                }
                Missing::Broken
            }
        };
        Ok(())
    }

    /// The same without a walk before it, in a check that does not read all.
    pub(super) fn resolve_quickly(
        &mut self,
        view: &mut dyn ImageView,
        notebook: &Notebook<'_>,
    ) -> Result<(), Halt> {
        if self.header.is_compressed() {
            // Before the footer: on the way to the end a stream passes the grains.
            for grain in markers::first_grains(view, &self.header)? {
                let index = grain.sector / self.header.grain_size.max(1);
                self.known.insert(index, Known::Packed(grain));
            }
        }
        self.resolve(view, notebook, &mut Reach::new(notebook), None)
    }
}
