//! The crosshome command.
fn main() {}
