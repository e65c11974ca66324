//! The nonce manager. A nonce belongs to one job for ever; it is given out only by writing the job into the journal.
//! Nonces no job was ever written for may be given out again after the chain went back ([`Nonces::lower`]).

/// The next nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nonces {
    next: u64,
}

impl Nonces {
    /// From the chain's count of mined transactions and the journal's next.
    #[must_use]
    pub fn resume(chain: u64, journal: Option<u64>) -> Self {
        Self {
            next: chain.max(journal.unwrap_or(0)),
        }
    }

    /// The nonce to sign with. Asking twice without [`Self::taken`] gives the same one: nothing was written in between.
    #[must_use]
    pub const fn peek(&self) -> u64 {
        self.next
    }

    /// `nonce` is in the journal now.
    pub fn taken(&mut self, nonce: u64) {
        self.next = self.next.max(nonce.saturating_add(1));
    }

    /// The chain has mined `count` transactions of this key: another process may have used some.
    pub fn seen_on_chain(&mut self, count: u64) {
        self.next = self.next.max(count);
    }

    /// The chain went back to `count`, and no job was written for it or for a later one.
    pub fn lower(&mut self, count: u64) {
        self.next = self.next.min(count);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Step {
        Submit { written: bool },
        Restart,
        Mine(u64),
        Foreign,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            any::<bool>().prop_map(|written| Step::Submit { written }),
            Just(Step::Restart),
            (0u64..4).prop_map(Step::Mine),
            Just(Step::Foreign),
        ]
    }

    proptest! {
        #[test]
        fn a_nonce_is_never_given_to_two_jobs(steps in proptest::collection::vec(step(), 0..200)) {
            let mut chain = 0u64;
            let mut journal: Option<u64> = None;
            let mut given = HashSet::new();
            let mut nonces = Nonces::resume(chain, journal);
            for step in steps {
                match step {
                    Step::Submit { written } => {
                        let nonce = nonces.peek();
                        if written {
                            prop_assert!(given.insert(nonce), "nonce {nonce} given twice");
                            journal = Some(journal.unwrap_or(0).max(nonce + 1));
                            nonces.taken(nonce);
                        }
                    }
                    Step::Restart => nonces = Nonces::resume(chain, journal),
                    Step::Mine(count) => chain = (chain + count).min(journal.unwrap_or(chain).max(chain)),
                    Step::Foreign => {
                        chain += 1;
                        nonces.seen_on_chain(chain);
                    }
                }
            }
        }
    }
}
