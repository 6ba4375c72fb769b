//! The table of what can be asked for: requests are routed by it and the OpenAPI document is made of it, so that neither
//! can say what the other does not.

use http::Method;
use matchit::Router;

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Operation {
    Register,
    Login,
    Logout,
    LogoutEverywhere,
    Me,
    ChangePassword,
    ListTokens,
    CreateToken,
    RevokeToken,
    ListSongs,
    Upload,
    GetSong,
    RenameSong,
    DeleteSong,
    RetrySong,
    ListEvents,
    Events,
    Peaks,
    Part,
    UploadResult,
    BeginWork,
    Source,
    ReportProgress,
    HandBack,
    GiveUp,
    LeaseJob,
    ExtendLease,
    AcknowledgeJob,
    FailJob,
    Live,
    Ready,
    Metrics,
    OpenApi,
    Limits,
}

impl Operation {
    /// Its name in logs, metrics and the OpenAPI document.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::Login => "login",
            Self::Logout => "logout",
            Self::LogoutEverywhere => "logout_everywhere",
            Self::Me => "me",
            Self::ChangePassword => "change_password",
            Self::ListTokens => "list_tokens",
            Self::CreateToken => "create_token",
            Self::RevokeToken => "revoke_token",
            Self::ListSongs => "list_songs",
            Self::Upload => "upload",
            Self::GetSong => "get_song",
            Self::RenameSong => "rename_song",
            Self::DeleteSong => "delete_song",
            Self::RetrySong => "retry_song",
            Self::ListEvents => "list_events",
            Self::Events => "events",
            Self::Peaks => "peaks",
            Self::Part => "part",
            Self::UploadResult => "upload_result",
            Self::BeginWork => "begin_work",
            Self::Source => "source",
            Self::ReportProgress => "report_progress",
            Self::HandBack => "hand_back",
            Self::GiveUp => "give_up",
            Self::LeaseJob => "lease_job",
            Self::ExtendLease => "extend_lease",
            Self::AcknowledgeJob => "acknowledge_job",
            Self::FailJob => "fail_job",
            Self::Live => "live",
            Self::Ready => "ready",
            Self::Metrics => "metrics",
            Self::OpenApi => "openapi",
            Self::Limits => "limits",
        }
    }
}

/// Who may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Anybody, and a user more than others.
    Anybody,
    /// A user, logged in with their password.
    Session,
    /// A worker, with its token.
    Worker,
    /// Anybody, and it makes no difference who.
    Public,
}

/// What a request brings along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Takes {
    Nothing,
    /// A form with these fields, those that must be there first.
    Form(&'static [&'static str], &'static [&'static str]),
    Upload,
    Tar,
}

/// What a success brings back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gives {
    /// An envelope with `data` of this schema.
    Data(&'static str),
    /// An envelope without data.
    Nothing,
    /// Bytes of whatever kind.
    Bytes,
    Audio,
    Events,
    Text,
    Json,
}

/// A row of the table.
pub(crate) struct Route {
    pub(crate) operation: Operation,
    pub(crate) method: Method,
    /// As `matchit` and OpenAPI both write it.
    pub(crate) path: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) access: Access,
    pub(crate) takes: Takes,
    pub(crate) gives: Gives,
    /// The query's parameters.
    pub(crate) query: &'static [&'static str],
    /// The errors it may end in, beside those that every request may.
    pub(crate) errors: &'static [u16],
}

macro_rules! routes {
    ($($operation:ident $method:ident $path:literal $access:ident $takes:expr => $gives:expr,
        [$($query:literal),*] [$($error:literal),*] $summary:literal;)*) => {
        &[$(Route {
            operation: Operation::$operation,
            method: Method::$method,
            path: $path,
            summary: $summary,
            access: Access::$access,
            takes: $takes,
            gives: $gives,
            query: &[$($query),*],
            errors: &[$($error),*],
        }),*]
    };
}

