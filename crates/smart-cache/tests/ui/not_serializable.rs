use smart_cache::smart_cache;

#[derive(Clone)]
struct Row(u32);

#[smart_cache(persist = true)]
fn row(id: u32) -> Row {
    Row(id)
}

fn main() {}
