use smart_cache::smart_cache;

#[smart_cache(stale = "1m")]
fn kept_borrow(names: Vec<&str>) -> usize {
    names.len()
}

#[smart_cache(stale_if_error = "1h")]
fn no_error(a: u32) -> Option<u32> {
    Some(a)
}

#[smart_cache(store = all, stale_if_error = "1h")]
fn stored_error(a: u32) -> Result<u32, String> {
    Ok(a)
}

#[smart_cache(store = everything)]
fn no_such_store(a: u32) -> Result<u32, String> {
    Ok(a)
}

#[smart_cache(store = ok)]
fn no_result(a: u32) -> Option<u32> {
    Some(a)
}

fn main() {}
