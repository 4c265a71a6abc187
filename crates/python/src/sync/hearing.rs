//! What a home tells its `SyncProtocol`: notices and a few words between them, in one order.
//!
//! Whoever falls so far behind that notices are lost reads all entities anew: callbacks may miss
//! values that were replaced meanwhile, never the newest.

use std::sync::Arc;

use crosshome_node::{
    node::{Node, Notice},
    views::EntityView,
};
use futures_util::stream::{self, Stream};
use tokio::sync::{
    broadcast::{self, error::RecvError},
    mpsc, oneshot,
};

use super::custom::Question;

/// Most notices of one delivery.
const BATCH: usize = 64;

/// Something to deliver on the event loop.
pub(super) enum Heard {
    /// Notices, in their order.
    Notices(Vec<Arc<Notice>>),
    /// Every entity there is, after notices were lost.
    Anew(Vec<EntityView>),
    /// A word of this side.
    Word(Word),
}

/// What goes to the event loop beside the notices, after those that were told before.
pub(super) enum Word {
    /// Both sides hold the same; the sender waits until callbacks were called.
    Synced(oneshot::Sender<()>),
    /// A conflict that Python's function is to settle.
    Question(Box<Question>),
}

/// What a start gives to the event loop.
pub(super) struct Ear {
    pub(super) notices: broadcast::Receiver<Arc<Notice>>,
    pub(super) node: Node,
}

/// Returns what is heard once the home has started, until it has stopped.
pub(super) fn hearing(
    ear: oneshot::Receiver<Ear>,
    words: mpsc::UnboundedReceiver<Word>,
) -> impl Stream<Item = Heard> + Send {
    let hearing = Hearing { waits: Some(ear), ear: None, words, skipped: 0 };
    stream::unfold(hearing, |mut hearing| async move { Some((hearing.next().await?, hearing)) })
}

struct Hearing {
    waits: Option<oneshot::Receiver<Ear>>,
    ear: Option<Ear>,
    words: mpsc::UnboundedReceiver<Word>,
    /// Notices up to this number were read anew.
    skipped: u64,
}

impl Hearing {
    async fn next(&mut self) -> Option<Heard> {
        if let Some(ear) = self.waits.take() {
            self.ear = Some(ear.await.ok()?);
        }
        let ear = self.ear.as_mut()?;
        loop {
            let told = tokio::select! {
                // Words come after what was told before them.
                biased;
                told = ear.notices.recv() => told,
                Some(word) = self.words.recv() => return Some(Heard::Word(word)),
            };
            match told {
                Ok(notice) if notice.number <= self.skipped => {}
                Ok(notice) => return Some(Heard::Notices(batch(notice, &mut ear.notices))),
                Err(RecvError::Closed) => return None,
                Err(RecvError::Lagged(missed)) => {
                    tracing::debug!(missed, "callbacks are behind: everything is read anew");
                    let watch = ear.node.watch().await.ok()?;
                    self.skipped = watch.head;
                    return Some(Heard::Anew(watch.present));
                }
            }
        }
    }
}

/// Takes what has come with a notice; where something was lost, the next call finds out.
fn batch(first: Arc<Notice>, notices: &mut broadcast::Receiver<Arc<Notice>>) -> Vec<Arc<Notice>> {
    let mut batch = vec![first];
    while batch.len() < BATCH && !notices.is_empty() {
        match notices.try_recv() {
            Ok(notice) => batch.push(notice),
            Err(_) => break,
        }
    }
    batch
}
