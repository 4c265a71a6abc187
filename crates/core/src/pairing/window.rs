//! When and how often somebody may try: the only way from a stranger to a secret.
//!
//! [`Windows`] of a home holds the window that a person opened (one at a time, five
//! minutes, three tries by whoever) and the standing one of a shared key. A conversation
//! gets the secret from [`Windows::attempt`] alone, which has then already counted it, so
//! there is no path to an uncounted guess; and a success is worth nothing until the window,
//! still open, has taken the attempt back.
//!
//! ```
//! # use crosshome_core::pairing::{Code, Windows};
//! let mut windows = Windows::default();
//! windows.open(vec![Code::new(&[7; 16]).secret()], 0, 300_000);
//! assert_eq!(windows.shown(1_000).expect("open").closes_in_ms, 299_000);
//! windows.cancel();
//! assert!(windows.shown(1_000).is_none());
//! ```

use std::{fmt, sync::Arc};

use super::{Method, PairingError, Secret, spake2::Password};
use crate::defaults::{PAIRING_ATTEMPTS, SHARED_KEY_ATTEMPTS, SHARED_KEY_FORGIVE_MS};

/// The ways into a home that are open at present.
#[derive(Default)]
pub struct Windows {
    shown: Option<Window>,
    standing: Option<Standing>,
    opened: u64,
}

impl Windows {
    /// Opens a window that closes after `lasts_ms`, in place of the one that was open.
    ///
    /// `secrets` are the same invitation in different clothes, such as a code and a link; they
    /// share the attempts. Times are of a monotonic clock: setting the wall clock neither prolongs
    /// nor ends a window.
    pub fn open(&mut self, secrets: Vec<Secret>, now_ms: u64, lasts_ms: u64) {
        self.opened += 1;
        let secrets = secrets.into_iter().map(Arc::new).collect();
        let closes_ms = now_ms.saturating_add(lasts_ms);
        self.shown =
            Some(Window { serial: self.opened, secrets, closes_ms, attempts_left: PAIRING_ATTEMPTS });
    }

    /// Lets homes with this shared key in unattended, in place of the key before.
    pub fn stand(&mut self, key: Secret, now_ms: u64) {
        self.opened += 1;
        let (serial, secret) = (self.opened, Arc::new(key));
        self.standing =
            Some(Standing { serial, secret, attempts_left: SHARED_KEY_ATTEMPTS, forgiven_ms: now_ms });
    }

    /// Lets nobody in unattended any more: there is no shared key.
    pub fn withdraw(&mut self) {
        self.standing = None;
    }

    /// Closes the shown window; conversations that have begun in it fail.
    pub fn cancel(&mut self) {
        self.shown = None;
    }

    /// Counts an attempt and only then gives the secret for it.
    pub(super) fn attempt(&mut self, method: Method, now_ms: u64) -> Result<Attempt, PairingError> {
        match (&mut self.shown, &mut self.standing) {
            (_, Some(standing)) if method == standing.secret.method() => standing.attempt(now_ms),
            (Some(window), _) => window.attempt(method, now_ms),
            _ => Err(PairingError::Closed),
        }
    }

    /// Takes back the attempt of a home that knew the secret. A shown window is used up by it.
    pub(super) fn settle(&mut self, attempt: Attempt, now_ms: u64) -> Result<Method, PairingError> {
        let method = attempt.secret.method();
        if let Some(standing) = self.standing.as_mut().filter(|standing| standing.serial == attempt.serial) {
            standing.forgive(1);
            return Ok(method);
        }
        let window =
            self.shown.take_if(|window| window.serial == attempt.serial).ok_or(PairingError::Closed)?;
        match now_ms < window.closes_ms {
            true => Ok(method),
            false => Err(PairingError::Expired),
        }
    }

    /// Returns what there is to show of the open window.
    pub fn shown(&self, now_ms: u64) -> Option<Shown> {
        let window = self.shown.as_ref().filter(|window| now_ms < window.closes_ms)?;
        Some(Shown { closes_in_ms: window.closes_ms - now_ms, attempts_left: window.attempts_left })
    }
}