const REGISTER: Takes = Takes::Form(&["username", "password1", "password2"], &["invite"]);
const LOGIN: Takes = Takes::Form(&["username", "password"], &[]);
const PASSWORD: Takes = Takes::Form(&["old_password", "password1", "password2"], &[]);
const TOKEN: Takes = Takes::Form(&["name"], &["expires_in_days"]);
const RENAME: Takes = Takes::Form(&["title"], &[]);
const PERCENT: Takes = Takes::Form(&["percent"], &[]);
const REASON: Takes = Takes::Form(&["reason"], &[]);
const WAIT: Takes = Takes::Form(&[], &["wait_s"]);
const FAILURE: Takes = Takes::Form(&["kind"], &["after_ms", "reason"]);

/// The table.
pub(crate) static ROUTES: &[Route] = routes! {
    Register POST "/auth/register" Anybody REGISTER => Gives::Data("UserData"), [] [400, 408, 409, 413, 415, 422, 429]
        "Registers a user and logs in; with an invite, where GET /limits says so";
    Login POST "/auth/login" Anybody LOGIN => Gives::Data("UserData"), [] [400, 401, 408, 413, 415, 429]
        "Logs in";
    Logout POST "/auth/logout" Anybody Takes::Nothing => Gives::Nothing, [] []
        "Ends the session; with a token, revokes it";
    LogoutEverywhere POST "/auth/logout_everywhere" Session Takes::Nothing => Gives::Nothing, [] []
        "Ends every session of the caller, this one too, and revokes every token";
    Me GET "/auth/me" Anybody Takes::Nothing => Gives::Data("UserData"), [] []
        "Says who the caller is";
    ChangePassword POST "/auth/password" Session PASSWORD => Gives::Nothing, [] [400, 408, 413, 415, 422, 429]
        "Changes the password, ends all other sessions and revokes all tokens";
    ListTokens GET "/auth/tokens" Session Takes::Nothing => Gives::Data("TokensData"), [] []
        "Lists the caller's API tokens";
    CreateToken POST "/auth/tokens" Session TOKEN => Gives::Data("NewTokenData"), [] [400, 408, 409, 413, 415, 422]
        "Makes an API token; its secret is shown this once";
    RevokeToken DELETE "/auth/tokens/{token_id}" Session Takes::Nothing => Gives::Nothing, [] [404]
        "Revokes an API token";
    ListSongs GET "/songs/" Anybody Takes::Nothing => Gives::Data("SongsData"), ["status", "limit", "after", "details"] [422]
        "Lists the songs that the caller may see, newest first; without limit up to 1000, and where the next ones begin";
    Upload POST "/songs/upload" Anybody Takes::Upload => Gives::Data("SongData"), [] [400, 408, 413, 415, 422, 429, 507]
        "Uploads a song, which is then split";
    GetSong GET "/songs/{song_id}" Anybody Takes::Nothing => Gives::Data("SongData"), [] [404]
        "Tells of a song: its status and how far it is";
    RenameSong PATCH "/songs/{song_id}" Anybody RENAME => Gives::Data("SongData"), [] [400, 404, 408, 413, 415, 422]
        "Changes a song's title";
    DeleteSong DELETE "/songs/{song_id}" Anybody Takes::Nothing => Gives::Nothing, [] [404]
        "Deletes a song; with the last of its hash its files go";
    RetrySong POST "/songs/{song_id}/retry" Anybody Takes::Nothing => Gives::Data("SongData"), [] [404, 409]
        "Asks to split a song that failed once more";
    Events GET "/songs/{song_id}/events" Anybody Takes::Nothing => Gives::Events, [] [404]
        "Streams the song at every change until it is split or failed; resumes by Last-Event-ID";
    ListEvents GET "/songs/events" Anybody Takes::Nothing => Gives::Events, [] []
        "Streams changes of the caller's songs: of the newest, and of those that wait or are split";
    Peaks GET "/songs/{song_id}/peaks/{part}" Anybody Takes::Nothing => Gives::Data("PeaksData"), []
        [202, 404, 409, 422, 507]
        "Says how loud a part is over its length, for drawing it; made once";
    Part GET "/songs/{song_id}/{file}" Anybody Takes::Nothing => Gives::Audio,
        ["download", "format", "drums", "bass", "other", "vocals"] [202, 304, 404, 409, 416, 422, 507]
        "Downloads a part: song, bass, drums, other, vocals or accompaniment as .mp3, .wav or .flac; stems.zip, stems.tar; \
        mix.mp3, mix.wav or mix.flac, the stems as loud as the query says";
    UploadResult POST "/songs/{hash}/upload_result" Worker Takes::Tar => Gives::Nothing, []
        [400, 404, 408, 410, 413, 422, 507]
        "Takes the four stems of every song with a hash";
    BeginWork POST "/songs/{hash}/begin" Worker Takes::Nothing => Gives::Data("WantedData"), [] [404, 409]
        "Says that a worker begins; answers whether anybody still waits for the stems";
    Source GET "/songs/{hash}/source" Worker Takes::Nothing => Gives::Bytes, [] [304, 404, 410, 416]
        "Gives a worker the bytes that were uploaded";
    ReportProgress POST "/songs/{hash}/progress" Worker PERCENT => Gives::Data("WantedData"), []
        [400, 404, 408, 409, 413, 415, 422]
        "Says how far a worker is; answers whether anybody still waits for the stems";
    HandBack POST "/songs/{hash}/hand_back" Worker Takes::Nothing => Gives::Nothing, [] [404, 409]
        "Says that a worker gave its job back: the songs with the hash wait again";
    GiveUp POST "/songs/{hash}/fail" Worker REASON => Gives::Nothing, [] [400, 404, 408, 409, 413, 415, 422]
        "Says that the song cannot be split, and why";
    LeaseJob POST "/jobs/lease" Worker WAIT => Gives::Data("JobData"), [] [400, 408, 413, 415, 422]
        "Leases a job to a worker; waits for one as long as the worker wants";
    ExtendLease POST "/jobs/{lease}/extend" Worker Takes::Nothing => Gives::Nothing, [] [404, 409]
        "Keeps a lease from running out, for as long again as it was granted";
    AcknowledgeJob POST "/jobs/{lease}/acknowledge" Worker Takes::Nothing => Gives::Nothing, [] [404, 409]
        "Says that a job is done";
    FailJob POST "/jobs/{lease}/fail" Worker FAILURE => Gives::Nothing, [] [400, 404, 408, 409, 413, 415, 422]
        "Says that a job was not done: again after a while (retry; later, which does not count as an attempt) or never";
    Live GET "/livez" Public Takes::Nothing => Gives::Text, [] []
        "Says that the process lives";
    Ready GET "/readyz" Public Takes::Nothing => Gives::Json, [] []
        "Says whether everything behind the service answers";
    Metrics GET "/metrics" Public Takes::Nothing => Gives::Text, [] []
        "Figures for Prometheus";
    OpenApi GET "/openapi.json" Public Takes::Nothing => Gives::Json, [] []
        "This document";
    Limits GET "/limits" Public Takes::Nothing => Gives::Data("LimitsData"), [] []
        "Says what is taken, and from whom: bytes, seconds, characters, quotas, registration";
};

/// Everything that one path can be asked for.
#[derive(Default)]
struct Methods(Vec<&'static Route>);

/// Finds the row for a request.
pub(crate) struct Routes(Router<usize>, Vec<(Methods, String)>);

/// What a path and a method name.
pub(crate) enum Found {
    Route(&'static Route, Vec<(String, String)>),
    /// The path is there and does not take the method; it takes these.
    Methods(String),
    Nothing,
}

impl Routes {
    pub(crate) fn new() -> Result<Self, matchit::InsertError> {
        let (mut router, mut paths) = (Router::new(), Vec::<(&str, Methods)>::new());
        for route in ROUTES {
            match paths.iter_mut().find(|(path, _)| *path == route.path) {
                Some((_, methods)) => methods.0.push(route),
                None => {
                    // The router wants one name for one place.
                    router.insert(route.path.replace("{hash}", "{song_id}"), paths.len())?;
                    paths.push((route.path, Methods(vec![route])));
                }
            }
        }
        // The original's path has the slash; without it means the same.
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
