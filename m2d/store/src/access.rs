//! Access tokens and their uses (docs/operator/access.md).

use super::{Reader, Store, StoreError, int, unbits};
use m2_crypto::PeerId;
use rusqlite::{Connection, Row};
use std::collections::BTreeSet;

/// An access token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessTokenRow {
    /// The name that the owner gave it.
    pub name: String,
    /// The part of the token under which its entry is found.
    pub selector: [u8; 8],
    /// The hash of the token.
    pub hash: [u8; 32],
    /// The scopes, a bit for each.
    pub scopes: u32,
    /// The contacts that it reaches; `None` for all.
    pub contacts: Option<BTreeSet<PeerId>>,
    /// When it was created, in Unix milliseconds.
    pub created_ms: u64,
    /// When it expires, in Unix milliseconds; `None` for never.
    pub expires_ms: Option<u64>,
}

/// The uses of a token for one call and one contact in one hour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenUseRow {
    /// The name of the token.
    pub token: String,
    /// The call: `MessageService/SendMessage`.
    pub call: String,
    /// The contact that the calls were about.
    pub peer_id: Option<PeerId>,
    /// The number of calls that the token permitted.
    pub uses: u64,
    /// The number of calls that the token did not permit.
    pub refused: u64,
    /// The time of the first call in Unix milliseconds.
    pub first_ms: u64,
    /// The time of the last call in Unix milliseconds.
    pub last_ms: u64,
}

/// A contact that a limited token reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenContactRow {
    /// The name of the token.
    pub token: String,
    /// The peer id of the contact.
    pub peer_id: PeerId,
    /// The local name of the contact; empty if it is unknown.
    pub name: String,
}

const HOUR_MS: u64 = 3_600_000;

impl Store {
    /// Returns all tokens by name.
    pub fn access_tokens(&self) -> Result<Vec<AccessTokenRow>, StoreError> {
        access_tokens(&self.connection)
    }

    /// Stores a new token.
    pub fn insert_access_token(&self, token: &AccessTokenRow) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("INSERT INTO access_tokens VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
            .execute((
                &token.name,
                token.selector,
                token.hash,
                token.scopes,
                token.contacts.is_some(),
                int(token.created_ms),
                token.expires_ms.map(int),
            ))?;
        let mut insert = self
            .connection
            .prepare_cached("INSERT INTO access_token_contacts VALUES (?1, ?2)")?;
        for peer in token.contacts.iter().flatten() {
            insert.execute((&token.name, peer.as_bytes()))?;
        }
        Ok(())
    }

    /// Deletes a token. Returns whether it existed.
    pub fn delete_access_token(&self, name: &str) -> Result<bool, StoreError> {
        let mut delete = self
            .connection
            .prepare_cached("DELETE FROM access_tokens WHERE name = ?1")?;
        Ok(delete.execute([name])? > 0)
    }

    /// Adds uses to those of the same hour.
    pub fn add_token_uses(&self, uses: &[TokenUseRow]) -> Result<(), StoreError> {
        let mut insert = self.connection.prepare_cached(
            "INSERT INTO token_uses VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT DO UPDATE SET uses = uses + excluded.uses,
               refused = refused + excluded.refused,
               first_ms = min(first_ms, excluded.first_ms),
               last_ms = max(last_ms, excluded.last_ms)",
        )?;
        for one in uses {
            let peer = one.peer_id.as_ref().map(PeerId::as_bytes);
            insert.execute((
                int(one.first_ms / HOUR_MS),
                &one.token,
                &one.call,
                peer.map_or(&[][..], |peer| &peer[..]),
                int(one.uses),
                int(one.refused),
                int(one.first_ms),
                int(one.last_ms),
            ))?;
        }
        Ok(())
    }

    /// Deletes uses before `before_ms`, and the oldest above the number `most`.
    pub fn prune_token_uses(&self, before_ms: u64, most: u32) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("DELETE FROM token_uses WHERE hour < ?1")?
            .execute([int(before_ms / HOUR_MS)])?;
        let rows: u32 = self
            .connection
            .prepare_cached("SELECT count(*) FROM token_uses")?
            .query_row([], |row| row.get(0))?;
        if rows > most {
            self.connection
                .prepare_cached(
                    "DELETE FROM token_uses WHERE (hour, token, call, peer_id) IN
                       (SELECT hour, token, call, peer_id FROM token_uses ORDER BY hour LIMIT ?1)",
                )?
                .execute([rows - most])?;
        }
        Ok(())
    }

    /// Deletes the uses that were about a contact.
    pub fn forget_token_uses(&self, peer: &PeerId) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("DELETE FROM token_uses WHERE peer_id = ?1")?
            .execute([peer.as_bytes()])?;
        Ok(())
    }

    /// Returns the token under which the name of a front-end was first used; empty for the owner.
    pub fn client_token(&self, name: &str) -> Result<Option<String>, StoreError> {
        client_token(&self.connection, name)
    }

    /// Returns the number of front-ends whose names a token uses.
    pub fn clients_of_token(&self, token: &str) -> Result<u32, StoreError> {
        Ok(self
            .connection
            .prepare_cached("SELECT count(*) FROM clients WHERE token = ?1")?
            .query_row([token], |row| row.get(0))?)
    }
}

