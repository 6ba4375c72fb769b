//! One connection, with its queues declared.

use std::error::Error;
use std::io;
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lapin::options::ConfirmSelectOptions;
use lapin::tcp::{AMQPUriTcpExt as _, OwnedTLSConfig};
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{AsyncTcpStream, Channel, Connection, ConnectionProperties};
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::error::AmqpError;
use super::settings::AmqpSettings;
use super::topology::declare;

/// How many channels for publishing are kept for the next message.
const SPARE_CHANNELS: usize = 8;

/// A connection that was made, and closes when the last who uses it drops it.
pub(super) struct Live {
    connection: Connection,
    brake: Brake,
    spare: Mutex<Vec<Channel>>,
    runtime: Handle,
}

impl Live {
    /// Connects and declares the queues.
    pub(super) async fn connect(settings: &AmqpSettings, tls: &OwnedTLSConfig, role: &str) -> Result<Self, AmqpError> {
        let brake = Brake::default();
        // Whatever of it hangs when the time is over, or when nobody waits any more, ends with the socket.
        let mut armed = Armed { brake: &brake, keep: false };
        let at = settings.address.at();
        let connecting = timeout(settings.connect_timeout, connection(settings, tls, role, &brake));
        let connection = match connecting.await {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return Err(AmqpError::connecting(error, &at, &settings.address.vhost)),
            Err(_) => {
                let waited = format!("no answer within {} s", settings.connect_timeout.as_secs_f32());
                return Err(AmqpError::unreachable(&at, waited));
            }
        };
        let silent = AmqpError::Silent { after: settings.confirm_timeout };
        timeout(settings.confirm_timeout, declare(&connection, settings)).await.map_err(|_| silent)??;
        armed.keep = true;
        drop(armed);
        Ok(Self { connection, brake, spare: Mutex::default(), runtime: Handle::current() })
    }

    pub(super) fn is_up(&self) -> bool {
        self.connection.status().connected()
    }

    /// Whether the broker asked for no more messages.
    pub(super) fn is_blocked(&self) -> bool {
        self.connection.status().blocked()
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(super) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Ends the connection without a word, whatever is under way on it: the peer does not answer.
    pub(super) fn cut(&self) {
        self.brake.pull();
    }

    /// A channel with confirms, for one message at a time: which of several messages came back, the protocol does not say.
    pub(super) async fn confirming(&self) -> Result<Channel, lapin::Error> {
        let spare = lock(&self.spare).pop();
        if let Some(channel) = spare.filter(|channel| channel.status().connected()) {
            return Ok(channel);
        }
        let channel = self.connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        Ok(channel)
    }

    /// Keeps a channel on which nothing is under way for the next message.
    pub(super) fn keep(&self, channel: Channel) {
        let mut spare = lock(&self.spare);
        if spare.len() < SPARE_CHANNELS {
            spare.push(channel);
        }
    }
}

/// Also after a panic elsewhere: what is locked here is never half changed.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The socket, to be shut from outside. Of itself lapin waits for a peer that says nothing, with a thread and all that
/// was to be sent.
#[derive(Clone, Default)]
struct Brake(Arc<Mutex<Option<TcpStream>>>);

impl Brake {
    fn pull(&self) {
        if let Some(socket) = lock(&self.0).take() {
            // One that is shut already is what is wanted.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

/// Pulls the brake unless told to keep.
struct Armed<'a> {
    brake: &'a Brake,
    keep: bool,
}

impl Drop for Armed<'_> {
    fn drop(&mut self) {
        if !self.keep {
            self.brake.pull();
        }
    }
}

async fn connection(
    settings: &AmqpSettings,
    tls: &OwnedTLSConfig,
    role: &str,
    brake: &Brake,
) -> Result<Connection, lapin::Error> {
    let runtime = lapin::runtime::default_runtime()?;
    let (own, tls, brake, patience) = (runtime.clone(), tls.clone(), brake.clone(), settings.connect_timeout);
    let properties = ConnectionProperties::default().with_connection_name(format!("vocalizer {role}").into());
    // On lapin's own thread, which goes on when nobody waits for it any more; so it has its own end.
    let connect = async move |uri: AMQPUri, _| {
        let connecting = async {
            let plain = AMQPUri { scheme: AMQPScheme::AMQP, ..uri.clone() };
            let stream = plain.connect_async(&own).await?;
            if let AsyncTcpStream::Plain(stream) = &stream {
                *lock(&brake.0) = Some(twin(stream.get_ref())?);
            }
            match uri.scheme {
                AMQPScheme::AMQP => Ok(stream),
                AMQPScheme::AMQPS => stream.into_tls(&uri.authority.host, tls.as_ref()).await,
            }
        };
        let late = || io::Error::from(io::ErrorKind::TimedOut);
        timeout(patience, connecting).await.unwrap_or_else(|_| Err(late())).map_err(lapin::Error::from)
    };
    Connection::connector(settings.address.uri(), runtime, connect, properties).await
}

/// Another handle to the same socket.
#[cfg(unix)]
fn twin(stream: &tokio::net::TcpStream) -> io::Result<TcpStream> {
    use std::os::fd::AsFd as _;

    Ok(stream.as_fd().try_clone_to_owned()?.into())
}

/// Another handle to the same socket.
#[cfg(windows)]
fn twin(stream: &tokio::net::TcpStream) -> io::Result<TcpStream> {
    use std::os::windows::io::AsSocket as _;

    Ok(stream.as_socket().try_clone_to_owned()?.into())
}

/// Reads the certificates that are to be trusted.
pub(super) fn tls(settings: &AmqpSettings) -> Result<OwnedTLSConfig, AmqpError> {
    let Some(path) = &settings.ca_file else { return Ok(OwnedTLSConfig::default()) };
    if !settings.address.is_encrypted() {
        return Err(AmqpError::Settings("certificates are for amqps:// alone"));
    }
    let unreadable =
        |source: Box<dyn Error + Send + Sync>| AmqpError::Certificates { path: path.clone(), source: source.into() };
    let pem = std::fs::read_to_string(path).map_err(|error| unreadable(error.into()))?;
    if !pem.contains("-----BEGIN CERTIFICATE-----") {
        return Err(unreadable("there is none in it".into()));
    }
    Ok(OwnedTLSConfig { identity: None, cert_chain: Some(pem) })
}
