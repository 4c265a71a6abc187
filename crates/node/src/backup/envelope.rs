//! The envelope of a backup: the age format, version 1, with a passphrase.
//!
//! So a backup opens without this program, too: `age -d FILE | zstd -d | tar -x`. The format (C2SP's `age.md`) wraps
//! a random file key by a key that scrypt makes of the passphrase, authenticates its head by that file key, and
//! seals the content in chunks of 64 KiB whose nonces count up and mark the last one (STREAM), so that what is
//! read is what was written, from its beginning, and an end that is missing is noticed. The cryptography is that
//! of aws-lc-rs and the scrypt crate; here stand the format's bytes.
//!
//! Nothing is believed before its tag was checked, and the head is bounded in bytes and in the work it asks for.

use std::io::{self, BufRead, BufReader, Read, Write};

use aws_lc_rs::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey},
    hkdf, hmac,
};
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use zeroize::Zeroizing;

use super::BackupError;
use crate::{
    defaults::{BACKUP_WORK, BACKUP_WORK_MAX},
    node::Secret,
};

const VERSION: &str = "age-encryption.org/v1";
const SALT_LABEL: &[u8] = b"age-encryption.org/v1/scrypt";
const CHUNK: usize = 64 * 1024;
const TAG: usize = 16;
/// The longest line of a head with one passphrase has 62 characters.
const LINE_BYTES: u64 = 80;

/// Seals what is written into it.
pub(super) struct Sealer<W> {
    to: W,
    stream: Stream,
    chunk: Zeroizing<Vec<u8>>,
}

impl<W: Write> Sealer<W> {
    /// Writes the head for a passphrase.
    ///
    /// # Errors
    ///
    /// What the writer says, or that the system gives no random bytes.
    pub(super) fn begin(mut to: W, passphrase: &Secret) -> io::Result<Self> {
        let (file_key, salt) = (Zeroizing::new(random::<16>()?), random::<16>()?);
        let wrapping = stretched(passphrase, &salt, BACKUP_WORK);
        let mut wrapped = file_key.to_vec();
        let seal =
            sealing_key(&wrapping).seal_in_place_append_tag(nonce([0; 12]), Aad::empty(), &mut wrapped);
        seal.map_err(|_| io::Error::other("the file key was not sealed"))?;
        let (salt, wrapped) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(wrapped));
        let head = format!("{VERSION}\n-> scrypt {salt} {BACKUP_WORK}\n{wrapped}\n---");
        let mac = hmac::sign(&head_key(&file_key), head.as_bytes());
        writeln!(to, "{head} {}", STANDARD_NO_PAD.encode(mac))?;
        let nonce = random::<16>()?;
        to.write_all(&nonce)?;
        let chunk = Zeroizing::new(Vec::with_capacity(CHUNK + TAG));
        Ok(Self { to, stream: Stream::new(&file_key, &nonce), chunk })
    }

    /// Seals the last chunk and returns the writer.
    ///
    /// # Errors
    ///
    /// What the writer says. Without this the content counts as cut short.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.seal(true)?;
        self.to.flush()?;
        Ok(self.to)
    }

    fn seal(&mut self, last: bool) -> io::Result<()> {
        let nonce = self.stream.next(last);
        let sealed = self.stream.key.seal_in_place_append_tag(nonce, Aad::empty(), &mut *self.chunk);
        sealed.map_err(|_| io::Error::other("a chunk was not sealed"))?;
        self.to.write_all(&self.chunk)?;
        self.chunk.clear();
        Ok(())
    }
}

impl<W: Write> Write for Sealer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.chunk.len() == CHUNK && !bytes.is_empty() {
            self.seal(false)?; // not before more has come: the last chunk is not empty
        }
        let taken = bytes.len().min(CHUNK - self.chunk.len());
        self.chunk.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(()) // a chunk is sealed when it is full, or the last
    }
}

/// Opens what was sealed, chunk by chunk.
pub(super) struct Opener<R> {
    from: BufReader<R>,
    stream: Stream,
    plain: Zeroizing<Vec<u8>>,
    /// How much of the chunk has been read.
    read: usize,
    ended: bool,
}

impl<R: Read> Opener<R> {
    /// Reads the head and tries the passphrase.
    ///
    /// # Errors
    ///
    /// Tells a wrong passphrase from a file that is something else, newer, damaged, or asks for too much work.
    pub(super) fn begin(from: R, passphrase: &Secret) -> Result<Self, BackupError> {
        let mut from = BufReader::with_capacity(CHUNK, from);
        let head = Head::read(&mut from)?;
        let wrapping = stretched(passphrase, &head.salt, head.work);
        let mut wrapped = Zeroizing::new(head.wrapped);
        let opened = sealing_key(&wrapping).open_in_place(nonce([0; 12]), Aad::empty(), &mut wrapped[..]);
        let file_key: Zeroizing<[u8; 16]> = match opened {
            Ok(key) => Zeroizing::new(key.try_into().map_err(|_| damaged("its key has another length"))?),
            Err(_) => return Err(BackupError::WrongPassphrase),
        };
        let authentic = hmac::verify(&head_key(&file_key), head.text.as_bytes(), &head.mac);
        authentic.map_err(|_| damaged("its head was changed"))?;
        let mut nonce = [0; 16];
        from.read_exact(&mut nonce).map_err(|_| damaged("it is cut short"))?;
        let stream = Stream::new(&file_key, &nonce);
        let plain = Zeroizing::new(Vec::with_capacity(CHUNK + TAG));
        Ok(Self { from, stream, plain, read: 0, ended: false })
    }

