//! Cached methods and associated functions.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use smart_cache::smart_cache;

struct Shop {
    id: u32,
    runs: AtomicU32,
}

impl Shop {
    fn new(id: u32) -> Self {
        Self { id, runs: AtomicU32::new(0) }
    }

    #[smart_cache(key = (self.id, article))]
    fn price(&self, article: &str) -> Option<u32> {
        self.runs.fetch_add(1, Ordering::SeqCst);
        (!article.is_empty()).then_some(self.id * 100 + article.len() as u32)
    }

    #[smart_cache(skip(self), tags("taxes"))]
    async fn tax(&self, rate: u32) -> Result<u32, std::fmt::Error> {
        self.runs.fetch_add(1, Ordering::SeqCst);
        Ok(rate * 2)
    }

    #[smart_cache(key = self.id)]
    fn shared(self: &Arc<Self>) -> u32 {
        self.runs.fetch_add(1, Ordering::SeqCst) + 1
    }

    #[smart_cache(associated, max_entries = 5)]
    fn rounded(cents: u64) -> u64 {
        cents / 100
    }
}

#[test]
fn objects_share_what_their_key_says() {
    let (one, two) = (Shop::new(1), Shop::new(2));
    assert_eq!((one.price("tea"), one.price("tea"), two.price("tea")), (Some(103), Some(103), Some(203)));
    assert_eq!(one.runs.load(Ordering::SeqCst), 1);
    assert_eq!(*one.price_peek("tea").unwrap().value(), 103);
    one.price_invalidate("tea").unwrap();
    assert!(one.price_peek("tea").is_none() && two.price_peek("tea").is_some());
    assert_eq!(two.price_refresh("tea"), Some(203));
    assert_eq!(two.runs.load(Ordering::SeqCst), 2);
    assert!(Shop::price_stats().name.ends_with("Shop::price"), "{}", Shop::price_stats().name);
    Shop::price_clear().unwrap();
    assert_eq!(Shop::price_stats().entries, 0);
}

#[tokio::test]
async fn objects_share_everything_if_they_are_skipped() {
    let (one, two) = (Shop::new(1), Shop::new(2));
    assert_eq!((one.tax(5).await, two.tax(5).await), (Ok(10), Ok(10)));
    assert_eq!(two.runs.load(Ordering::SeqCst), 0);
    assert!(two.tax_peek(5).is_some());
    two.tax_invalidate(5).await.unwrap();
    assert_eq!(two.tax_refresh(5).await, Ok(10));
    assert_eq!(two.runs.load(Ordering::SeqCst), 1);
    Shop::tax_clear().await.unwrap();
}

#[test]
fn other_receivers_and_none_work_too() {
    let shop = Arc::new(Shop::new(7));
    assert_eq!((shop.shared(), shop.shared()), (1, 1));
    assert_eq!((Shop::rounded(250), Shop::rounded(250)), (2, 2));
    assert_eq!(Shop::rounded_stats().hits, 1);
    assert!(Shop::rounded_peek(250).is_some());
}

trait Named {
    const NAME: &'static str;
}

struct Generic<T>(std::marker::PhantomData<T>);

impl<T: Named + 'static> Generic<T> {
    #[smart_cache(skip(self))]
    fn describe(&self, number: u32) -> String {
        format!("{} {number}", T::NAME)
    }
}

#[test]
fn each_type_of_a_generic_impl_has_a_cache_of_its_own() {
    struct Left;
    struct Right;
    struct Third;
    impl Named for Left {
        const NAME: &'static str = "left";
    }
    impl Named for Right {
        const NAME: &'static str = "right";
    }
    impl Named for Third {
        const NAME: &'static str = "third";
    }
    for _ in 0..2 {
        assert_eq!(Generic::<Left>(Default::default()).describe(1), "left 1");
        assert_eq!(Generic::<Right>(Default::default()).describe(1), "right 1");
        assert_eq!(Generic::<Third>(Default::default()).describe(1), "third 1");
    }
    assert_eq!(Generic::<Left>::describe_stats().hits, 1);
    assert_eq!(Generic::<Third>::describe_stats().hits, 1);
    assert_ne!(Generic::<Left>::describe_stats().name, Generic::<Right>::describe_stats().name);
}