impl fmt::Debug for Windows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Windows(..)")
    }
}

/// What a person may know about the open window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// The time that is left.
    pub closes_in_ms: u64,
    /// The tries that are left; none means that the code is dead.
    pub attempts_left: u32,
}

/// One counted try. It is not to be had without being counted, and it cannot be copied.
pub(super) struct Attempt {
    serial: u64,
    secret: Arc<Secret>,
}

impl Attempt {
    pub(super) fn password(&self) -> &Password {
        self.secret.password()
    }
}

/// What a person opened: its secrets are forgotten with the last attempt.
struct Window {
    serial: u64,
    secrets: Vec<Arc<Secret>>,
    closes_ms: u64,
    attempts_left: u32,
}

impl Window {
    fn attempt(&mut self, method: Method, now_ms: u64) -> Result<Attempt, PairingError> {
        if now_ms >= self.closes_ms {
            self.secrets.clear();
            return Err(PairingError::Expired);
        }
        if self.attempts_left == 0 {
            return Err(PairingError::NoAttemptsLeft);
        }
        let secret = self.secrets.iter().find(|secret| secret.method() == method).cloned();
        let secret = secret.ok_or(PairingError::Closed)?;
        self.attempts_left -= 1;
        if self.attempts_left == 0 {
            self.secrets.clear();
        }
        Ok(Attempt { serial: self.serial, secret })
    }
}

/// A shared key's window: open for ever, so failed attempts are forgiven with time instead of
/// ending it.
struct Standing {
    serial: u64,
    secret: Arc<Secret>,
    attempts_left: u32,
    forgiven_ms: u64,
}

impl Standing {
    fn attempt(&mut self, now_ms: u64) -> Result<Attempt, PairingError> {
        let earned = now_ms.saturating_sub(self.forgiven_ms) / SHARED_KEY_FORGIVE_MS;
        self.forgiven_ms += earned * SHARED_KEY_FORGIVE_MS;
        self.forgive(u32::try_from(earned).unwrap_or(u32::MAX));
        self.attempts_left = self.attempts_left.checked_sub(1).ok_or(PairingError::NoAttemptsLeft)?;
        Ok(Attempt { serial: self.serial, secret: self.secret.clone() })
    }

