//! Somebody on the line: passes bytes on, and keeps a copy of all of them.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

/// A line to one address.
pub(crate) struct Tap {
    pub(crate) address: String,
    // Guards what has passed; locked for one piece at a time.
    passed: Arc<Mutex<Vec<u8>>>,
}

impl Tap {
    /// Listens on a port of its own and passes on to `target`, for as long as the test runs.
    pub(crate) fn to(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound").to_string();
        let (passed, target) = (Arc::<Mutex<Vec<u8>>>::default(), target.to_owned());
        let copy = passed.clone();
        thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let Ok(far) = TcpStream::connect(&target) else { continue };
                let (Ok(near_too), Ok(far_too)) = (near.try_clone(), far.try_clone()) else { continue };
                let copies = (copy.clone(), copy.clone());
                thread::spawn(move || pass(near, far, &copies.0));
                thread::spawn(move || pass(far_too, near_too, &copies.1));
            }
        });
        Self { address, passed }
    }

    /// Returns every byte that has passed, both ways.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.passed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, copy: &Mutex<Vec<u8>>) {
    let mut piece = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut piece) {
        copy.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&piece[..count]);
        if to.write_all(&piece[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
