//! Options for webhooks.

use clap::{ArgAction, Args};
use vocalizer_core::limits::Limits;

/// Where webhooks may be. Users choose their addresses.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Webhooks")]
pub struct WebhookArgs {
    /// Limit of webhooks per user; 0 turns webhooks off
    #[arg(long, env = "MAX_WEBHOOKS", value_name = "N", default_value_t = Limits::default().max_webhooks, hide_short_help = true)]
    pub max_webhooks: u32,
    /// Allow webhooks at loopback, private and other addresses that are not public: every user can then send requests to
    /// what this machine can reach
    #[arg(long, env = "WEBHOOK_ALLOW_PRIVATE", value_name = "BOOL", num_args = 0..=1, default_value_t = false,
        default_missing_value = "true", action = ArgAction::Set, hide_short_help = true)]
    pub webhook_allow_private: bool,
    /// Allow webhooks without TLS, at http://
    #[arg(long, env = "WEBHOOK_ALLOW_HTTP", value_name = "BOOL", num_args = 0..=1, default_value_t = false,
        default_missing_value = "true", action = ArgAction::Set, hide_short_help = true)]
    pub webhook_allow_http: bool,
}
