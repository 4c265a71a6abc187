//! Parts of the running home together, in one test binary.

mod audiences;
mod backups;
mod channel;
mod commands;
mod conflicts;
mod forged;
mod homes;
mod houses;
mod joining;
mod strategies;
