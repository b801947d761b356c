use smart_cache::smart_cache;

#[smart_cache(max_entires = 10)]
fn misspelt(a: u32) -> u32 {
    a
}

#[smart_cache(colour = 10)]
fn unknown(a: u32) -> u32 {
    a
}

#[smart_cache(ttl = 10, ttl = 20)]
fn twice(a: u32) -> u32 {
    a
}

fn main() {}
