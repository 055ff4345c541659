//! Servers with certificates of an authority that nobody knows.

use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::common::Scratch;
use crate::server::{Reply, Request, Server};

/// A server with a certificate of its own authority for this name, and the authority's certificate.
pub(crate) fn secure(
    scratch: &Scratch,
    name: &str,
    plan: impl Fn(&Request) -> Reply + Send + Sync + 'static,
) -> (Server, PathBuf) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    let ca = scratch.write("ca.pem", authority.pem().as_bytes());
    (Server::secure(plan, config), ca)
}
