//! TLS from PEM files, read again when they change.
//!
//! The files are looked at when a connection comes, not by a timer. Files that cannot be used leave what was read
//! before in its place: a certificate that is half written ends no service.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use crate::sync::lock;

/// PEM files. With `client_ca` a client must show a certificate that it signed.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The chain, own certificate first.
    pub certificate: PathBuf,
    /// Of the own certificate.
    pub private_key: PathBuf,
    /// Who signs clients' certificates.
    pub client_ca: Option<PathBuf>,
}

type Stamps = Vec<Option<SystemTime>>;

/// What accepts TLS connections.
pub struct Tls {
    files: TlsFiles,
    current: Mutex<(Stamps, TlsAcceptor)>,
}

impl Tls {
    /// Read the files. An error names the file and what is wrong with it.
    pub fn new(files: TlsFiles) -> io::Result<Self> {
        let current = (stamps(&files), acceptor(&files)?);
        Ok(Tls { files, current: Mutex::new(current) })
    }

    /// What accepts a connection that comes now.
    pub fn acceptor(&self) -> TlsAcceptor {
        let now = stamps(&self.files);
        let mut current = lock(&self.current);
        if current.0 != now {
            if let Ok(acceptor) = acceptor(&self.files) {
                *current = (now, acceptor);
            }
        }
        current.1.clone()
    }
}

fn stamps(files: &TlsFiles) -> Stamps {
    let paths = [Some(&files.certificate), Some(&files.private_key), files.client_ca.as_ref()];
    paths.into_iter().flatten().map(|path| path.metadata().and_then(|facts| facts.modified()).ok()).collect()
}

fn acceptor(files: &TlsFiles) -> io::Result<TlsAcceptor> {
    let chain = certificates(&files.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&files.private_key).map_err(|error| bad(&files.private_key, error))?;
    let builder = match &files.client_ca {
        None => ServerConfig::builder().with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|error| bad(path, error))?;
            }
            let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build().map_err(|error| bad(path, error))?;
            ServerConfig::builder().with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| bad(&files.certificate, error))?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn certificates(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let certificates: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).map_err(|error| bad(path, error))?.collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err(bad(path, "there is no certificate in it")),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(bad(path, error)),
    }
}

fn bad(path: &Path, error: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("{}: {error}", path.display()))
}
