//! The store on real files: what comes back, what is refused, what a bad disk and a kill leave.

mod measure;
mod scenes;

use super::*;
