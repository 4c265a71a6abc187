//! Worker processes: started from this very program, ordered over stdin, gone when dropped.

use std::{net::SocketAddr, path::Path, process::Stdio};

use serde::de::DeserializeOwned;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use super::{
    orders::{Opened, Order, Seen},
    usage::now_ns,
};
use crate::{failure::Failure, program};

/// One process that does what it is ordered.
pub(super) struct Worker {
    /// Killed when dropped.
    child: Child,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    started_ns: u64,
}

/// What a worker says to an order.
pub(super) type Answer = Result<serde_json::Value, String>;

impl Worker {
    /// Starts a worker.
    pub(super) fn start() -> Result<Self, Failure> {
        let started_ns = now_ns();
        let mut command = Command::from(program::anew()?);
        command.args(["bench", "--worker"]).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn()?;
        let orders = child.stdin.take().expect("it is piped");
        let answers = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        Ok(Self { child, orders, answers, started_ns })
    }

    /// Gives an order and waits for the answer.
    pub(super) async fn ask<T: DeserializeOwned>(&mut self, order: Order) -> Result<T, Failure> {
        let mut line = serde_json::to_vec(&order).expect("orders have a JSON form");
        line.push(b'\n');
        self.orders.write_all(&line).await?;
        let failed = |reason: String| Failure::Bench(format!("{order:?}: {reason}"));
        let line = self.answers.next_line().await?.ok_or_else(|| failed("the worker has ended".into()))?;
        let answer: Answer = serde_json::from_str(&line).map_err(|error| failed(error.to_string()))?;
        serde_json::from_value(answer.map_err(failed)?).map_err(|error| failed(error.to_string()))
    }

    /// Opens a home in a directory; a peer that it knows may have a new address.
    pub(super) async fn open(
        &mut self,
        dir: &Path,
        name: &str,
        peer: Option<SocketAddr>,
    ) -> Result<Opened, Failure> {
        self.ask(Order::Open { dir: dir.join(name), name: name.into(), peer }).await
    }

    /// Returns how the process stands.
    pub(super) async fn look(&mut self) -> Result<Seen, Failure> {
        self.ask(Order::Look).await
    }

    /// Returns when the process was started.
    pub(super) fn started_ns(&self) -> u64 {
        self.started_ns
    }

    /// Ends the process properly.
    pub(super) async fn end(mut self) -> Result<(), Failure> {
        drop(self.orders);
        self.child.wait().await?;
        Ok(())
    }
}

/// Two homes that are linked; the first shares everything with the second.
pub(super) struct Pair {
    pub(super) villa: Worker,
    pub(super) flat: Worker,
}

impl Pair {
    /// Starts two homes and pairs them; the flat reaches the villa by the address that `road` makes of the villa's.
    pub(super) async fn open(
        dir: &Path,
        road: impl AsyncFnOnce(SocketAddr) -> Result<SocketAddr, Failure>,
    ) -> Result<Self, Failure> {
        let (mut villa, mut flat) = (Worker::start()?, Worker::start()?);
        let address = road(villa.open(dir, "villa", None).await?.address).await?;
        flat.open(dir, "flat", None).await?;
        join(&mut villa, &mut flat, address).await?;
        Ok(Self { villa, flat })
    }

    /// Lets the flat see everything of the villa.
    pub(super) async fn share(&mut self) -> Result<(), Failure> {
        self.villa.ask(Order::Share { with: "flat".into() }).await
    }

    /// Returns how both stand.
    pub(super) async fn look(&mut self) -> Result<[Seen; 2], Failure> {
        Ok([self.villa.look().await?, self.flat.look().await?])
    }

    /// Ends both.
    pub(super) async fn end(self) -> Result<(), Failure> {
        self.flat.end().await?;
        self.villa.end().await
    }
}

/// Pairs a home with the one that listens.
pub(super) async fn join(host: &mut Worker, guest: &mut Worker, address: SocketAddr) -> Result<(), Failure> {
    let code: String = host.ask(Order::Show).await?;
    guest.ask(Order::Join { code, address }).await
}

/// The villa's own address: nothing is between the homes.
pub(super) async fn straight(address: SocketAddr) -> Result<SocketAddr, Failure> {
    Ok(address)
}
