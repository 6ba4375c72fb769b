//! What administrators do.

use reqwest::Method;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::json;
use url::form_urlencoded;
use vocalizer_api::id::{SongId, UserId};
use vocalizer_api::secret::Secret;
use vocalizer_api::{
    AdminJobsData, AdminSongsData, AdminUserData, AdminUserView, AdminUsersData, AuditData, AuditView, HoldData,
    NewPasswordData, OwnLimit, OwnLimitsView, SongData, SongStatus, SongView, StorageData,
};

use crate::{Client, Error};

/// What an administrator may do; from [`Client::admin`]. It needs a session from a login, not an API token.
#[derive(Debug, Clone, Copy)]
pub struct Admin<'a>(&'a Client);

/// A query for users. By default it matches all users.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AdminUserQuery {
    /// Only users whose name contains this, in any case.
    pub containing: Option<String>,
    /// Only users after this cursor: [`AdminUsersData::next`] of the previous page.
    pub after: Option<String>,
    /// At most this many: 1 to 1000. Default: 100.
    pub limit: Option<u32>,
}

/// A query for songs of all users. By default it matches all songs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AdminSongQuery {
    /// Only songs of this user: a name or an ID.
    pub user: Option<String>,
    /// Only songs with this status.
    pub status: Option<SongStatus>,
    /// Only songs after this cursor: [`AdminSongsData::next`] of the previous page.
    pub after: Option<String>,
    /// At most this many: 1 to 1000. Default: 100.
    pub limit: Option<u32>,
}

impl Client {
    /// Returns what this client may do as an administrator.
    ///
    /// ```
    /// # use vocalizer_client::{AdminUserQuery, Error, ErrorCode, Secret};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// # client.register("ada", &Secret::new("correct horse".to_owned())).await?;
    /// match client.admin().users(&AdminUserQuery::default()).await {
    ///     Err(error) if error.has_code(ErrorCode::Forbidden) => println!("not an administrator"),
    ///     page => println!("{} users", page?.users.len()),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub const fn admin(&self) -> Admin<'_> {
        Admin(self)
    }
}

