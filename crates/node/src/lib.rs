//! The running home.