impl Reader {
    /// Returns all tokens by name.
    pub fn access_tokens(&self) -> Result<Vec<AccessTokenRow>, StoreError> {
        access_tokens(&self.connection)
    }

    /// Returns the token under which the name of a front-end was first used; empty for the owner.
    pub fn client_token(&self, name: &str) -> Result<Option<String>, StoreError> {
        client_token(&self.connection, name)
    }

    /// Returns the contacts of limited tokens.
    pub fn token_contacts(&self) -> Result<Vec<TokenContactRow>, StoreError> {
        let mut select = self.connection.prepare_cached(
            "SELECT t.token, t.peer_id, coalesce(c.name, '') FROM access_token_contacts t
               LEFT JOIN contacts c ON c.peer_id = t.peer_id
             ORDER BY t.token, c.name",
        )?;
        let rows = select.query_map([], |row| {
            Ok(TokenContactRow {
                token: row.get(0)?,
                peer_id: PeerId::from_bytes(row.get(1)?),
                name: row.get(2)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Returns the time of the last use of each token name, in Unix milliseconds.
    pub fn last_uses(&self) -> Result<Vec<(String, u64)>, StoreError> {
        let mut select = self
            .connection
            .prepare_cached("SELECT token, max(last_ms) FROM token_uses GROUP BY token")?;
        let rows = select.query_map([], |row| Ok((row.get(0)?, unbits(row.get(1)?))))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Returns the newest uses, at most `limit`: of all tokens, or of one.
    pub fn token_uses(
        &self,
        token: Option<&str>,
        limit: u32,
    ) -> Result<Vec<TokenUseRow>, StoreError> {
        let mut select = self.connection.prepare_cached(
            "SELECT token, call, peer_id, uses, refused, first_ms, last_ms FROM token_uses
             WHERE ?1 IS NULL OR token = ?1
             ORDER BY hour DESC, last_ms DESC LIMIT ?2",
        )?;
        let rows = select.query_map((token, limit), |row| {
            let peer: Vec<u8> = row.get(2)?;
            Ok(TokenUseRow {
                token: row.get(0)?,
                call: row.get(1)?,
                peer_id: peer.try_into().ok().map(PeerId::from_bytes),
                uses: unbits(row.get(3)?),
                refused: unbits(row.get(4)?),
                first_ms: unbits(row.get(5)?),
                last_ms: unbits(row.get(6)?),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

fn client_token(connection: &Connection, name: &str) -> Result<Option<String>, StoreError> {
    use rusqlite::OptionalExtension;
    Ok(connection
        .prepare_cached("SELECT token FROM clients WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?)
}

fn access_tokens(connection: &Connection) -> Result<Vec<AccessTokenRow>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT name, selector, hash, scopes, limited, created_ms, expires_ms
         FROM access_tokens ORDER BY name",
    )?;
    let rows = select.query_map([], parse)?;
    let mut tokens: Vec<AccessTokenRow> = rows.collect::<Result<_, _>>()?;
    let mut select =
        connection.prepare_cached("SELECT peer_id FROM access_token_contacts WHERE token = ?1")?;
    for token in &mut tokens {
        if let Some(contacts) = &mut token.contacts {
            let peers = select.query_map([&token.name], |row| row.get(0))?;
            for peer in peers {
                contacts.insert(PeerId::from_bytes(peer?));
            }
        }
    }
    Ok(tokens)
}

fn parse(row: &Row<'_>) -> rusqlite::Result<AccessTokenRow> {
    let is_limited: bool = row.get(4)?;
    Ok(AccessTokenRow {
        name: row.get(0)?,
        selector: row.get(1)?,
        hash: row.get(2)?,
        scopes: row.get(3)?,
        contacts: is_limited.then(BTreeSet::new),
        created_ms: unbits(row.get(5)?),
        expires_ms: row.get::<_, Option<i64>>(6)?.map(unbits),
    })
}

#[cfg(test)]
mod tests;
