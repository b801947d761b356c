use smart_cache::smart_cache;

#[smart_cache]
fn nothing(a: u32) {
    let _ = a;
}

#[smart_cache]
fn unit(a: u32) -> () {
    let _ = a;
}

#[smart_cache]
fn borrowed(a: &str) -> &str {
    a
}

#[smart_cache]
fn borrowed_inside(a: &str) -> Result<Vec<&str>, String> {
    Ok(vec![a])
}

#[smart_cache]
fn unnamed(a: u32) -> impl Clone {
    a
}

#[smart_cache]
fn hidden() -> std::fmt::Result {
    Ok(())
}

fn main() {}
