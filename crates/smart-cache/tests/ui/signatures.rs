use smart_cache::smart_cache;

#[smart_cache]
fn generic<T: Clone>(a: T) -> T {
    a
}

#[smart_cache]
fn sized<const N: usize>(a: [u8; N]) -> usize {
    a.len()
}

#[smart_cache]
const fn constant(a: u32) -> u32 {
    a
}

#[smart_cache]
unsafe fn dangerous(a: u32) -> u32 {
    a
}

#[smart_cache]
extern "C" fn foreign(a: u32) -> u32 {
    a
}

#[smart_cache]
fn any(a: impl ToString) -> String {
    a.to_string()
}

#[smart_cache]
fn written(a: &mut u32) -> u32 {
    *a
}

#[smart_cache]
fn unnamed(_: u32) -> u32 {
    1
}

#[smart_cache]
fn taken_apart((a, b): (u32, u32)) -> u32 {
    a + b
}

fn main() {}