    fn forgive(&mut self, attempts: u32) {
        self.attempts_left = self.attempts_left.saturating_add(attempts).min(SHARED_KEY_ATTEMPTS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        HomeId,
        defaults::PAIRING_WINDOW_MS,
        pairing::{Code, Invitation, SharedKey},
    };

    fn code() -> Secret {
        Code::new(&[7; 16]).secret()
    }

    fn open() -> Windows {
        let mut windows = Windows::default();
        let invitation = Invitation::new(HomeId([1; 32]), [2; 16], 0, &[]).expect("no addresses");
        windows.open(vec![code(), invitation.offer()], 1_000, PAIRING_WINDOW_MS);
        windows
    }

    fn standing() -> Windows {
        let mut windows = Windows::default();
        windows.stand(SharedKey::parse(b"passwort").expect("a key").secret(), 0);
        windows
    }

    #[test]
    fn nothing_is_open_by_default() {
        for method in [Method::Code, Method::Invitation, Method::SharedKey] {
            assert_eq!(Windows::default().attempt(method, 0).err(), Some(PairingError::Closed));
        }
    }

    #[test]
    fn code_is_dead_after_three_attempts_of_any_kind() {
        let mut windows = open();
        for method in [Method::Code, Method::Invitation, Method::Code] {
            assert!(windows.attempt(method, 1_000).is_ok());
        }
        assert_eq!(windows.attempt(Method::Code, 1_000).err(), Some(PairingError::NoAttemptsLeft));
        assert!(windows.shown.expect("still there").secrets.is_empty());
    }

    #[test]
    fn window_closes_after_its_time() {
        let mut windows = open();
        assert!(windows.attempt(Method::Code, PAIRING_WINDOW_MS + 999).is_ok());
        let late = windows.attempt(Method::Code, PAIRING_WINDOW_MS + 1_000).err();
        assert_eq!(late, Some(PairingError::Expired));
        assert_eq!(windows.shown(PAIRING_WINDOW_MS + 1_000), None);
        assert!(windows.shown.expect("still there").secrets.is_empty());
    }

    #[test]
    fn success_uses_the_window_up() {
        let mut windows = open();
        let (first, second) = (windows.attempt(Method::Code, 1_000), windows.attempt(Method::Code, 1_000));
        assert_eq!(windows.settle(first.expect("open"), 1_001), Ok(Method::Code));
        assert_eq!(windows.settle(second.expect("open"), 1_001), Err(PairingError::Closed));
        assert_eq!(windows.attempt(Method::Code, 1_001).err(), Some(PairingError::Closed));
    }

    #[test]
    fn attempt_begun_in_time_but_settled_late_fails() {
        let mut windows = open();
        let attempt = windows.attempt(Method::Code, 2_000).expect("open");
        assert_eq!(windows.settle(attempt, PAIRING_WINDOW_MS + 1_000), Err(PairingError::Expired));
    }

    #[test]
    fn attempt_in_a_closed_window_does_not_settle_in_the_next() {
        let mut windows = open();
        let attempt = windows.attempt(Method::Code, 2_000).expect("open");
        windows.cancel();
        windows.open(vec![code()], 2_000, PAIRING_WINDOW_MS);
        assert_eq!(windows.settle(attempt, 2_000), Err(PairingError::Closed));
        assert_eq!(windows.shown(2_000).expect("open").attempts_left, 3);
    }

    #[test]
    fn shared_key_forgives_with_time_and_success() {
        let mut windows = standing();
        let mut attempts: Vec<_> =
            (0..20).filter_map(|_| windows.attempt(Method::SharedKey, 0).ok()).collect();
        assert_eq!(attempts.len(), SHARED_KEY_ATTEMPTS as usize);

        assert_eq!(windows.settle(attempts.pop().expect("eight"), 0), Ok(Method::SharedKey));
        assert!(windows.attempt(Method::SharedKey, 0).is_ok());
        assert_eq!(windows.attempt(Method::SharedKey, 59_999).err(), Some(PairingError::NoAttemptsLeft));
        assert!(windows.attempt(Method::SharedKey, 60_000).is_ok());
        assert_eq!(windows.attempt(Method::SharedKey, 60_000).err(), Some(PairingError::NoAttemptsLeft));
        let after_a_year = (0..20).filter(|_| windows.attempt(Method::SharedKey, u64::MAX).is_ok()).count();
        assert_eq!(after_a_year, SHARED_KEY_ATTEMPTS as usize);
    }

    #[test]
    fn withdrawn_shared_key_opens_nothing_and_settles_nothing() {
        let mut windows = standing();
        let attempt = windows.attempt(Method::SharedKey, 0).expect("standing");
        windows.withdraw();
        assert_eq!(windows.settle(attempt, 0), Err(PairingError::Closed));
        assert_eq!(windows.attempt(Method::SharedKey, 0).err(), Some(PairingError::Closed));
    }

    #[test]
    fn shared_key_and_code_do_not_share_attempts() {
        let mut windows = standing();
        windows.open(vec![code()], 0, PAIRING_WINDOW_MS);
        for _ in 0..SHARED_KEY_ATTEMPTS {
            assert!(windows.attempt(Method::SharedKey, 0).is_ok());
        }
        assert_eq!(windows.shown(0).expect("open").attempts_left, 3);
        windows.cancel();
        assert_eq!(windows.attempt(Method::SharedKey, 0).err(), Some(PairingError::NoAttemptsLeft));
    }
}
