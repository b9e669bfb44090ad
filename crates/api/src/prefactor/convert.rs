//! From records to their Prefactor shapes. Pure.

use super::pfid::{Partition, Pfid, RefType};
use super::wire::{Actions, Details, Pagination, Ping, Summary};
use std::time::Duration;
use symbolon_app::{AccountToken, WhoAmI};
use symbolon_domain::{AccountId, Credential, CredentialKind, EnvironmentId, Timestamp};

/// How long a token that never expires is said to live, since `expires_at` is never null here: 1000 years
/// of 365 days.
const FOR_EVER: Duration = Duration::from_secs(1000 * 365 * 86_400);

/// Writes the ids of one account.
#[derive(Clone, Copy)]
struct Ids(Partition);

impl Ids {
    fn of(account: AccountId) -> Self {
        Self(Partition::of(account))
    }

    fn show<T: From<Pfid>>(self, ref_type: RefType, id: uuid::Uuid) -> T {
        Pfid::of(ref_type, id, self.0).into()
    }

    fn environment<T: From<Pfid>>(self, id: Option<EnvironmentId>) -> Option<T> {
        id.map(|id| self.show(RefType::Environment, id.0))
    }
}

pub fn summary(token: &AccountToken) -> Summary {
    let it = &token.record.it;
    let ids = Ids::of(it.account_id);
    let environment = token.environment();
    Summary {
        account_id: ids.show(RefType::Account, it.account_id.0),
        created_by_admin_user_id: it
            .created_by
            .user()
            .map(|id| ids.show(RefType::AdminUser, id.0)),
        environment_id: ids.environment(environment),
        expires_at: end(it).to_string(),
        id: ids.show(RefType::ApiToken, it.id.0),
        inserted_at: it.created_at.to_string(),
        last_used_at: token.record.last_used_at.map(|at| at.to_string()),
        status: token.status(),
        token_scope: match environment {
            Some(_) => "environment",
            None => "account",
        },
        r#type: "api_token",
        updated_at: it.updated_at.to_string(),
    }
}

/// The earlier of expiry and end of grace.
fn end(it: &Credential) -> Timestamp {
    it.ends_at().unwrap_or_else(|| it.created_at.plus(FOR_EVER))
}

pub fn details(token: &AccountToken) -> Details {
    let actions = token.actions();
    Details {
        summary: summary(token),
        available_actions: Actions {
            activate: actions.activate,
            delete: actions.delete,
            revoke: actions.revoke,
            suspend: actions.suspend,
        },
    }
}

pub fn ping(me: &WhoAmI) -> Ping {
    let ids = Ids::of(me.account.id);
    let is_token = me.credential.kind != CredentialKind::Key;
    Ping {
        account_id: ids.show(RefType::Account, me.account.id.0),
        api_token_id: is_token.then(|| ids.show(RefType::ApiToken, me.credential.id.0)),
        environment_id: ids.environment(me.environment_id),
        status: "success",
    }
}

/// Where a page of `shown` items from `offset` on lies among `total`.
pub fn pagination(offset: u64, page_size: u32, shown: usize, total: u64) -> Pagination {
    let (size, shown) = (u64::from(page_size), shown as u64);
    let (item_start, item_end) = match shown {
        0 => (0, 0),
        _ => (offset + 1, offset + shown),
    };
    // From beyond the end, back to the last page that shows something.
    let last_page = total.saturating_sub(1) / size * size;
    Pagination {
        item_count: total,
        item_end,
        item_start,
        next_page_offset: Some(offset.saturating_add(size)).filter(|next| *next < total),
        page_count: total.div_ceil(size),
        page_index: offset / size + 1,
        page_offset: offset,
        page_size,
        previous_page_offset: (offset > 0).then(|| offset.saturating_sub(size).min(last_page)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `start-end of count, page index of pages; previous ← offset → next`.
    fn line(offset: u64, size: u32, total: u64) -> String {
        let shown = total.saturating_sub(offset).min(size.into());
        let page = pagination(offset, size, shown as usize, total);
        assert_eq!((page.page_offset, page.page_size), (offset, size));
        let side = |it: Option<u64>| it.map_or("-".to_owned(), |it| it.to_string());
        format!(
            "{}-{} of {}, page {} of {}; {} <- -> {}",
            page.item_start,
            page.item_end,
            page.item_count,
            page.page_index,
            page.page_count,
            side(page.previous_page_offset),
            side(page.next_page_offset),
        )
    }

    #[test]
    fn pages_know_where_they_are() {
        for (offset, size, total, wanted) in [
            (0, 20, 0, "0-0 of 0, page 1 of 0; - <- -> -"),
            (0, 20, 1, "1-1 of 1, page 1 of 1; - <- -> -"),
            (0, 4, 4, "1-4 of 4, page 1 of 1; - <- -> -"),
            (0, 4, 5, "1-4 of 5, page 1 of 2; - <- -> 4"),
            (4, 4, 5, "5-5 of 5, page 2 of 2; 0 <- -> -"),
            (4, 4, 8, "5-8 of 8, page 2 of 2; 0 <- -> -"),
            (4, 4, 10, "5-8 of 10, page 2 of 3; 0 <- -> 8"),
            (8, 4, 10, "9-10 of 10, page 3 of 3; 4 <- -> -"),
            // Between two pages: as asked.
            (2, 4, 10, "3-6 of 10, page 1 of 3; 0 <- -> 6"),
            (6, 4, 10, "7-10 of 10, page 2 of 3; 2 <- -> -"),
            (9, 4, 10, "10-10 of 10, page 3 of 3; 5 <- -> -"),
            // Beyond the end.
            (10, 4, 10, "0-0 of 10, page 3 of 3; 6 <- -> -"),
            (12, 4, 10, "0-0 of 10, page 4 of 3; 8 <- -> -"),
            (400, 4, 10, "0-0 of 10, page 101 of 3; 8 <- -> -"),
            (5, 4, 0, "0-0 of 0, page 2 of 0; 0 <- -> -"),
            (3, 1, 5, "4-4 of 5, page 4 of 5; 2 <- -> 4"),
            (0, 100, 100, "1-100 of 100, page 1 of 1; - <- -> -"),
        ] {
            assert_eq!(line(offset, size, total), wanted, "{offset} {size} {total}");
        }
        let far = u64::MAX / 2;
        let page = pagination(far, 100, 0, 7);
        assert_eq!(page.previous_page_offset, Some(0));
    }

    /// Whoever follows the offsets sees every item once, forwards and backwards.
    #[test]
    fn following_the_offsets_shows_everything() {
        for (size, total) in [(1u32, 7u64), (3, 7), (7, 7), (20, 7), (3, 9)] {
            let shown = |offset: u64| total.saturating_sub(offset).min(size.into());
            let page = |offset| pagination(offset, size, shown(offset) as usize, total);
            let (mut offset, mut seen) = (0, Vec::new());
            loop {
                let it = page(offset);
                seen.extend(it.item_start..=it.item_end);
                match it.next_page_offset {
                    Some(next) => offset = next,
                    None => break,
                }
            }
            assert_eq!(seen, (1..=total).collect::<Vec<_>>(), "{size}");
            let mut back = vec![offset];
            while let Some(before) = page(offset).previous_page_offset {
                offset = before;
                back.push(offset);
            }
            assert_eq!(back.len() as u64, total.div_ceil(size.into()));
        }
    }
}
