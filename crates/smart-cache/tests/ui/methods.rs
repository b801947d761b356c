use smart_cache::smart_cache;

struct Shop(u32);

impl Shop {
    #[smart_cache]
    fn unsaid(&self, a: u32) -> u32 {
        self.0 + a
    }

    #[smart_cache(skip(self))]
    fn mutable(&mut self, a: u32) -> u32 {
        self.0 + a
    }

    #[smart_cache(skip(self))]
    fn consumed(self, a: u32) -> u32 {
        self.0 + a
    }

    #[smart_cache(skip(self))]
    fn made(&self) -> Option<Self> {
        None
    }
}

fn main() {}
