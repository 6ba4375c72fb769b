//! What administrators do. The server authorizes them before it calls these.

use std::sync::Arc;

use http::{HeaderMap, Method};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use vocalizer_core::account::UserId;
use vocalizer_core::api::{
    AdminJobsData, AdminSongView, AdminSongsData, AdminUserData, AdminUserView, AdminUsersData, AuditData, AuditView,
    HoldData, NewPasswordData, SongData, SongView, StorageData,
};
use vocalizer_core::ports::{AuditSearch, Cursor, SongSearch, UserRecord, UserSearch};
use vocalizer_core::quota::{Limit, QuotaChange};
use vocalizer_core::service::AdminService;

use super::songs::{read_cursor, write_cursor};
use super::{Answer, success, to_completion, unmade};
use crate::app::App;
use crate::failure::Failure;
use crate::fields::{self, Field};
use crate::form::{Form, Query};
use crate::request::Request;

pub(crate) async fn users(_: &Arc<App>, request: Request) -> Answer {
    let (admin, query) = (request.admin()?, request.query());
    let limit = most(&query)?;
    let search = UserSearch {
        containing: query.get(&fields::SEARCH, |text| Some(text.to_owned()))?,
        after: query.get(&fields::AFTER, |text| text.parse().ok())?,
        // One more, which tells whether there is another page.
        limit: limit.saturating_add(1),
    };
    let mut users = admin.users(&search).await?;
    let next = cut(&mut users, limit).map(|last| last.username.to_string());
    success(&AdminUsersData { users: users.iter().map(AdminUserView::from).collect(), next })
}

pub(crate) async fn user(_: &Arc<App>, request: Request) -> Answer {
    one(&request.admin()?.user_with(id(&request)?).await?)
}

pub(crate) async fn disable(_: &Arc<App>, request: Request) -> Answer {
    let (admin, id) = (request.admin()?, id(&request)?);
    // In a task of its own, here and below, so that a change is also recorded if the client disconnects.
    one(&to_completion(async move { admin.disable(id).await }).await?)
}

pub(crate) async fn enable(_: &Arc<App>, request: Request) -> Answer {
    let (admin, id) = (request.admin()?, id(&request)?);
    one(&to_completion(async move { admin.enable(id).await }).await?)
}

pub(crate) async fn disconnect(_: &Arc<App>, request: Request) -> Answer {
    let (admin, id) = (request.admin()?, id(&request)?);
    one(&to_completion(async move { admin.unlink(id).await }).await?)
}

pub(crate) async fn reset_password(_: &Arc<App>, request: Request) -> Answer {
    let (admin, id) = (request.admin()?, id(&request)?);
    let given = request.form().await?.take(&fields::PASSWORD);
    let is_new = given.expose().is_empty();
    let password = if is_new { AdminService::new_password()? } else { given };
    let shown = is_new.then(|| password.expose().clone());
    let user = to_completion(async move { admin.reset_password(id, &password, false).await }).await?;
    success(&NewPasswordData { user: (&user).into(), password: shown })
}

pub(crate) async fn set_quota(_: &Arc<App>, request: Request) -> Answer {
    let (admin, id) = (request.admin()?, id(&request)?);
    let mut form = request.form().await?;
    let quota = QuotaChange {
        max_songs: limit(&mut form, &fields::MAX_SONGS)?,
        max_bytes: limit(&mut form, &fields::MAX_BYTES)?,
        max_audio_minutes_per_day: limit(&mut form, &fields::MAX_AUDIO_MINUTES_PER_DAY)?,
        max_uploads_per_minute: limit(&mut form, &fields::MAX_UPLOADS_PER_MINUTE)?,
    };
    if quota.max_uploads_per_minute == Some(Limit::At(0)) {
        let message =
            "max_uploads_per_minute must be at least 1, or none; to stop a user's uploads, set max_songs to 0";
        return Err(Failure::field(fields::MAX_UPLOADS_PER_MINUTE.name, message));
    }
    one(&to_completion(async move { admin.set_quota(id, quota).await }).await?)
}

