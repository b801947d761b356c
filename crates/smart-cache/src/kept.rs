//! Which part of a result is stored.
//!
//! The attribute knows a `Result` or an `Option` by its name, because what is stored must have a name of its own. An
//! alias can hide either; that is found out when the program is compiled ([`Probe`]).

use std::marker::PhantomData;

/// A result of which `V` is stored.
pub trait Kept<V>: Sized {
    /// What is stored, if this result is one to be stored.
    fn kept(&self) -> Option<&V>;

    /// The result that was stored.
    fn from_kept(kept: V) -> Self;

    /// Whether this is an error, for which an older result may stand in.
    fn is_error(&self) -> bool {
        false
    }
}

impl<V> Kept<V> for V {
    fn kept(&self) -> Option<&V> {
        Some(self)
    }

    fn from_kept(kept: V) -> Self {
        kept
    }
}

impl<V> Kept<V> for Option<V> {
    fn kept(&self) -> Option<&V> {
        self.as_ref()
    }

    fn from_kept(kept: V) -> Self {
        Some(kept)
    }
}

impl<V, E> Kept<V> for Result<V, E> {
    fn kept(&self) -> Option<&V> {
        self.as_ref().ok()
    }

    fn from_kept(kept: V) -> Self {
        Ok(kept)
    }

    fn is_error(&self) -> bool {
        self.is_err()
    }
}

impl<V, E> Kept<V> for Result<Option<V>, E> {
    fn kept(&self) -> Option<&V> {
        self.as_ref().ok()?.as_ref()
    }

    fn from_kept(kept: V) -> Self {
        Ok(Some(kept))
    }

    fn is_error(&self) -> bool {
        self.is_err()
    }
}

/// Tells whether a type is a `Result` or an `Option`, whatever it is called: a constant of the type itself is found
/// before one of a trait.
pub struct Probe<R>(PhantomData<R>);

impl<T, E> Probe<Result<T, E>> {
    /// It is.
    pub const CAN_FAIL: bool = true;
}

impl<T> Probe<Option<T>> {
    /// It is.
    pub const CAN_FAIL: bool = true;
}

/// What a type is if nothing else is known of it.
pub trait Plain {
    /// It is neither.
    const CAN_FAIL: bool = false;
}

impl<R> Plain for Probe<R> {}

/// An argument of a function with `stale`, kept for the call that runs behind the caller.
pub fn kept_for_refresh<T>(argument: &T) -> T::Owned
where
    T: ToOwned<Owned: Send + 'static> + ?Sized,
{
    argument.to_owned()
}
