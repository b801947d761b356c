//! Values that no coder makes smaller, each told from the others.

use serde_bytes::ByteBuf;

use crate::random::Random;

/// Incompressible values of one size. Their bodies repeat after a few hundred, far beyond what a coder sees at once.
pub(super) struct Values {
    bodies: Vec<Vec<u8>>,
}

impl Values {
    pub(super) fn new(bytes: usize) -> Self {
        let mut random = Random::new(bytes as u64);
        Self { bodies: (0..256).map(|_| random.bytes(bytes)).collect() }
    }

    /// The value of a number, which is in its first bytes.
    pub(super) fn get(&self, number: usize) -> ByteBuf {
        let mut value = self.bodies[number % self.bodies.len()].clone();
        value[..8].copy_from_slice(&(number as u64).to_le_bytes());
        ByteBuf::from(value)
    }
}
