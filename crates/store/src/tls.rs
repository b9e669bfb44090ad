//! Encrypted connections to PostgreSQL: `sslmode=disable | prefer | require | verify-full`.
//!
//! As libpq has it, `require` encrypts without asking who answers (unless `sslrootcert` is given), and
//! `verify-full` checks the chain and the host's name against `sslrootcert` or the machine's roots.

use crate::error::{Error, Result};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::path::PathBuf;
use std::sync::Arc;
use tokio_postgres::config::SslMode;

/// How to reach a PostgreSQL server.
#[derive(Clone)]
pub(crate) struct Target {
    pub config: tokio_postgres::Config,
    pub tls: Option<ClientConfig>,
}

/// Reads a connection URL. Errors never repeat it: it may hold a password.
pub(crate) fn parse(url: &str) -> Result<Target> {
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let (mut mode, mut roots, mut rest) = (None, None, Vec::new());
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("sslmode", value)) => mode = Some(value.to_owned()),
            Some(("sslrootcert", value)) => roots = Some(PathBuf::from(percent_decode(value))),
            _ => rest.push(pair),
        }
    }
    let plain = if rest.is_empty() {
        base.to_owned()
    } else {
        format!("{base}?{}", rest.join("&"))
    };
    let mut config: tokio_postgres::Config = plain
        .parse()
        .map_err(|_| Error::Broken("database.url is not a PostgreSQL URL".into()))?;
    let tls = match mode.as_deref() {
        Some("disable") => None,
        None | Some("prefer") => {
            config.ssl_mode(SslMode::Prefer);
            Some(client_config(roots.as_deref(), false)?)
        }
        Some("require") => {
            config.ssl_mode(SslMode::Require);
            Some(client_config(roots.as_deref(), roots.is_some())?)
        }
        Some("verify-full") => {
            config.ssl_mode(SslMode::Require);
            Some(client_config(roots.as_deref(), true)?)
        }
        Some(_) => {
            let allowed = "disable, prefer, require or verify-full";
            return Err(Error::Broken(format!(
                "sslmode in database.url must be {allowed}"
            )));
        }
    };
    if tls.is_none() {
        config.ssl_mode(SslMode::Disable);
    }
    Ok(Target { config, tls })
}

fn percent_decode(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let decoded = (byte == b'%').then(|| {
            let digits = [bytes.clone().next()?, bytes.clone().nth(1)?];
            u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()
        });
        match decoded.flatten() {
            Some(value) => {
                bytes.nth(1);
                out.push(value);
            }
            None => out.push(byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn client_config(roots: Option<&std::path::Path>, verify: bool) -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let setup =
        |error: &dyn std::fmt::Display| Error::Broken(format!("TLS to the database: {error}"));
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| setup(&error))?;
    if !verify {
        let verifier = Arc::new(AnyServer(provider));
        return Ok(builder
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth());
    }
    let mut store = RootCertStore::empty();
    if let Some(path) = roots {
        let file = |error: &dyn std::fmt::Display| {
            Error::Broken(format!("sslrootcert {}: {error}", path.display()))
        };
        for certificate in CertificateDer::pem_file_iter(path).map_err(|error| file(&error))? {
            let certificate = certificate.map_err(|error| file(&error))?;
            store.add(certificate).map_err(|error| file(&error))?;
        }
    } else {
        for certificate in rustls_native_certs::load_native_certs().certs {
            // A root that rustls cannot read only narrows whom we trust.
            let _ = store.add(certificate);
        }
    }
    Ok(builder.with_root_certificates(store).with_no_client_auth())
}

/// Encrypts without asking who answers: what `sslmode=prefer` and `require` promise, and no more.
#[derive(Debug)]
struct AnyServer(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes() {
        let base = "postgres://u:secret@localhost/db";
        assert!(
            parse(&format!("{base}?sslmode=disable"))
                .unwrap()
                .tls
                .is_none()
        );
        assert!(
            parse(&format!("{base}?sslmode=require&application_name=x"))
                .unwrap()
                .tls
                .is_some()
        );
        assert!(parse(base).unwrap().tls.is_some());
        for wrong in [
            format!("{base}?sslmode=sometimes"),
            "postgres://u:secret@[".into(),
        ] {
            let error = parse(&wrong).err().unwrap().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
        assert_eq!(percent_decode("/a%20b%2"), "/a b%2");
    }
}
