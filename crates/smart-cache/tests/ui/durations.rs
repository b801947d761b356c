use smart_cache::smart_cache;

#[smart_cache(ttl = 0)]
fn zero(a: u32) -> u32 {
    a
}

#[smart_cache(ttl = "soon")]
fn no_duration(a: u32) -> u32 {
    a
}

#[smart_cache(ttl)]
fn no_value(a: u32) -> u32 {
    a
}

#[smart_cache(stale = 0)]
fn no_window(a: u32) -> u32 {
    a
}

fn main() {}
