//! Where one answer goes on after another.
//!
//! Status, size and ETag of two answers are what a server says, and it may say the same of two objects. So each answer
//! begins a little before what is needed of it, and what comes twice has to be the same bytes. Whoever reads keeps the
//! [`Tail`] of what came; [`Link`](super::link::Link) asks for it again. It tells objects that differ there: not those
//! that differ elsewhere, nor those that have zeros there both.

/// Bytes that come twice: a five-hundredth of an ordinary piece.
pub(super) const SEAM: u64 = 4 << 10;

/// The last bytes of what came in order, [`SEAM`] of them at most.
#[derive(Clone, Debug, Default)]
pub(super) struct Tail(Vec<u8>);

impl Tail {
    /// Of a run that came.
    pub(super) fn of(run: &[u8]) -> Tail {
        Tail(run[run.len().saturating_sub(SEAM as usize)..].to_vec())
    }

    /// Takes the run that comes next.
    pub(super) fn take(&mut self, run: &[u8]) {
        let run = &run[run.len().saturating_sub(SEAM as usize)..];
        let surplus = (self.0.len() + run.len()).saturating_sub(SEAM as usize);
        self.0.drain(..surplus);
        self.0.extend_from_slice(run);
    }

    /// How many bytes of it there are.
    pub(super) fn len(&self) -> u64 {
        self.0.len() as u64
    }

    /// Whether a run that comes again has the same bytes, as far as it is known: it begins so many bytes before the
    /// end, and ends there or before.
    pub(super) fn has(&self, before: u64, run: &[u8]) -> bool {
        let unknown = before.saturating_sub(self.len()).min(run.len() as u64);
        let run = &run[unknown as usize..];
        let known = &self.0[self.0.len() - (before - unknown).min(self.len()) as usize..];
        known.starts_with(run)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_bytes_however_they_came() {
        let all: Vec<u8> = (0..20_000u32).map(|at| ((at * 7919) >> 6) as u8).collect();
        for step in [1, 7, 1000, 4095, 4096, 4097, 20_000] {
            let mut tail = Tail::default();
            for (number, run) in all.chunks(step).enumerate() {
                tail.take(run);
                let came = (number * step + run.len()) as u64;
                assert_eq!(tail.len(), came.min(SEAM), "{step}");
            }
            assert_eq!(tail.0, Tail::of(&all).0);
            assert_eq!(tail.0, &all[20_000 - SEAM as usize..]);
        }
    }

    #[test]
    fn what_comes_again_is_the_same_or_not() {
        let all: Vec<u8> = (0..9_000u32).map(|at| ((at * 7919) >> 6) as u8).collect();
        for had in [0, 1, 100, 5000] {
            let tail = Tail::of(&all[..had]);
            for before in [0, 1, 50, 100, 4095, 4096, 4097, 5000] {
                for len in [0, 1, 99, before].map(|len| len.min(before)) {
                    let Some(start) = had.checked_sub(before) else { continue };
                    let mut run = all[start..start + len].to_vec();
                    assert!(tail.has(before as u64, &run), "{had} {before} {len}");
                    for at in 0..len {
                        run[at] ^= 1;
                        let known = start + at >= had - tail.len() as usize;
                        assert_eq!(tail.has(before as u64, &run), !known, "{had} {before} {at}");
                        run[at] ^= 1;
                    }
                }
            }
        }
    }
}
