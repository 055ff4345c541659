//! How many images are checked at once, and what they have for it.

use std::sync::Arc;

use super::super::Usage;
use super::super::threads::threads;
use crate::inspect::{Budget, Share};

/// What the program takes without any check, with the stacks of its threads: 10 MiB, and what allocators keep.
const PROGRAM: usize = 16 << 20;

/// What each check takes as long as nothing of it grows large: buffers, the head of the image, fingerprints of the file.
const EACH: usize = 19 << 19;

/// What the allocator keeps for each job of what was large once: twice the largest buffer that was given back.
const KEPT: usize = 18 << 20;

/// What each thread that decodes bzip2 has: a block, and what it has of the file.
const OF_THREAD: usize = 11 << 20;

/// What all checks of a call may take together.
#[derive(Clone, Copy)]
struct Room {
    /// Images at once.
    jobs: usize,
    /// Bytes for what may grow large.
    large: usize,
}

/// Within 64 MiB. With two jobs, what is kept is a part of what may grow large.
const OF_TWO_THREADS: Room = Room { jobs: 2, large: 28 << 20 };
const _: () = assert!(PROGRAM + 2 * EACH + OF_TWO_THREADS.large <= 64 << 20);

/// Within 256 MiB.
const OF_MORE: Room = Room { jobs: 6, large: 72 << 20 };
const _: () = assert!(PROGRAM + OF_MORE.jobs * (EACH + KEPT) + OF_MORE.large <= 256 << 20);

fn room(threads: usize) -> Room {
    if threads <= 2 { OF_TWO_THREADS } else { OF_MORE }
}

/// How the images of a call are checked.
#[derive(Debug)]
pub(in crate::cli) struct Plan {
    /// So many at once.
    pub(in crate::cli) jobs: usize,
    /// Threads that decode one of them: bzip2, and gzip if it is the only one.
    pub(in crate::cli) threads: usize,
    /// The jobs that were asked for, if these are more than fit.
    pub(in crate::cli) lowered: Option<usize>,
    budget: Option<Arc<Budget>>,
}

impl Plan {
    /// For so many images, with the jobs that the user wants.
    pub(in crate::cli) fn new(wanted: Option<u16>, images: usize) -> Result<Self, Usage> {
        Ok(Plan::of(threads()?, wanted.map(usize::from), images))
    }

    fn of(threads: usize, wanted: Option<usize>, images: usize) -> Self {
        let Room { jobs: most, large } = room(threads);
        let jobs = wanted.unwrap_or(threads).min(most).min(images).max(1);
        let lowered = wanted.filter(|wanted| *wanted > most && images > most);
        if jobs == 1 {
            return Plan { jobs, threads, lowered, budget: None };
        }
        // bzip2 has all of the budget, a container within it what is left.
        let decoding = (large / OF_THREAD).clamp(1, threads);
        Plan { jobs, threads: decoding, lowered, budget: Some(Budget::new(large)) }
    }

    /// What the image of this number may have beside others; nothing is said if there are none.
    pub(in crate::cli) fn share(&self, image: usize) -> Option<Share> {
        self.budget.as_ref().map(|budget| budget.share(image as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_the_largest_tables() {
        use crate::inspect::LARGEST_TABLES;
        for threads in 1..=1024 {
            assert!(room(threads).large >= LARGEST_TABLES);
            for wanted in [None, Some(1), Some(2), Some(64), Some(1024)] {
                let plan = Plan::of(threads, wanted, 1000);
                assert!((1..=wanted.unwrap_or(threads)).contains(&plan.jobs), "{threads} {plan:?}");
                assert!((1..=threads).contains(&plan.threads), "{threads} {plan:?}");
            }
        }
    }

    #[test]
    fn jobs_are_those_of_the_cores_unless_fewer_fit() {
        let jobs = |threads, wanted, images| {
            let plan = Plan::of(threads, wanted, images);
            (plan.jobs, plan.threads, plan.lowered)
        };
        assert_eq!(jobs(2, None, 8), (2, 2, None));
        assert_eq!(jobs(2, None, 1), (1, 2, None));
        assert_eq!(jobs(4, None, 40), (4, 4, None));
        assert_eq!(jobs(2, Some(64), 100), (2, 2, Some(64)));
        assert_eq!(jobs(2, Some(64), 2), (2, 2, None));
        assert_eq!(jobs(64, Some(64), 100), (6, 6, Some(64)));
        assert_eq!(jobs(1, None, 100), (1, 1, None));
    }
}
