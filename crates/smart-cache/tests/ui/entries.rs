use smart_cache::smart_cache;

#[smart_cache(max_entries = 0)]
fn none(a: u32) -> u32 {
    a
}

#[smart_cache(max_entries = 1_000_000_000_000)]
fn too_many(a: u32) -> u32 {
    a
}

#[smart_cache(max_entries = "100")]
fn no_number(a: u32) -> u32 {
    a
}

fn main() {}
