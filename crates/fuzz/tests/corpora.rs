//! Every target over its corpus, and over mutations that are the same in every run.

use std::{fs, path::PathBuf};

use crosshome_fuzz::{Mutations, TARGETS};

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = files.map(|file| file.expect("it is listed").path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).expect("it is there")).collect()
}

#[test]
fn whatever_once_crashed_and_what_is_valid_is_taken() {
    for target in TARGETS {
        let corpus = corpus(target.name);
        assert!(!corpus.is_empty(), "{} has no corpus", target.name);
        corpus.iter().for_each(|bytes| (target.run)(bytes));
    }
}

#[test]
fn mutations_of_the_corpora_crash_nothing() {
    let budget = std::env::var("CROSSHOME_MUTATIONS").ok().and_then(|times| times.parse().ok()).unwrap_or(1);
    for target in TARGETS {
        let corpus = corpus(target.name);
        for bytes in Mutations::new(&corpus, 1).take(budget * target.budget) {
            if std::panic::catch_unwind(|| (target.run)(&bytes)).is_err() {
                panic!("{} is crashed by {}", target.name, hex::encode(&bytes));
            }
        }
    }
}
