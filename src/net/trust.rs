//! Whom a connection trusts.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::bytes::{Hostile, Small};

/// Many times what a machine has of all authorities.
const CERTIFICATES: Small = Small { what: "a file of certificates", most: 8 << 20 };

fn unusable(path: &Path, why: impl Display) -> String {
    format!("cannot use the certificates in {}: {why}", Hostile::from_os(path.as_os_str()))
}

/// TLS with the certificate authorities of this machine; where it has none, as in slim containers, with
/// those of Mozilla that were bundled. Those in `cacert`, a PEM file, are trusted as well.
///
/// # Errors
/// If `cacert` cannot be used.
pub(super) fn config(cacert: Option<&Path>) -> Result<ClientConfig, String> {
    // Who looks for them reads all of that file.
    if let Some(path) = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from)
        && path.exists()
    {
        CERTIFICATES.open(&path).map_err(|e| unusable(&path, e))?;
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.add_parsable_certificates(webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned());
    }
    if let Some(path) = cacert {
        let pem = CERTIFICATES.open(path).map_err(|e| unusable(path, e))?;
        let fail = |why: String| unusable(path, why);
        let mut found = 0;
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let certificate = certificate.map_err(|e| fail(e.to_string()))?;
            roots.add(certificate).map_err(|e| fail(e.to_string()))?;
            found += 1;
        }
        if found == 0 {
            return Err(fail("there is none in PEM format".into()));
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
