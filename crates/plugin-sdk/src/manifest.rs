//! The manifest of a library: what can be known of a plugin without running any of its code.
//!
//! It is a run of `key=value` strings, each ended by a NUL byte, in the ELF section `.larder` (the
//! form of the Linux kernel's `.modinfo`): readable by any tool, writable in C with one macro.
//! Keys: `abi` (major version), `name`, `version`, `description`, `capabilities` and `needs`
//! (decimal bit sets), `config_schema` (JSON Schema). Unknown keys are skipped.

use crate::source::PluginInfo;

/// The name of the ELF section.
pub const SECTION: &str = ".larder";

/// A manifest as read from a library.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Manifest {
    /// Major version of the ABI that the library was built for.
    pub abi: u32,
    /// The plugin's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// One line for people.
    pub description: String,
    /// Bits of [`capability`](crate::capability).
    pub capabilities: u64,
    /// Bits of [`needs`](crate::needs).
    pub needs: u64,
    /// JSON Schema of its configuration.
    pub config_schema: String,
}

impl Manifest {
    /// Reads a manifest; `None` when it lacks `abi` or `name` or is not UTF-8.
    pub fn parse(section: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(section).ok()?;
        let mut manifest = Self::default();
        for entry in text.split('\0') {
            let Some((key, value)) = entry.split_once('=') else { continue };
            match key {
                "abi" => manifest.abi = value.parse().ok()?,
                "name" => manifest.name = value.into(),
                "version" => manifest.version = value.into(),
                "description" => manifest.description = value.into(),
                "capabilities" => manifest.capabilities = value.parse().ok()?,
                "needs" => manifest.needs = value.parse().ok()?,
                "config_schema" => manifest.config_schema = value.into(),
                _ => {}
            }
        }
        (manifest.abi > 0 && !manifest.name.is_empty()).then_some(manifest)
    }
}

/// The bytes that [`encode`] needs for `info`.
pub const fn encoded_len(info: &PluginInfo) -> usize {
    write(info, [0; 0]).1
}

/// The manifest of `info`; `N` is its [`encoded_len`].
pub const fn encode<const N: usize>(info: &PluginInfo) -> [u8; N] {
    write(info, [0; N]).0
}

const fn write<const N: usize>(info: &PluginInfo, mut out: [u8; N]) -> ([u8; N], usize) {
    let mut at = 0;
    (out, at) = put(out, at, "abi=");
    (out, at) = put_number(out, at, crate::abi::ABI_MAJOR as u64);
    (out, at) = put(out, at, "\0name=");
    (out, at) = put(out, at, info.name);
    (out, at) = put(out, at, "\0version=");
    (out, at) = put(out, at, info.version);
    (out, at) = put(out, at, "\0description=");
    (out, at) = put(out, at, info.description);
    (out, at) = put(out, at, "\0capabilities=");
    (out, at) = put_number(out, at, info.capabilities);
    (out, at) = put(out, at, "\0needs=");
    (out, at) = put_number(out, at, info.needs);
    (out, at) = put(out, at, "\0config_schema=");
    (out, at) = put(out, at, info.config_schema);
    (out, at) = put(out, at, "\0");
    (out, at)
}

/// Writes what fits and counts all of it, so that an empty `out` measures.
const fn put<const N: usize>(mut out: [u8; N], mut at: usize, text: &str) -> ([u8; N], usize) {
    let bytes = text.as_bytes();
    let mut i = 0;
    while i < bytes.len() {
        if at < N {
            out[at] = bytes[i];
        }
        at += 1;
        i += 1;
    }
    (out, at)
}

const fn put_number<const N: usize>(mut out: [u8; N], mut at: usize, number: u64) -> ([u8; N], usize) {
    let mut unit = 1;
    while number / unit >= 10 {
        unit *= 10;
    }
    while unit > 0 {
        if at < N {
            out[at] = b'0' + ((number / unit) % 10) as u8;
        }
        at += 1;
        unit /= 10;
    }
    (out, at)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: PluginInfo = PluginInfo {
        name: "n",
        version: "1.2.3",
        description: "d",
        config_schema: r#"{"type":"object"}"#,
        capabilities: 1,
        needs: 203,
    };

    #[test]
    fn what_is_encoded_at_compile_time_is_parsed_back() {
        const LEN: usize = encoded_len(&INFO);
        const BYTES: [u8; LEN] = encode(&INFO);
        let manifest = Manifest::parse(&BYTES).unwrap();
        assert_eq!((manifest.abi, manifest.capabilities, manifest.needs), (1, 1, 203));
        assert_eq!((manifest.name.as_str(), manifest.version.as_str()), ("n", "1.2.3"));
        assert_eq!((manifest.description.as_str(), manifest.config_schema.as_str()), ("d", INFO.config_schema));
    }

    #[test]
    fn a_section_without_abi_or_name_is_no_manifest() {
        for bad in [&b""[..], b"abi=1\0", b"name=x\0", b"abi=x\0name=x\0", b"\xff\xfe"] {
            assert_eq!(Manifest::parse(bad), None);
        }
    }
}
