//! The operations: one row each, from which routing, access, accepted fields, dispatch and the OpenAPI document follow.

use std::sync::Arc;

use http::Method;
use matchit::Router;

use crate::app::App;
use crate::fields::{self, Field, Input};
use crate::handlers::{
    Answer, admin, analyses, auth, events, jobs, labels, list_events, markers, operations, parts, results, resumable,
    shares, sign_in, songs, tagged, trash, upload, webhooks, work,
};
use crate::request::Request;

/// Required authentication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Optional: anonymous callers are allowed, but users see more.
    Anyone,
    /// Optional, as for `Anyone`; a share link is enough for its song.
    Reader,
    /// A share link.
    Share,
    /// A user: a session or an API token.
    User,
    /// A session from a login with a password.
    Session,
    /// A session of an administrator.
    Administrator,
    /// A worker token.
    Worker,
    /// None; credentials are ignored.
    Public,
}

/// The body of a successful response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    /// An envelope with `data` of this schema.
    Data(&'static str),
    /// An envelope without data.
    Nothing,
    /// No body.
    Empty,
    /// No body; `Location` has the address to go on to.
    Redirect,
    /// Binary data.
    Bytes,
    Audio,
    /// A JPEG.
    Picture,
    Events,
    Text,
    Json,
}

/// A row of the table.
pub(crate) struct Route {
    pub(crate) operation: Operation,
    /// The name in logs, metrics and the OpenAPI document.
    pub(crate) name: &'static str,
    pub(crate) method: Method,
    /// In the syntax of `matchit` and OpenAPI.
    pub(crate) path: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) access: Access,
    pub(crate) input: Input,
    pub(crate) output: Output,
    /// Query parameters.
    pub(crate) query: &'static [&'static Field],
    /// Possible error statuses, in addition to the ones of all routes.
    pub(crate) errors: &'static [u16],
}

/// Declares the operations and their routes.
macro_rules! routes {
    ($($operation:ident $name:literal $handler:path, $method:ident $path:literal $access:ident $input:expr => $output:expr,
        [$($query:ident),*] [$($error:literal),*] $summary:literal;)*) => {
        /// An API operation.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(crate) enum Operation {
            $($operation),*
        }

        impl Operation {
            /// Handles a request.
            pub(crate) async fn handle(self, app: &Arc<App>, request: Request) -> Answer {
                match self {
                    $(Self::$operation => $handler(app, request).await),*
                }
            }
        }

        /// All routes.
        pub(crate) static ROUTES: &[Route] = &[$(Route {
            operation: Operation::$operation,
            name: $name,
            method: Method::$method,
            path: $path,
            summary: $summary,
            access: Access::$access,
            input: $input,
            output: $output,
            query: &[$(&fields::$query),*],
            errors: &[$($error),*],
        }),*];
    };
}

/// Declares a form with required and optional fields.
macro_rules! form {
    ([$($required:ident),*] [$($optional:ident),*]) => {
        Input::Form { required: &[$(&fields::$required),*], optional: &[$(&fields::$optional),*] }
    };
}

const REGISTER: Input = form!([USERNAME, PASSWORD_1, PASSWORD_2][INVITE]);
const LOGIN: Input = form!([USERNAME, PASSWORD] []);
const PASSWORD: Input = form!([OLD_PASSWORD, PASSWORD_1, PASSWORD_2] []);
const TOKEN: Input = form!([TOKEN_NAME][EXPIRES_IN_DAYS]);
const RENAME: Input = form!([TITLE] []);
const SHARE: Input = form!([] [EXPIRES_AT, DRUMS, BASS, OTHER, VOCALS, LEVELS, START_MS, LOOP_FROM_MS, LOOP_TO_MS]);
const LABEL: Input = form!([LABEL] []);
const MARKER: Input = form!([AT_MS, MARKER_NAME] []);
const MARKER_CHANGE: Input = form!([] [AT_MS, MARKER_NAME]);
const WEBHOOK: Input = form!([URL][EVENTS]);
const PERCENT: Input = form!([PERCENT] []);
const REASON: Input = form!([REASON] []);
const NEW_PASSWORD: Input = form!([][PASSWORD]);
const QUOTA: Input = form!([] [MAX_SONGS, MAX_BYTES, MAX_AUDIO_MINUTES_PER_DAY, MAX_UPLOADS_PER_MINUTE]);
const WAIT: Input = form!([][WAIT_S, MODELS]);
const SPLIT: Input = form!([] [MODEL, STEMS]);
const FAILURE: Input = form!([FAILURE_KIND] [AFTER_MS, REASON]);

