//! Asks templates and the home's function, away from the loop and within bounded time.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc,
    thread,
    time::Duration,
};

use serde_json::json;
use tokio::sync::oneshot;

use super::{Case, CustomError, Function, Resolution, function::Run, template};

/// Whoever is asked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Judge {
    function: Option<Asked>,
}

/// The thread that runs the function.
#[derive(Debug, Clone)]
struct Asked {
    jobs: mpsc::Sender<Job>,
    within: Duration,
}

struct Job {
    case: Case,
    reply: oneshot::Sender<Result<Resolution, CustomError>>,
}

impl Judge {
    /// Gives the function, if there is one, a thread of its own; the thread ends with the judge.
    ///
    /// # Errors
    ///
    /// The system starts no thread.
    pub(crate) fn new(function: Option<Function>) -> std::io::Result<Self> {
        let Some(Function { run, within }) = function else { return Ok(Self::default()) };
        let (jobs, waiting) = mpsc::channel::<Job>();
        let work = move || {
            for Job { case, reply } in waiting {
                if !reply.is_closed() {
                    let _ = reply.send(call(&*run, &case));
                }
            }
        };
        thread::Builder::new().name("custom".into()).spawn(work)?;
        Ok(Self { function: Some(Asked { jobs, within }) })
    }

    /// Tells whether rules need no template here.
    pub(crate) fn has_function(&self) -> bool {
        self.function.is_some()
    }

    /// Settles a case by a template, or else by the function.
    pub(crate) fn decide(
        &self,
        template: Option<String>,
        case: Case,
    ) -> impl Future<Output = Result<Resolution, CustomError>> + Send + use<> {
        let function = self.function.clone();
        async move {
            match (template, function) {
                (Some(text), _) => {
                    let rendered = tokio::task::spawn_blocking(move || template::decide(&text, &case)).await;
                    rendered.unwrap_or_else(|error| Err(CustomError::Function(error.to_string())))
                }
                (None, Some(asked)) => asked.ask(case).await,
                (None, None) => Err(CustomError::Neither),
            }
        }
    }
}

impl Asked {
    async fn ask(self, case: Case) -> Result<Resolution, CustomError> {
        let (reply, answer) = oneshot::channel();
        let gone = || CustomError::Function("its thread has ended".into());
        self.jobs.send(Job { case, reply }).map_err(|_| gone())?;
        match tokio::time::timeout(self.within, answer).await {
            Ok(answer) => answer.unwrap_or_else(|_| Err(gone())),
            Err(_) => Err(CustomError::TimedOut(self.within.as_secs_f64())),
        }
    }
}

fn call(run: &Run, case: &Case) -> Result<Resolution, CustomError> {
    let before = case.before.as_ref().map(|before| json!(before));
    case.fold(|local, remote| {
        let (local, remote) = (json!(local), json!(remote));
        // What the function leaves half done behind its panic is its own; of ours it holds nothing.
        let ran = catch_unwind(AssertUnwindSafe(|| run(&case.entity_id, &local, &remote, before.as_ref())));
        let answer = ran.unwrap_or_else(|_| Err("it panicked".into())).map_err(CustomError::Function)?;
        Resolution::read(answer)
    })
}

#[cfg(test)]
mod tests {
    use super::{super::tests::side, *};

    fn case() -> Case {
        Case { entity_id: "note.milk".into(), local: side("1", 1), others: vec![side("2", 2)], before: None }
    }

    async fn asked(judge: &Judge) -> Result<Resolution, CustomError> {
        judge.decide(None, case()).await
    }

    #[tokio::test]
    async fn function_is_asked_where_there_is_no_template() {
        let judge = Judge::new(Some(Function::new(|id, _, remote, before| {
            assert!(before.is_none());
            Ok(json!({"state": format!("{id} {}", remote["state"])}))
        })));
        let judge = judge.expect("a thread");
        assert_eq!(asked(&judge).await.expect("answered").state.as_deref(), Some("note.milk \"2\""));
        let rendered = judge.decide(Some("{{ local.state }}".into()), case()).await;
        assert_eq!(rendered.expect("rendered").state.as_deref(), Some("1"));
        assert_eq!(asked(&Judge::default()).await, Err(CustomError::Neither));
    }

    #[tokio::test]
    async fn function_that_fails_or_panics_is_asked_again_next_time() {
        let calls = std::sync::atomic::AtomicU32::new(0);
        let judge = Judge::new(Some(Function::new(move |_, _, _, _| {
            match calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
                0 => Err("no idea".into()),
                1 => panic!("meant to happen"),
                _ => Ok(json!("three")),
            }
        })));
        let judge = judge.expect("a thread");
        assert_eq!(asked(&judge).await, Err(CustomError::Function("no idea".into())));
        assert_eq!(asked(&judge).await, Err(CustomError::Function("it panicked".into())));
        assert_eq!(asked(&judge).await.expect("answered").state.as_deref(), Some("three"));
    }

    #[tokio::test]
    async fn function_that_blocks_is_given_up_and_its_late_answer_ignored() {
        let (let_go, blocked) = mpsc::channel::<()>();
        let function = Function::new(move |_, _, _, _| {
            let _ = blocked.recv();
            Ok(json!("late"))
        });
        let judge = Judge::new(Some(function.within(Duration::from_millis(20)))).expect("a thread");
        assert_eq!(asked(&judge).await, Err(CustomError::TimedOut(0.02)));
        assert_eq!(asked(&judge).await, Err(CustomError::TimedOut(0.02)), "still busy with the first");
        drop(let_go);
    }
}
