//! `[log]`: what is logged, and in which form.

use super::reader::{Parsed, Reader};

#[derive(Debug, Clone, PartialEq)]
pub struct Log {
    /// A level, and `part=level` for single parts, separated by commas.
    pub level: String,
    pub format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, else JSON.
    Auto,
    Json,
    Text,
}

impl Log {
    pub(super) fn read(reader: &mut Reader) -> Self {
        Self {
            level: reader.text("log.level", level),
            format: reader.text("log.format", |text| match text {
                "auto" => Ok(LogFormat::Auto),
                "json" => Ok(LogFormat::Json),
                "text" => Ok(LogFormat::Text),
                _ => Err("auto, json or text".to_owned()),
            }),
        }
    }
}

/// Stricter than the filter that reads it later, which takes a mistyped level for the
/// name of a part and then logs nothing.
fn level(text: &str) -> Parsed<String> {
    let is_level =
        |text: &str| matches!(text, "error" | "warn" | "info" | "debug" | "trace" | "off");
    let is_part = |text: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "_:".contains(c);
        !text.is_empty() && text.chars().all(plain)
    };
    let is_directive = |text: &str| match text.trim().split_once('=') {
        Some((part, level)) => is_part(part) && is_level(level),
        None => is_level(text.trim()),
    };
    if text.split(',').all(is_directive) {
        Ok(text.to_owned())
    } else {
        Err("error, warn, info, debug, trace or off, and part=level, separated by commas".into())
    }
}