routes! {
    Register "register" auth::register,
        POST "/auth/register" Anyone REGISTER => Output::Data("UserData"), [] [400, 408, 409, 413, 415, 422, 429]
        "Registers a user and logs in; requires an invite if GET /limits says so";
    Login "login" auth::login,
        POST "/auth/login" Anyone LOGIN => Output::Data("UserData"), [] [400, 401, 408, 413, 415, 429]
        "Logs in";
    Logout "logout" auth::logout,
        POST "/auth/logout" Anyone Input::Nothing => Output::Nothing, [] []
        "Logs out: ends the session, or revokes the API token of the request";
    LogoutEverywhere "logout_everywhere" auth::logout_everywhere,
        POST "/auth/logout_everywhere" Session Input::Nothing => Output::Nothing, [] []
        "Ends all sessions of the user, including this one, and revokes all API tokens";
    Me "me" auth::me,
        GET "/auth/me" Anyone Input::Nothing => Output::Data("UserData"), [] []
        "Returns the current user";
    ChangePassword "change_password" auth::change_password,
        POST "/auth/password" Session PASSWORD => Output::Nothing, [] [400, 408, 413, 415, 422, 429]
        "Changes the password, ends all other sessions and revokes all API tokens";
    SignInOptions "sign_in_options" sign_in::options,
        GET "/auth/options" Public Input::Nothing => Output::Data("SignInData"), [] []
        "Returns the ways to sign in";
    BeginSignIn "begin_sign_in" sign_in::begin,
        GET "/auth/oidc" Public Input::Nothing => Output::Redirect, [] [403, 404]
        "Sends a browser to the OpenID Connect provider to sign in; 404 without one, 403 from the page of another site";
    SignOutAtProvider "sign_out_at_provider" sign_in::logout,
        GET "/auth/oidc/logout" Public Input::Nothing => Output::Redirect, [] [404]
        "Sends a browser that has logged out to the OpenID Connect provider, to sign out there too; 404 unless GET /auth/options says so";
    FinishSignIn "finish_sign_in" sign_in::callback,
        GET "/auth/oidc/callback" Anyone Input::Nothing => Output::Redirect, [STATE, CODE, ISSUER, PROVIDER_ERROR]
        [404, 409, 429]
        "Takes a browser back from the OpenID Connect provider, logs in and sends it to the page; with Accept: text/html, errors \
        are shown there";
    LinkSignIn "link_sign_in" sign_in::link,
        POST "/auth/oidc/link" Session Input::Nothing => Output::Data("ProviderAddressData"), [] [404]
        "Begins a sign-in at the OpenID Connect provider that connects the user there to the account of the caller";
    SignInConnection "sign_in_connection" sign_in::connection,
        GET "/auth/oidc/link" Session Input::Nothing => Output::Data("ConnectionData"), [] [404]
        "Returns whether a user at the OpenID Connect provider is connected to the account of the caller";
    UnlinkSignIn "unlink_sign_in" sign_in::unlink,
        DELETE "/auth/oidc/link" Session Input::Nothing => Output::Data("ConnectionData"), [] [404, 409]
        "Disconnects the account of the caller from the OpenID Connect provider; 409 without a password, since the user could not \
        sign in any more";
    ListTokens "list_tokens" auth::list_tokens,
        GET "/auth/tokens" Session Input::Nothing => Output::Data("TokensData"), [] []
        "Lists the user's API tokens";
    CreateToken "create_token" auth::create_token,
        POST "/auth/tokens" Session TOKEN => Output::Data("NewTokenData"), [] [400, 408, 409, 413, 415, 422]
        "Creates an API token; the secret is only in this response";
    RevokeToken "revoke_token" auth::revoke_token,
        DELETE "/auth/tokens/{token_id}" Session Input::Nothing => Output::Nothing, [] [404]
        "Revokes an API token";
    ListSongs "list_songs" songs::list,
        GET "/songs/" Anyone Input::Nothing => Output::Data("SongsData"),
        [STATUS, LIMIT, AFTER, DETAILS, Q, WITH_LABEL, SORT, WHOSE, TOTAL] [422]
        "Lists the songs visible to the caller, newest first or in another order, also searched; at most 1000 per page, with a \
        cursor for the next page";
    Upload "upload" upload::upload,
        POST "/songs/upload" Anyone Input::Upload => Output::Data("SongData"), [] [400, 408, 409, 413, 415, 422, 429, 507]
        "Uploads a song and queues it for splitting";
    UploadOptions "upload_options" resumable::options,
        OPTIONS "/songs/uploads" Public Input::Nothing => Output::Empty, [] []
        "Tells the versions and extensions of the tus protocol for resumable uploads";
    CreateUpload "create_upload" resumable::create,
        POST "/songs/uploads" Anyone Input::Piece => Output::Data("UploadData"), []
        [404, 408, 409, 410, 412, 413, 415, 422, 429, 507]
        "Begins a resumable upload (tus 1.0.0), optionally with its first bytes";
    GetUpload "get_upload" resumable::get,
        GET "/songs/uploads/{upload_id}" Anyone Input::Nothing => Output::Data("UploadData"), [] [404, 412]
        "Returns the state of a resumable upload; HEAD returns the offset to continue from";
    AppendUpload "append_upload" resumable::append,
        PATCH "/songs/uploads/{upload_id}" Anyone Input::Piece => Output::Data("UploadData"), []
        [404, 408, 409, 410, 412, 413, 415, 422, 429, 507]
        "Continues a resumable upload; with the last bytes, it becomes a song";
    TerminateUpload "terminate_upload" resumable::terminate,
        DELETE "/songs/uploads/{upload_id}" Anyone Input::Nothing => Output::Empty, [] [404, 412]
        "Deletes a resumable upload and its bytes; the song of a finished one stays";
    ListTrash "list_trash" trash::list,
        GET "/songs/trash" Anyone Input::Nothing => Output::Data("TrashData"), [LIMIT, AFTER] [422]
        "Lists the caller's deleted songs that can be restored, the last one first";
    DeleteForGood "delete_for_good" trash::delete,
        DELETE "/songs/trash/{song_id}" Anyone Input::Nothing => Output::Nothing, [] [404]
        "Deletes a song in the trash for good, and its files if no other song has the same hash";
    GetSong "get_song" songs::get,
        GET "/songs/{song_id}" Reader Input::Nothing => Output::Data("SongData"), [DETAILS] [404, 429]
        "Returns a song with its status and progress";
    RenameSong "rename_song" songs::rename,
        PATCH "/songs/{song_id}" Anyone RENAME => Output::Data("SongData"), [] [400, 404, 408, 413, 415, 422]
        "Changes a song's title";
    DeleteSong "delete_song" songs::delete,
        DELETE "/songs/{song_id}" Anyone Input::Nothing => Output::Nothing, [] [404]
        "Deletes a song: it goes to the trash if GET /limits has trash_days; otherwise its files are deleted too, if no other \
        song has the same hash";
    RestoreSong "restore_song" trash::restore,
        POST "/songs/{song_id}/restore" Anyone Input::Nothing => Output::Data("SongData"), [] [404]
        "Restores a song from the trash; if deleting it cancelled its splitting, it waits again";
    RetrySong "retry_song" songs::retry,
        POST "/songs/{song_id}/retry" Anyone Input::Nothing => Output::Data("SongData"), [] [404, 409]
        "Retries a failed song";
    SplitSong "split_song" songs::split,
        POST "/songs/{song_id}/split" Anyone SPLIT => Output::Data("SongData"), [] [400, 404, 408, 409, 413, 415, 422]
        "Splits a song again, with another model or for other stems, separated by commas; its stems remain until the new ones \
        are there";
    CancelSong "cancel_song" songs::cancel,
        POST "/songs/{song_id}/cancel" Anyone Input::Nothing => Output::Data("SongData"), [] [404, 409]
        "Cancels the splitting of a song that waits or is being split; it fails and can be retried";
    Events "events" events::events,
        GET "/songs/{song_id}/events" Anyone Input::Nothing => Output::Events, [] [404]
        "Streams a song's changes until it is split or failed; resumes with Last-Event-ID";
    ListEvents "list_events" list_events::events,
        GET "/songs/events" Anyone Input::Nothing => Output::Events, [] []
        "Streams changes of the caller's songs: the newest ones, and all that wait or are being split";
    Peaks "peaks" parts::peaks,
        GET "/songs/{song_id}/peaks/{part}" Reader Input::Nothing => Output::Data("PeaksData"), [FROM_MS, TO_MS, POINTS]
        [304, 404, 409, 422, 429, 507]
        "Returns the loudness of a part over time, or of a range of it in more detail, for a waveform; computed once";
    Analysis "analysis" analyses::analysis,
        GET "/songs/{song_id}/analysis" Reader Input::Nothing => Output::Data("AnalysisData"), []
        [404, 429, 507]
        "Returns the tempo and the key of a song, each null if none was found; found once";
    Cover "cover" tagged::cover,
        GET "/songs/{song_id}/cover" Reader Input::Nothing => Output::Picture, [] [304, 404, 429, 507]
        "Returns the cover in the tags of a song's file, as a JPEG of at most 256 × 256 pixels; made once";
    Lyrics "lyrics" tagged::lyrics,
        GET "/songs/{song_id}/lyrics" Reader Input::Nothing => Output::Data("LyricsData"), []
        [304, 404, 429, 507]
        "Returns the lyrics in the tags of a song's file, plain or in the LRC format, or null";
    Part "part" parts::part,
        GET "/songs/{song_id}/{file}" Reader Input::Nothing => Output::Audio,
        [DOWNLOAD, FORMAT, QUALITY, STEMS_CHOSEN, NUMBERED, TEMPO, KEY, DRUMS, BASS, OTHER, VOCALS, LEVELS] [304, 404, 409, 416, 422, 429, 507]
        "Downloads a part: song, a stem such as vocals, or accompaniment as .mp3, .wav or .flac; stems.zip or stems.tar; \
        mix.mp3, mix.wav or mix.flac with the gains of stems from the query";
    CreateShare "create_share" shares::create,
        POST "/songs/{song_id}/shares" Anyone SHARE => Output::Data("NewShareData"), []
        [400, 404, 408, 409, 413, 415, 422]
        "Creates a link with which everyone may listen to the song and download it; the secret is only in this response";
    ListShares "list_shares" shares::list,
        GET "/songs/{song_id}/shares" Anyone Input::Nothing => Output::Data("SharesData"), [] [404]
        "Lists a song's share links, newest first";
    RevokeShare "revoke_share" shares::revoke,
        DELETE "/songs/{song_id}/shares/{share_id}" Anyone Input::Nothing => Output::Nothing, [] [404]
        "Revokes a share link";
    OpenShare "open_share" shares::open,
        GET "/share" Share Input::Nothing => Output::Data("SharedData"), [] [404, 429]
        "Returns the song that a share link opens, and the mix to start with";
    ListLabels "list_labels" labels::list,
        GET "/labels" Anyone Input::Nothing => Output::Data("LabelsData"), [] []
        "Lists the labels of the songs visible to the caller, with the number of songs";
    AddLabel "add_label" labels::add,
        POST "/songs/{song_id}/labels" Anyone LABEL => Output::Data("SongData"), []
        [400, 404, 408, 409, 413, 415, 422]
        "Adds a label to a song, unless it has it; at most 20 per song, of at most 40 characters. Returns the song with details";
    RemoveLabel "remove_label" labels::remove,
        DELETE "/songs/{song_id}/labels" Anyone Input::Nothing => Output::Data("SongData"), [LABEL_REMOVED] [404, 422]
        "Removes a label from a song, if it has it. Returns the song with details";
    ListMarkers "list_markers" markers::list,
        GET "/songs/{song_id}/markers" Reader Input::Nothing => Output::Data("MarkersData"), [] [404, 429]
        "Lists a song's markers in the order of their times";
    CreateMarker "create_marker" markers::create,
        POST "/songs/{song_id}/markers" Anyone MARKER => Output::Data("MarkerData"), []
        [400, 404, 408, 409, 413, 415, 422]
        "Adds a marker, a named time in a song; at most 200 per song, with names of at most 100 characters";
    ChangeMarker "change_marker" markers::change,
        PATCH "/songs/{song_id}/markers/{marker_id}" Anyone MARKER_CHANGE => Output::Data("MarkerData"), []
        [400, 404, 408, 413, 415, 422]
        "Changes a marker's time or name, or both";
    DeleteMarker "delete_marker" markers::delete,
        DELETE "/songs/{song_id}/markers/{marker_id}" Anyone Input::Nothing => Output::Nothing, [] [404]
        "Deletes a marker";
    ListWebhooks "list_webhooks" webhooks::list,
        GET "/webhooks" User Input::Nothing => Output::Data("WebhooksData"), [] []
        "Lists the user's webhooks, newest first";
    CreateWebhook "create_webhook" webhooks::create,
        POST "/webhooks" User WEBHOOK => Output::Data("NewWebhookData"), [] [400, 408, 409, 413, 415, 422]
        "Creates a webhook, which is told when a song of the user is split, fails or is deleted; the secret is only in this \
        response";
    DeleteWebhook "delete_webhook" webhooks::delete,
        DELETE "/webhooks/{webhook_id}" User Input::Nothing => Output::Nothing, [] [404]
        "Deletes a webhook with its deliveries";
    ListDeliveries "list_deliveries" webhooks::deliveries,
        GET "/webhooks/{webhook_id}/deliveries" User Input::Nothing => Output::Data("DeliveriesData"), [] [404]
        "Lists the newest 100 deliveries of a webhook, newest first";
    TestWebhook "test_webhook" webhooks::test,
        POST "/webhooks/{webhook_id}/test" User Input::Nothing => Output::Data("DeliveryData"), [] [404, 409]
        "Sends a ping to a webhook soon";
    EnableWebhook "enable_webhook" webhooks::enable,
        POST "/webhooks/{webhook_id}/enable" User Input::Nothing => Output::Data("WebhookData"), [] [404]
        "Enables a webhook that was disabled after repeated failure";
    AdminListUsers "admin_list_users" admin::users,
        GET "/admin/users" Administrator Input::Nothing => Output::Data("AdminUsersData"), [SEARCH, MOST, AFTER] [422]
        "Lists all users by name, with what they have; with a cursor for the next page";
    AdminGetUser "admin_get_user" admin::user,
        GET "/admin/users/{user_id}" Administrator Input::Nothing => Output::Data("AdminUserData"), [] [404]
        "Returns a user";
    AdminDisableUser "admin_disable_user" admin::disable,
        POST "/admin/users/{user_id}/disable" Administrator Input::Nothing => Output::Data("AdminUserData"), [] [404, 409]
        "Disables a user who is no administrator: sessions and tokens end at once, logins are refused, songs stay";
    AdminEnableUser "admin_enable_user" admin::enable,
        POST "/admin/users/{user_id}/enable" Administrator Input::Nothing => Output::Data("AdminUserData"), [] [404, 409]
        "Enables a user";
    AdminResetPassword "admin_reset_password" admin::reset_password,
        POST "/admin/users/{user_id}/password" Administrator NEW_PASSWORD => Output::Data("NewPasswordData"), []
        [400, 404, 408, 409, 413, 415, 422]
        "Sets the password of a user who is no administrator, or makes one, which is only in this response; ends all sessions, \
        revokes all API tokens and disconnects identity providers";
    AdminDisconnectUser "admin_disconnect_user" admin::disconnect,
        POST "/admin/users/{user_id}/disconnect" Administrator Input::Nothing => Output::Data("AdminUserData"), [] [404, 409]
        "Disconnects a user who is no administrator from OpenID Connect providers; sessions stay";
    AdminSetQuota "admin_set_quota" admin::set_quota,
        PUT "/admin/users/{user_id}/quota" Administrator QUOTA => Output::Data("AdminUserData"), []
        [400, 404, 408, 413, 415, 422]
        "Sets a user's own limits, each a number or `none`; those that are left out are the limits of all users";
    AdminListSongs "admin_list_songs" admin::songs,
        GET "/admin/songs" Administrator Input::Nothing => Output::Data("AdminSongsData"), [USER, STATUS, MOST, AFTER] [404, 422]
        "Lists songs of all users, newest first; with a cursor for the next page";
    AdminDeleteSong "admin_delete_song" admin::delete_song,
        DELETE "/admin/songs/{song_id}" Administrator Input::Nothing => Output::Nothing, [] [404]
        "Deletes a song of any user, and its files if no other song has the same hash";
    AdminRequeueSong "admin_requeue_song" admin::requeue_song,
        POST "/admin/songs/{song_id}/requeue" Administrator Input::Nothing => Output::Data("SongData"), [] [404, 409]
        "Retries a failed song, or requests the job of a waiting one again";
    AdminListJobs "admin_list_jobs" admin::jobs,
        GET "/admin/jobs" Administrator Input::Nothing => Output::Data("AdminJobsData"), [MOST] [422]
        "Lists songs that are being split or wait, at most `limit` of each, and whether new jobs are held back";
    AdminDrainJobs "admin_drain_jobs" admin::drain,
        POST "/admin/jobs/drain" Administrator Input::Nothing => Output::Data("HoldData"), [] []
        "Holds new jobs back, so that the queue runs empty; uploads are still accepted";
    AdminResumeJobs "admin_resume_jobs" admin::resume,
        POST "/admin/jobs/resume" Administrator Input::Nothing => Output::Data("HoldData"), [] []
        "Releases the jobs that were held back";
    AdminStorage "admin_storage" admin::storage,
        GET "/admin/storage" Administrator Input::Nothing => Output::Data("StorageData"), [] []
        "Counts what is stored; one report at a time";
    AdminAudit "admin_audit" admin::audit,
        GET "/admin/audit" Administrator Input::Nothing => Output::Data("AuditData"), [SINCE, MOST] [422]
        "Returns entries of the audit log, newest first";
    UploadResult "upload_result" results::upload_result,
        POST "/songs/{hash}/upload_result" Worker Input::Tar => Output::Nothing, []
        [400, 404, 408, 410, 413, 422, 507]
        "Uploads the stems for all songs with a hash, as MP3, FLAC or both";
    BeginWork "begin_work" work::begin,
        POST "/songs/{hash}/begin" Worker Input::Nothing => Output::Data("WantedData"), [] [404, 409]
        "Marks a song as being split; returns whether the stems are still needed";
    Source "source" work::source,
        GET "/songs/{hash}/source" Worker Input::Nothing => Output::Bytes, [] [304, 404, 410, 416]
        "Downloads the uploaded file";
    ReportProgress "report_progress" work::progress,
        POST "/songs/{hash}/progress" Worker PERCENT => Output::Data("WantedData"), []
        [400, 404, 408, 409, 413, 415, 422]
        "Reports progress; returns whether the stems are still needed";
    HandBack "hand_back" work::hand_back,
        POST "/songs/{hash}/hand_back" Worker Input::Nothing => Output::Nothing, [] [404, 409]
        "Reports that a worker returned its job: the songs with the hash wait again";
    GiveUp "give_up" work::give_up,
        POST "/songs/{hash}/fail" Worker REASON => Output::Nothing, [] [400, 404, 408, 409, 413, 415, 422]
        "Marks a song as failed, with a reason";
    LeaseJob "lease_job" jobs::lease,
        POST "/jobs/lease" Worker WAIT => Output::Data("JobData"), [] [400, 408, 413, 415, 422]
        "Leases a job to a worker that has these models, separated by commas, or the default one; waits up to wait_s seconds \
        for one";
    ExtendLease "extend_lease" jobs::extend,
        POST "/jobs/{lease}/extend" Worker Input::Nothing => Output::Nothing, [MODELS_HELD] [404, 409, 422]
        "Extends a lease by its original duration";
    AcknowledgeJob "acknowledge_job" jobs::acknowledge,
        POST "/jobs/{lease}/acknowledge" Worker Input::Nothing => Output::Nothing, [] [404, 409]
        "Acknowledges a completed job";
    FailJob "fail_job" jobs::fail,
        POST "/jobs/{lease}/fail" Worker FAILURE => Output::Nothing, [] [400, 404, 408, 409, 413, 415, 422]
        "Fails a job: retry (counts as an attempt), later (does not count) or never";
    Live "live" operations::livez,
        GET "/livez" Public Input::Nothing => Output::Text, [] []
        "Liveness check";
    Ready "ready" operations::readyz,
        GET "/readyz" Public Input::Nothing => Output::Json, [] []
        "Readiness check of all dependencies";
    Metrics "metrics" operations::metrics,
        GET "/metrics" Public Input::Nothing => Output::Text, [] []
        "Prometheus metrics";
    OpenApi "openapi" operations::openapi,
        GET "/openapi.json" Public Input::Nothing => Output::Json, [] []
        "This document";
    Limits "limits" operations::limits,
        GET "/limits" Public Input::Nothing => Output::Data("LimitsData"), [] []
        "Returns the limits for uploads (size, length, title), quotas and registration";
    Models "models" operations::models,
        GET "/models" Public Input::Nothing => Output::Data("ModelsData"), [] []
        "Lists the models that songs can be split with, the default first";
}

