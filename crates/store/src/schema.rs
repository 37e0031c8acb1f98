//! The tables, as a list of steps from nothing to today.

use rusqlite::{Connection, TransactionBehavior};

/// Marks the file as ours: `Prtc` as a number.
const APPLICATION: i64 = 0x5072_7463;

/// Step N leads from `user_version` N to N + 1. Steps are never changed once released, only added.
const STEPS: &[&str] = &[
    "
    CREATE TABLE handle (
        id            TEXT PRIMARY KEY,
        principal     TEXT NOT NULL,
        credential    TEXT NOT NULL,
        targets       TEXT NOT NULL,
        tools         TEXT NOT NULL,
        single_use    INTEGER NOT NULL,
        boot_deadline INTEGER NOT NULL,
        boot_id       TEXT NOT NULL,
        deadline      INTEGER NOT NULL,
        consumed_by   TEXT,
        released      INTEGER NOT NULL DEFAULT 0
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX handle_by_deadline ON handle (deadline);
",
    "ALTER TABLE handle ADD COLUMN reason TEXT;",
    "
    CREATE TABLE spent (
        id    BLOB PRIMARY KEY,
        until INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX spent_by_time ON spent (until);
",
    "
    CREATE TABLE pin (
        upstream   TEXT NOT NULL,
        tool       TEXT NOT NULL,
        hash       BLOB NOT NULL CHECK (length(hash) = 32),
        definition TEXT NOT NULL,
        accepted   INTEGER NOT NULL,
        PRIMARY KEY (upstream, tool)
    ) STRICT, WITHOUT ROWID;
",
];

/// Why a database cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SchemaError {
    #[error("it was written by a newer version of Portcullis (schema {found}, this version knows {known})")]
    Newer { found: i64, known: i64 },
    #[error("it is a database of another program")]
    Foreign,
    #[error("it is damaged: {0}")]
    Damaged(String),
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}

impl SchemaError {
    /// Whether the file is not what was written, as opposed to not being readable now.
    pub(crate) fn is_damage(&self) -> bool {
        match self {
            Self::Foreign | Self::Damaged(_) => true,
            Self::Newer { .. } => false,
            Self::Sqlite(error) => matches!(
                error.sqlite_error_code(),
                Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase)
            ),
        }
    }
}

/// Brings the database to the newest schema, in one transaction.
pub(crate) fn migrate(connection: &mut Connection) -> Result<(), SchemaError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let application: i64 = transaction.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let tables: i64 = transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let known = i64::try_from(STEPS.len()).unwrap_or(i64::MAX);
    let ours = application == APPLICATION || (found == 0 && tables == 0);
    if !ours {
        return Err(SchemaError::Foreign);
    }
    if found > known {
        return Err(SchemaError::Newer { found, known });
    }
    let verdict: String = transaction.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict != "ok" {
        return Err(SchemaError::Damaged(verdict));
    }
    for step in STEPS.iter().skip(usize::try_from(found).unwrap_or(usize::MAX)) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", known)?;
    Ok(transaction.commit()?)
}
