//! The keys of the standard library's types.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{CacheKey, KeyWriter};

macro_rules! numbers {
    ($($number:ty),*) => {$(
        impl CacheKey for $number {
            #[inline]
            fn write(&self, key: &mut KeyWriter) {
                key.bytes(&self.to_le_bytes());
            }
        }
    )*};
}

numbers!(u16, u32, u64, u128, i8, i16, i32, i64, i128, f32, f64);

macro_rules! nonzero_numbers {
    ($($number:ty),*) => {$(
        impl CacheKey for NonZero<$number> {
            #[inline]
            fn write(&self, key: &mut KeyWriter) {
                self.get().write(key);
            }
        }
    )*};
}

nonzero_numbers!(u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize);

impl CacheKey for u8 {
    #[inline]
    fn write(&self, key: &mut KeyWriter) {
        key.bytes(&[*self]);
    }

    fn write_all(values: &[Self], key: &mut KeyWriter) {
        key.bytes(values);
    }
}

// As wide on every machine, so that a persisted key is the same on all of them.
impl CacheKey for usize {
    #[inline]
    fn write(&self, key: &mut KeyWriter) {
        (*self as u64).write(key);
    }
}

impl CacheKey for isize {
    #[inline]
    fn write(&self, key: &mut KeyWriter) {
        (*self as i64).write(key);
    }
}

impl CacheKey for bool {
    #[inline]
    fn write(&self, key: &mut KeyWriter) {
        u8::from(*self).write(key);
    }
}

impl CacheKey for char {
    #[inline]
    fn write(&self, key: &mut KeyWriter) {
        u32::from(*self).write(key);
    }
}

impl CacheKey for str {
    #[inline]
    fn write(&self, key: &mut KeyWriter) {
        key.length(self.len());
        key.bytes(self.as_bytes());
    }
}

impl CacheKey for OsStr {
    fn write(&self, key: &mut KeyWriter) {
        key.length(self.len());
        key.bytes(self.as_encoded_bytes());
    }
}

/// By its text: `a/b` and `a//b` are two keys.
impl CacheKey for Path {
    fn write(&self, key: &mut KeyWriter) {
        self.as_os_str().write(key);
    }
}

impl<T: CacheKey> CacheKey for [T] {
    #[inline]
    fn write(&self, key: &mut KeyWriter) {
        key.length(self.len());
        T::write_all(self, key);
    }
}

impl<T: CacheKey, const N: usize> CacheKey for [T; N] {
    fn write(&self, key: &mut KeyWriter) {
        T::write_all(self, key);
    }
}

macro_rules! as_borrowed {
    ($($(#[$attr:meta])* [$($generics:tt)*] $owned:ty => $borrowed:ty;)*) => {$(
        $(#[$attr])*
        impl<$($generics)*> CacheKey for $owned {
            #[inline]
            fn write(&self, key: &mut KeyWriter) {
                <$borrowed as CacheKey>::write(self, key);
            }
        }
    )*};
}

as_borrowed! {
    [] String => str;
    [] OsString => OsStr;
    [] PathBuf => Path;
    [T: CacheKey] Vec<T> => [T];
    [T: CacheKey + ?Sized] &T => T;
    [T: CacheKey + ?Sized] Box<T> => T;
    [T: CacheKey + ?Sized] Rc<T> => T;
    [T: CacheKey + ?Sized] Arc<T> => T;
    [T: CacheKey + ToOwned + ?Sized] Cow<'_, T> => T;
}

impl<T: CacheKey> CacheKey for Option<T> {
    #[inline]
    fn write(&self, key: &mut KeyWriter) {
        self.is_some().write(key);
        if let Some(value) = self {
            value.write(key);
        }
    }
}

impl<T: CacheKey, E: CacheKey> CacheKey for Result<T, E> {
    fn write(&self, key: &mut KeyWriter) {
        self.is_ok().write(key);
        match self {
            Ok(value) => value.write(key),
            Err(error) => error.write(key),
        }
    }
}

impl<T: CacheKey> CacheKey for VecDeque<T> {
    fn write(&self, key: &mut KeyWriter) {
        key.length(self.len());
        self.iter().for_each(|value| value.write(key));
    }
}

impl<T: CacheKey> CacheKey for BTreeSet<T> {
    fn write(&self, key: &mut KeyWriter) {
        key.length(self.len());
        self.iter().for_each(|value| value.write(key));
    }
}

impl<K: CacheKey, V: CacheKey> CacheKey for BTreeMap<K, V> {
    fn write(&self, key: &mut KeyWriter) {
        key.length(self.len());
        for (name, value) in self {
            name.write(key);
            value.write(key);
        }
    }
}

impl CacheKey for Duration {
    fn write(&self, key: &mut KeyWriter) {
        self.as_secs().write(key);
        self.subsec_nanos().write(key);
    }
}

impl CacheKey for SystemTime {
    fn write(&self, key: &mut KeyWriter) {
        match self.duration_since(UNIX_EPOCH) {
            Ok(since) => {
                true.write(key);
                since.write(key);
            }
            Err(before) => {
                false.write(key);
                before.duration().write(key);
            }
        }
    }
}

impl CacheKey for Ipv4Addr {
    fn write(&self, key: &mut KeyWriter) {
        key.bytes(&self.octets());
    }
}

impl CacheKey for Ipv6Addr {
    fn write(&self, key: &mut KeyWriter) {
        key.bytes(&self.octets());
    }
}

impl CacheKey for IpAddr {
    fn write(&self, key: &mut KeyWriter) {
        self.is_ipv4().write(key);
        match self {
            Self::V4(address) => address.write(key),
            Self::V6(address) => address.write(key),
        }
    }
}

impl CacheKey for SocketAddr {
    fn write(&self, key: &mut KeyWriter) {
        self.ip().write(key);
        self.port().write(key);
        if let Self::V6(address) = self {
            address.flowinfo().write(key);
            address.scope_id().write(key);
        }
    }
}

impl CacheKey for () {
    fn write(&self, _: &mut KeyWriter) {}
}

macro_rules! tuples {
    ($(($($part:ident)+))*) => {$(
        impl<$($part: CacheKey),+> CacheKey for ($($part,)+) {
            #[inline]
            fn write(&self, key: &mut KeyWriter) {
                #[expect(non_snake_case, reason = "the parts are named as their types are")]
                let ($($part,)+) = self;
                $($part.write(key);)+
            }
        }
    )*};
}

tuples! {
    (A) (A B) (A B C) (A B C D) (A B C D E) (A B C D E F) (A B C D E F G) (A B C D E F G H)
    (A B C D E F G H I) (A B C D E F G H I J) (A B C D E F G H I J K) (A B C D E F G H I J K L)
}
