//! What a Droplet made from the disk would do: whether it boots, gets a network, and lets its owner in.
//!
//! Each judge looks at one subject in the guest's `Tree` and writes what it finds into the `Book`; it runs nothing,
//! and takes what is absent from a place that nobody could read for nothing at all. A judge that gives up says so with a
//! `Trouble`, which becomes a finding of its own; the others go on.

mod accounts;
mod boot;
mod examine;
mod fstab;
mod growth;
mod leftovers;
mod model;
mod network;
mod patterns;
mod provisioner;
mod services;
mod sh;
mod sshd;
mod system;

#[doc(hidden)]
pub use boot::initramfs;
pub use examine::{MEMORY, examine};
pub use model::*;
#[doc(hidden)]
pub use network::netplan;
#[doc(hidden)]
pub use provisioner::DsIdentify;

use super::tree::Tree;
use crate::bytes::Hostile;
use crate::facts::{Code, Notebook, Spot};

/// What a judge gets.
pub(super) struct Case<'a, 'd> {
    /// The guest's files.
    pub(super) tree: Tree<'d>,
    pub(super) book: Book<'a>,
    /// What is shown of the disk.
    pub(super) inside: Inside,
    /// What judges before have found out for those after them.
    pub(super) known: Known,
}

/// What judges need of each other. Each field says who fills it.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// Of the entry that boots, the command line of the kernel (`boot`).
    pub(super) command_line: Option<Vec<u8>>,
    /// What starts the services (`services`).
    pub(super) init: Option<services::Init>,
    /// What the provisioner does (`provisioner`).
    pub(super) provisioner: Provides,
}

/// What a provisioner that starts on a Droplet does there.
#[derive(Clone, Debug, Default)]
pub(super) struct Provides {
    /// Whether there is one, and nothing was found that keeps it from starting.
    pub(super) starts: bool,
    /// Whether it configures the network of a Droplet by itself.
    pub(super) network: bool,
    /// Whether it writes a Droplet's keys for a user.
    pub(super) keys: bool,
    /// The user that gets the keys and may use them: made by the provisioner if it is not there.
    pub(super) user: Option<Vec<u8>>,
    /// How it makes that user, if it does.
    pub(super) made: Option<Made>,
    /// Whether root gets the keys, too, without a command that sends root away.
    pub(super) root: bool,
    /// Whether it makes new host keys on the first boot.
    pub(super) host_keys: bool,
    /// Whether it grows the root.
    pub(super) grows: bool,
}

/// An account that a provisioner makes unless it is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Made {
    /// Its shell, if that is known.
    pub(super) shell: Option<Vec<u8>>,
    pub(super) groups: Vec<Vec<u8>>,
    /// Whether its password is locked.
    pub(super) locked: bool,
    /// The file and the line that say so.
    pub(super) at: (Vec<u8>, u32),
}

impl Provides {
    /// What a provisioner that could not be looked into may do.
    pub(super) fn anything() -> Self {
        Provides {
            starts: true,
            network: true,
            keys: true,
            host_keys: true,
            grows: true,
            ..Provides::default()
        }
    }
}

/// Where judges write down what they find.
pub(super) struct Book<'a> {
    notebook: &'a Notebook<'a>,
}

impl<'a> Book<'a> {
    pub(super) fn new(notebook: &'a Notebook<'a>) -> Self {
        Book { notebook }
    }

    /// Something about the disk as a whole, or about what is not there.
    pub(super) fn found(&self, code: Code, said: impl Into<String>) {
        self.notebook.inside(code, None, said);
    }

    /// Something at a path of the guest.
    pub(super) fn found_at(&self, code: Code, path: impl AsRef<[u8]>, said: impl Into<String>) {
        self.notebook.inside(code, Some(Spot::path(path.as_ref())), said);
    }

    /// Something in a line of a file of the guest.
    pub(super) fn found_in(
        &self,
        code: Code,
        path: impl AsRef<[u8]>,
        line: u32,
        said: impl Into<String>,
    ) {
        self.notebook.inside(code, Some(Spot::line(path.as_ref(), line)), said);
    }

    /// Whether something of this code was written down.
    pub(super) fn has(&self, code: Code) -> bool {
        self.notebook.has(code)
    }
}

/// Text of the guest, to be shown.
pub(super) fn shown(bytes: impl AsRef<[u8]>) -> Hostile {
    Hostile::new(bytes.as_ref())
}

#[cfg(test)]
pub(super) mod testing {
    //! A case for the tests of a judge, and what it found.

    use super::super::fs::Trouble;
    use super::super::fs::memory::Memory;
    use super::super::tree::testing::tree;
    use super::*;

    /// Runs a judge over trees, of which the first is the root.
    pub(in crate::guest) fn judged(
        systems: Vec<Memory>,
        judge: impl FnOnce(&mut Case<'_, '_>) -> Result<(), Trouble>,
    ) -> (Vec<(Code, Option<String>, String)>, Inside) {
        judged_in(tree(systems), judge)
    }

    /// The same in a tree that is there.
    pub(in crate::guest) fn judged_in(
        tree: Tree<'static>,
        judge: impl FnOnce(&mut Case<'_, '_>) -> Result<(), Trouble>,
    ) -> (Vec<(Code, Option<String>, String)>, Inside) {
        let notebook = Notebook::new(&|_| false, u64::MAX);
        let (book, inside, known) = (Book::new(&notebook), Inside::default(), Known::default());
        let mut case = Case { tree, book, inside, known };
        judge(&mut case).unwrap();
        let inside = case.inside;
        let found = notebook.close().into_iter().map(|anomaly| {
            let place = anomaly.spot.map(|spot| spot.to_string());
            (anomaly.code, place, anomaly.said)
        });
        (found.collect(), inside)
    }

    /// The codes of what a judge found, in order.
    pub(in crate::guest) fn codes(found: &[(Code, Option<String>, String)]) -> Vec<&'static str> {
        found.iter().map(|(code, ..)| code.as_str()).collect()
    }
}
