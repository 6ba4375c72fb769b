//! A broker connection with its queues declared.

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

/// Number of idle publishing channels kept for reuse.
const SPARE_CHANNELS: usize = 8;

/// An established connection. It closes when its last user drops it.
pub(super) struct BrokerConnection {
    connection: Connection,
    closer: SocketCloser,
    spare: Mutex<Vec<Channel>>,
    runtime: Handle,
}

impl BrokerConnection {
    /// Connects and declares the queues.
    pub(super) async fn connect(settings: &AmqpSettings, tls: &OwnedTLSConfig, role: &str) -> Result<Self, AmqpError> {
        let closer = SocketCloser::default();
        // On a timeout or cancellation, closing the socket ends everything that still hangs.
        let mut close_on_drop = CloseOnDrop { closer: &closer, keep: false };
        let at = settings.address.at();
        let connecting = timeout(settings.connect_timeout, connection(settings, tls, role, &closer));
        let connection = match connecting.await {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return Err(AmqpError::connecting(error, &at, &settings.address.vhost)),
            Err(_) => {
                let waited = format!("no response within {} s", settings.connect_timeout.as_secs_f32());
                return Err(AmqpError::unreachable(&at, waited));
            }
        };
        let silent = AmqpError::Silent { after: settings.confirm_timeout };
        timeout(settings.confirm_timeout, declare(&connection, settings)).await.map_err(|_| silent)??;
        close_on_drop.keep = true;
        drop(close_on_drop);
        Ok(Self { connection, closer, spare: Mutex::default(), runtime: Handle::current() })
    }

    pub(super) fn is_up(&self) -> bool {
        self.connection.status().connected()
    }

    /// Whether the broker has blocked publishing.
    pub(super) fn is_blocked(&self) -> bool {
        self.connection.status().blocked()
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(super) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Closes the socket at once, without a handshake: the peer does not respond.
    pub(super) fn cut(&self) {
        self.closer.close();
    }

    /// Returns a channel in confirm mode, for one message at a time: `basic.return` does not identify the message.
    pub(super) async fn confirming(&self) -> Result<Channel, lapin::Error> {
        let spare = lock(&self.spare).pop();
        if let Some(channel) = spare.filter(|channel| channel.status().connected()) {
            return Ok(channel);
        }
        let channel = self.connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        Ok(channel)
    }

    /// Keeps an idle channel for the next message.
    pub(super) fn keep(&self, channel: Channel) {
        let mut spare = lock(&self.spare);
        if spare.len() < SPARE_CHANNELS {
            spare.push(channel);
        }
    }
}

/// Ignores poisoning: no critical section here leaves partial state.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A second handle to the socket. lapin alone waits for an unresponsive peer without a limit, with a thread and all
/// unsent data.
#[derive(Clone, Default)]
struct SocketCloser(Arc<Mutex<Option<TcpStream>>>);

impl SocketCloser {
    fn close(&self) {
        if let Some(socket) = lock(&self.0).take() {
            // It may be closed already.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

/// Closes the socket on drop unless `keep` is set.
struct CloseOnDrop<'a> {
    closer: &'a SocketCloser,
    keep: bool,
}

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        if !self.keep {
            self.closer.close();
        }
    }
}

async fn connection(
    settings: &AmqpSettings,
    tls: &OwnedTLSConfig,
    role: &str,
    closer: &SocketCloser,
) -> Result<Connection, lapin::Error> {
    let runtime = lapin::runtime::default_runtime()?;
    let (own, tls, closer, patience) = (runtime.clone(), tls.clone(), closer.clone(), settings.connect_timeout);
    let properties = ConnectionProperties::default().with_connection_name(format!("vocalizer {role}").into());
    // This runs on lapin's thread even after the caller is dropped, so it needs its own timeout.
    let connect = async move |uri: AMQPUri, _| {
        let connecting = async {
            let plain = AMQPUri { scheme: AMQPScheme::AMQP, ..uri.clone() };
            let stream = plain.connect_async(&own).await?;
            if let AsyncTcpStream::Plain(stream) = &stream {
                *lock(&closer.0) = Some(clone_socket(stream.get_ref())?);
            }
            match uri.scheme {
                AMQPScheme::AMQP => Ok(stream),
                AMQPScheme::AMQPS => stream.into_tls(&uri.authority.host, tls.as_ref()).await,
            }
        };
        let timed_out = || io::Error::from(io::ErrorKind::TimedOut);
        timeout(patience, connecting).await.unwrap_or_else(|_| Err(timed_out())).map_err(lapin::Error::from)
    };
    Connection::connector(settings.address.uri(), runtime, connect, properties).await
}

/// Another handle to the same socket.
#[cfg(unix)]
fn clone_socket(stream: &tokio::net::TcpStream) -> io::Result<TcpStream> {
    use std::os::fd::AsFd as _;

    Ok(stream.as_fd().try_clone_to_owned()?.into())
}

/// Another handle to the same socket.
#[cfg(windows)]
fn clone_socket(stream: &tokio::net::TcpStream) -> io::Result<TcpStream> {
    use std::os::windows::io::AsSocket as _;

    Ok(stream.as_socket().try_clone_to_owned()?.into())
}

/// Reads the trusted certificates.
pub(super) fn tls(settings: &AmqpSettings) -> Result<OwnedTLSConfig, AmqpError> {
    let Some(path) = &settings.ca_file else { return Ok(OwnedTLSConfig::default()) };
    if !settings.address.is_encrypted() {
        return Err(AmqpError::Settings("a CA file requires an amqps:// address"));
    }
    let unreadable =
        |source: Box<dyn Error + Send + Sync>| AmqpError::Certificates { path: path.clone(), source: source.into() };
    let pem = std::fs::read_to_string(path).map_err(|error| unreadable(error.into()))?;
    if !pem.contains("-----BEGIN CERTIFICATE-----") {
        return Err(unreadable("no PEM certificate found".into()));
    }
    Ok(OwnedTLSConfig { identity: None, cert_chain: Some(pem) })
}
