//! The JSON types that server and client exchange.
//!
//! Every response is an [`Envelope`], always with all three keys:
//!
//! ```json
//! {"ok": true, "errors": [], "data": {"songs": []}}
//! {"ok": false, "errors": [{"code": "not_found", "message": "song not found"}], "data": null}
//! ```

mod account;
mod admin;
mod envelope;
mod error;
mod label;
mod limits;
mod marker;
mod models;
mod peaks;
mod share;
mod sign_in;
mod song;
mod trash;
mod upload;
mod webhook;
mod work;

pub use account::{NewTokenData, TokenView, TokensData, UserData, UserView};
pub use admin::{
    AdminJobView, AdminJobsData, AdminSongView, AdminSongsData, AdminUserData, AdminUserView, AdminUsersData,
    AuditData, AuditView, HoldData, JobStateView, NewPasswordData, OwnLimit, OwnLimitsView, SpaceView, StorageData,
    StoredView,
};
pub use envelope::Envelope;
pub use error::{ApiError, ErrorCode};
pub use label::{LabelView, LabelsData};
pub use limits::{LimitsData, LimitsView, QuotaView, RegistrationView};
pub use marker::{MarkerData, MarkerView, MarkersData};
pub use models::{ModelView, ModelsData};
pub use peaks::{PeaksData, PeaksView};
pub use share::{NewShareData, ShareMix, ShareView, SharedData, SharesData};
pub use sign_in::{ConnectionData, ProviderAddressData, ProviderView, SignInData, SignInView};
pub use song::{SongChange, SongData, SongStatus, SongView, SongsData};
pub use trash::{TrashData, TrashedSongView};
pub use upload::{UploadData, UploadView};
pub use webhook::{
    DeliveriesData, DeliveryData, DeliveryStatus, DeliveryView, NewWebhookData, WebhookData, WebhookEvent,
    WebhookPayload, WebhookPayloadData, WebhookView, WebhooksData,
};
pub use work::{JobData, JobView, MAX_JOB_DELAY, MAX_JOB_WAIT, Wanted, WantedData};
