//! The catalog of datasets, the query language and its evaluation, cached tables.
