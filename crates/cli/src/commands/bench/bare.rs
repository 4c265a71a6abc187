//! The ceiling: the same updates as frames of the secured channel, and nothing else done.
//!
//! A frame each, packed into bursts as a home packs them. The channel is one for pairing, because
//! there nothing is compressed.

use std::net::SocketAddr;

use crosshome_node::{
    channel::{Door, Endpoint, LinkReader, LinkWriter, Pins, Secured, Target},
    defaults::BURST,
    identity::Identity,
};
use tokio::{
    net::TcpListener,
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};

use super::{
    orders::{Heard, Load, Pace, Sent},
    sample::{Sample, sent_ns},
    usage::now_ns,
    worker::Trouble,
};

/// One end of a bare channel.
pub(super) struct Bare {
    link: JoinHandle<Result<Secured, Trouble>>,
    prepared: Vec<Vec<u8>>,
    load: Option<Load>,
}

impl Bare {
    /// Listens for one connection.
    pub(super) async fn accept() -> Result<(Self, SocketAddr), Trouble> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let accepted = async move {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            Ok(endpoint().accept(stream).await?)
        };
        Ok((Self::new(tokio::spawn(accepted)), address))
    }

    /// Connects to one that listens.
    pub(super) async fn dial(address: SocketAddr) -> Result<Self, Trouble> {
        let secured = endpoint().dial(&address.to_string(), Target::Pair(None)).await?;
        Ok(Self::new(tokio::spawn(async { Ok(secured) })))
    }

    /// Makes the documents ready.
    pub(super) fn prepare(&mut self, load: Load) {
        self.prepared =
            load.updates().map(|(entity, round)| Sample(entity).document(round).into_bytes()).collect();
        self.load = Some(load);
    }

    /// Sends what was prepared.
    pub(super) async fn send(&mut self) -> Result<Sent, Trouble> {
        let (_reader, mut writer) = (&mut self.link).await??.into_link(None);
        let load = self.load.take().ok_or("nothing is prepared")?;
        let begun_ns = now_ns();
        match load.pace {
            Some(pace) => send_paced(&mut writer, &self.prepared, pace).await?,
            None => {
                for burst in self.prepared.chunks(BURST) {
                    writer.send(burst).await?;
                }
            }
        }
        let durable_ns = now_ns();
        // The other side has all before the end of the stream tells it so.
        writer.close().await;
        Ok(Sent { begun_ns, durable_ns })
    }

    /// Notes when documents arrive.
    pub(super) fn listen(&mut self, updates: u32) -> Result<JoinHandle<Result<Heard, Trouble>>, Trouble> {
        let link = std::mem::replace(&mut self.link, tokio::spawn(async { Err("it is in use".into()) }));
        Ok(tokio::spawn(async move {
            let (reader, _writer) = link.await??.into_link(None);
            hear(reader, updates).await
        }))
    }

    fn new(link: JoinHandle<Result<Secured, Trouble>>) -> Self {
        Self { link, prepared: Vec::new(), load: None }
    }
}

async fn send_paced(writer: &mut LinkWriter, documents: &[Vec<u8>], pace: Pace) -> Result<(), Trouble> {
    let mut beat = interval(pace.period());
    beat.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for document in documents {
        beat.tick().await;
        if !pace.stamped {
            writer.send(&[document]).await?;
            continue;
        }
        let stamp = format!(r#","sent_ns":{}}}"#, now_ns());
        let stamped = [&document[..document.len() - 1], stamp.as_bytes()].concat();
        writer.send(&[stamped]).await?;
    }
    Ok(())
}

async fn hear(mut reader: LinkReader, updates: u32) -> Result<Heard, Trouble> {
    let (mut took_ns, mut heard) = (Vec::with_capacity(updates as usize), 0);
    while heard < updates {
        let frames = reader.recv(BURST).await?;
        heard += frames.len() as u32;
        // Bulk is not stamped: there only the last one's arrival counts.
        let paced = frames.iter().filter_map(|frame| sent_ns(std::str::from_utf8(frame).ok()?));
        took_ns.extend(paced.map(|sent| now_ns().saturating_sub(sent)));
    }
    Ok(Heard { updates: heard, ..Heard::of(took_ns, now_ns()) })
}

fn endpoint() -> Endpoint {
    let door = Door::default();
    door.open();
    Endpoint::new(Identity::generate(), Pins::default(), door)
}
