//! How Python awaits the engine: an asyncio event loop runs Rust futures as it runs its own.
//!
//! Every event loop has one [`Executor`]. What it awaits and listens to are futures and streams of Rust
//! that wait on channels; they are polled on the loop's own thread, when the loop finds the executor's
//! descriptor readable. The waker of all of them is that descriptor's other end ([`Bell`]): the home's thread
//! writes one byte, however much there is to hear, and never touches Python. So what has come is delivered in
//! batches, no thread waits for the interpreter's lock, and at the interpreter's exit no thread of ours is inside it.
//!
//! What always holds: a delivery runs on the thread of the loop that asked for it, and in a process
//! that was forked nothing is delivered.

use std::{
    collections::HashMap,
    io::{Read, Write},
    os::{fd::AsRawFd, unix::net::UnixStream},
    process,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use futures_util::{
    StreamExt,
    future::FutureExt,
    stream::{self, BoxStream, SelectAll, Stream},
};
use pyo3::{IntoPyObjectExt, prelude::*, sync::PyOnceLock};

use crate::locks::locked;

/// Deliveries of one call of the event loop; the loop's other work comes between.
const BATCH: usize = 256;

/// What is done on the event loop's thread when something has come.
pub(crate) type Delivery = Box<dyn FnOnce(Python<'_>) -> PyResult<()> + Send>;

/// Runs Rust futures on one asyncio event loop.
#[pyclass(frozen, module = "sharing._engine")]
pub(crate) struct Executor {
    bell: Arc<Bell>,
    waker: Waker,
    reader: UnixStream,
    /// The process that it was made in.
    process: u32,
    // Held while the streams are polled, and for a moment to add one; never while Python code runs.
    incoming: Mutex<SelectAll<BoxStream<'static, Delivery>>>,
    // Held for a moment; the asyncio futures that wait for an answer.
    awaited: Arc<Mutex<HashMap<u64, Py<PyAny>>>>,
    tickets: AtomicU64,
}

/// Makes an event loop's descriptor readable.
struct Bell {
    writer: UnixStream,
    rung: AtomicBool,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            // A full pipe is readable too, and one whose other end is closed has nobody to wake.
            let _ = (&self.writer).write(&[1]);
        }
    }
}

/// Returns an awaitable: the asyncio future of what a Rust future will give.
///
/// The future is run on this thread's event loop; it may wait on channels only, which need no runtime.
/// If Python cancels it, it runs on and its answer is dropped.
///
/// # Errors
///
/// `RuntimeError` where no event loop is running.
pub(crate) fn wait<'py, T>(
    py: Python<'py>,
    future: impl Future<Output = PyResult<T>> + Send + 'static,
) -> PyResult<Bound<'py, PyAny>>
where
    T: for<'a> IntoPyObject<'a> + Send + 'static,
{
    let (running, executor) = Executor::current(py)?;
    let awaited = running.call_method0("create_future")?;
    let ticket = executor.get().expect_answer(&awaited);
    let waiting = executor.get().awaited.clone();
    let answer = future.map(move |answer| -> Delivery {
        Box::new(move |py| {
            let awaited = locked(&waiting).remove(&ticket);
            awaited.map_or(Ok(()), |awaited| settle(awaited.bind(py), answer))
        })
    });
    executor.get().add(stream::once(answer).boxed());
    Ok(awaited)
}

/// Runs `deliver` on this thread's event loop for everything that a stream of Rust gives, until it ends.
///
/// # Errors
///
/// `RuntimeError` where no event loop is running.
pub(crate) fn listen<T: Send + 'static>(
    py: Python<'_>,
    heard: impl Stream<Item = T> + Send + 'static,
    deliver: impl Fn(Python<'_>, T) -> PyResult<()> + Send + Sync + 'static,
) -> PyResult<()> {
    let (_, executor) = Executor::current(py)?;
    let deliver = Arc::new(deliver);
    let deliveries = heard.map(move |item| -> Delivery {
        let deliver = deliver.clone();
        Box::new(move |py| deliver(py, item))
    });
    executor.get().add(deliveries.boxed());
    Ok(())
}

fn settle<'py, T: IntoPyObject<'py>>(awaited: &Bound<'py, PyAny>, answer: PyResult<T>) -> PyResult<()> {
    if awaited.call_method0("done")?.is_truthy()? {
        return Ok(()); // it was cancelled
    }
    match answer.and_then(|value| value.into_bound_py_any(awaited.py())) {
        Ok(value) => awaited.call_method1("set_result", (value,)).map(drop),
        Err(error) => awaited.call_method1("set_exception", (error,)).map(drop),
    }
}

#[pymethods]
impl Executor {
    /// Delivers what has come; asyncio calls it when the descriptor is readable.
    fn run(&self, py: Python<'_>) -> PyResult<()> {
        if self.process != process::id() {
            return Ok(());
        }
        let mut first = Ok(());
        for delivery in self.due() {
            let delivered = delivery(py);
            first = first.and(delivered);
        }
        first
    }
}

impl Executor {
    /// Returns the running event loop of this thread, and its executor.
    fn current(py: Python<'_>) -> PyResult<(Bound<'_, PyAny>, Bound<'_, Self>)> {
        static RUNNING: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        static EXECUTORS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let running = RUNNING.import(py, "asyncio", "get_running_loop")?.call0()?;
        let executors = EXECUTORS.import(py, "sharing._loops", "executors")?;
        if let Ok(known) = executors.get_item(&running) {
            return Ok((running, known.cast_into()?));
        }
        let made = Bound::new(py, Self::new()?)?;
        let descriptor = made.get().reader.as_raw_fd();
        py.import("sharing._loops")?
            .call_method1("attach", (&running, descriptor, made.getattr("run")?, &made))?;
        Ok((running, made))
    }

    fn new() -> PyResult<Self> {
        let (reader, writer) = UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        writer.set_nonblocking(true)?;
        let bell = Arc::new(Bell { writer, rung: AtomicBool::new(false) });
        Ok(Self {
            waker: Waker::from(bell.clone()),
            bell,
            reader,
            process: process::id(),
            incoming: Mutex::default(),
            awaited: Arc::default(),
            tickets: AtomicU64::new(0),
        })
    }

    fn expect_answer(&self, awaited: &Bound<'_, PyAny>) -> u64 {
        let ticket = self.tickets.fetch_add(1, Ordering::Relaxed);
        locked(&self.awaited).insert(ticket, awaited.clone().unbind());
        ticket
    }

    fn add(&self, deliveries: BoxStream<'static, Delivery>) {
        locked(&self.incoming).push(deliveries);
        self.bell.wake_by_ref(); // it is polled for the first time by the event loop, like everything
    }

    /// Takes what has come, and sees to it that more of it will be asked for.
    fn due(&self) -> Vec<Delivery> {
        let _ = (&self.reader).read(&mut [0; 8]);
        self.bell.rung.store(false, Ordering::Release);
        let (mut due, mut context) = (Vec::new(), Context::from_waker(&self.waker));
        let mut incoming = locked(&self.incoming);
        while let Poll::Ready(Some(delivery)) = incoming.poll_next_unpin(&mut context) {
            due.push(delivery);
            if due.len() == BATCH {
                self.bell.wake_by_ref();
                break;
            }
        }
        due
    }
}
