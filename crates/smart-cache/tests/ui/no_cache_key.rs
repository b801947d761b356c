use smart_cache::smart_cache;

struct Options {
    limit: u32,
}

#[smart_cache]
fn rows(options: &Options) -> u32 {
    options.limit
}

#[smart_cache]
fn many(options: Vec<Options>) -> usize {
    options.len()
}

fn main() {}
