//! A source that a test can change, slow and take down while it is served, and that counts its calls:
//! the synthetic plugin with a control folder.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

/// The control folder of one dataset.
#[derive(Debug)]
pub struct Control {
    dataset: String,
    folder: TempDir,
}

/// Rows of each dataset that is controlled.
pub const ROWS: usize = 60;

impl Control {
    /// A dataset at version 1.
    ///
    /// # Panics
    /// When there is no temporary folder.
    pub fn new(dataset: &str) -> Self {
        let control = Self { dataset: dataset.to_owned(), folder: TempDir::new().expect("a temporary folder") };
        control.set_version(1);
        control
    }

    /// The sidecar of the synthetic plugin that offers these datasets, each with the policy that is given
    /// for it, in TOML. The columns are `id`, `v` (the version), `n` (0 to 9) and `word`.
    ///
    /// # Panics
    /// Never: a string takes all.
    pub fn sidecar(datasets: &[(&Self, &str)]) -> String {
        let mut text = String::new();
        for (control, policy) in datasets {
            let (name, folder) = (&control.dataset, control.folder.path().display());
            writeln!(
                text,
                "[datasets.{name}]\n{policy}\n[config.datasets.{name}]\nrows = {ROWS}\nseed = 1\ncontrol = \"{folder}\"\n\
                 columns = [{{ name = \"id\", type = \"sequence\" }}, {{ name = \"v\", type = \"version\" }}, \
                 {{ name = \"n\", type = \"int\", min = 0, max = 9 }}, {{ name = \"word\", type = \"string\" }}]"
            )
            .expect("a string takes all");
        }
        text
    }

    /// The path of the dataset's rows.
    pub fn rows(&self, query: &str) -> String {
        format!("/api/v1/datasets/{}/rows?{query}", self.dataset)
    }

    /// From now on the rows are of this version.
    ///
    /// # Panics
    /// When the folder cannot be written to.
    pub fn set_version(&self, version: i64) {
        let beside = self.path("version.new");
        fs::write(&beside, version.to_string()).expect("a file");
        fs::rename(beside, self.path("version")).expect("a rename");
    }

    /// Has scans wait so long before their first rows.
    ///
    /// # Panics
    /// When the folder cannot be written to.
    pub fn set_delay_ms(&self, delay: u64) {
        fs::write(self.path("delay_ms"), delay.to_string()).expect("a file");
    }

    /// Takes the source down, or up again.
    pub fn set_down(&self, down: bool) {
        self.switch("down", down);
    }

    /// Lets scans hang once they have begun, or lets them go.
    pub fn set_scans_hang(&self, hang: bool) {
        self.switch("hang_scan", hang);
    }

    /// Lets the source keep its change token to itself, or lets it speak.
    pub fn set_checks_hang(&self, hang: bool) {
        self.switch("hang_fingerprint", hang);
    }

    /// Takes the source's change token away, or gives it back.
    pub fn set_mute(&self, mute: bool) {
        self.switch("mute", mute);
    }

    /// The calls so far: `scan` or `fingerprint`, each with the version that it saw.
    ///
    /// # Panics
    /// When the plugin wrote nonsense.
    pub fn calls(&self) -> Vec<(String, i64)> {
        let text = fs::read_to_string(self.path("calls")).unwrap_or_default();
        let call = |line: &str| {
            let mut words = line.split(' ');
            let (call, dataset, version) = (words.next()?, words.next()?, words.next()?);
            (dataset == self.dataset).then_some(())?;
            Some((call.to_owned(), version.parse().ok()?))
        };
        text.lines().map(|line| call(line).unwrap_or_else(|| panic!("a call is '{line}'"))).collect()
    }

    /// How many scans were begun.
    pub fn scans(&self) -> usize {
        self.calls().iter().filter(|(call, _)| call == "scan").count()
    }

    /// How often the change token was asked for.
    pub fn checks(&self) -> usize {
        self.calls().iter().filter(|(call, _)| call == "fingerprint").count()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn switch(&self, name: &str, on: bool) {
        if on {
            fs::write(self.path(name), "").expect("a file");
        } else {
            fs::remove_file(self.path(name)).expect("a switch that was on");
        }
    }
}
