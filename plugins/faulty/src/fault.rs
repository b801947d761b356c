//! The faults themselves.

use std::fs::File;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use plugin_sdk::arrow::array::{Int64Array, RecordBatch, StringArray};
use plugin_sdk::arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use plugin_sdk::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use plugin_sdk::{Context, Result, Scan};
use serde::Deserialize;

use crate::{ROWS, failure, rows, schema};

/// Files that a leak leaves open, each time.
const LEAKED: usize = 64;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fault {
    /// Reads where nothing is.
    Segfault,
    /// Ends the process with SIGABRT.
    Abort,
    /// Leaves the process, code 3.
    Exit,
    /// Panics, which the boundary catches.
    Panic,
    /// Waits until it is cancelled or its deadline passes.
    Hang,
    /// Waits for ever.
    HangIgnoringCancel,
    /// Fails as a source may.
    Error,
    /// Writes to standard output and error, then goes on.
    Print,
    /// Opens files and forgets them, then goes on.
    FdLeak,
    /// Takes memory until it gets no more.
    Allocate,
    /// Batches without end.
    Flood,
    /// A row at a time, 20 a second.
    SlowDrip,
    /// Other columns than declared.
    WrongSchema,
    /// A text column whose bytes are no text.
    BadArray,
    /// A text column that claims a mebibyte more than it has.
    BadLength,
}

impl Fault {
    /// Does what goes wrong within a call; faults of streams do nothing here.
    pub(crate) fn happen(self, ctx: &Context) -> Result<()> {
        match self {
            Self::Segfault => segfault(),
            Self::Abort => std::process::abort(),
            Self::Exit => std::process::exit(3),
            Self::Panic => panic!("this source was told to panic"),
            Self::Hang => loop {
                ctx.check()?;
                std::thread::sleep(Duration::from_millis(5));
            },
            Self::HangIgnoringCancel => loop {
                std::thread::park();
            },
            Self::Error => Err(failure()),
            Self::Print => {
                println!("written to standard output");
                eprintln!("written to standard error");
                Ok(())
            }
            Self::FdLeak => {
                (0..LEAKED).filter_map(|_| File::open("/dev/null").ok()).for_each(std::mem::forget);
                Ok(())
            }
            Self::Allocate => allocate(),
            Self::Flood | Self::SlowDrip | Self::WrongSchema | Self::BadArray | Self::BadLength => Ok(()),
        }
    }

    /// The stream, where that is what goes wrong.
    pub(crate) fn batches(self, ctx: &Context) -> Option<Scan> {
        let ctx = ctx.clone();
        Some(match self {
            Self::Flood => Scan::whole(schema(), std::iter::repeat_with(|| rows(0, ROWS))),
            Self::SlowDrip => Scan::whole(
                schema(),
                (0..ROWS).map(move |n| {
                    if n > 0 {
                        std::thread::sleep(Duration::from_millis(50));
                    }
                    ctx.check()?;
                    rows(n, n + 1)
                }),
            ),
            Self::WrongSchema => Scan::whole(other_schema(), [other_rows()]),
            Self::BadArray => {
                let bytes = Buffer::from(&[0xff_u8, 0xfe, 0xff, 0xfe]);
                Scan::whole(schema(), [with_text(OffsetBuffer::new(vec![0, 4].into()), bytes)])
            }
            Self::BadLength => {
                let offsets = OffsetBuffer::new(ScalarBuffer::from(vec![0, 1 << 20]));
                Scan::whole(schema(), [with_text(offsets, Buffer::from(b"short"))])
            }
            _ => return None,
        })
    }
}

/// A schema that was never declared.
pub(crate) fn other_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("surprise", DataType::Int64, false)]))
}

fn other_rows() -> Result<RecordBatch> {
    Ok(RecordBatch::try_new(other_schema(), vec![Arc::new(Int64Array::from_iter_values(0..ROWS))])?)
}

/// One row whose text is not what it should be.
#[expect(unsafe_code, reason = "no safe function makes an invalid array")]
fn with_text(offsets: OffsetBuffer<i32>, bytes: Buffer) -> Result<RecordBatch> {
    // SAFETY: none; the point is to hand out an array that breaks the rules, to a host that checks.
    let text = unsafe { StringArray::new_unchecked(offsets, bytes, None) };
    Ok(RecordBatch::try_new(schema(), vec![Arc::new(Int64Array::from(vec![0])), Arc::new(text)])?)
}

#[expect(unsafe_code, reason = "no safe code segfaults")]
fn segfault() -> ! {
    loop {
        // SAFETY: none; the point is to read where nothing is.
        black_box(unsafe { std::ptr::without_provenance::<u8>(16).read_volatile() });
    }
}

fn allocate() -> ! {
    let mut taken: Vec<Vec<u8>> = Vec::new();
    loop {
        // Touched, so that it counts as resident.
        taken.push(vec![1; 64 << 20]);
        black_box(&taken);
    }
}
