//! `backup`: everything this home knows, in one encrypted file.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use crosshome_node::{
    node::Secret,
    views::{HomeView, Status},
};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::Serialize;
use tempfile::{Builder, NamedTempFile};

use crate::{args, client::Client, failure::Failure, output::Screen, passphrase, text::plain};

/// What was written.
#[derive(Debug, Serialize)]
struct Written {
    ok: bool,
    file: PathBuf,
    bytes: u64,
    home: HomeView,
}

/// Asks the running home for a backup and writes it: all of it, or no file.
pub(super) async fn run(args: &args::Backup, client: &Client, screen: &Screen) -> Result<(), Failure> {
    let file = &args.file;
    let replace =
        args.yes || file.exists() && screen.confirms(&format!("{} exists. Replace it?", file.display()));
    if file.exists() && !replace {
        return Err(Failure::Exists(file.clone()));
    }
    let status: Status = client.get("/status").await?;
    let passphrase = passphrase::chosen(args.passphrase_file.as_deref()).await?;
    let mut beside = beside(file)?;
    let answer = ask(client, &passphrase).await?;
    let bytes = receive(answer, &mut beside, file).await?;
    keep(beside, file, replace)?;
    screen.show(&Written { ok: true, file: file.clone(), bytes, home: status.home }, text)
}

async fn ask(client: &Client, passphrase: &Secret) -> Result<Incoming, Failure> {
    client.fetch("/backup", &serde_json::json!({"passphrase": passphrase.reveal()})).await
}

/// Makes a file that nobody else can read in the folder of the wanted one.
fn beside(file: &Path) -> Result<NamedTempFile, Failure> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Builder::new().prefix(".crosshome-backup-").tempfile_in(folder).map_err(at(file))
}

async fn receive(mut answer: Incoming, to: &mut NamedTempFile, file: &Path) -> Result<u64, Failure> {
    let mut bytes = 0;
    while let Some(frame) = answer.frame().await {
        let frame = frame.map_err(|error| Failure::BrokeOff(error.to_string()))?;
        let Ok(data) = frame.into_data() else { continue };
        to.write_all(&data).map_err(at(file))?;
        bytes += data.len() as u64;
    }
    Ok(bytes)
}

/// Gives the file its name once it has reached the disk.
fn keep(beside: NamedTempFile, file: &Path, replace: bool) -> Result<(), Failure> {
    beside.as_file().sync_all().map_err(at(file))?;
    let kept = if replace { beside.persist(file) } else { beside.persist_noclobber(file) };
    kept.map(drop).map_err(|error| at(file)(error.error))
}

fn at(file: &Path) -> impl FnOnce(std::io::Error) -> Failure {
    let path = file.to_owned();
    |source| Failure::File { path, source }
}

fn text(written: &Written) -> String {
    let Written { file, bytes, home, .. } = written;
    format!(
        "{} is in {} ({} KiB): entities, peers, grants, key and API token, encrypted with your passphrase\n\
         the configuration file is not in it; without the passphrase nobody opens it, you neither",
        plain(&home.name),
        file.display(),
        bytes.div_ceil(1024)
    )
}
