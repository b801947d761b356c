//! The home folder: what the server writes, and the lock that makes it the only one to do so.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

/// A locked home. The lock goes with the process, however it ends.
#[derive(Debug)]
pub struct Home {
    path: PathBuf,
    _lock: File,
}

/// Where the server of a home can be reached.
#[derive(Debug, Serialize, Deserialize)]
struct Address {
    url: String,
    pid: u32,
}

const ADDRESS_FILE: &str = "server.json";

impl Home {
    /// Makes the folder, readable by its owner alone, and locks it.
    ///
    /// # Errors
    /// The folder cannot be made or written to, or another server holds it.
    pub fn open(path: &Path) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        let path = path.canonicalize()?;
        let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path.join("lock"))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|error| {
            if error == rustix::io::Errno::WOULDBLOCK {
                io::Error::new(io::ErrorKind::ResourceBusy, "another server uses this home")
            } else {
                error.into()
            }
        })?;
        Ok(Self { path, _lock: lock })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Tells clients of this home where the server is.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn announce(&self, address: SocketAddr) -> io::Result<()> {
        let announced = Address { url: format!("http://{}", reachable(address)), pid: std::process::id() };
        let temporary = self.path.join("server.json.new");
        let mut file = File::create(&temporary)?;
        file.write_all(serde_json::to_string(&announced)?.as_bytes())?;
        fs::rename(temporary, self.path.join(ADDRESS_FILE))
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // Without it, clients say that no server runs, which is then true.
        let _ = fs::remove_file(self.path.join(ADDRESS_FILE));
    }
}

/// An address that a client on this machine can connect to.
pub(crate) fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        match address {
            SocketAddr::V4(_) => address.set_ip(std::net::Ipv4Addr::LOCALHOST.into()),
            SocketAddr::V6(_) => address.set_ip(std::net::Ipv6Addr::LOCALHOST.into()),
        }
    }
    address
}

/// The URL of the server that holds `home`, if one said so.
pub(crate) fn announced_url(home: &Path) -> Option<String> {
    let text = fs::read_to_string(home.join(ADDRESS_FILE)).ok()?;
    serde_json::from_str::<Address>(&text).ok().map(|address| address.url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_belongs_to_one_server_and_says_where_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("home");
        let home = Home::open(&path).unwrap();
        let error = Home::open(&path).unwrap_err();
        assert!(error.to_string().contains("another server"), "{error}");
        assert_eq!(announced_url(&path), None);
        home.announce("0.0.0.0:8080".parse().unwrap()).unwrap();
        assert_eq!(announced_url(&path).as_deref(), Some("http://127.0.0.1:8080"));
        drop(home);
        assert_eq!(announced_url(&path), None);
        Home::open(&path).unwrap();
    }
}