    fn open_chunk(&mut self) -> io::Result<()> {
        self.plain.clear();
        let (first, limit) = (self.stream.count == 0, (CHUNK + TAG) as u64);
        self.from.by_ref().take(limit).read_to_end(&mut self.plain)?;
        self.ended = self.from.fill_buf()?.is_empty();
        let nonce = self.stream.next(self.ended);
        let opened = self.stream.key.open_in_place(nonce, Aad::empty(), &mut self.plain);
        let length = opened.map_err(|_| Broken)?.len();
        if length == 0 && !first {
            return Err(Broken.into());
        }
        self.plain.truncate(length);
        self.read = 0;
        Ok(())
    }
}

impl<R: Read> Read for Opener<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.read == self.plain.len() && !self.ended {
            self.open_chunk()?;
        }
        let taken = into.len().min(self.plain.len() - self.read);
        into[..taken].copy_from_slice(&self.plain[self.read..self.read + taken]);
        self.read += taken;
        Ok(taken)
    }
}

/// A chunk is not what was sealed: changed, moved, or the last of a file that is cut short.
#[derive(Debug, thiserror::Error)]
#[error("it is cut short or was changed")]
pub(super) struct Broken;

impl From<Broken> for io::Error {
    fn from(broken: Broken) -> Self {
        Self::new(io::ErrorKind::InvalidData, broken)
    }
}

/// The head of a file that one passphrase opens.
struct Head {
    /// What the code at its end is about.
    text: String,
    salt: [u8; 16],
    work: u8,
    wrapped: [u8; 32],
    mac: [u8; 32],
}

impl Head {
    fn read(from: &mut impl BufRead) -> Result<Self, BackupError> {
        let version = line(from)?.unwrap_or_default();
        match version.as_str() {
            VERSION => {}
            other if other.starts_with("age-encryption.org/") => {
                return Err(BackupError::NewerEnvelope(other.to_owned()));
            }
            _ => return Err(BackupError::Foreign),
        }
        let mut rest = || line(from)?.ok_or_else(|| damaged("its head is cut short"));
        let (stanza, body, end) = (rest()?, rest()?, rest()?);
        let parts: Vec<_> = stanza.split(' ').collect();
        let &["->", "scrypt", salt, work] = &parts[..] else { return Err(BackupError::Foreign) };
        let bad = || damaged("its head is malformed");
        let mac = end.strip_prefix("--- ").ok_or_else(bad)?;
        let head = Self {
            text: format!("{version}\n{stanza}\n{body}\n---"),
            salt: decoded(salt).ok_or_else(bad)?,
            work: work.parse().ok().filter(|number: &u8| number.to_string() == work).ok_or_else(bad)?,
            wrapped: decoded(&body).ok_or_else(bad)?,
            mac: decoded(mac).ok_or_else(bad)?,
        };
        match head.work {
            1..=BACKUP_WORK_MAX => Ok(head),
            0 => Err(bad()),
            work => Err(BackupError::Costly(work)),
        }
    }
}

/// Reads a line of bounded length, without its end; nothing when it is longer or not text.
fn line(from: &mut impl BufRead) -> Result<Option<String>, BackupError> {
    let mut bytes = Vec::new();
    from.take(LINE_BYTES).read_until(b'\n', &mut bytes).map_err(BackupError::reading)?;
    Ok((bytes.pop() == Some(b'\n')).then_some(bytes).and_then(|bytes| String::from_utf8(bytes).ok()))
}

fn decoded<const N: usize>(text: &str) -> Option<[u8; N]> {
    STANDARD_NO_PAD.decode(text).ok()?.try_into().ok()
}

/// The content's key, and the chunk that comes next.
struct Stream {
    key: LessSafeKey,
    count: u64,
}

impl Stream {
    fn new(file_key: &[u8; 16], nonce: &[u8; 16]) -> Self {
        Self { key: sealing_key(&derived(file_key, nonce, b"payload")), count: 0 }
    }

    /// Returns the next chunk's nonce: eleven bytes that count, and one that marks the last chunk.
    fn next(&mut self, last: bool) -> Nonce {
        let mut bytes = [0; 12];
        bytes[3..11].copy_from_slice(&self.count.to_be_bytes());
        bytes[11] = last.into();
        self.count += 1; // 2^64 chunks are more than any disk holds
        nonce(bytes)
    }
}

