use std::sync::Arc;

use super::super::output;
use super::super::progress::Progress;
use super::fleet::Fleet;
use crate::inspect::{Event, Listener};

/// What is shown of the images that are under way: of one alone how far it is, of several how many are done.
#[derive(Clone)]
pub(in crate::cli) enum Shown {
    One(Arc<Progress>),
    Many(Arc<Fleet>),
}

impl Shown {
    pub(in crate::cli) fn new(quiet: bool, count: usize) -> Self {
        match count {
            0 | 1 => Shown::One(Progress::new(quiet)),
            _ => Shown::Many(Fleet::new(quiet, count)),
        }
    }

    /// Who tells of one image.
    pub(in crate::cli) fn teller(&self, image: usize) -> Teller {
        Teller { shown: self.clone(), image }
    }

    /// This image is told of next.
    pub(in crate::cli) fn is_due(&self, image: usize) {
        if let Shown::Many(fleet) = self {
            fleet.is_due(image);
        }
    }

    /// Does something that writes, with nothing drawn.
    pub(in crate::cli) fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        match self {
            Shown::One(_) => write(),
            Shown::Many(fleet) => fleet.aside(write),
        }
    }

    /// Leaves the terminal as it was, and shows nothing more.
    pub(in crate::cli) fn close(&self) {
        match self {
            Shown::One(progress) => progress.close(),
            Shown::Many(fleet) => fleet.close(),
        }
    }
}

/// Tells of one image.
#[derive(Clone)]
pub(in crate::cli) struct Teller {
    shown: Shown,
    image: usize,
}

impl Teller {
    /// A line about the image.
    pub(in crate::cli) fn log(&self, line: &str) {
        match &self.shown {
            Shown::One(_) => output::log(line),
            Shown::Many(fleet) => fleet.log(self.image, line),
        }
    }

    /// What the user should know of the image.
    pub(in crate::cli) fn warn(&self, message: &str) {
        self.log(&format!("tidegate: {message}"));
    }

    /// Something came of it.
    pub(in crate::cli) fn done(&self) {
        if let Shown::Many(fleet) = &self.shown {
            fleet.done(self.image);
        }
    }
}

impl Listener for Teller {
    fn event(&self, event: Event<'_>) {
        match &self.shown {
            Shown::One(progress) => progress.event(event),
            Shown::Many(fleet) => fleet.event(self.image, event),
        }
    }
}
