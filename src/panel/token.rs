//! DOOR to randomness and hashing: tokens, codes and what follows from them.

use super::trust::TokenHash;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use subtle::ConstantTimeEq;

/// Whether a page said the word that only our own page can know.
pub(super) fn same(a: &str, b: &str) -> bool {
    a.as_bytes().ct_eq(b.as_bytes()).into()
}

pub(super) fn hash(token: &str) -> TokenHash {
    TokenHash(Sha256::digest(token.as_bytes()).into())
}

/// Follows from the token, but not from the stored hash.
pub(super) fn csrf(token: &str) -> String {
    let mut sum = Sha256::new();
    sum.update(b"csrf\0");
    sum.update(token.as_bytes());
    hex(&sum.finalize()[..16])
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[expect(clippy::expect_used, reason = "without randomness no token may be made; the panel ends")]
pub(super) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system has a source of randomness");
    bytes
}

/// A number nobody can have been told.
pub(super) fn any_u32() -> u32 {
    u32::from_le_bytes(random())
}

/// Six digits, each equally likely.
pub(super) fn code() -> u32 {
    const CODES: u32 = 1_000_000;
    loop {
        let any = any_u32();
        if any < u32::MAX - u32::MAX % CODES {
            return any % CODES;
        }
    }
}
