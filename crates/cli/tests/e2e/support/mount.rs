//! A small disk of its own, to be filled or write-protected.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use crate::netns::skip;

/// A tmpfs that is unmounted with it.
pub(crate) struct Mount {
    place: TempDir,
}

impl Mount {
    /// Mounts a tmpfs, or says why not.
    pub(crate) fn tmpfs(options: &str) -> Option<Self> {
        let place = tempfile::tempdir().expect("a directory");
        let path = place.path().display().to_string();
        let ran = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs", &path]).output();
        if ran.is_ok_and(|output| output.status.success()) {
            return Some(Self { place });
        }
        skip("no file system may be mounted");
        None
    }

    pub(crate) fn path(&self) -> &Path {
        self.place.path()
    }

    /// Makes the disk `ro` or `rw`.
    #[track_caller]
    pub(crate) fn remount(&self, how: &str) {
        let options = format!("remount,{how}");
        let ran = Command::new("mount").args(["-o", &options]).arg(self.path()).output().expect("mount runs");
        assert!(ran.status.success(), "{ran:?}");
    }

    /// Fills the disk to the last byte and returns the file that has to go again.
    pub(crate) fn fill(&self) -> PathBuf {
        let file = self.path().join("filler");
        for size in [1 << 20, 4 << 10, 1] {
            let piece = vec![0; size];
            while fs::File::options()
                .append(true)
                .create(true)
                .open(&file)
                .is_ok_and(|mut open| std::io::Write::write_all(&mut open, &piece).is_ok())
            {}
        }
        file
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}
