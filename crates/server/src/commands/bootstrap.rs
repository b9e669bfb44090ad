//! `symbolon bootstrap`: the first account, its owner and a first admin token, shown once.

use serde_json::json;
use symbolon_app::Start;
use symbolon_domain::{Code, EmailAddress, FieldCode, Name};

use super::table;
use crate::assemble;
use crate::cli::Bootstrap;
use crate::config::Settings;

pub async fn run(
    settings: &Settings,
    wanted: &Bootstrap,
) -> Result<(), Box<dyn std::error::Error>> {
    let wrong =
        |option: &str, code: FieldCode| format!("{option}: {}", code.as_str().replace('_', " "));
    let name = Name::parse(&wanted.account).map_err(|code| wrong("--account", code))?;
    let owner = EmailAddress::parse(&wanted.email).map_err(|code| wrong("--email", code))?;
    let app = assemble::for_command(settings, "bootstrap").await?;
    let start = if wanted.recover {
        Start::Recovered { owner }
    } else {
        Start::Owned { owner }
    };
    let made = app
        .bootstrap(name, start)
        .await
        .map_err(|error| match error.code() {
            Code::AlreadyBootstrapped => {
                "this instance is in use; to get in again after every way was lost, add --recover"
                    .to_owned()
            }
            _ => error.to_string(),
        })?;
    // The token of the first start is ended by this; so is the file that held it.
    let _ = std::fs::remove_file(assemble::first_start_file(&settings.data.dir));
    if wanted.output.json {
        println!(
            "{}",
            json!({
                "account_id": made.account_id,
                "user_id": made.user_id,
                "token": made.token.reveal(),
                "setup_url": made.setup_url,
            })
        );
    } else {
        let rows = [
            ("account", made.account_id.to_string()),
            (
                "user",
                made.user_id.map(|id| id.to_string()).unwrap_or_default(),
            ),
            ("token", made.token.reveal().to_owned()),
            ("set up", made.setup_url.unwrap_or_default()),
        ];
        let rows: Vec<Vec<String>> = rows
            .into_iter()
            .map(|(key, value)| vec![key.to_owned(), value])
            .collect();
        table::print(&["what", "value (shown once)"], &rows);
        println!(
            "The token is good for 30 days. The link sets the owner's password and is good for 7 days."
        );
    }
    Ok(())
}
