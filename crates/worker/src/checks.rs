//! What `symbolon doctor` asks of Redis and of the mail server, without a job or a mail.

use std::time::Duration;

use crate::job::masked;
use crate::mail::{MailSettings, MailUrl, Mailer};
use crate::transport::RedisSettings;

const LONGEST: Duration = Duration::from_secs(5);

/// Whether Redis answers, and which it is. The error holds no password.
pub async fn check_redis(settings: &RedisSettings) -> Result<String, String> {
    let ask = async {
        let client = redis::Client::open(settings.url.as_str())?;
        let mut connection = client.get_multiplexed_async_connection().await?;
        let info: String = redis::cmd("INFO")
            .arg("server")
            .query_async(&mut connection)
            .await?;
        let version = info
            .lines()
            .find_map(|line| line.strip_prefix("redis_version:"));
        Ok::<_, redis::RedisError>(format!(
            "Redis {} answers",
            version.unwrap_or("of unknown version").trim()
        ))
    };
    match tokio::time::timeout(LONGEST, ask).await {
        Ok(answer) => answer.map_err(|error| masked(&error.to_string())),
        Err(_) => Err("does not answer".to_owned()),
    }
}

/// Whether mail could leave now.
pub async fn check_mail(settings: &MailSettings) -> Result<String, String> {
    if let MailUrl::Directory(path) = &settings.url {
        // Looking must not make the directory.
        return Ok(format!("written to {}; nothing is sent", path.display()));
    }
    let mailer = Mailer::new(settings)?;
    match tokio::time::timeout(LONGEST, mailer.probe()).await {
        Ok(answer) => answer,
        Err(_) => Err("the server does not answer".to_owned()),
    }
}
