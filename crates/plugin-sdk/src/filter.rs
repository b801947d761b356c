//! Evaluation of pushed-down filters, for authors.
