//! Output, kept up to a bound while it is read.

/// Which of a command's two streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Out,
    Err,
}

/// The first bytes of both streams, together never more than a bound, and how much came in all.
///
/// Neither stream can crowd the other out: each may always keep half of the bound.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    bound: usize,
    out: Half,
    err: Half,
}

#[derive(Debug, Default)]
pub(crate) struct Half {
    pub(crate) bytes: Vec<u8>,
    pub(crate) total: u64,
    cut: bool,
}

impl Kept {
    pub(crate) fn new(bound: u64) -> Self {
        Self { bound: usize::try_from(bound).unwrap_or(usize::MAX), ..Self::default() }
    }

    /// Takes in what came on one stream.
    pub(crate) fn push(&mut self, side: Side, data: &[u8]) {
        let (own, other) = match side {
            Side::Out => (&mut self.out, &mut self.err),
            Side::Err => (&mut self.err, &mut self.out),
        };
        own.total = own.total.saturating_add(u64::try_from(data.len()).unwrap_or(u64::MAX));
        if own.cut {
            return;
        }
        let half = self.bound / 2;
        let wanted = own.bytes.len().saturating_add(data.len());
        let free = self.bound.saturating_sub(own.bytes.len() + other.bytes.len());
        if data.len() > free && own.bytes.len() < half && other.bytes.len() > half {
            // The other stream took more than its half while this one was silent: it gives back what is needed.
            let needed = wanted.min(half);
            other.bytes.truncate(half.max(self.bound.saturating_sub(needed)));
            other.cut = true;
        }
        let room = self.bound.saturating_sub(own.bytes.len() + other.bytes.len());
        let (fits, rest) = data.split_at(room.min(data.len()));
        own.bytes.extend_from_slice(fits);
        own.cut = !rest.is_empty();
    }

    /// How much came in all, both streams together.
    pub(crate) fn total(&self) -> u64 {
        self.out.total.saturating_add(self.err.total)
    }

    /// Both streams, standard output first.
    pub(crate) fn take(&mut self) -> (Half, Half) {
        (std::mem::take(&mut self.out), std::mem::take(&mut self.err))
    }
}

#[cfg(test)]
mod tests {
    use super::{Kept, Side};

    fn run(bound: u64, pushes: &[(Side, &str)]) -> (String, String, u64) {
        let mut kept = Kept::new(bound);
        for (side, text) in pushes {
            kept.push(*side, text.as_bytes());
        }
        let total = kept.total();
        let (out, err) = kept.take();
        (String::from_utf8(out.bytes).unwrap(), String::from_utf8(err.bytes).unwrap(), total)
    }

    #[test]
    fn everything_is_kept_below_the_bound() {
        assert_eq!(run(10, &[(Side::Out, "abc"), (Side::Err, "de")]), ("abc".into(), "de".into(), 5));
    }

    #[test]
    fn one_stream_may_have_it_all_while_the_other_is_silent() {
        assert_eq!(run(10, &[(Side::Out, "0123456789ab")]), ("0123456789".into(), String::new(), 12));
    }

    #[test]
    fn a_late_stream_gets_its_half_back() {
        assert_eq!(
            run(10, &[(Side::Out, "0123456789ab"), (Side::Err, "EE")]),
            ("01234567".into(), "EE".into(), 14)
        );
        assert_eq!(
            run(10, &[(Side::Out, "0123456789"), (Side::Err, "EEEEEEEE")]),
            ("01234".into(), "EEEEE".into(), 18)
        );
    }

    #[test]
    fn a_cut_stream_has_no_holes() {
        let pushes = [(Side::Out, "0123456789"), (Side::Err, "EE"), (Side::Out, "later")];
        assert_eq!(run(10, &pushes), ("01234567".into(), "EE".into(), 17));
        assert_eq!(run(4, &[(Side::Out, "012"), (Side::Out, "345"), (Side::Out, "6")]).0, "0123");
    }
}
