use smart_cache::smart_cache;

#[smart_cache]
struct Row {
    id: u32,
}

trait Source {
    #[smart_cache(skip(self))]
    fn rows(&self) -> u32;
}

fn main() {
    let _ = Row { id: 1 }.id;
}
