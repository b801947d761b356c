//! Finds plugin libraries, runs each in a worker process and offers it as a DataSource.
