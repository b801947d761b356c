//! Lists, objects and maps; in CSV they are texts of JSON.

use std::marker::PhantomData;
use std::ops::Range;

use arrow::array::{Array, AsArray, FixedSizeListArray, GenericListArray, GenericListViewArray, MapArray};
use arrow::array::{OffsetSizeTrait, StructArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{ArrowNativeType, DataType};
use arrow::error::ArrowError;

use super::cells::{Cells, boxed, cells as cells_of, no_spelling};
use super::dialect::Dialect;
use super::json::Json;
use super::window::Fragment;

/// The cells of a nested array.
pub(super) fn cells<'a, D: Dialect>(
    array: &'a dyn Array,
    nulls: Option<NullBuffer>,
) -> Result<Box<dyn Cells + 'a>, ArrowError> {
    if D::NESTED_AS_TEXT {
        let text = AsText { cells: cells_of::<Json>(array)?, text: Vec::new(), dialect: PhantomData::<D> };
        return Ok(boxed::<D, _>(text, nulls));
    }
    match array.data_type() {
        DataType::List(_) => lists::<D, _>(array.as_list::<i32>(), array.as_list::<i32>().values(), nulls),
        DataType::LargeList(_) => lists::<D, _>(array.as_list::<i64>(), array.as_list::<i64>().values(), nulls),
        DataType::ListView(_) => {
            lists::<D, _>(array.as_list_view::<i32>(), array.as_list_view::<i32>().values(), nulls)
        }
        DataType::LargeListView(_) => {
            lists::<D, _>(array.as_list_view::<i64>(), array.as_list_view::<i64>().values(), nulls)
        }
        DataType::FixedSizeList(..) => {
            lists::<D, _>(array.as_fixed_size_list(), array.as_fixed_size_list().values(), nulls)
        }
        DataType::Struct(_) => Ok(boxed::<D, _>(Objects::<D>::new(array.as_struct())?, nulls)),
        DataType::Map(..) => Ok(boxed::<D, _>(Maps::<D>::new(array.as_map())?, nulls)),
        other => Err(no_spelling(other)),
    }
}

/// JSON within a text.
struct AsText<'a, D> {
    cells: Box<dyn Cells + 'a>,
    text: Vec<u8>,
    dialect: PhantomData<D>,
}

impl<D: Dialect> Cells for AsText<'_, D> {
    fn write(&mut self, row: usize, out: &mut Vec<u8>) {
        self.text.clear();
        self.cells.write(row, &mut self.text);
        D::text(&self.text, 0, self.text.len(), out);
    }
}

/// Where the items of a list are among the items of all lists.
trait Items {
    fn items_of(&self, row: usize) -> Range<usize>;
}

impl<O: OffsetSizeTrait> Items for &GenericListArray<O> {
    fn items_of(&self, row: usize) -> Range<usize> {
        let offsets = self.value_offsets();
        offsets[row].as_usize()..offsets[row + 1].as_usize()
    }
}

impl<O: OffsetSizeTrait> Items for &GenericListViewArray<O> {
    fn items_of(&self, row: usize) -> Range<usize> {
        let start = self.value_offsets()[row].as_usize();
        start..start + self.value_sizes()[row].as_usize()
    }
}

impl Items for &FixedSizeListArray {
    fn items_of(&self, row: usize) -> Range<usize> {
        let size = self.value_length().as_usize();
        row * size..(row + 1) * size
    }
}

struct Lists<'a, D, I> {
    items: I,
    values: Box<dyn Cells + 'a>,
    dialect: PhantomData<D>,
}

fn lists<'a, D: Dialect, I: Items + 'a>(
    items: I,
    values: &'a dyn Array,
    nulls: Option<NullBuffer>,
) -> Result<Box<dyn Cells + 'a>, ArrowError> {
    Ok(boxed::<D, _>(Lists { items, values: cells_of::<D>(values)?, dialect: PhantomData::<D> }, nulls))
}

impl<D: Dialect, I: Items> Cells for Lists<'_, D, I> {
    fn write(&mut self, row: usize, out: &mut Vec<u8>) {
        let items = self.items.items_of(row);
        D::open_list(items.len(), out);
        for item in items.clone() {
            if item != items.start {
                D::separator(out);
            }
            self.values.write(item, out);
        }
        D::close_list(out);
    }
}

/// Objects with the same members in every row.
struct Objects<'a, D> {
    members: Vec<(Fragment, Box<dyn Cells + 'a>)>,
    dialect: PhantomData<D>,
}

impl<'a, D: Dialect> Objects<'a, D> {
    fn new(array: &'a StructArray) -> Result<Self, ArrowError> {
        let members = array.fields().iter().zip(array.columns()).enumerate().map(|(index, (field, column))| {
            let mut before = Vec::new();
            if index > 0 {
                D::separator(&mut before);
            }
            D::text(field.name().as_bytes(), 0, field.name().len(), &mut before);
            D::colon(&mut before);
            Ok((Fragment::new(before), cells_of::<D>(column)?))
        });
        Ok(Self { members: members.collect::<Result<_, ArrowError>>()?, dialect: PhantomData })
    }
}

impl<D: Dialect> Cells for Objects<'_, D> {
    fn write(&mut self, row: usize, out: &mut Vec<u8>) {
        D::open_object(self.members.len(), out);
        for (before, cells) in &mut self.members {
            before.append_to(out);
            cells.write(row, out);
        }
        D::close_object(out);
    }
}

/// Objects whose members differ from row to row.
struct Maps<'a, D> {
    offsets: &'a [i32],
    keys: Box<dyn Cells + 'a>,
    values: Box<dyn Cells + 'a>,
    dialect: PhantomData<D>,
}

impl<'a, D: Dialect> Maps<'a, D> {
    fn new(array: &'a MapArray) -> Result<Self, ArrowError> {
        // The name of a member is a text, in JSON by law; nothing else would come back from it as it was.
        if !matches!(array.keys().data_type(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View) {
            return Err(no_spelling(array.data_type()));
        }
        if array.keys().null_count() > 0 || array.entries().null_count() > 0 {
            return Err(ArrowError::InvalidArgumentError("a map has a member without a name".to_owned()));
        }
        Ok(Self {
            offsets: array.value_offsets(),
            keys: cells_of::<D>(array.keys())?,
            values: cells_of::<D>(array.values())?,
            dialect: PhantomData,
        })
    }
}

impl<D: Dialect> Cells for Maps<'_, D> {
    fn write(&mut self, row: usize, out: &mut Vec<u8>) {
        let members = self.offsets[row].as_usize()..self.offsets[row + 1].as_usize();
        D::open_object(members.len(), out);
        for member in members.clone() {
            if member != members.start {
                D::separator(out);
            }
            self.keys.write(member, out);
            D::colon(out);
            self.values.write(member, out);
        }
        D::close_object(out);
    }
}
