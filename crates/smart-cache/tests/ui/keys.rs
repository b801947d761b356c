use smart_cache::smart_cache;

#[smart_cache(skip(c))]
fn no_argument(a: u32, b: u32) -> u32 {
    a + b
}

#[smart_cache(key = a, skip(b))]
fn both(a: u32, b: u32) -> u32 {
    a + b
}

#[smart_cache(skip())]
fn nothing_skipped(a: u32) -> u32 {
    a
}

#[smart_cache(skip(a, a))]
fn skipped_twice(a: u32) -> u32 {
    a
}

#[smart_cache(tags())]
fn no_tags(a: u32) -> u32 {
    a
}

#[smart_cache(tags(a))]
fn no_words(a: u32) -> u32 {
    a
}

fn main() {}
