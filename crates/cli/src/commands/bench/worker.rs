//! The hidden side of `bench`: one process of a measurement, ordered line by line.
//!
//! A worker ends when its orders end, so that nothing is left behind whatever happens to the
//! process that measures.

use crosshome_node::channel;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, stdin, stdout},
    task::JoinHandle,
};

use super::{
    bare::Bare,
    crew::Answer,
    dwelling::Dwelling,
    orders::{Heard, Order, Seen},
    usage::Usage,
};
use crate::failure::Failure;

/// What can go wrong in a worker; it is told to the process that measures.
pub(super) type Trouble = Box<dyn std::error::Error + Send + Sync>;

/// Carries out orders until there are no more.
pub(super) async fn run() -> Result<(), Failure> {
    channel::warm_up(); // a home does so itself
    let mut orders = BufReader::new(stdin()).lines();
    let mut worker = State::default();
    while let Some(line) = orders.next_line().await? {
        let answer: Answer = match serde_json::from_str(&line) {
            Ok(order) => worker.obey(order).await.map_err(|trouble| trouble.to_string()),
            Err(error) => Err(error.to_string()),
        };
        let mut line = serde_json::to_vec(&answer).expect("answers have a JSON form");
        line.push(b'\n');
        let mut out = stdout();
        out.write_all(&line).await?;
        out.flush().await?;
    }
    if let Some(home) = worker.home {
        home.close().await;
    }
    Ok(())
}

/// What a worker is at present: a home, or one end of a bare channel.
#[derive(Default)]
struct State {
    home: Option<Dwelling>,
    bare: Option<Bare>,
    listening: Option<JoinHandle<Result<Heard, Trouble>>>,
}

impl State {
    async fn obey(&mut self, order: Order) -> Result<Value, Trouble> {
        Ok(match order {
            Order::Open { dir, name, peer } => {
                let (home, opened) = Dwelling::open(&dir, &name, peer)?;
                self.home = Some(home);
                json!(opened)
            }
            Order::BareAccept => {
                let (bare, address) = Bare::accept().await?;
                self.bare = Some(bare);
                json!(address)
            }
            Order::BareDial { address } => {
                self.bare = Some(Bare::dial(address).await?);
                Value::Null
            }
            Order::Close => {
                self.home.take().ok_or(NO_HOME)?.close().await;
                Value::Null
            }
            Order::Look => {
                let changes = self.home.as_ref().map_or(0, Dwelling::changes);
                json!(Seen { usage: Usage::now(), changes })
            }
            Order::Prepare(load) => {
                match &mut self.bare {
                    Some(bare) => bare.prepare(load),
                    None => self.home.as_mut().ok_or(NO_HOME)?.prepare(load)?,
                }
                Value::Null
            }
            Order::Send => match &mut self.bare {
                Some(bare) => json!(bare.send().await?),
                None => json!(self.home.as_mut().ok_or(NO_HOME)?.send().await?),
            },
            Order::Listen { updates } => {
                self.listening = Some(match &mut self.bare {
                    Some(bare) => bare.listen(updates)?,
                    None => self.home.as_ref().ok_or(NO_HOME)?.listen(updates)?,
                });
                Value::Null
            }
            Order::Heard => json!(self.listening.take().ok_or("nobody listens")?.await??),
            order => self.home.as_ref().ok_or(NO_HOME)?.obey(order).await?,
        })
    }
}

const NO_HOME: &str = "no home is open";
