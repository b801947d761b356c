//! The disk tier: how fast entries become durable and come back, what they take on disk, how soon an invalidation is
//! acknowledged, which codec payloads are given.

mod codecs;
mod invalidation;
mod place;
mod rivals;
mod seed;
mod space;
mod speed;
mod store;
mod tables;
mod values;

use std::path::Path;

use anyhow::bail;

/// `disk [--python PATH]`: the path of a Python that has diskcache.
///
/// # Errors
/// A store or a folder that does not work.
pub fn run(args: &[String]) -> anyhow::Result<()> {
    let python = match args {
        [] => None,
        [flag, path] if flag == "--python" => Some(Path::new(path)),
        _ => bail!("read the arguments: usage: disk [--python PATH]"),
    };
    speed::run(python)?;
    speed::restart()?;
    space::run()?;
    invalidation::run()?;
    codecs::run()?;
    seed::run()
}
