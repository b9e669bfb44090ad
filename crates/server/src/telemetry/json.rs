//! The JSON form of log lines: one flat object a line, with the fields of the spans around
//! an event beside the event's own, so that `request_id` is found at one place always.

use std::fmt::{self, Debug};

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{FormatEvent, JsonFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// `timestamp` (RFC 3339, UTC, microseconds), `level`, `target`, then the fields; of equal
/// names the innermost wins, and none replaces the first three.
pub struct JsonLines;

impl<S> FormatEvent<S, JsonFields> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields(Map::new());
        for span in context
            .event_scope()
            .into_iter()
            .flat_map(|scope| scope.from_root())
        {
            let extensions = span.extensions();
            let text = extensions.get::<FormattedFields<JsonFields>>();
            if let Some(Ok(of_span)) = text.map(|text| serde_json::from_str::<Map<_, _>>(text)) {
                fields.0.extend(of_span);
            }
        }
        event.record(&mut fields);

        let mut timestamp = String::new();
        SystemTime.format_time(&mut Writer::new(&mut timestamp))?;
        let metadata = event.metadata();
        for (name, value) in [
            ("timestamp", timestamp.as_str()),
            ("level", metadata.level().as_str()),
            ("target", metadata.target()),
        ] {
            fields.0.insert(name.to_owned(), value.into());
        }
        writeln!(writer, "{}", Value::Object(fields.0))
    }
}

struct Fields(Map<String, Value>);

impl Fields {
    fn set(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.set(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, value);
    }
}

#[cfg(test)]
pub mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::EnvFilter;
    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    /// Collects log lines of one thread.
    #[derive(Clone, Default)]
    pub struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Lines {
        pub fn collect(&self, log: impl FnOnce()) {
            self.collect_filtered(EnvFilter::new("trace"), log);
        }

        pub fn collect_filtered(&self, filter: EnvFilter, log: impl FnOnce()) {
            let subscriber = tracing_subscriber::fmt()
                .with_env_filter(filter)
                .with_writer(self.clone())
                .fmt_fields(JsonFields::new())
                .event_format(JsonLines)
                .finish();
            tracing::subscriber::with_default(subscriber, log);
        }

        pub fn parsed(&self) -> Vec<Value> {
            let bytes = self.0.lock().unwrap();
            let text = std::str::from_utf8(&bytes).unwrap();
            text.lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect()
        }
    }

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Lines {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    #[test]
    fn a_line_is_one_flat_object_with_the_fields_of_its_spans() {
        let lines = Lines::default();
        lines.collect(|| {
            let outer = tracing::info_span!("request", request_id = "r1", door = "native");
            let _outer = outer.enter();
            let inner = tracing::info_span!("change", door = "inner");
            let _inner = inner.enter();
            tracing::warn!(target: "symbolon_app", attempts = 3u64, done = false, cause = ?Some("x"), "two\nlines");
        });
        let [line] = &lines.parsed()[..] else {
            panic!("one line");
        };
        let mut line = line.as_object().unwrap().clone();
        let timestamp = line.remove("timestamp").unwrap();
        let timestamp = timestamp.as_str().unwrap();
        assert_eq!(timestamp.len(), "2026-01-02T03:04:05.678901Z".len());
        assert!(
            timestamp.ends_with('Z') && timestamp.as_bytes()[10] == b'T',
            "{timestamp}"
        );
        assert_eq!(
            Value::Object(line),
            serde_json::json!({
                "level": "WARN", "target": "symbolon_app", "message": "two\nlines",
                "request_id": "r1", "door": "inner", "attempts": 3, "done": false,
                "cause": "Some(\"x\")",
            })
        );
    }
}
