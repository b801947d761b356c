//! A value on its way into MessagePack, which fails where MessagePack would say two different things alike.
//!
//! MessagePack has one nil, and `Some` leaves no trace: `None`, `Some(None)` and `Some(())` are the same byte, and the
//! first is what is read. So a nil directly within a `Some` is refused. Everything else is handed on as it is, each part
//! of a value in the same wrapping.

use serde::ser::{
    Error, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

/// A value, or a part of one.
pub(super) struct ToldApart<'a, T: ?Sized> {
    value: &'a T,
    /// Whether a nil would be read as that `Some`'s `None`.
    in_some: bool,
}

impl<'a, T: ?Sized> ToldApart<'a, T> {
    pub(super) fn new(value: &'a T) -> Self {
        Self { value, in_some: false }
    }
}

impl<T: Serialize + ?Sized> Serialize for ToldApart<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(Guarded { serializer, in_some: self.in_some })
    }
}

/// The serializer that a value in the wrapping sees.
struct Guarded<S> {
    serializer: S,
    in_some: bool,
}

impl<S: Serializer> Guarded<S> {
    /// The serializer, for what writes a nil.
    fn for_nil(self) -> Result<S, S::Error> {
        if self.in_some {
            return Err(S::Error::custom("write a None or a () within a Some: it would be read as None"));
        }
        Ok(self.serializer)
    }
}

/// What is written as it is: no nil, and nothing within.
macro_rules! handed_on {
    ($($method:ident($($name:ident: $type:ty),*);)*) => {
        $(fn $method(self, $($name: $type),*) -> Result<S::Ok, S::Error> {
            self.serializer.$method($($name),*)
        })*
    };
}

/// What has parts: they come one by one, and none of them is directly within a `Some`.
macro_rules! begun {
    ($($method:ident($($name:ident: $type:ty),*) -> $parts:ident;)*) => {
        $(fn $method(self, $($name: $type),*) -> Result<Self::$parts, S::Error> {
            self.serializer.$method($($name),*).map(Parts)
        })*
    };
}

impl<S: Serializer> Serializer for Guarded<S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Parts<S::SerializeSeq>;
    type SerializeTuple = Parts<S::SerializeTuple>;
    type SerializeTupleStruct = Parts<S::SerializeTupleStruct>;
    type SerializeTupleVariant = Parts<S::SerializeTupleVariant>;
    type SerializeMap = Parts<S::SerializeMap>;
    type SerializeStruct = Parts<S::SerializeStruct>;
    type SerializeStructVariant = Parts<S::SerializeStructVariant>;

    fn is_human_readable(&self) -> bool {
        self.serializer.is_human_readable()
    }

    fn serialize_none(self) -> Result<S::Ok, S::Error> {
        self.for_nil()?.serialize_none()
    }

    fn serialize_unit(self) -> Result<S::Ok, S::Error> {
        self.for_nil()?.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.serializer.serialize_some(&ToldApart { value, in_some: true })
    }

    /// Leaves no trace either.
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result<S::Ok, S::Error> {
        self.serializer.serialize_newtype_struct(name, &ToldApart { value, in_some: self.in_some })
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        self.serializer.serialize_newtype_variant(name, index, variant, &ToldApart::new(value))
    }

    handed_on! {
        serialize_bool(value: bool);
        serialize_i8(value: i8);
        serialize_i16(value: i16);
        serialize_i32(value: i32);
        serialize_i64(value: i64);
        serialize_i128(value: i128);
        serialize_u8(value: u8);
        serialize_u16(value: u16);
        serialize_u32(value: u32);
        serialize_u64(value: u64);
        serialize_u128(value: u128);
        serialize_f32(value: f32);
        serialize_f64(value: f64);
        serialize_char(value: char);
        serialize_str(value: &str);
        serialize_bytes(value: &[u8]);
        serialize_unit_struct(name: &'static str);
        serialize_unit_variant(name: &'static str, index: u32, variant: &'static str);
    }

    begun! {
        serialize_seq(length: Option<usize>) -> SerializeSeq;
        serialize_tuple(length: usize) -> SerializeTuple;
        serialize_tuple_struct(name: &'static str, length: usize) -> SerializeTupleStruct;
        serialize_tuple_variant(name: &'static str, index: u32, variant: &'static str, length: usize)
            -> SerializeTupleVariant;
        serialize_map(length: Option<usize>) -> SerializeMap;
        serialize_struct(name: &'static str, length: usize) -> SerializeStruct;
        serialize_struct_variant(name: &'static str, index: u32, variant: &'static str, length: usize)
            -> SerializeStructVariant;
    }
}

/// What takes the parts of a value.
struct Parts<P>(P);

/// Hands each part on in the wrapping.
macro_rules! parts {
    ($($trait:ident { $($method:ident($($name:ident: $type:ty)?);)* })*) => {
        $(impl<P: $trait> $trait for Parts<P> {
            type Ok = P::Ok;
            type Error = P::Error;

            $(fn $method<T: Serialize + ?Sized>(&mut self, $($name: $type,)? value: &T) -> Result<(), P::Error> {
                self.0.$method($($name,)? &ToldApart::new(value))
            })*

            fn end(self) -> Result<P::Ok, P::Error> {
                self.0.end()
            }
        })*
    };
}

parts! {
    SerializeSeq { serialize_element(); }
    SerializeTuple { serialize_element(); }
    SerializeTupleStruct { serialize_field(); }
    SerializeTupleVariant { serialize_field(); }
    SerializeMap { serialize_key(); serialize_value(); }
    SerializeStruct { serialize_field(key: &'static str); }
    SerializeStructVariant { serialize_field(key: &'static str); }
}
