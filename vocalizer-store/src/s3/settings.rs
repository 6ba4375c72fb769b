//! Settings of the bucket.

use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path;
use object_store::{BackoffConfig, RetryConfig};
use reqwest::Url;
use vocalizer_core::secret::Secret;

use super::error::S3Error;
use super::http::Connector;

/// Variables passed on unchanged: credentials and their sources.
const CREDENTIALS: [(&str, AmazonS3ConfigKey); 10] = [
    ("AWS_ACCESS_KEY_ID", AmazonS3ConfigKey::AccessKeyId),
    ("AWS_SECRET_ACCESS_KEY", AmazonS3ConfigKey::SecretAccessKey),
    ("AWS_SESSION_TOKEN", AmazonS3ConfigKey::Token),
    ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", AmazonS3ConfigKey::ContainerCredentialsRelativeUri),
    ("AWS_CONTAINER_CREDENTIALS_FULL_URI", AmazonS3ConfigKey::ContainerCredentialsFullUri),
    ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", AmazonS3ConfigKey::ContainerAuthorizationTokenFile),
    ("AWS_WEB_IDENTITY_TOKEN_FILE", AmazonS3ConfigKey::WebIdentityTokenFile),
    ("AWS_ROLE_ARN", AmazonS3ConfigKey::RoleArn),
    ("AWS_ROLE_SESSION_NAME", AmazonS3ConfigKey::RoleSessionName),
    ("AWS_ENDPOINT_URL_STS", AmazonS3ConfigKey::StsEndpoint),
];

/// The address of a bucket, its endpoint and credentials. `Debug` hides the credentials.
#[derive(Debug, Clone)]
pub struct S3Settings {
    bucket: String,
    prefix: Path,
    region: String,
    /// `None` for S3 itself.
    endpoint: Option<String>,
    allow_http: bool,
    credentials: Vec<(AmazonS3ConfigKey, Secret<String>)>,
    patience: Duration,
}

impl S3Settings {
    /// Parses the address of a bucket, `s3://bucket` or `s3://bucket/prefix`, and the variables for its endpoint and
    /// credentials. They have their usual meaning:
    ///
    /// | variable | |
    /// | --- | --- |
    /// | `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN` | the credentials |
    /// | `AWS_REGION`, else `AWS_DEFAULT_REGION` | the bucket's region; default: `us-east-1` |
    /// | `AWS_ENDPOINT_URL_S3`, else `AWS_ENDPOINT_URL` | the server, if it is not S3 itself |
    /// | `AWS_ALLOW_HTTP` | `true` to use that server without TLS |
    /// | `AWS_CONTAINER_CREDENTIALS_…`, `AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE` | credentials of a container |
    /// | `AWS_WEB_IDENTITY_TOKEN_FILE`, `AWS_ROLE_ARN`, `AWS_ROLE_SESSION_NAME`, `AWS_ENDPOINT_URL_STS` | a role |
    ///
    /// Without credentials among them, those of the machine are used. Other variables and empty ones are ignored. The
    /// environment is not read.
    ///
    /// # Errors
    ///
    /// [`S3Error::Url`] or [`S3Error::Variable`].
    pub fn parse<N: AsRef<str>, V: Into<String>>(
        url: &str,
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Result<Self, S3Error> {
        let (bucket, prefix) = parse_url(url)?;
        let (mut region, mut default_region, mut of_s3, mut of_all) = (None, None, None, None);
        let mut allow_http = false;
        let mut credentials = Vec::new();
        for (name, value) in variables {
            let value = value.into();
            if value.is_empty() {
                continue;
            }
            match name.as_ref() {
                "AWS_REGION" => region = Some(value),
                "AWS_DEFAULT_REGION" => default_region = Some(value),
                "AWS_ENDPOINT_URL_S3" => of_s3 = Some(parse_endpoint("AWS_ENDPOINT_URL_S3", value)?),
                "AWS_ENDPOINT_URL" => of_all = Some(parse_endpoint("AWS_ENDPOINT_URL", value)?),
                "AWS_ALLOW_HTTP" => allow_http = parse_bool("AWS_ALLOW_HTTP", &value)?,
                name => credentials.extend(
                    CREDENTIALS.iter().find(|(known, _)| *known == name).map(|(_, key)| (*key, Secret::new(value))),
                ),
            }
        }
        let has = |wanted| credentials.iter().any(|(key, _)| *key == wanted);
        match (has(AmazonS3ConfigKey::AccessKeyId), has(AmazonS3ConfigKey::SecretAccessKey)) {
            (true, false) => {
                return Err(S3Error::Variable {
                    name: "AWS_SECRET_ACCESS_KEY",
                    flaw: "is missing although AWS_ACCESS_KEY_ID is set",
                });
            }
            (false, true) => {
                return Err(S3Error::Variable {
                    name: "AWS_ACCESS_KEY_ID",
                    flaw: "is missing although AWS_SECRET_ACCESS_KEY is set",
                });
            }
            _ => {}
        }
        let endpoint = of_s3.or(of_all);
        if !allow_http && endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http:")) {
            let flaw = "must be true for an unencrypted endpoint (http://)";
            return Err(S3Error::Variable { name: "AWS_ALLOW_HTTP", flaw });
        }
        Ok(Self {
            bucket,
            prefix,
            region: region.or(default_region).unwrap_or_else(|| "us-east-1".to_owned()),
            endpoint,
            allow_http,
            credentials,
            patience: Duration::from_secs(10),
        })
    }

