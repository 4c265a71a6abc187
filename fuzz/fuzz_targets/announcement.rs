#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| crosshome_fuzz::run("announcement", bytes));
