//! How many images are checked at once, and what they have for it.

use std::sync::Arc;

use super::super::Usage;
use super::super::threads::threads;
use crate::inspect::{Budget, LARGEST_TABLES, Share};

/// What the program takes without any check, with the stacks of its threads: 10 MiB, and what allocators keep.
const PROGRAM: usize = 16 << 20;

/// What each check takes as long as nothing of it grows large: buffers, the head of the image, fingerprints of the file.
const EACH: usize = 5 << 20;

/// What each thread that decodes bzip2 has: a block, and what it has of the file.
const OF_THREAD: usize = 11 << 20;

/// What all checks of a call take together: 64 MiB at two threads, 256 MiB at twenty and more.
fn ceiling(threads: usize) -> usize {
    const LEAST: usize = 64 << 20;
    const MOST: usize = 256 << 20;
    (LEAST + threads.saturating_sub(2) * OF_THREAD).min(MOST)
}

/// So many images at once fit, with as much again for what grows large.
fn most(threads: usize) -> usize {
    (ceiling(threads) - PROGRAM - LARGEST_TABLES) / (2 * EACH)
}

/// How the images of a call are checked.
#[derive(Debug)]
pub(in crate::cli) struct Plan {
    /// So many at once.
    pub(in crate::cli) jobs: usize,
    /// Threads that decode bzip2 for one of them.
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
        let most = most(threads);
        let jobs = wanted.unwrap_or(threads).min(most).min(images).max(1);
        let lowered = wanted.filter(|wanted| *wanted > most && images > most);
        if jobs == 1 {
            return Plan { jobs, threads, lowered, budget: None };
        }
        let bytes = ceiling(threads) - PROGRAM - jobs * EACH;
        // bzip2 has all of the budget, a container within it what is left.
        let decoding = (bytes.saturating_sub(EACH * 3) / OF_THREAD).clamp(1, threads);
        Plan { jobs, threads: decoding, lowered, budget: Some(Budget::new(bytes)) }
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
    fn what_is_planned_fits_under_the_ceiling() {
        for threads in 1..=1024 {
            for wanted in [None, Some(1), Some(2), Some(64), Some(1024)] {
                let plan = Plan::of(threads, wanted, 1000);
                assert!(plan.jobs >= 1 && plan.threads >= 1, "{threads} {wanted:?} {plan:?}");
                assert!(plan.jobs <= wanted.unwrap_or(threads), "{threads} {wanted:?} {plan:?}");
                let fixed = PROGRAM + plan.jobs * EACH + LARGEST_TABLES;
                assert!(
                    plan.jobs == 1 || fixed <= ceiling(threads),
                    "{threads} {wanted:?} {plan:?}"
                );
            }
        }
        assert_eq!((ceiling(1), ceiling(2), ceiling(64)), (64 << 20, 64 << 20, 256 << 20));
    }

    #[test]
    fn jobs_are_those_of_the_cores_unless_fewer_fit() {
        let jobs = |threads, wanted, images| {
            let plan = Plan::of(threads, wanted, images);
            (plan.jobs, plan.threads, plan.lowered)
        };
        assert_eq!(jobs(2, None, 8), (2, 2, None));
        assert_eq!(jobs(2, None, 1), (1, 2, None));
        assert_eq!(jobs(8, None, 40).0, 8);
        assert_eq!(jobs(2, Some(64), 100), (2, 2, Some(64)));
        assert_eq!(jobs(2, Some(64), 2), (2, 2, None));
        assert_eq!(jobs(64, Some(64), 100).0, most(64));
        assert_eq!(jobs(1, None, 100), (1, 1, None));
    }
}
