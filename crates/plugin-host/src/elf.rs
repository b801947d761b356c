//! What a library says of itself, read from the file without loading it.
//!
//! A file that is not a shared library for this machine, or not all there, is told apart here,
//! where it costs nothing but a look.

use std::fs::File;
use std::path::Path;

use object::LittleEndian as Little;
use object::elf::{self, Machine};
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader};
use object::read::{ReadCache, ReadRef};
use plugin_sdk::abi::{ABI_MAJOR, ENTRY};
use plugin_sdk::manifest::{Manifest, SECTION};

/// A manifest larger than this is not read.
const MAX_MANIFEST: u64 = 1 << 20;

type Header = elf::FileHeader64<Little>;

/// Checks the file at `path` and reads its manifest.
///
/// # Errors
/// Why it is no plugin for this server, for people.
pub(crate) fn inspect(path: &Path) -> Result<Manifest, String> {
    let file = File::open(path).map_err(|error| format!("the copy cannot be read: {error}"))?;
    let cache = ReadCache::new(file);
    let manifest = read(&cache)?;
    match manifest.abi {
        ABI_MAJOR => Ok(manifest),
        newer if newer > ABI_MAJOR => {
            Err(format!("the plugin was built for ABI {newer}; this server knows ABI {ABI_MAJOR}"))
        }
        older => Err(format!("the plugin was built for ABI {older}; this server knows ABI {ABI_MAJOR} only")),
    }
}

fn read<'a, R: ReadRef<'a>>(data: R) -> Result<Manifest, String> {
    let len = data.len().map_err(|_| "the copy cannot be read")?;
    let magic = data.read_bytes_at(0, len.min(20)).map_err(|_| "the copy cannot be read")?;
    check_identity(magic)?;
    let truncated = || "the library is truncated: it ends before what its headers announce".to_owned();
    let header = Header::parse(data).map_err(|_| truncated())?;
    let endian = header.endian().map_err(|_| "the byte order is not little endian")?;
    if header.e_type.get(endian) != elf::ET_DYN {
        return Err("the ELF file is not a shared library".into());
    }
    for segment in header.program_headers(endian, data).map_err(|_| truncated())? {
        let (from, size) = segment.file_range(endian);
        if from.checked_add(size).is_none_or(|end| end > len) {
            return Err(truncated());
        }
    }
    let sections = header.sections(endian, data).map_err(|_| truncated())?;
    let mut manifest = None;
    for section in sections.iter() {
        let Some((from, size)) = section.file_range(endian) else { continue };
        if from.checked_add(size).is_none_or(|end| end > len) {
            return Err(truncated());
        }
        if sections.section_name(endian, section).is_ok_and(|name| name == SECTION.as_bytes()) && size <= MAX_MANIFEST {
            manifest = Some(section.data(endian, data).map_err(|_| truncated())?);
        }
    }
    let bytes = manifest.ok_or_else(|| {
        format!("it is not a Larder plugin: the library has no '{SECTION}' section, and so no manifest for {ENTRY}")
    })?;
    Manifest::parse(bytes).ok_or_else(|| format!("the manifest in its '{SECTION}' section cannot be read"))
}

/// The first bytes: magic, class, byte order, machine.
fn check_identity(magic: &[u8]) -> Result<(), String> {
    if magic.is_empty() {
        return Err("the file is empty".into());
    }
    if !magic.starts_with(&elf::ELFMAG) {
        return Err("the file is not an ELF shared library".into());
    }
    let Some(machine) = magic.get(18..20) else {
        return Err("the library is truncated: it ends within its first header".into());
    };
    if magic[4] != elf::ELFCLASS64.0 || magic[5] != elf::ELFDATA2LSB.0 {
        return Err("the library is not for a 64-bit little-endian machine, as this one is".into());
    }
    let (found, wanted) = (Machine(u16::from_le_bytes([machine[0], machine[1]])), this_machine());
    if wanted.is_some_and(|wanted| wanted != found) {
        let arch = std::env::consts::ARCH;
        return Err(format!("the library was built for {}; this machine is {arch}", machine_name(found)));
    }
    Ok(())
}

fn this_machine() -> Option<Machine> {
    match std::env::consts::ARCH {
        "x86_64" => Some(elf::EM_X86_64),
        "aarch64" => Some(elf::EM_AARCH64),
        "riscv64" => Some(elf::EM_RISCV),
        "powerpc64" => Some(elf::EM_PPC64),
        "loongarch64" => Some(elf::EM_LOONGARCH),
        _ => None,
    }
}

fn machine_name(machine: Machine) -> String {
    match machine {
        elf::EM_X86_64 => "x86_64".into(),
        elf::EM_AARCH64 => "aarch64".into(),
        elf::EM_386 => "x86".into(),
        elf::EM_ARM => "arm".into(),
        elf::EM_RISCV => "riscv".into(),
        other => format!("ELF machine {}", other.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// This test's own executable: an ELF file of this machine, a position-independent one.
    fn own_executable() -> Vec<u8> {
        std::fs::read(std::env::current_exe().unwrap()).unwrap()
    }

    #[track_caller]
    fn check(bytes: &[u8], expected: &str) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("libx.so");
        std::fs::write(&path, bytes).unwrap();
        let error = inspect(&path).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn what_is_wrong_with_a_file_is_named() {
        let good = own_executable();
        check(b"", "empty");
        check(b"#!/bin/sh\n", "not an ELF");
        check(&good[..10], "truncated");
        check(&good[..40], "truncated");
        check(&good[..good.len() / 2], "truncated");
        check(&good[..good.len() - 64], "truncated");
        check(&good, "not a Larder plugin");
        let mut other = good.clone();
        other[4] = 1;
        check(&other, "64-bit");
        let mut other = good.clone();
        other[18] ^= 0xff;
        check(&other, "was built for");
        let mut other = good;
        other[16] = 2;
        check(&other, "not a shared library");
    }
}
