//! Which part of a result is stored.
//!
//! The attribute knows a `Result` or an `Option` by its name, because what is stored must have a name of its own. An
//! alias can hide either; that is found out when the program is compiled ([`Probe`]).

use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

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

/// What can be stored.
#[diagnostic::on_unimplemented(
    message = "the result `{Self}` cannot be stored",
    label = "not `Clone + Send + Sync`",
    note = "what is stored is handed out as clones, to all threads: make it `Clone + Send + Sync`, or return it in an \
            `Arc`; an error in a `Result` needs nothing"
)]
pub trait Storable: Clone + Send + Sync + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Clone + Send + Sync + 'static> Storable for T {}

/// Says what a type lacks that is to be stored, before anything that follows from it.
pub const fn stores<T: Storable>() {}

/// What can be persisted.
#[diagnostic::on_unimplemented(
    message = "the result `{Self}` cannot be persisted",
    label = "not `Serialize + DeserializeOwned`",
    note = "derive serde's `Serialize` and `Deserialize` for it, or leave `persist = true` out"
)]
pub trait Persistable: Serialize + DeserializeOwned {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned> Persistable for T {}

/// An argument that can be kept for a call that runs behind the caller.
#[diagnostic::on_unimplemented(
    message = "the argument `{Self}` cannot be kept for a call that runs behind the caller",
    label = "not `Clone + Send + 'static`",
    note = "`stale` loads again after the call has returned: make the argument `Clone + Send + 'static`, or leave \
            `stale` out"
)]
pub trait Keepable {}

#[diagnostic::do_not_recommend]
impl<T: ToOwned<Owned: Send + 'static> + ?Sized> Keepable for T {}

/// An argument of a function with `stale`, for the call that runs behind the caller.
pub fn kept_for_refresh<T: Keepable + ToOwned + ?Sized>(argument: &T) -> T::Owned {
    argument.to_owned()
}
