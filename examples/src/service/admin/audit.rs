//! `admin audit`.

use std::process::ExitCode;

use time::format_description::well_known::{Iso8601, Rfc3339};
use time::{Date, Duration, OffsetDateTime};
use vocalizer_core::api::AuditView;
use vocalizer_core::ports::{AuditEntry, AuditSearch, BoxError};

use super::super::args::AuditArgs;
use super::super::error::{ConfigError, invalid};
use super::operator::Place;
use super::print;
use super::table::{self, Column, text};

const COLUMNS: [Column; 6] =
    [text("TIME", 0), text("WHO", 0), text("ACTION", 0), text("WHAT", 1), text("ADDRESS", 2), text("DETAILS", 3)];

/// The earliest entries to print.
#[derive(Debug, Clone, Copy)]
pub(super) enum Since {
    Always,
    At(OffsetDateTime),
    Ago(Duration),
}

pub(super) async fn run(place: Place, args: &AuditArgs, since: Since) -> Result<ExitCode, BoxError> {
    let now = place.clock.now();
    let since = match since {
        Since::Always => OffsetDateTime::UNIX_EPOCH,
        Since::At(time) => time,
        Since::Ago(span) => now.checked_sub(span).unwrap_or(OffsetDateTime::UNIX_EPOCH),
    };
    let entries = place.service.audited(&AuditSearch { since, limit: args.limit }).await?;
    if args.json {
        print::json_lines(entries.into_iter().map(AuditView::from));
        return Ok(ExitCode::SUCCESS);
    }
    let cell = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let row = |entry: &AuditEntry| {
        vec![
            print::time(entry.at),
            entry.actor.clone(),
            entry.action.clone(),
            cell(&entry.subject),
            cell(&entry.address),
            cell(&entry.details),
        ]
    };
    table::print(&COLUMNS, &entries.iter().map(row).collect::<Vec<_>>());
    Ok(ExitCode::SUCCESS)
}

/// Parses the time since which entries are printed.
pub(super) fn since(text: Option<&str>) -> Result<Since, ConfigError> {
    let Some(text) = text else { return Ok(Since::Always) };
    let wrong = || invalid("--since", "give a date, a time as in 2030-12-31T23:59:59Z, or a span as in 90m, 12h or 7d");
    if let Ok(time) = OffsetDateTime::parse(text, &Rfc3339) {
        return Ok(Since::At(time));
    }
    if let Ok(date) = Date::parse(text, &Iso8601::DATE) {
        return Ok(Since::At(date.midnight().assume_utc()));
    }
    let (number, unit) = text.split_at(text.len() - text.chars().next_back().map_or(0, char::len_utf8));
    let number: u32 = number.parse().map_err(|_| wrong())?;
    match unit {
        "m" => Ok(Since::Ago(Duration::minutes(number.into()))),
        "h" => Ok(Since::Ago(Duration::hours(number.into()))),
        "d" => Ok(Since::Ago(Duration::days(number.into()))),
        _ => Err(wrong()),
    }
}
