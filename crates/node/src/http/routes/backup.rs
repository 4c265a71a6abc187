//! `/sharing/backup`: this home in one encrypted file.

use axum::{
    body::Body as Answered,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::stream;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    backup::BackupStream,
    http::{App, Problem, extract::Body},
    node::Secret,
};

/// What encrypts the backup.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewBackup {
    passphrase: String,
}

/// Streams a backup, encrypted with the passphrase as an age file. By the unix socket only: it holds the home's key.
#[utoipa::path(post, path = "/api/v1/sharing/backup", tag = "home", request_body = NewBackup,
    responses((status = 200, content_type = "application/octet-stream", body = Vec<u8>)))]
pub(crate) async fn backup(
    State(app): State<App>,
    Body(NewBackup { passphrase }): Body<NewBackup>,
) -> Result<Response, Problem> {
    let BackupStream { mut chunks, .. } = app.node.backup(Secret::new(passphrase)).await?;
    let body = Answered::from_stream(stream::poll_fn(move |context| chunks.poll_recv(context)));
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], body).into_response())
}

/// Refuses a backup over the network, where it would travel with the passphrase beside it.
pub(crate) async fn only_by_socket() -> Problem {
    Problem::refused(
        StatusCode::FORBIDDEN,
        "a backup holds this home's key: it is made on the machine itself, through api.sock in the data directory",
    )
}