/// The routes of one path.
#[derive(Default)]
struct Methods(Vec<&'static Route>);

/// The router.
pub(crate) struct Routes(Router<usize>, Vec<(Methods, String)>);

/// The result of routing.
pub(crate) enum Found {
    Route(&'static Route, Vec<(String, String)>),
    /// The path exists, but not with this method. Contains the value for `Allow`.
    Methods(String),
    Nothing,
}

impl Found {
    pub(crate) fn route(&self) -> Option<&'static Route> {
        match self {
            Self::Route(route, _) => Some(route),
            Self::Methods(_) | Self::Nothing => None,
        }
    }
}

impl Routes {
    pub(crate) fn new() -> Result<Self, matchit::InsertError> {
        let (mut router, mut paths) = (Router::new(), Vec::<(&str, Methods)>::new());
        for route in ROUTES {
            match paths.iter_mut().find(|(path, _)| *path == route.path) {
                Some((_, methods)) => methods.0.push(route),
                None => {
                    // matchit requires the same parameter name at the same position.
                    router.insert(route.path.replace("{hash}", "{song_id}"), paths.len())?;
                    paths.push((route.path, Methods(vec![route])));
                }
            }
        }
        // The contract has the slash; accept the path without it too.
        let songs = paths.iter().position(|(path, _)| *path == "/songs/").unwrap_or_default();
        router.insert("/songs", songs)?;
        let methods = paths.into_iter().map(|(_, methods)| {
            let allow = methods.allow();
            (methods, allow)
        });
        Ok(Self(router, methods.collect()))
    }

    pub(crate) fn find(&self, method: &Method, path: &str) -> Found {
        let Ok(matched) = self.0.at(path) else { return Found::Nothing };
        let Some((methods, allow)) = self.1.get(*matched.value) else { return Found::Nothing };
        let wanted = if *method == Method::HEAD { &Method::GET } else { method };
        match methods.0.iter().find(|route| route.method == *wanted) {
            Some(route) => {
                let params = matched.params.iter().map(|(key, value)| (key.to_owned(), value.to_owned()));
                Found::Route(route, params.collect())
            }
            None => Found::Methods(allow.clone()),
        }
    }
}

impl Methods {
    fn allow(&self) -> String {
        let mut names: Vec<_> = self.0.iter().map(|route| route.method.as_str()).collect();
        if names.contains(&"GET") {
            names.push("HEAD");
        }
        names.join(", ")
    }
}
