//! Why a server gives nothing, where it says so in S3's words.

use std::time::Duration;

use crate::net::{Address, Answer, Client, Failure, HeaderName, masked_text};
use crate::spaces;

/// A longer answer is no reason. Those of S3 have less than 2 KiB.
const LONGEST: usize = 64 << 10;

/// How long a reason is waited for: what counts is in the status.
const PATIENCE: Duration = Duration::from_secs(10);

/// The failure that a refusing answer is, with the reason that its body names.
pub(super) async fn refusal(client: &Client, mut answer: Answer, asked: &Address) -> Failure {
    let failure = answer.refusal();
    let region = HeaderName::from_static("x-amz-bucket-region");
    let region = answer.header(region).map(str::to_owned);
    let patience = PATIENCE.min(client.options().idle_timeout);
    let body = tokio::time::timeout(patience, body(&mut answer)).await.unwrap_or_default();
    let Some(said) = spaces::refused(answer.status, region.as_deref(), &body) else {
        return failure;
    };
    // Whoever refuses a presigned URL may repeat it.
    let said = answer.address.hidden_in(&asked.hidden_in(&masked_text(said)));
    Failure { said: format!("{}: {said}", failure.said), ..failure }
}

/// A short body, or what came of it.
async fn body(answer: &mut Answer) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(bytes)) = answer.chunk().await {
        if body.len() + bytes.len() > LONGEST {
            break;
        }
        body.extend_from_slice(&bytes);
    }
    body
}
