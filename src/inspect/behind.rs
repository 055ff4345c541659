//! Who answers for what lies behind in a stream.

use super::again::{Again, How};
use super::pipeline::Origin;
use super::spool::Spool;
use super::{Guest, Options};
use crate::codec::{Index, Packing, Threads};
use crate::formats::Store;
use crate::source::{Against, Error};

/// A store, and what it needs of the stream.
#[derive(Default)]
pub(super) struct Behind<'a> {
    pub(super) store: Option<Box<dyn Store + 'a>>,
    /// Whether it is wanted for more than a digest of the disk.
    pub(super) lasting: bool,
    /// Where the decoder notes how to go on.
    pub(super) index: Option<Index>,
    /// What the bytes of the file are held against as they come by, if nobody else does so.
    pub(super) held: Option<Against>,
}

impl<'a> Behind<'a> {
    /// For a source that is packed like this, and decoded on these threads.
    ///
    /// # Errors
    /// If there is no place for a temporary file.
    pub(super) fn of(
        origin: Origin<'a>,
        (packing, threads): (Packing, &Threads),
        options: &Options,
    ) -> Result<Self, Error> {
        let packed = packing != Packing::Plain;
        if options.spool && !options.quick {
            let store = Some(Box::new(Spool::new()?) as Box<dyn Store>);
            return Ok(Behind { store, lasting: true, ..Behind::default() });
        }
        // Beside other checks there is no room for more.
        let looks_inside = options.guest != Guest::Never && options.share.is_none();
        let index = if looks_inside { Index::dense() } else { Index::default() };
        let how = How {
            packing,
            threads: threads.clone(),
            index: index.clone(),
            spools: options.disk_digest,
        };
        match origin {
            Origin::File(file, _) if packed && !options.quick => {
                let store = Some(Box::new(Again::new(how, file.offsets())) as Box<dyn Store>);
                return Ok(Behind { store, lasting: true, index: Some(index), held: None });
            }
            #[cfg(feature = "net")]
            Origin::Remote(remote, notify) if packed && !options.quick => {
                if let Some((parts, held)) = super::remote::offsets(remote, notify) {
                    let store = Some(Box::new(Again::new(how, parts)) as Box<dyn Store>);
                    let (index, held) = (Some(index), Some(held));
                    return Ok(Behind { store, lasting: true, index, held });
                }
            }
            _ => {}
        }
        if options.disk_digest && !options.quick {
            let store = Some(Box::new(Spool::new()?) as Box<dyn Store>);
            return Ok(Behind { store, ..Behind::default() });
        }
        Ok(match origin {
            #[cfg(feature = "net")]
            Origin::Remote(remote, notify) if !packed => {
                let parts = super::remote::Parts::of(remote, notify);
                let store = parts.map(|parts| Box::new(parts) as Box<dyn Store>);
                // For what is inside, parts are read of a raw disk as well.
                let lasting = options.guest != Guest::Never;
                Behind { store, lasting, ..Behind::default() }
            }
            _ => Behind::default(),
        })
    }
}
