//! The schema's version, and what the engines' SQL has in common.

use sqlx::migrate::{Migrate, MigrateError, Migrator};
use sqlx::{Database, QueryBuilder};

use super::table::Table;
use super::{Result, StoreError};

/// Brings the schema up to date.
pub(super) async fn migrate<C: Migrate>(
    migrations: &Migrator,
    conn: &mut C,
) -> std::result::Result<(), MigrateError> {
    migrations.run_direct(None, conn, false).await
}

fn known(migrations: &Migrator) -> i64 {
    migrations
        .iter()
        .map(|migration| migration.version)
        .max()
        .unwrap_or(0)
}

/// Refuses a schema that is not this program's.
pub(super) fn check(migrations: &Migrator, found: i64) -> Result<()> {
    let known = known(migrations);
    match found.cmp(&known) {
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Less if found == 0 => Err(StoreError::Empty),
        std::cmp::Ordering::Less => Err(StoreError::SchemaVersion {
            found,
            known,
            hint: "start the indexer of this version first, it brings the schema up to date",
        }),
        std::cmp::Ordering::Greater => Err(StoreError::SchemaVersion {
            found,
            known,
            hint: "a newer program wrote it, use that one",
        }),
    }
}

/// What a migration that cannot run means.
pub(super) fn fault(migrations: &Migrator, error: &MigrateError) -> StoreError {
    let known = known(migrations);
    match error {
        MigrateError::VersionMissing(found) | MigrateError::VersionTooNew(found, _) => {
            StoreError::SchemaVersion {
                found: *found,
                known,
                hint: "a newer program wrote it, use that one",
            }
        }
        MigrateError::VersionMismatch(found) => StoreError::SchemaVersion {
            found: *found,
            known,
            hint: "its schema was changed by hand or by another build; delete it and index again",
        },
        MigrateError::Dirty(found) => StoreError::SchemaVersion {
            found: *found,
            known,
            hint: "a migration was interrupted; delete it and index again",
        },
        other => StoreError::Corrupt {
            detail: other.to_string(),
        },
    }
}

/// ` ON CONFLICT … DO UPDATE` for tables whose rows are replaced.
pub(super) fn replace<DB: Database>(query: &mut QueryBuilder<DB>, table: &Table) {
    if table.replace_by.is_empty() {
        return;
    }
    query
        .push(" ON CONFLICT (")
        .push(table.replace_by.join(", "))
        .push(") DO UPDATE SET ");
    let mut columns = query.separated(", ");
    for (name, _) in table.columns {
        if !table.replace_by.contains(name) {
            columns.push(format!("{name} = excluded.{name}"));
        }
    }
}
