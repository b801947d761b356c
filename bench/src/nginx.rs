//! nginx serving files: what a static file server makes of the same bytes on the same cores.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::server::WORKERS;

/// Debian keeps it out of the path of those who are not root.
const PROGRAMS: [&str; 2] = ["nginx", "/usr/sbin/nginx"];

/// A running nginx, stopped when dropped.
pub(crate) struct Nginx {
    program: &'static str,
    /// Its files, its configuration and what it writes.
    folder: PathBuf,
    master: Child,
    /// Where it is as fast as it can be: no log, open files kept, connections never closed for their age.
    pub(crate) tuned: String,
    /// Where it is as its package sets it up.
    pub(crate) plain: String,
}

impl Nginx {
    /// Serves `files`, each a name and its bytes; `None` if there is no nginx.
    pub(crate) fn serving(files: &[(&str, &[u8])]) -> anyhow::Result<Option<Self>> {
        let Some(program) = PROGRAMS.into_iter().find(|program| Command::new(program).arg("-v").output().is_ok())
        else {
            return Ok(None);
        };
        let folder = std::env::temp_dir().join(format!("larder-bench-nginx-{}", std::process::id()));
        fs::create_dir_all(folder.join("files")).context("make a folder for nginx")?;
        for (name, bytes) in files {
            fs::write(folder.join("files").join(name), bytes).context("write a file for nginx")?;
        }
        // Free ports, as nginx does not tell which ones it took.
        let listeners = [TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?];
        let [tuned, plain] = [listeners[0].local_addr()?, listeners[1].local_addr()?];
        drop(listeners);
        let text = configuration(&tuned.to_string(), &plain.to_string());
        fs::write(folder.join("nginx.conf"), text).context("configure nginx")?;
        let master = Command::new(program)
            .arg("-p")
            .arg(&folder)
            .args(["-c", "nginx.conf", "-e", "error.log"])
            .stdout(Stdio::null())
            .spawn()
            .context("start nginx")?;
        let (tuned_url, plain_url) = (format!("http://{tuned}"), format!("http://{plain}"));
        let mut nginx = Self { program, folder, master, tuned: tuned_url, plain: plain_url };
        let started = Instant::now();
        while TcpStream::connect(tuned).is_err() {
            if nginx.master.try_wait()?.is_some() || started.elapsed() > Duration::from_secs(10) {
                let log = fs::read_to_string(nginx.folder.join("error.log")).unwrap_or_default();
                bail!("start nginx: {log}");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(Some(nginx))
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // A killed master would leave its workers behind.
        let mut stop = Command::new(self.program);
        stop.arg("-p").arg(&self.folder).args(["-c", "nginx.conf", "-e", "error.log", "-s", "stop"]);
        if !stop.status().is_ok_and(|status| status.success()) {
            let _ = self.master.kill();
        }
        let _ = self.master.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn configuration(tuned: &str, plain: &str) -> String {
    format!(
        "worker_processes {WORKERS};
daemon off;
pid nginx.pid;
events {{ worker_connections 1024; }}
http {{
    sendfile on;
    tcp_nopush on;
    default_type application/json;
    client_body_temp_path temp;
    proxy_temp_path temp;
    fastcgi_temp_path temp;
    uwsgi_temp_path temp;
    scgi_temp_path temp;
    server {{
        listen {tuned};
        root files;
        access_log off;
        open_file_cache max=16 inactive=10m;
        open_file_cache_valid 10m;
        keepalive_timeout 10m;
        keepalive_requests 1000000000;
    }}
    server {{
        listen {plain};
        root files;
        access_log access.log;
    }}
}}
"
    )
}
