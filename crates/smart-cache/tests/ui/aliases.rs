use smart_cache::smart_cache;

type Fallible = Result<u32, String>;
type Maybe<T> = Option<T>;

#[smart_cache]
fn hidden_error(a: u32) -> Fallible {
    Ok(a)
}

#[smart_cache]
fn hidden_none(a: u32) -> Maybe<u32> {
    Some(a)
}

fn main() {
    let _ = (hidden_error(1), hidden_none(1));
}