fn stretched(passphrase: &Secret, salt: &[u8; 16], work: u8) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    let params = scrypt::Params::new(work, 8, 1).expect("the work was checked against its limit");
    let salt = [SALT_LABEL, salt].concat();
    scrypt::scrypt(passphrase.reveal().as_bytes(), &salt, &params, &mut *key).expect("32 bytes are allowed");
    key
}

fn head_key(file_key: &[u8; 16]) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, &*derived(file_key, b"", b"header"))
}

fn derived(file_key: &[u8; 16], salt: &[u8], label: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    let drawn = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(file_key);
    let filled = drawn.expand(&[label], hkdf::HKDF_SHA256).and_then(|output| output.fill(&mut *key));
    filled.expect("32 bytes are one block");
    key
}

fn sealing_key(key: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, key).expect("the key has 32 bytes"))
}

fn nonce(bytes: [u8; 12]) -> Nonce {
    Nonce::assume_unique_for_key(bytes)
}

fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

fn damaged(reason: &str) -> BackupError {
    BackupError::Damaged(reason.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text.into())
    }

    fn sealed(plain: &[u8]) -> Vec<u8> {
        let mut sealer = Sealer::begin(Vec::new(), &secret("correct horse")).expect("memory");
        sealer.write_all(plain).expect("memory");
        sealer.finish().expect("memory")
    }

    fn opened(bytes: &[u8], passphrase: &str) -> Result<Vec<u8>, BackupError> {
        let mut plain = Vec::new();
        let mut opener = Opener::begin(bytes, &secret(passphrase))?;
        opener.read_to_end(&mut plain).map_err(BackupError::reading)?;
        Ok(plain)
    }

    #[test]
    fn what_was_sealed_opens_whatever_its_length() {
        for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK] {
            let plain: Vec<u8> = (0..length).map(|n| n as u8).collect();
            assert!(opened(&sealed(&plain), "correct horse").expect("it opens") == plain, "{length}");
        }
    }

    #[test]
    fn file_that_another_implementation_wrote_opens() {
        // rage's library, through pyrage 1.4: pyrage.passphrase.encrypt(b"villa", "correct horse")
        let file = include_bytes!("testdata/by_rage.age");
        assert_eq!(opened(file, "correct horse").expect("it opens"), b"villa");
    }

    #[test]
    fn wrong_passphrase_is_told_from_damage() {
        let file = sealed(b"villa");
        assert!(matches!(opened(&file, "correct hors"), Err(BackupError::WrongPassphrase)));
        assert!(matches!(opened(&file[..file.len() - 1], "correct horse"), Err(BackupError::Damaged(_))));
    }

    #[test]
    fn changed_byte_is_noticed_wherever_it_is() {
        let file = sealed(b"villa");
        for at in (0..file.len()).step_by(29) {
            let mut changed = file.clone();
            changed[at] ^= 1;
            // A head that asks for more work is not tried here, it takes its time.
            if changed.windows(4).all(|window| window != b" 17\n") {
                assert!(opened(&changed, "correct horse").is_err(), "byte {at} was not missed");
            }
        }
    }

    #[test]
    fn chunks_that_are_cut_off_moved_or_added_are_noticed() {
        let file = sealed(&vec![7; 3 * CHUNK]);
        let head = file.len() - 3 * (CHUNK + TAG);
        let chunk = |n: usize| file[head + n * (CHUNK + TAG)..head + (n + 1) * (CHUNK + TAG)].to_vec();
        let (first, second, third) = (chunk(0), chunk(1), chunk(2));
        for chunks in [
            vec![],
            vec![&first],
            vec![&first, &second],
            vec![&second, &first, &third],
            vec![&first, &second, &third, &third],
        ] {
            let body: Vec<u8> = chunks.into_iter().flatten().copied().collect();
            assert!(opened(&[&file[..head], &body].concat(), "correct horse").is_err());
        }
    }

    #[test]
    fn foreign_newer_and_costly_files_are_told_apart_without_work() {
        let own = String::from_utf8_lossy(&sealed(b"")[..150]).into_owned();
        let kind = |text: &str| opened(text.as_bytes(), "correct horse").unwrap_err();
        for foreign in ["", "PK\u{3}\u{4}", "SQLite format 3\0", &"x".repeat(100_000)] {
            assert!(matches!(kind(foreign), BackupError::Foreign), "{foreign:.20}");
        }
        assert!(matches!(kind(&own.replace("org/v1", "org/v2")), BackupError::NewerEnvelope(_)));
        assert!(matches!(kind(&own.replace("-> scrypt", "-> X25519")), BackupError::Foreign));
        assert!(matches!(kind(&own.replace(" 16\n", " 40\n")), BackupError::Costly(40)));
        assert!(matches!(kind(&own.replace(" 16\n", " 016\n")), BackupError::Damaged(_)));
        assert!(matches!(kind(&own[..40]), BackupError::Damaged(_)));
    }
}