    /// Sets how long to retry a request that the endpoint throttles or that is lost. Default: 10 s.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    pub(super) fn bucket(&self) -> &str {
        &self.bucket
    }

    pub(super) fn prefix(&self) -> &Path {
        &self.prefix
    }

    pub(super) fn region(&self) -> &str {
        &self.region
    }

    pub(super) fn endpoint(&self) -> String {
        self.endpoint.clone().unwrap_or_else(|| format!("https://s3.{}.amazonaws.com", self.region))
    }

    /// Creates the client. Sends nothing yet.
    pub(super) fn build(&self) -> Result<AmazonS3, S3Error> {
        // Credential endpoints use TLS whatever the bucket's endpoint.
        let encrypted = !self.endpoint().starts_with("http:")
            || self.credentials.iter().all(|(key, _)| *key != AmazonS3ConfigKey::AccessKeyId);
        let mut builder = AmazonS3Builder::new()
            .with_http_connector(Connector::new(encrypted).map_err(S3Error::Setup)?)
            .with_bucket_name(&self.bucket)
            .with_region(&self.region)
            .with_allow_http(self.allow_http)
            // A hash has few blobs, and some servers do not support bulk deletion.
            .with_disable_bulk_delete(true)
            .with_retry(RetryConfig {
                backoff: BackoffConfig {
                    init_backoff: Duration::from_millis(100),
                    max_backoff: Duration::from_secs(2),
                    base: 2.0,
                },
                max_retries: 32,
                retry_timeout: self.patience,
            });
        builder = match &self.endpoint {
            Some(endpoint) => builder.with_endpoint(endpoint),
            // S3 expects the bucket in the host name; if it contains a dot, the certificate does not match.
            None => builder.with_virtual_hosted_style_request(!self.bucket.contains('.')),
        };
        for (key, value) in &self.credentials {
            builder = builder.with_config(*key, value.expose());
        }
        builder.build().map_err(|error| S3Error::Setup(error.into()))
    }
}

/// Parses the bucket and the prefix of an address.
fn parse_url(url: &str) -> Result<(String, Path), S3Error> {
    let invalid = |flaw| S3Error::Url { flaw };
    let place = url.strip_prefix("s3://").ok_or(invalid("it must begin with s3://"))?;
    let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
    if bucket.contains('@') {
        return Err(invalid("credentials are not allowed; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY instead"));
    }
    if bucket.is_empty() || !bucket.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_')) {
        return Err(invalid("invalid bucket name"));
    }
    if prefix.contains(['?', '#']) {
        return Err(invalid("query and fragment are not allowed"));
    }
    match Path::parse(prefix) {
        Ok(found) if !prefix.starts_with('/') => Ok((bucket.to_owned(), found)),
        _ => Err(invalid("the prefix has an empty or invalid part")),
    }
}

fn parse_endpoint(name: &'static str, value: String) -> Result<String, S3Error> {
    let invalid = |flaw| Err(S3Error::Variable { name, flaw });
    let Ok(url) = Url::parse(&value) else { return invalid("is not a valid URL") };
    if !matches!(url.scheme(), "http" | "https") {
        return invalid("must begin with http:// or https://");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return invalid("must not contain credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY instead");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return invalid("must not contain a query or a fragment");
    }
    Ok(url.into())
}

fn parse_bool(name: &'static str, value: &str) -> Result<bool, S3Error> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(S3Error::Variable { name, flaw: "must be true or false" }),
    }
}