pub(crate) async fn songs(_: &Arc<App>, request: Request) -> Answer {
    let (admin, query) = (request.admin()?, request.query());
    let limit = most(&query)?;
    let user = match query.get(&fields::USER, |text| Some(text.to_owned()))? {
        Some(name) => Some(admin.user(&name).await?.id),
        None => None,
    };
    let search = SongSearch {
        user,
        status: query.get(&fields::STATUS, |text| text.parse().ok())?,
        after: query.get(&fields::AFTER, read_cursor)?,
        limit: limit.saturating_add(1),
    };
    let mut songs = admin.songs(&search).await?;
    let next = cut(&mut songs, limit).map(|last| write_cursor(Cursor::of(&last.song)));
    success(&AdminSongsData { songs: songs.iter().map(AdminSongView::from).collect(), next })
}

pub(crate) async fn delete_song(_: &Arc<App>, request: Request) -> Answer {
    let (admin, id) = (request.admin()?, request.param("song_id")?);
    to_completion(async move { admin.delete_song(id).await }).await?;
    success(&())
}

pub(crate) async fn requeue_song(_: &Arc<App>, request: Request) -> Answer {
    let (admin, id) = (request.admin()?, request.param("song_id")?);
    let song = to_completion(async move { admin.requeue(id).await }).await?;
    success(&SongData { song: SongView::from(&song) })
}

pub(crate) async fn jobs(_: &Arc<App>, request: Request) -> Answer {
    let admin = request.admin()?;
    let jobs = admin.jobs(most(&request.query())?).await?;
    let HoldData { held, unfinished } = hold(&admin).await?;
    success(&AdminJobsData { jobs: jobs.iter().map(|job| job.job(held)).collect(), held, unfinished })
}

pub(crate) async fn drain(_: &Arc<App>, request: Request) -> Answer {
    hold_jobs(request.admin()?, true).await
}

pub(crate) async fn resume(_: &Arc<App>, request: Request) -> Answer {
    hold_jobs(request.admin()?, false).await
}

pub(crate) async fn storage(app: &Arc<App>, request: Request) -> Answer {
    if request.method == Method::HEAD {
        return Ok(unmade(HeaderMap::new()));
    }
    let Ok(_reporting) = app.reporting.try_lock() else {
        return Err(Failure::busy("another report on the storage is being made; try again later"));
    };
    success(&StorageData::from(&request.admin()?.report().await?))
}

pub(crate) async fn audit(_: &Arc<App>, request: Request) -> Answer {
    let (admin, query) = (request.admin()?, request.query());
    let since = query.get(&fields::SINCE, |text| OffsetDateTime::parse(text, &Rfc3339).ok())?;
    let search = AuditSearch { since: since.unwrap_or(OffsetDateTime::UNIX_EPOCH), limit: most(&query)? };
    let entries = admin.audited(&search).await?;
    success(&AuditData { entries: entries.into_iter().map(AuditView::from).collect() })
}

async fn hold_jobs(admin: AdminService, held: bool) -> Answer {
    let state = to_completion(async move {
        admin.hold_jobs(held).await?;
        hold(&admin).await
    });
    success(&state.await?)
}

async fn hold(admin: &AdminService) -> Result<HoldData, Failure> {
    Ok(HoldData { held: admin.is_holding().await?, unfinished: admin.unfinished().await? })
}

fn one(user: &UserRecord) -> Answer {
    success(&AdminUserData { user: user.into() })
}

fn id(request: &Request) -> Result<UserId, Failure> {
    request.param("user_id")
}

/// Returns how many entries are asked for.
fn most(query: &Query) -> Result<u32, Failure> {
    let most = query.number(&fields::MOST)?.unwrap_or(100);
    u32::try_from(most).map_err(Failure::internal)
}

/// Shortens a page to its limit. Returns its last entry if there are more.
fn cut<T>(page: &mut Vec<T>, limit: u32) -> Option<&T> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = page.len() > limit;
    page.truncate(limit);
    page.last().filter(|_| has_more)
}

/// Parses a user's own limit. Without one, the limit of all users applies.
fn limit(form: &mut Form, field: &'static Field) -> Result<Option<Limit>, Failure> {
    match form.take(field).expose().trim() {
        "" => Ok(None),
        "none" => Ok(Some(Limit::None)),
        text => match text.parse() {
            // What the databases can store.
            Ok(most) if i64::try_from(most).is_ok() => Ok(Some(Limit::At(most))),
            _ => Err(Failure::field(field.name, format!("{} must be a whole number, or none", field.name))),
        },
    }
}
