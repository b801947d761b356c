use smart_cache::smart_cache;

#[smart_cache(version = 2)]
fn version_of_nothing(a: u32) -> u32 {
    a
}

#[smart_cache(persist = "yes")]
fn no_bool(a: u32) -> u32 {
    a
}

#[smart_cache(persist = true, version = "two")]
fn no_number(a: u32) -> u32 {
    a
}

fn main() {}
