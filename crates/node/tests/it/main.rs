//! Parts of the running home together, in one test binary.

mod channel;
mod conflicts;
mod homes;
mod houses;
mod strategies;
