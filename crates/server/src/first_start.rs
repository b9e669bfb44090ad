//! What a first start says: what it made, and how to go on.

use std::io::{IsTerminal, Write};
use std::path::Path;

use symbolon_app::{App, Bootstrapped, Start};
use symbolon_domain::Name;

use crate::assemble::first_start_file;
use crate::config::Settings;
use symbolon_worker::MailUrl;

/// The account that a first start makes by itself, until somebody claims it.
const ACCOUNT: &str = "default";

/// Begins an instance that nobody has begun, and says so once. The token goes to a terminal, or else to
/// a file that only the owner can read; never to a log.
pub async fn greet(app: &App, settings: &Settings) -> Result<(), Box<dyn std::error::Error>> {
    if app.is_bootstrapped().await? {
        return Ok(());
    }
    let name = Name::parse(ACCOUNT).map_err(|code| code.as_str())?;
    let made = app.bootstrap(name, Start::Automatic).await?;
    let text = message(app, settings, &made);
    if std::io::stderr().is_terminal() {
        eprintln!("{text}");
    } else {
        let path = first_start_file(&settings.data.dir);
        write_private(&path, &text)?;
        tracing::info!(path = %path.display(), "a new instance was begun; its first token is in this file");
    }
    Ok(())
}

fn message(app: &App, settings: &Settings, made: &Bootstrapped) -> String {
    let url = app.public_url();
    let account = made.account_id;
    let token = made.token.reveal();
    let mail = match &settings.mail.delivery {
        MailUrl::Directory(path) => format!(
            "Mail is written to {} until you set mail.url.",
            path.display()
        ),
        MailUrl::Smtp(server) => format!("Mail goes out through {}.", server.host),
        MailUrl::Memory => String::new(),
    };
    format!(
        "A new Symbolon was begun at {url}\n\
         \n\
         It made a key file, {keys}: back it up, apart from the database. Without it no token can be verified.\n\
         It made the account \"{ACCOUNT}\" and a first admin token, good for 30 days and shown only here:\n\
         \n\
         export ACCOUNT={account}\n\
         export TOKEN={token}\n\
         \n\
         Create a service account:\n\
         \n\
         curl -sS {url}/v1/public/accounts/$ACCOUNT/auth/service-accounts \\\n  \
           -H \"Authorization: Bearer $TOKEN\" -H 'Content-Type: application/json' \\\n  \
           -d '{{\"name\": \"ci\", \"contact_email\": \"ops@example.com\"}}'\n\
         \n\
         {mail}\n\
         Make the instance yours before you rely on it (this ends the token above; once there are service\n\
         accounts it takes --recover as well):\n\
         \n\
         symbolon bootstrap --account NAME --email YOU@EXAMPLE.COM\n",
        keys = settings.keys.file.display(),
    )
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
