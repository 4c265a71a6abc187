//! What lies in the envelope: four files in a tar archive, compressed by zstd.
//!
//! They stand in a fixed order, each of a bounded size, so that reading needs neither a path nor a size that the
//! archive names: what is not exactly the next member is refused.

use std::io::{self, Read, Write};

use tar::{Archive, Builder, Entry, EntryType, Header};

use super::{About, BackupError};
use crate::defaults::{
    BACKUP_ABOUT_BYTES, BACKUP_KEY_BYTES, BACKUP_STORE_BYTES, BACKUP_WINDOW, COMPRESS_LEVEL,
};

/// One of the files, in the order in which they stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Member {
    About,
    Key,
    Token,
    Store,
}

impl Member {
    const ALL: [Self; 4] = [Self::About, Self::Key, Self::Token, Self::Store];

    /// Returns the file's name, in the archive and in a data directory.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::About => "backup.json",
            Self::Key => "sharing_key",
            Self::Token => "api_token",
            Self::Store => "crosshome.db",
        }
    }

    /// Returns how long it may be at most.
    fn limit(self) -> u64 {
        match self {
            Self::About => BACKUP_ABOUT_BYTES,
            Self::Key | Self::Token => BACKUP_KEY_BYTES,
            Self::Store => BACKUP_STORE_BYTES,
        }
    }
}

/// What is written of a home.
pub(super) struct Contents<'a, S> {
    pub(super) about: &'a About,
    pub(super) key: &'a [u8],
    pub(super) token: &'a [u8],
    /// The store and how long it is.
    pub(super) store: (S, u64),
}

/// Packs a home and returns the writer.
pub(super) fn pack<W: Write>(to: W, contents: Contents<'_, impl Read>) -> io::Result<W> {
    let Contents { about, key, token, store: (store, length) } = contents;
    let text = serde_json::to_vec_pretty(about)?;
    let mut archive = Builder::new(zstd::Encoder::new(to, COMPRESS_LEVEL)?);
    let seconds = about.at.0.max(0) as u64 / 1000;
    for (member, bytes) in [(Member::About, &*text), (Member::Key, key), (Member::Token, token)] {
        archive.append(&header(member, bytes.len() as u64, seconds)?, bytes)?;
    }
    archive.append(&header(Member::Store, length, seconds)?, store.take(length))?;
    archive.into_inner()?.finish()
}

fn header(member: Member, length: u64, seconds: u64) -> io::Result<Header> {
    let mut header = Header::new_ustar();
    header.set_path(member.name())?;
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o600);
    header.set_size(length);
    header.set_mtime(seconds);
    header.set_cksum();
    Ok(header)
}

/// Hands over each member with its length, in their order, and reads to the very end.
///
/// # Errors
///
/// Refuses anything that [`pack`] does not write; what `each` returns.
pub(super) fn unpack<R: Read>(
    from: R,
    mut each: impl FnMut(Member, &mut dyn Read, u64) -> Result<(), BackupError>,
) -> Result<(), BackupError> {
    let mut plain = zstd::Decoder::new(from).map_err(BackupError::reading)?;
    plain.window_log_max(BACKUP_WINDOW).map_err(BackupError::reading)?;
    let mut archive = Archive::new(&mut plain);
    // raw: names and sizes of extended headers are never read into memory, such a header is just not a member
    let mut entries = archive.entries().map_err(BackupError::reading)?.raw(true);
    for member in Member::ALL {
        let mut entry = entries.next().ok_or_else(cut_short)?.map_err(BackupError::reading)?;
        let length = check(member, &entry)?;
        let mut counted = Counted { from: &mut entry, read: 0 };
        each(member, &mut counted, length)?;
        if counted.read != length {
            return Err(cut_short());
        }
    }
    match entries.next() {
        None => to_the_end(&mut plain),
        Some(_) => Err(BackupError::Damaged("it holds more than a home".into())),
    }
}

fn check<R: Read>(member: Member, entry: &Entry<'_, R>) -> Result<u64, BackupError> {
    let header = entry.header();
    let ours = header.entry_type() == EntryType::Regular && *header.path_bytes() == *member.name().as_bytes();
    if !ours {
        return Err(BackupError::Damaged(format!("{} is not where it should be", member.name())));
    }
    match entry.size() {
        length if length <= member.limit() => Ok(length),
        length => Err(BackupError::TooLarge { what: member.name(), bytes: length }),
    }
}

