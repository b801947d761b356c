//! End-to-end tests: the real binary with real worker processes, over HTTP.
