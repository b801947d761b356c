use smart_cache::smart_cache;

struct Connection;

#[smart_cache]
fn connect(host: &str) -> Option<Connection> {
    let _ = host;
    None
}

fn main() {}
