//! `admin users`.

use std::process::ExitCode;

use indicatif::HumanBytes;
use serde_json::json;
use vocalizer_core::account::UserId;
use vocalizer_core::api::AdminUserView;
use vocalizer_core::ports::{BoxError, UserRecord, UserSearch};
use vocalizer_core::quota::QuotaChange;
use vocalizer_core::service::{AdminService, ServiceError};

use super::super::args::{UsersArgs, UsersCommand};
use super::operator::Place;
use super::table::{self, Column, number, text};
use super::{password, print};
use crate::output::outln;

/// Users per query.
const PAGE: u32 = 1000;

const COLUMNS: [Column; 9] = [
    text("NAME", 0),
    number("SONGS", 1),
    number("SIZE", 2),
    text("STATE", 0),
    number("SESSIONS", 4),
    number("TOKENS", 3),
    text("SIGN-IN", 0),
    text("REGISTERED", 5),
    text("OWN LIMITS", 6),
];

pub(super) async fn run(place: Place, args: &UsersArgs) -> Result<ExitCode, BoxError> {
    let service = &place.service;
    match &args.command {
        UsersCommand::List { limit, search } => {
            show(&list(&place, search.as_deref(), limit.unwrap_or(u32::MAX)).await?, args.json);
        }
        UsersCommand::Disable { name } => {
            let user = service.disable(id(&place, name).await?).await?;
            say(&user, args.json, &format!("{} is disabled; sessions and tokens have ended", user.username));
        }
        UsersCommand::Enable { name } => {
            let user = service.enable(id(&place, name).await?).await?;
            say(&user, args.json, &format!("{} is enabled", user.username));
        }
        UsersCommand::Disconnect { name } => {
            let user = service.unlink(id(&place, name).await?).await?;
            say(&user, args.json, &format!("{} is not connected to a sign-in provider", user.username));
        }
        UsersCommand::Admin { name, revoke } => {
            let user = service.set_administrator(id(&place, name).await?, !revoke).await?;
            let what = if *revoke { "is no administrator" } else { "is an administrator" };
            say(&user, args.json, &format!("{} {what}", user.username));
        }
        UsersCommand::ResetPassword { name, password_file, keep_sessions } => {
            // Fails before a password is read or made.
            let id = id(&place, name).await?;
            let (password, is_new) = match password_file {
                Some(file) => (password::read(file)?, false),
                None => (AdminService::new_password()?, true),
            };
            let user = service.reset_password(id, &password, *keep_sessions).await?;
            let ended = if *keep_sessions { "sessions and tokens stay" } else { "sessions and tokens have ended" };
            match (args.json, is_new) {
                (true, true) => {
                    outln!("{}", json!({"username": user.username.as_str(), "password": password.expose()}))
                }
                (true, false) => outln!("{}", json!({"username": user.username.as_str()})),
                (false, true) => outln!("new password of {}: {}\n{ended}", user.username, password.expose()),
                (false, false) => outln!("the password of {} is set; {ended}", user.username),
            }
        }
        &UsersCommand::Quota {
            ref name,
            max_songs,
            max_bytes,
            max_audio_minutes_per_day,
            max_uploads_per_minute,
            reset,
        } => {
            let id = id(&place, name).await?;
            let change = QuotaChange { max_songs, max_bytes, max_audio_minutes_per_day, max_uploads_per_minute };
            let user = match (reset, change == QuotaChange::default()) {
                (true, _) => service.change_quota(id, None).await?,
                (false, true) => service.user_with(id).await?,
                (false, false) => service.change_quota(id, Some(change)).await?,
            };
            say(&user, args.json, &format!("own limits of {}: {}", user.username, user.quota));
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn id(place: &Place, name: &str) -> Result<UserId, BoxError> {
    named(name, place.service.user(name).await).map(|user| user.id)
}

async fn list(place: &Place, containing: Option<&str>, limit: u32) -> Result<Vec<UserRecord>, ServiceError> {
    let mut users: Vec<UserRecord> = Vec::new();
    loop {
        let rest = limit.saturating_sub(u32::try_from(users.len()).unwrap_or(u32::MAX)).min(PAGE);
        let after = users.last().map(|user| user.username.clone());
        let search = UserSearch { containing: containing.map(str::to_owned), after, limit: rest };
        let mut page = place.service.users(&search).await?;
        let is_last = page.len() < PAGE as usize;
        users.append(&mut page);
        if is_last {
            return Ok(users);
        }
    }
}

fn show(users: &[UserRecord], json: bool) {
    if json {
        print::json_lines(users.iter().map(AdminUserView::from));
        return;
    }
    let row = |user: &UserRecord| {
        vec![
            user.username.to_string(),
            user.songs.to_string(),
            HumanBytes(user.bytes).to_string(),
            match (user.disabled_at, user.is_administrator) {
                (Some(_), _) => "disabled",
                (None, true) => "admin",
                (None, false) => "enabled",
            }
            .to_owned(),
            user.sessions.to_string(),
            user.tokens.to_string(),
            if user.is_linked { "provider" } else { "-" }.to_owned(),
            print::time(user.registered_at),
            user.quota.to_string(),
        ]
    };
    table::print(&COLUMNS, &users.iter().map(row).collect::<Vec<_>>());
}

fn say(user: &UserRecord, json: bool, line: &str) {
    if json {
        print::json_lines([AdminUserView::from(user)]);
    } else {
        outln!("{line}");
    }
}

/// Adds the name to an error about the user.
pub(super) fn named<T>(name: &str, done: Result<T, ServiceError>) -> Result<T, BoxError> {
    done.map_err(|error| match error {
        ServiceError::NotFound { .. } => {
            format!("no user {name:?}; `vocalizer admin users list` prints the names").into()
        }
        error => error.into(),
    })
}