/// Reads what fills the archive's last block, and so sees that the envelope's end is there.
fn to_the_end(plain: &mut impl Read) -> Result<(), BackupError> {
    let mut rest = [0; 512];
    for _ in 0..64 {
        match plain.read(&mut rest).map_err(BackupError::reading)? {
            0 => return Ok(()),
            read if rest[..read].iter().all(|byte| *byte == 0) => {}
            _ => break,
        }
    }
    Err(BackupError::Damaged("something follows its end".into()))
}

fn cut_short() -> BackupError {
    BackupError::Damaged("it is cut short".into())
}

/// Counts what is read.
struct Counted<R> {
    from: R,
    read: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(into)?;
        self.read += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::views::{HomeView, Stamp};

    fn about() -> About {
        About::of(HomeView { id: "xh1".into(), name: "Villa".into() }, Stamp(1_700_000_000_000))
    }

    fn packed(store: &[u8]) -> Vec<u8> {
        let about = about();
        let store = (store, store.len() as u64);
        pack(Vec::new(), Contents { about: &about, key: b"key", token: b"token", store }).expect("memory")
    }

    /// Returns what is read of a compressed archive.
    fn unpacked(bytes: &[u8]) -> Result<Vec<(Member, Vec<u8>)>, BackupError> {
        let mut found = Vec::new();
        unpack(bytes, |member, from, _| {
            let mut content = Vec::new();
            from.read_to_end(&mut content).map_err(BackupError::reading)?;
            found.push((member, content));
            Ok(())
        })?;
        Ok(found)
    }

    fn compressed(archive: &[u8]) -> Vec<u8> {
        zstd::encode_all(archive, 1).expect("memory")
    }

    fn tarred(entries: &[(Header, &[u8])]) -> Vec<u8> {
        let mut archive = Builder::new(Vec::new());
        entries.iter().for_each(|(header, content)| archive.append(header, *content).expect("memory"));
        compressed(&archive.into_inner().expect("memory"))
    }

    #[test]
    fn what_was_packed_is_unpacked_in_its_order() {
        let found = unpacked(&packed(b"store")).expect("it is whole");
        let names: Vec<_> = found.iter().map(|(member, _)| member.name()).collect();
        assert_eq!(names, ["backup.json", "sharing_key", "api_token", "crosshome.db"]);
        assert_eq!(found[3].1, b"store");
    }

    #[test]
    fn archive_cut_anywhere_is_refused() {
        let plain = zstd::decode_all(&packed(&[7; 2000])[..]).expect("own");
        for cut in (0..plain.len() - 1024).step_by(97) {
            assert!(unpacked(&compressed(&plain[..cut])).is_err(), "{cut}");
        }
    }

    #[test]
    fn member_of_another_name_kind_or_place_is_refused() {
        let regular = |member| header(member, 1, 0).expect("short");
        let mut path = regular(Member::About);
        path.set_path("../backup.json").unwrap_or_else(|_| {
            path.as_mut_bytes()[..14].copy_from_slice(b"../backup.json"); // the library would not write it
        });
        path.set_cksum();
        let mut link = regular(Member::About);
        link.set_entry_type(EntryType::Symlink);
        link.set_cksum();
        let mut long = header(Member::About, 1 << 40, 0).expect("short");
        long.set_entry_type(EntryType::GNULongName);
        long.set_cksum();
        for first in [path, link, long, regular(Member::Key)] {
            assert!(matches!(unpacked(&tarred(&[(first, b"x")])), Err(BackupError::Damaged(_))));
        }
    }

    #[test]
    fn announced_size_beyond_the_bounds_is_refused_before_it_is_read() {
        let endless = header(Member::About, u64::MAX >> 8, 0).expect("a number");
        let refused = unpacked(&tarred(&[(endless, b"x")]));
        assert!(matches!(refused, Err(BackupError::TooLarge { what: "backup.json", .. })), "{refused:?}");
    }

    #[test]
    fn something_after_the_last_member_is_refused() {
        let plain = zstd::decode_all(&packed(b"store")[..]).expect("own");
        for rest in [vec![1], vec![0; 100_000]] {
            assert!(unpacked(&compressed(&[&plain[..], &rest].concat())).is_err(), "{}", rest.len());
        }
    }

    #[test]
    fn window_that_takes_too_much_memory_is_refused() {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).expect("memory");
        encoder.window_log(27).expect("zstd knows it");
        encoder.write_all(&zstd::decode_all(&packed(b"store")[..]).expect("own")).expect("memory");
        assert!(unpacked(&encoder.finish().expect("memory")).is_err());
    }
}
