//! Portable column types: one Rust type, one SQL type, two encodings.

use chrono::{DateTime, Utc};
use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::pg::Pg;
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types as st;
use diesel::sqlite::Sqlite;
use symbolon_domain::Timestamp;
use uuid::Uuid;

/// The SQL types that `schema.rs` uses beside diesel's own.
pub mod sql {
    use diesel::query_builder::QueryId;
    use diesel::sql_types::SqlType;

    /// `uuid`; a 16-byte `BLOB` on SQLite.
    #[derive(SqlType, QueryId, Debug, Clone, Copy)]
    #[diesel(postgres_type(oid = 2950, array_oid = 2951))]
    #[diesel(sqlite_type(name = "Binary"))]
    pub struct Uid;

    /// `timestamptz`; `INTEGER` microseconds since 1970 on SQLite.
    #[derive(SqlType, QueryId, Debug, Clone, Copy)]
    #[diesel(postgres_type(oid = 1184, array_oid = 1185))]
    #[diesel(sqlite_type(name = "Long"))]
    pub struct Ts;

    /// `jsonb`; `TEXT` on SQLite.
    #[derive(SqlType, QueryId, Debug, Clone, Copy)]
    #[diesel(postgres_type(oid = 3802, array_oid = 3807))]
    #[diesel(sqlite_type(name = "Text"))]
    pub struct Doc;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, AsExpression, FromSqlRow)]
#[diesel(sql_type = sql::Uid)]
pub struct Uid(pub Uuid);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, AsExpression, FromSqlRow)]
#[diesel(sql_type = sql::Ts)]
pub struct Ts(pub Timestamp);

#[derive(Debug, Clone, PartialEq, AsExpression, FromSqlRow)]
#[diesel(sql_type = sql::Doc)]
pub struct Doc(pub serde_json::Value);

impl ToSql<sql::Uid, Pg> for Uid {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        <Uuid as ToSql<st::Uuid, Pg>>::to_sql(&self.0, &mut out.reborrow())
    }
}

impl FromSql<sql::Uid, Pg> for Uid {
    fn from_sql(value: <Pg as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        <Uuid as FromSql<st::Uuid, Pg>>::from_sql(value).map(Self)
    }
}

impl ToSql<sql::Ts, Pg> for Ts {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        <DateTime<Utc> as ToSql<st::Timestamptz, Pg>>::to_sql(
            &self.0.to_chrono(),
            &mut out.reborrow(),
        )
    }
}

impl FromSql<sql::Ts, Pg> for Ts {
    fn from_sql(value: <Pg as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        let time = <DateTime<Utc> as FromSql<st::Timestamptz, Pg>>::from_sql(value)?;
        Ok(Self(Timestamp::from_chrono(time)))
    }
}

impl ToSql<sql::Doc, Pg> for Doc {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        <serde_json::Value as ToSql<st::Jsonb, Pg>>::to_sql(&self.0, &mut out.reborrow())
    }
}

impl FromSql<sql::Doc, Pg> for Doc {
    fn from_sql(value: <Pg as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        <serde_json::Value as FromSql<st::Jsonb, Pg>>::from_sql(value).map(Self)
    }
}

impl ToSql<sql::Uid, Sqlite> for Uid {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.0.as_bytes().as_slice());
        Ok(IsNull::No)
    }
}

impl FromSql<sql::Uid, Sqlite> for Uid {
    fn from_sql(value: <Sqlite as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        let bytes = <Vec<u8> as FromSql<st::Binary, Sqlite>>::from_sql(value)?;
        Ok(Self(Uuid::from_slice(&bytes)?))
    }
}

impl ToSql<sql::Ts, Sqlite> for Ts {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.0.as_micros());
        Ok(IsNull::No)
    }
}

impl FromSql<sql::Ts, Sqlite> for Ts {
    fn from_sql(value: <Sqlite as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        let micros = <i64 as FromSql<st::BigInt, Sqlite>>::from_sql(value)?;
        Ok(Self(Timestamp::from_micros(micros)))
    }
}

impl ToSql<sql::Doc, Sqlite> for Doc {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(serde_json::to_string(&self.0)?);
        Ok(IsNull::No)
    }
}

impl FromSql<sql::Doc, Sqlite> for Doc {
    fn from_sql(value: <Sqlite as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        let text = <String as FromSql<st::Text, Sqlite>>::from_sql(value)?;
        Ok(Self(serde_json::from_str(&text)?))
    }
}
