//! Where connections come from: a TCP port or a Unix socket, plain or with TLS.
//!
//! On a Unix socket a client has to name an authority that HTTP allows (grpcio: `grpc.default_authority`): by itself
//! grpcio sends the socket's path, which HTTP/2 here refuses as malformed.

use std::io;
use std::net::ToSocketAddrs;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::time::sleep;

use crate::connection::{in_time, serve, Open};
use crate::race::{race, Either};
use crate::server::{reached, Phase, Server};
use crate::tls::Tls;

/// After a connection could not be taken, mostly for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(50);

/// A socket that listens and is not yet of any runtime.
pub enum Bound {
    /// host:port.
    Tcp(std::net::TcpListener),
    /// unix:path.
    Unix(std::os::unix::net::UnixListener, PathBuf),
}

impl Bound {
    /// Listen on 'host:port' or 'unix:path'; the address with the port that was given for 0.
    pub fn bind(address: &str) -> io::Result<(Bound, String)> {
        if let Some(path) = address.strip_prefix("unix:") {
            let listener = bind_unix(Path::new(path))?;
            listener.set_nonblocking(true)?;
            return Ok((Bound::Unix(listener, path.into()), address.to_owned()));
        }
        let addresses: Vec<_> = address.to_socket_addrs()?.collect();
        let listener = std::net::TcpListener::bind(addresses.as_slice())?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
        Ok((Bound::Tcp(listener), format!("{host}:{port}")))
    }

    /// Take connections until the front drains.
    pub async fn accept(self, server: Arc<Server>, tls: Option<Arc<Tls>>) -> io::Result<()> {
        match self {
            Bound::Tcp(listener) => {
                let listener = TcpListener::from_std(listener)?;
                while let Some(taken) = next(&server, listener.accept()).await {
                    let Ok((socket, _)) = taken else { continue };
                    // Answers leave whole: waiting for more to send would only delay them.
                    let _ = socket.set_nodelay(true);
                    begin(socket, &server, &tls);
                }
            }
            Bound::Unix(listener, path) => {
                let listener = UnixListener::from_std(listener)?;
                while let Some(taken) = next(&server, listener.accept()).await {
                    let Ok((socket, _)) = taken else { continue };
                    begin(socket, &server, &tls);
                }
                // While it still listens: whoever finds nobody there takes the path over, and it is theirs.
                let _ = std::fs::remove_file(path);
            }
        }
        Ok(())
    }
}

/// A path that a dead process left behind is taken over.
fn bind_unix(path: &Path) -> io::Result<std::os::unix::net::UnixListener> {
    match std::os::unix::net::UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && StdUnixStream::connect(path).is_err() => {
            std::fs::remove_file(path)?;
            std::os::unix::net::UnixListener::bind(path)
        }
        outcome => outcome,
    }
}

async fn next<Taken>(
    server: &Server,
    taken: impl std::future::Future<Output = io::Result<Taken>>,
) -> Option<io::Result<Taken>> {
    let mut phase = server.phase.subscribe();
    match race(taken, reached(&mut phase, Phase::Draining)).await {
        Either::First(Err(error)) => {
            sleep(PAUSE).await;
            Some(Err(error))
        }
        Either::First(taken) => Some(taken),
        Either::Second(()) => None,
    }
}

fn begin<Socket>(socket: Socket, server: &Arc<Server>, tls: &Option<Arc<Tls>>)
where
    Socket: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (server, acceptor) = (server.clone(), tls.as_ref().map(|tls| tls.acceptor()));
    let open = Open::new(server.clone());
    tokio::spawn(async move {
        match acceptor {
            None => serve(socket, server).await,
            Some(acceptor) => {
                if let Some(socket) = in_time(&server, acceptor.accept(socket)).await {
                    serve(socket, server).await;
                }
            }
        }
        drop(open);
    });
}
