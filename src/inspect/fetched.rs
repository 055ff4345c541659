//! The image in a packed object behind a URL that was decoded once, at any offset: decoded again from parts of the object,
//! which are held against what came by. It knows nothing of requests.

use std::cell::OnceCell;
use std::sync::Arc;

use super::Listener;
use super::opened::Image;
use super::pipeline::unless_stopped;
use super::remote::{Part, notify};
use super::spool::Spool;
use super::threads::packed_pool;
use super::unpacked::Decoded;
use crate::bytes::Hostile;
use crate::codec::Packing;
use crate::facts::Notebook;
use crate::formats::{Halt, ImageView, Store as _};
use crate::net::Retry;
use crate::source::remote::Remote;
use crate::source::{Against, Agreed, Error, Kind, LocalFile, Offsets, Read as _, ReadAt};

/// An image in a packed object.
pub(super) struct Fetched<'l> {
    object: Object<'l>,
    /// What came by.
    agreed: Arc<Agreed>,
    decoded: Decoded,
}

/// An object whose server said that it sends parts.
struct Object<'l> {
    remote: Remote,
    subject: Hostile,
    notify: Box<dyn Fn(&Retry) + Sync + 'l>,
    /// All of it, if the server sends no parts after all.
    whole: OnceCell<LocalFile>,
}

impl<'l> Fetched<'l> {
    /// The image of an object. Whatever is damaged is written down.
    ///
    /// # Errors
    /// If it cannot be read or decoded.
    pub(super) fn of(
        remote: Remote,
        packing: Packing,
        notebook: &Notebook<'_>,
        listener: &'l dyn Listener,
    ) -> Result<Self, Halt> {
        let name = remote.served().asked.to_string();
        let subject = Hostile::from(name.as_str());
        let notify = Box::new(move |retry: &Retry| notify(listener, &name)(retry));
        // Without a size there are no parts either.
        let agreed = Arc::new(Agreed::new(remote.served().size.unwrap_or_default()));
        let held = Against::new(Arc::clone(&agreed), subject.clone());
        let object = Object { remote, subject, notify, whole: OnceCell::new() };
        let reader = object.remote.reader(&*object.notify);
        let decoded = Decoded::of((reader, Some(held)), packing, notebook, listener)?;
        Ok(Fetched { object, agreed, decoded })
    }
}

impl Image for Fetched<'_> {
    fn size(&self) -> u64 {
        self.decoded.size()
    }

    fn view<'v>(&'v self, _: &Notebook<'_>) -> Box<dyn ImageView + 'v> {
        let part = Part::of(&self.object.remote, &*self.object.notify).map(Part::forward);
        let either = Either { object: &self.object, part };
        Box::new(self.decoded.view(Offsets::new(either, Arc::clone(&self.agreed))))
    }

    fn file(&self) -> Option<&LocalFile> {
        None
    }
}

impl Object<'_> {
    /// All of the object, fetched once more into a temporary file.
    fn whole(&self) -> Result<&LocalFile, Error> {
        if let Some(file) = self.whole.get() {
            return Ok(file);
        }
        let mut spool = Spool::new()?;
        let mut pool = packed_pool();
        let mut reader = self.remote.reader(&*self.notify);
        while let Some(segment) = reader.next(&mut pool)? {
            unless_stopped(spool.put(&segment))?;
        }
        let file = spool.finish()?;
        Ok(self.whole.get_or_init(|| file))
    }
}

/// Parts of an object as long as the server sends them, and then all of it.
struct Either<'o> {
    object: &'o Object<'o>,
    part: Option<Part<'o>>,
}

impl ReadAt for Either<'_> {
    fn fill(&mut self, at: u64, buf: &mut [u8]) -> Result<(), Error> {
        if let Some(part) = &mut self.part {
            match part.fill(at, buf) {
                Err(error) if error.kind == Kind::NoParts => self.part = None,
                filled => return filled,
            }
        }
        match self.object.whole()?.offsets().read_at(at, buf)? == buf.len() {
            true => Ok(()),
            false => Err(self.changed(at)),
        }
    }

    fn changed(&self, at: u64) -> Error {
        Error { offset: Some(at), ..Error::of(Kind::Changed, &self.object.subject) }
    }
}
