use smart_cache::smart_cache;

#[smart_cache(stale = "1m")]
fn local(name: std::rc::Rc<str>) -> usize {
    name.len()
}

fn main() {}
