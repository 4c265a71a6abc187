//! Parts of the running home together, in one test binary.

mod channel;
mod homes;
mod strategies;
