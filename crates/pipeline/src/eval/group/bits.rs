//! Which groups have which values, as bits: where both are few, a set of a byte for eight pairs beats any hash table.

/// Pairs of a group and a value, each a bit.
#[derive(Debug, Default)]
pub(super) struct Bits {
    groups: Vec<Vec<u64>>,
    bytes: usize,
}

impl Bits {
    /// Adds a pair.
    #[inline]
    pub(super) fn insert(&mut self, group: u32, value: u32) {
        let (group, word) = (group as usize, value as usize / 64);
        if self.groups.get(group).is_none_or(|words| words.len() <= word) {
            self.grow(group, word);
        }
        self.groups[group][word] |= 1 << (value % 64);
    }

    #[cold]
    fn grow(&mut self, group: usize, word: usize) {
        if self.groups.len() <= group {
            self.groups.resize_with(group + 1, Vec::new);
        }
        let before = self.groups[group].capacity();
        self.groups[group].resize(word + 1, 0);
        self.bytes += (self.groups[group].capacity() - before) * 8;
    }

    /// Adds the pairs of another.
    pub(super) fn join(&mut self, other: &Self) {
        for (group, words) in other.groups.iter().enumerate().filter(|(_, words)| !words.is_empty()) {
            if self.groups.get(group).is_none_or(|mine| mine.len() < words.len()) {
                self.grow(group, words.len() - 1);
            }
            self.groups[group].iter_mut().zip(words).for_each(|(mine, theirs)| *mine |= theirs);
        }
    }

    /// How many values each group has, but for `left_out`.
    pub(super) fn counts(&self, groups: usize, left_out: Option<u32>) -> Vec<u64> {
        let mut counts = vec![0; groups];
        for (count, words) in counts.iter_mut().zip(&self.groups) {
            let all: u64 = words.iter().map(|word| u64::from(word.count_ones())).sum();
            let is_set = |value: u32| words.get(value as usize / 64).is_some_and(|word| word >> (value % 64) & 1 == 1);
            *count = all - u64::from(left_out.is_some_and(is_set));
        }
        counts
    }

    /// All pairs.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (u32, u32)> {
        (0..).zip(&self.groups).flat_map(|(group, words)| {
            (0..).zip(words).flat_map(move |(at, word): (u32, &u64)| {
                let set = (0..64).filter(move |bit| word >> bit & 1 == 1);
                set.map(move |bit| (group, at * 64 + bit))
            })
        })
    }

    /// The bytes that they take.
    pub(super) fn bytes(&self) -> usize {
        self.bytes + self.groups.capacity() * size_of::<Vec<u64>>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_a_set() {
        let (mut bits, mut more) = (Bits::default(), Bits::default());
        for (group, value) in [(2, 64), (0, 0), (2, 3), (2, 64)] {
            bits.insert(group, value);
        }
        for (group, value) in [(2, 3), (3, 130)] {
            more.insert(group, value);
        }
        bits.join(&more);
        assert_eq!(bits.pairs().collect::<Vec<_>>(), [(0, 0), (2, 3), (2, 64), (3, 130)]);
        assert_eq!(bits.counts(5, None), [1, 0, 2, 1, 0]);
        assert_eq!(bits.counts(5, Some(64)), [1, 0, 1, 1, 0]);
        assert!(bits.bytes() >= 7 * 8);
    }
}