impl Admin<'_> {
    /// Returns users by name, with what they have.
    ///
    /// ```
    /// # use vocalizer_client::{AdminUserQuery, Error, Secret};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let (client, bob) = (server.client(), server.client());
    /// # let password = Secret::new("correct horse".to_owned());
    /// # client.register("ada", &password).await?;
    /// # bob.register("bob", &password).await?;
    /// # server.make_administrator("ada").await;
    /// let mut query = AdminUserQuery { containing: Some("B".to_owned()), ..AdminUserQuery::default() };
    /// loop {
    ///     let page = client.admin().users(&query).await?;
    ///     for user in &page.users {
    ///         println!("{} has {} songs", user.username, user.songs);
    ///     }
    /// # assert_eq!(page.users[0].username, "bob");
    ///     query.after = page.next;
    ///     if query.after.is_none() {
    ///         break;
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Api`] with [`ErrorCode::Forbidden`](crate::ErrorCode::Forbidden) if the session is not an administrator's.
    pub async fn users(&self, query: &AdminUserQuery) -> Result<AdminUsersData, Error> {
        let AdminUserQuery { containing, after, limit } = query;
        let limit = limit.map(|limit| limit.to_string());
        let fields = [("search", containing), ("after", after), ("limit", &limit)];
        self.0.read(&path("admin/users", &fields)).await
    }

    /// Returns a user.
    ///
    /// ```
    /// # use vocalizer_client::{AdminUserQuery, Error, Secret};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let (client, bob) = (server.client(), server.client());
    /// # let password = Secret::new("correct horse".to_owned());
    /// # client.register("ada", &password).await?;
    /// # bob.register("bob", &password).await?;
    /// # server.make_administrator("ada").await;
    /// let id = client.admin().users(&AdminUserQuery::default()).await?.users[1].id;
    /// assert_eq!(client.admin().user(id).await?.username, "bob");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Api`] as for [`Self::users`], or with [`ErrorCode::NotFound`](crate::ErrorCode::NotFound).
    pub async fn user(&self, id: UserId) -> Result<AdminUserView, Error> {
        self.0.read::<AdminUserData>(&format!("admin/users/{id}")).await.map(|data| data.user)
    }

    /// Disables a user: sessions and tokens end at once, and logins are refused. Songs and share links stay.
    ///
    /// ```
    /// # use vocalizer_client::{AdminUserQuery, Error, Secret};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let (client, bob) = (server.client(), server.client());
    /// # let password = Secret::new("correct horse".to_owned());
    /// # client.register("ada", &password).await?;
    /// # bob.register("bob", &password).await?;
    /// # server.make_administrator("ada").await;
    /// let id = client.admin().users(&AdminUserQuery::default()).await?.users[1].id;
    /// client.admin().disable_user(id).await?;
    /// assert_eq!(bob.me().await?, None);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Api`] as for [`Self::user`], or with [`ErrorCode::Conflict`](crate::ErrorCode::Conflict) if the user is an
    /// administrator.
    pub async fn disable_user(&self, id: UserId) -> Result<AdminUserView, Error> {
        self.post::<AdminUserData>(&format!("admin/users/{id}/disable")).await.map(|data| data.user)
    }

    /// Enables a user.
    ///
    /// ```
    /// # use vocalizer_client::{AdminUserQuery, Error, Secret};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let (client, bob) = (server.client(), server.client());
    /// # let password = Secret::new("correct horse".to_owned());
    /// # client.register("ada", &password).await?;
    /// # bob.register("bob", &password).await?;
    /// # server.make_administrator("ada").await;
    /// let id = client.admin().users(&AdminUserQuery::default()).await?.users[1].id;
    /// client.admin().disable_user(id).await?;
    /// client.admin().enable_user(id).await?;
    /// bob.login("bob", &password).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Api`] as for [`Self::user`], or with [`ErrorCode::Conflict`](crate::ErrorCode::Conflict) if the user is an
    /// administrator.
    pub async fn enable_user(&self, id: UserId) -> Result<AdminUserView, Error> {
        self.post::<AdminUserData>(&format!("admin/users/{id}/enable")).await.map(|data| data.user)
    }

    /// Disconnects a user from OpenID Connect providers. Sessions stay.
    ///
    /// ```
    /// # use vocalizer_client::{AdminUserQuery, Error, Secret};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let (client, bob) = (server.client(), server.client());
    /// # let password = Secret::new("correct horse".to_owned());
    /// # client.register("ada", &password).await?;
    /// # bob.register("bob", &password).await?;
    /// # server.make_administrator("ada").await;
    /// let id = client.admin().users(&AdminUserQuery::default()).await?.users[1].id;
    /// assert!(!client.admin().disconnect_user(id).await?.connected);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Api`] as for [`Self::disable_user`].
    pub async fn disconnect_user(&self, id: UserId) -> Result<AdminUserView, Error> {
        self.post::<AdminUserData>(&format!("admin/users/{id}/disconnect")).await.map(|data| data.user)
    }

    /// Makes a new password for a user and returns it, or sets the given one and returns `None`. This ends all sessions of the
    /// user, revokes all API tokens and disconnects the account from identity providers.
    ///
    /// ```
    /// # use vocalizer_client::{AdminUserQuery, Error, Secret};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let (client, bob) = (server.client(), server.client());
    /// # let password = Secret::new("correct horse".to_owned());
    /// # client.register("ada", &password).await?;
    /// # bob.register("bob", &password).await?;
    /// # server.make_administrator("ada").await;
    /// let id = client.admin().users(&AdminUserQuery::default()).await?.users[1].id;
    /// if let Some(new) = client.admin().reset_password(id, None).await? {
    ///     bob.login("bob", &new).await?;
    /// }
    /// # assert!(bob.me().await?.is_some());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Api`] as for [`Self::disable_user`], or with [`ErrorCode::Invalid`](crate::ErrorCode::Invalid) if the server
    /// rejects the password.
    pub async fn reset_password(
        &self,
        id: UserId,
        password: Option<&Secret<String>>,
    ) -> Result<Option<Secret<String>>, Error> {
        let form = json!({"password": password.map(|password| password.expose())});
        let data: NewPasswordData = self.0.send(Method::POST, &format!("admin/users/{id}/password"), &form).await?;
        Ok(data.password.map(Secret::new))
    }

    /// Sets the limits of a user that differ from those of all users.
    ///
    /// ```
    /// # use vocalizer_client::{AdminUserQuery, Error, OwnLimit, OwnLimitsView, Secret};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let (client, bob) = (server.client(), server.client());
    /// # let password = Secret::new("correct horse".to_owned());
    /// # client.register("ada", &password).await?;
    /// # bob.register("bob", &password).await?;
    /// # server.make_administrator("ada").await;
    /// let id = client.admin().users(&AdminUserQuery::default()).await?.users[1].id;
    /// let limits = OwnLimitsView { max_songs: Some(OwnLimit::At(100)), ..OwnLimitsView::default() };
    /// assert_eq!(client.admin().set_limits(id, &limits).await?.quota, limits);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Api`] as for [`Self::user`], or with [`ErrorCode::Invalid`](crate::ErrorCode::Invalid) for a limit of uploads per
    /// minute of 0.
    pub async fn set_limits(&self, id: UserId, limits: &OwnLimitsView) -> Result<AdminUserView, Error> {
        let text = |limit: Option<OwnLimit>| {
            limit.map(|limit| match limit {
                OwnLimit::At(most) => most.to_string(),
                OwnLimit::None => "none".to_owned(),
            })
        };
        let form = json!({
            "max_songs": text(limits.max_songs),
            "max_bytes": text(limits.max_bytes),
            "max_audio_minutes_per_day": text(limits.max_audio_minutes_per_day),
            "max_uploads_per_minute": text(limits.max_uploads_per_minute),
        });
        let data: AdminUserData = self.0.send(Method::PUT, &format!("admin/users/{id}/quota"), &form).await?;
        Ok(data.user)
    }

    /// Returns songs of all users, newest first.
    ///
    /// ```
    /// # use vocalizer_client::{AdminSongQuery, Error, Secret, SongStatus};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let (client, bob) = (server.client(), server.client());
    /// # let password = Secret::new("correct horse".to_owned());
    /// # client.register("ada", &password).await?;
    /// # bob.register("bob", &password).await?;
    /// # server.make_administrator("ada").await;
    /// let failed = AdminSongQuery { status: Some(SongStatus::Failed), ..AdminSongQuery::default() };
    /// for song in client.admin().songs(&failed).await?.songs {
    ///     println!("{} of {:?}: {:?}", song.title, song.uploader, song.failure);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Api`] as for [`Self::users`], or with [`ErrorCode::NotFound`](crate::ErrorCode::NotFound) for an unknown user.
    pub async fn songs(&self, query: &AdminSongQuery) -> Result<AdminSongsData, Error> {
        let AdminSongQuery { user, status, after, limit } = query;
        let (status, limit) = (status.map(|status| status.name().to_owned()), limit.map(|limit| limit.to_string()));
        let fields = [("user", user), ("status", &status), ("after", after), ("limit", &limit)];
        self.0.read(&path("admin/songs", &fields)).await
    }

    /// Deletes a song of any user.
    ///
    /// ```
    /// # use vocalizer_client::{Error, Secret};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let (client, bob) = (server.client(), server.client());
    /// # let password = Secret::new("correct horse".to_owned());
    /// # client.register("ada", &password).await?;
    /// # bob.register("bob", &password).await?;
    /// # server.make_administrator("ada").await;
    /// # let song = bob.upload(vocalizer_client::Upload::from_bytes("x", "x.mp3", "any bytes")).await?;
    /// client.admin().delete_song(song.id).await?;
    /// assert_eq!(bob.songs().await?, []);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Api`] as for [`Self::users`], or with [`ErrorCode::NotFound`](crate::ErrorCode::NotFound).
    pub async fn delete_song(&self, id: SongId) -> Result<(), Error> {
        let request = self.0.request(Method::DELETE, &format!("admin/songs/{id}"))?;
        self.0.call::<IgnoredAny>(request).await.map(drop)
    }

    /// Retries a failed song of any user, or requests the job of a waiting one again.
    ///
    /// ```
    /// # use vocalizer_client::{Error, Secret};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let (client, bob) = (server.client(), server.client());
    /// # let password = Secret::new("correct horse".to_owned());
    /// # client.register("ada", &password).await?;
    /// # bob.register("bob", &password).await?;
    /// # server.make_administrator("ada").await;
    /// # server.fail_next_song("too loud");
    /// # let song = bob.upload(vocalizer_client::Upload::from_bytes("x", "x.mp3", "any bytes")).await?;
    /// # assert!(bob.wait(song.id).await.is_err());
    /// let song = client.admin().requeue_song(song.id).await?;
    /// bob.wait(song.id).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Api`] as for [`Self::delete_song`], or with [`ErrorCode::Conflict`](crate::ErrorCode::Conflict) if the song is
    /// being split or is split.
    pub async fn requeue_song(&self, id: SongId) -> Result<SongView, Error> {
        self.post::<SongData>(&format!("admin/songs/{id}/requeue")).await.map(|data| data.song)
    }

    /// Returns the songs that are being split or wait, at most `limit` of each (1 to 1000).
    ///
    /// ```
    /// # use vocalizer_client::{Error, Secret};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let (client, bob) = (server.client(), server.client());
    /// # let password = Secret::new("correct horse".to_owned());
    /// # client.register("ada", &password).await?;
    /// # bob.register("bob", &password).await?;
    /// # server.make_administrator("ada").await;
    /// let queue = client.admin().jobs(100).await?;
    /// for job in &queue.jobs {
    ///     println!("{:?}: {} of {:?}", job.state, job.song.title, job.song.uploader);
    /// }
    /// # assert!(!queue.held);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Api`] with [`ErrorCode::Forbidden`](crate::ErrorCode::Forbidden) if the session is not an administrator's.
    pub async fn jobs(&self, limit: u32) -> Result<AdminJobsData, Error> {
        self.0.read(&format!("admin/jobs?limit={limit}")).await
    }

    /// Holds new jobs back, so that the queue runs empty. Uploads are still accepted.
    ///
    /// ```
    /// # use vocalizer_client::{Error, Secret};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let (client, bob) = (server.client(), server.client());
    /// # let password = Secret::new("correct horse".to_owned());
    /// # client.register("ada", &password).await?;
    /// # bob.register("bob", &password).await?;
    /// # server.make_administrator("ada").await;
    /// client.admin().drain_jobs().await?;
    /// while client.admin().jobs(1).await?.unfinished > 0 {
    ///     tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    /// }
    /// client.admin().resume_jobs().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Api`] with [`ErrorCode::Forbidden`](crate::ErrorCode::Forbidden) if the session is not an administrator's.
    pub async fn drain_jobs(&self) -> Result<HoldData, Error> {
        self.post("admin/jobs/drain").await
    }

    /// Releases the jobs that were held back.
    ///
    /// ```
    /// # use vocalizer_client::{Error, HoldData, Secret};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let (client, bob) = (server.client(), server.client());
    /// # let password = Secret::new("correct horse".to_owned());
    /// # client.register("ada", &password).await?;
    /// # bob.register("bob", &password).await?;
    /// # server.make_administrator("ada").await;
    /// let HoldData { held, .. } = client.admin().resume_jobs().await?;
    /// assert!(!held);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Api`] with [`ErrorCode::Forbidden`](crate::ErrorCode::Forbidden) if the session is not an administrator's.
    pub async fn resume_jobs(&self) -> Result<HoldData, Error> {
        self.post("admin/jobs/resume").await
    }

    /// Counts what is stored. With many songs this takes a while.
    ///
    /// ```
    /// # use vocalizer_client::{Error, Secret};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let (client, bob) = (server.client(), server.client());
    /// # let password = Secret::new("correct horse".to_owned());
    /// # client.register("ada", &password).await?;
    /// # bob.register("bob", &password).await?;
    /// # server.make_administrator("ada").await;
    /// let report = client.admin().storage().await?;
    /// for (kind, stored) in &report.files {
    ///     println!("{} {kind}: {} bytes", stored.files, stored.bytes);
    /// }
    /// # assert_eq!(report.orphans, 0);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Api`] as for [`Self::users`], or with [`ErrorCode::Unavailable`](crate::ErrorCode::Unavailable) while another
    /// report is being made.
    pub async fn storage(&self) -> Result<StorageData, Error> {
        self.0.read("admin/storage").await
    }

    /// Returns the newest entries of the audit log, at most `limit` (1 to 1000), since a time in RFC 3339 if there is one.
    ///
    /// ```
    /// # use vocalizer_client::{Error, Secret};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let (client, bob) = (server.client(), server.client());
    /// # let password = Secret::new("correct horse".to_owned());
    /// # client.register("ada", &password).await?;
    /// # bob.register("bob", &password).await?;
    /// # server.make_administrator("ada").await;
    /// # client.admin().drain_jobs().await?;
    /// for entry in client.admin().audit(None, 10).await? {
    ///     println!("{} {} {} {:?}", entry.at, entry.actor, entry.action, entry.subject);
    /// }
    /// # assert_eq!(client.admin().audit(Some("2020-12-31T00:00:00Z"), 1).await?[0].action, "jobs_held");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Api`] as for [`Self::users`], or with [`ErrorCode::Invalid`](crate::ErrorCode::Invalid) for another time.
    pub async fn audit(&self, since: Option<&str>, limit: u32) -> Result<Vec<AuditView>, Error> {
        let (since, limit) = (since.map(str::to_owned), Some(limit.to_string()));
        let path = path("admin/audit", &[("since", &since), ("limit", &limit)]);
        self.0.read::<AuditData>(&path).await.map(|data| data.entries)
    }

    async fn post<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        self.0.call(self.0.request(Method::POST, path)?).await
    }
}

/// Returns a path with the fields that are there.
fn path(path: &str, fields: &[(&str, &Option<String>)]) -> String {
    let given = fields.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(given).finish();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}
